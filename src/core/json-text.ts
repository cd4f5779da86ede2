/**
 * JSON as text: its members by name, its strings, changes to some of its values. A value that is not changed stays as it came, so
 * nothing here builds values: a number stays the digits it came with.
 *
 * Everything here is for text that `scan` has accepted.
 */
import { type Members, type ObjectText, type ScanFault, type ScanLimits, scanText } from './json-scan.ts'

/** Numbers a member takes in `Members`. */
const STEP = 4

/** Where in `members` the last member of a name stands (as JSON.parse would have it); -1 when there is none. */
export function find(text: string, members: Members, name: string): number {
  const { length } = name
  for (let at = members.length - STEP; at >= 0; at -= STEP) {
    const start = members[at]!
    const isIt =
      start < 0
        ? nameAt(text, members, at) === name
        : members[at + 1]! - start === length && text.startsWith(name, start)
    if (isIt) return at
  }
  return -1
}

export function nameAt(text: string, members: Members, at: number): string {
  return stringAt(text, Math.abs(members[at]!) - 1, members[at + 1]! + 1)
}

/** The value as it is written. */
export function tokenAt(text: string, members: Members, at: number): string {
  return text.slice(members[at + 2], members[at + 3])
}

/** The string a member's value stands for; undefined when it is none or missing. */
export function stringOf(text: string, members: Members, name: string): string | undefined {
  const at = find(text, members, name)
  if (at < 0 || text[members[at + 2]!] !== '"') return undefined
  return stringAt(text, members[at + 2]!, members[at + 3]!)
}

/** All members, first to last, as indexes into `members`. */
export function* each(members: Members): Generator<number> {
  for (let at = 0; at < members.length; at += STEP) yield at
}

/** The string a JSON string token stands for. A token without a backslash is its own content. */
export function stringAt(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end - 1)
  return inner.includes('\\') ? (JSON.parse(text.slice(start, end)) as string) : inner
}

/** The same JSON on one line. Needed because a line break ends a document in a bulk body; inside strings none can stand. */
export function onOneLine(text: string): string {
  if (!text.includes('\n') && !text.includes('\r') && !text.includes('\t')) return text
  return text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|[ \n\r\t]+/g, token => (token[0] === '"' ? token : ''))
}

/** The members of an object given as text of its own. @throws when it is none */
export function objectOf(text: string): ObjectText {
  const scanned = scanText(text, { depthMax: 30, numberLengthMax: Number.POSITIVE_INFINITY })
  if (typeof scanned === 'string' || !scanned.top) throw new Error('expected the text of a JSON object')
  return { start: 0, end: text.length, members: scanned.top }
}

/** The elements of an array, each as its own text. @param text of an array that is already proved */
export function elementsOf(text: string): string[] {
  const elements: string[] = []
  let depth = 0
  let start = 0
  // Strings, and what opens, parts and closes.
  for (const { 0: token, index } of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{},]/g)) {
    if (token === '[' || token === '{') {
      if (++depth === 1) start = index + 1
    } else if (depth === 1 && (token === ',' || token === ']')) {
      const element = text.slice(start, index).trim()
      if (element !== '') elements.push(element)
      start = index + 1
      if (token === ']') depth--
    } else if (token === ']' || token === '}') depth--
  }
  return elements
}

/** Why a text is no JSON value within the limits; undefined when it is one. */
export function faultOf(text: string, limits: ScanLimits): ScanFault | undefined {
  const scanned = scanText(text, limits)
  return typeof scanned === 'string' ? scanned : undefined
}

/**
 * The text of an object with some of its values replaced (`undefined`: the member removed).
 *
 * @param changes by index into the members
 */
export function withChanges(
  text: string,
  object: ObjectText,
  changes: ReadonlyMap<number, string | undefined>,
): string {
  const { members } = object
  let out = ''
  let from = object.start
  for (const at of [...changes.keys()].sort((a, b) => a - b)) {
    const value = changes.get(at)
    if (value !== undefined) {
      out += text.slice(from, members[at + 2]) + value
      from = members[at + 3]!
      continue
    }
    out += text.slice(from, Math.abs(members[at]!) - 1)
    const isLast = at + STEP >= members.length
    from = isLast ? members[at + 3]! : Math.abs(members[at + STEP]!) - 1
    if (isLast) out = out.replace(/,[ \n\r\t]*$/, '')
  }
  return out + text.slice(from, object.end)
}
