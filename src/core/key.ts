/** The key of a row -> the id of its document, and in which shard it is at home. */
import { type Change, valueIn } from './change.ts'
import { stringAt } from './json-text.ts'
import { type Letter, type LetterReason, type Place, settledBy } from './letter.ts'
import { type HashRange, isInRange } from './shard.ts'
import type { TableRules } from './table.ts'

/** What keys need of the world. The hashes are handed in because core imports nothing. */
export type KeyContext = {
  /** What DMS's `add-before-image-columns` puts before a column's name; empty for none. */
  beforeImagePrefix: string
  sha256Hex: (text: string) => string
  /** MD5 of the UTF-8 text as an unsigned number of 128 bits, as Kinesis places partition keys. */
  md5: (text: string) => bigint
  /** The hash range of the shard being read. */
  range: HashRange
}

export const ID_BYTES_MAX = 512

export type Key = { kind: 'key'; parts: string[] } | { kind: 'letter'; letter: Letter }

/** The value of a column as JSON text; undefined when the record does not have it. */
type TokenOf = (change: Change, column: string, beforeImagePrefix: string) => string | undefined

export function current(change: Change, column: string): string | undefined {
  return valueIn(change, 'row', column)
}

/** The value before the update: from the before-image, from a `BI_` column, else unchanged. An empty one means an unchanged key. */
export function previous(change: Change, column: string, prefix: string): string | undefined {
  // A key column is never null at the source: there it means that the before-image does not have it.
  const image = valueIn(change, 'before', column) ?? 'null'
  if (image !== 'null') return image
  const prefixed = prefix === '' ? 'null' : (current(change, prefix + column) ?? 'null')
  return prefixed === 'null' ? current(change, column) : prefixed
}

export function keyOf(change: Change, rules: TableRules, tokenOf: TokenOf, context: KeyContext): Key {
  const parts: string[] = []
  for (const column of rules.key) {
    const token = tokenOf(change, column, context.beforeImagePrefix)
    if (token === undefined || token === 'null') return keyFault('no-key', column, rules)
    const first = token[0]
    if (first === '{' || first === '[') return keyFault('key-not-scalar', column, rules)
    const isText = first === '"'
    // An integer in exponent form has passed a double at the source: its last digits are gone already.
    if (!isText && first !== 't' && first !== 'f' && (token.includes('e') || token.includes('E')))
      return keyFault('damaged-key', column, rules)
    const text = isText ? stringAt(token, 0, token.length) : token
    // A lone surrogate has no UTF-8 form: two different keys would become one id.
    if (!text.isWellFormed()) return keyFault('damaged-key', column, rules)
    parts.push(text)
  }
  if (parts.every(part => part === '')) return keyFault('no-key', rules.key.join(', '), rules)
  return { kind: 'key', parts }
}

function keyFault(reason: LetterReason, column: string, rules: TableRules): Key {
  return {
    kind: 'letter',
    letter: settledBy(rules, { reason, detail: `key column ${column}`, index: rules.index }),
  }
}

export function placeOf(
  parts: readonly string[],
  rules: TableRules,
  sha256Hex: (text: string) => string,
): Place {
  const routing = rules.routing === undefined ? undefined : parts[rules.key.indexOf(rules.routing)]
  return { index: rules.index, id: documentId(parts, sha256Hex, rules.idPrefix), routing }
}

/** One key column stands for itself; several are joined by `|`, with `|` and `\` inside them escaped by `\`. */
export function documentId(
  parts: readonly string[],
  sha256Hex: (text: string) => string,
  prefix = '',
): string {
  const key = parts.length === 1 ? parts[0]! : parts.map(part => part.replace(/[\\|]/g, '\\$&')).join('|')
  const id = prefix + key
  // A character is at most 3 bytes of UTF-8 for each UTF-16 unit, so most ids need no encoding to be measured.
  const isShort = id.length * 3 <= ID_BYTES_MAX || new TextEncoder().encode(id).length <= ID_BYTES_MAX
  return isShort ? id : `${prefix}sha256:${sha256Hex(key)}`
}

/**
 * Which half of a key change this shard may write by version: the one whose own partition key falls in the shard.
 * DMS does not say which key it partitions such a record by, so one of the two must equal the record's own partition
 * key; if neither does, the form is unknown and both are foreign.
 */
export function homeTest(
  change: Change,
  keys: readonly (readonly string[])[],
  partitionKey: string,
  context: KeyContext,
): (parts: readonly string[]) => boolean {
  const bare = (parts: readonly string[]) => parts.join('.')
  const prefixed = (parts: readonly string[]) => `${change.schema}.${change.table}.${bare(parts)}`
  const form = [bare, prefixed].find(candidate => keys.some(parts => candidate(parts) === partitionKey))
  return parts => form !== undefined && isInRange(context.md5(form(parts)), context.range)
}
