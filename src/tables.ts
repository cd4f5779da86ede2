/**
 * The table file: for each table its key, index, partitioning and JSON columns; and the rules of tables it does not name.
 *
 * Every mistake is reported with its place. Two source tables that fall on one index would overwrite each other's
 * documents, so the second one met is held with an error that names both.
 */
import { parse } from 'yaml'
import type { TableAnswer } from './core/document.ts'
import { defaultIndex, indexNameFault, matches, type TableRules } from './core/table.ts'
import { ConfigError } from './errors.ts'

const TABLE_FIELDS = ['key', 'index', 'partition', 'columns']

/** @param text of the table file, YAML or JSON @throws ConfigError that names every mistake */
export function parseTables(text: string, path: string): Map<string, TableRules> {
  let parsed: unknown
  try {
    parsed = parse(text)
  } catch (cause) {
    throw new ConfigError(`${path} is not YAML: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
  const faults: string[] = []
  const found = new Map<string, TableRules>()
  const root = isObject(parsed) ? parsed : {}
  if (!isObject(parsed) || !isObject(root.tables))
    faults.push('expected one member `tables`, each table by its `schema.table`')
  for (const name of Object.keys(root))
    if (name !== 'tables') faults.push(`${name}: unknown; expected only \`tables\``)
  for (const [name, value] of Object.entries(isObject(root.tables) ? root.tables : {})) {
    const rules = readTable(name, value, fault => faults.push(`tables.${name}${fault}`))
    const twin = [...found.values()].find(other => other.index === rules.index)
    if (twin)
      faults.push(
        `tables.${name}: index ${rules.index} is also that of ${twin.name}; give one of them another \`index\``,
      )
    found.set(name, rules)
  }
  if (faults.length > 0) throw new ConfigError(faults.map(fault => `${path}: ${fault}`).join('\n'))
  return found
}

function readTable(name: string, value: unknown, fault: (text: string) => void): TableRules {
  const [schema = '', ...rest] = name.split('.')
  const table = rest.join('.')
  if (schema === '' || table === '') fault(': expected `schema.table`, such as public.orders')
  if (value !== null && !isObject(value)) fault(': expected an object with key, index, partition or columns')
  const fields = isObject(value) ? value : {}
  for (const field of Object.keys(fields)) {
    if (!TABLE_FIELDS.includes(field)) fault(`.${field}: unknown; expected one of ${TABLE_FIELDS.join(', ')}`)
  }
  const key = fields.key ?? ['id']
  const isKey =
    Array.isArray(key) && key.length > 0 && key.every(column => typeof column === 'string' && column !== '')
  if (!isKey) fault('.key: expected a list of column names, such as [order_id, line]')
  const index = fields.index ?? defaultIndex(schema, table)
  if (typeof index !== 'string') fault('.index: expected a text')
  const nameFault = typeof index === 'string' ? indexNameFault(index) : undefined
  if (nameFault) fault(`.index: OpenSearch would refuse "${index}": ${nameFault}`)
  const partition = fields.partition ?? 'table'
  if (partition !== 'table' && partition !== 'key') fault('.partition: expected table or key')
  const columns = fields.columns ?? {}
  if (!isObject(columns))
    fault('.columns: expected column names with their types, such as { attributes: jsonb }')
  for (const [column, type] of Object.entries(isObject(columns) ? columns : {})) {
    if (type !== 'json' && type !== 'jsonb')
      fault(`.columns.${column}: expected json or jsonb; other columns are written as they come`)
  }
  return {
    name,
    isNamed: true,
    key: isKey ? (key as string[]) : ['id'],
    index: String(index),
    partition: partition === 'key' ? 'key' : 'table',
    jsonColumns: new Set(isObject(columns) ? Object.keys(columns) : []),
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The rules of each table as it is met. One for a worker, since two shards may carry two tables of one index. */
export function tableRules(input: {
  named: ReadonlyMap<string, TableRules>
  indexPatterns: readonly string[]
}): (schema: string, table: string) => TableAnswer {
  const answers = new Map<string, TableAnswer>()
  const tableOf = new Map([...input.named.values()].map(rules => [rules.index, rules.name]))

  function answerFor(schema: string, table: string): TableAnswer {
    const name = `${schema}.${table}`
    const index = defaultIndex(schema, table)
    const unnamed: TableRules = {
      name,
      isNamed: false,
      key: ['id'],
      index,
      partition: 'table',
      jsonColumns: new Set(),
    }
    const rules = input.named.get(name) ?? unnamed
    const fault = indexNameFault(rules.index)
    if (fault)
      return {
        kind: 'letter',
        letter: { reason: 'illegal-index-name', detail: `index ${rules.index}: ${fault}` },
      }
    const other = tableOf.get(rules.index)
    if (other !== undefined && other !== name) {
      return {
        kind: 'hold',
        hold: {
          reason: 'index-shared',
          table: name,
          found: `index ${rules.index}, which is that of ${other}`,
          expected: 'an index of its own for each table',
          remedy: 'give one of the two another `index` in TABLE_FILE',
        },
      }
    }
    if (!input.indexPatterns.some(pattern => matches(pattern, rules.index))) {
      return {
        kind: 'hold',
        hold: {
          reason: 'index-without-template',
          table: name,
          found: `index ${rules.index}, which no pattern of INDEX_PATTERNS covers`,
          expected: `one of ${input.indexPatterns.join(', ')}`,
          remedy: 'add a pattern to INDEX_PATTERNS and run `bootstrap`',
        },
      }
    }
    tableOf.set(rules.index, name)
    return { kind: 'rules', rules }
  }

  return (schema, table) => {
    const name = `${schema}.${table}`
    const known = answers.get(name) ?? answerFor(schema, table)
    // A hold is asked anew: which of two tables came first is all it depends on, but it costs nothing.
    if (known.kind !== 'hold') answers.set(name, known)
    return known
  }
}
