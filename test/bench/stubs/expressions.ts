/**
 * The part of DynamoDB's expressions that the lease table's client writes, over items in wire form (`{ S: '...' }`).
 *
 * Condition: comparisons `=`, `<>`, `<` of an attribute with a value, `attribute_exists`, `attribute_not_exists`, joined by
 * AND and OR with brackets. Update: `SET a = :x, ... REMOVE a, ... ADD a :n, ...`.
 */

export type WireValue = { S?: string; N?: string; SS?: string[] }
export type WireItem = Record<string, WireValue>
type Values = Readonly<Record<string, WireValue>>

/** @throws Error for an expression beyond this part */
export function conditionHolds(expression: string, item: WireItem | undefined, values: Values): boolean {
  const tokens = expression.match(/:?\w+|<>|[()=<]/g) ?? []
  let at = 0
  const holds = anyOf()
  if (at < tokens.length) throw new Error(`condition is not understood: ${expression}`)
  return holds

  function anyOf(): boolean {
    let result = allOf()
    while (tokens[at] === 'OR') {
      at++
      // Both sides are read whatever the first one is.
      const next = allOf()
      result ||= next
    }
    return result
  }

  function allOf(): boolean {
    let result = one()
    while (tokens[at] === 'AND') {
      at++
      const next = one()
      result &&= next
    }
    return result
  }

  function one(): boolean {
    const token = tokens[at++]
    if (token === '(') {
      const inner = anyOf()
      at++
      return inner
    }
    if (token === 'attribute_exists' || token === 'attribute_not_exists') {
      const isThere = item?.[tokens[at + 1]!] !== undefined
      at += 3
      return isThere === (token === 'attribute_exists')
    }
    const [operator, name] = [tokens[at++], tokens[at++]]
    return compares(item?.[token!], operator, values[name!])
  }
}

function compares(
  found: WireValue | undefined,
  operator: string | undefined,
  value: WireValue | undefined,
): boolean {
  if (value === undefined) throw new Error('a comparison with something that is no value')
  // A comparison with an attribute that is not there does not hold, but for `<>`.
  if (found === undefined) return operator === '<>'
  if (operator === '=') return found.S === value.S && found.N === value.N
  if (operator === '<>') return found.S !== value.S || found.N !== value.N
  if (operator === '<') return Number(found.N) < Number(value.N)
  throw new Error(`operator ${operator} is not understood`)
}

/** @returns a new item */
export function updated(expression: string, item: WireItem, values: Values): WireItem {
  const result = { ...item }
  const [, ...parts] = expression.split(/\s*\b(SET|REMOVE|ADD)\b\s+/)
  for (let at = 0; at < parts.length; at += 2) {
    for (const clause of parts[at + 1]!.split(/\s*,\s*/)) {
      const [name, ...rest] = clause.trim().split(/[\s=]+/)
      const value = rest[0] === undefined ? undefined : values[rest[0]]
      if (parts[at] === 'REMOVE') delete result[name!]
      else if (value === undefined) throw new Error(`update is not understood: ${expression}`)
      else if (parts[at] === 'SET') result[name!] = value
      else result[name!] = { N: String(Number(result[name!]?.N ?? 0) + Number(value.N)) }
    }
  }
  return result
}
