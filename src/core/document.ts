/**
 * Change record -> what to write: document writes, dead letters, nothing, or a stop.
 *
 * A `hold` stops the shard before the record: the record is not at fault, something the operator can mend is. A dead
 * letter is for a record that can never be written. Nothing is dropped without one of the two or a counted skip.
 */
import { type Change, type Decoded, last, type UnreadableReason } from './change.ts'
import { looksBounded, type Member, onOneLine, stringAt } from './json-text.ts'
import { type HashRange, isInRange } from './shard.ts'
import type { TableRules } from './table.ts'

export type Write = { kind: 'index' | 'delete'; index: string; id: string; document?: string }

export type LetterReason =
  | UnreadableReason
  | 'record-too-large'
  | 'no-key'
  | 'key-not-scalar'
  | 'damaged-key'
  | 'json-column-unreadable'
  | 'key-moved'
  | 'illegal-index-name'
  | 'rejected'
  | 'unknown-table'

/** A part of a decision that goes to the dead-letter queue. Holds no row values but the id, which names the row. */
export type Letter = { reason: LetterReason; detail?: string; index?: string; id?: string }

export type HoldReason =
  | 'unknown-table'
  | 'partition-contradiction'
  | 'index-shared'
  | 'index-without-template'
  | 'trimmed'

export type Hold = { reason: HoldReason; table: string; found: string; expected: string; remedy: string }

export type Decision =
  | {
      kind: 'write'
      /** New before old at a key change: the old document goes only when the new one is settled. */
      writes: Write[]
      letters: Letter[]
      /** The load of a table whose changes lie in another shard: written below any change. */
      isBelowChanges: boolean
      table: string
    }
  | { kind: 'letter'; letter: Letter; table: string | undefined }
  | { kind: 'skip'; reason: SkipReason; table: string | undefined }
  | { kind: 'hold'; hold: Hold }

export type SkipReason = 'control' | 'dms-table' | 'unknown-table'
export type OnUnknownTable = 'hold' | 'dead-letter' | 'skip'

export type TableAnswer =
  | { kind: 'rules'; rules: TableRules }
  | { kind: 'hold'; hold: Hold }
  | { kind: 'letter'; letter: Letter }

/** What a decision needs of the world. The hashes are handed in because core imports nothing. */
export type DecideContext = {
  rulesOf: (schema: string, table: string) => TableAnswer
  onUnknownTable: OnUnknownTable
  sha256Hex: (text: string) => string
  /** MD5 of the UTF-8 text as an unsigned number of 128 bits, as Kinesis places partition keys. */
  md5: (text: string) => bigint
  /** The hash range of the shard being read. */
  range: HashRange
}

export const ID_BYTES_MAX = 512
const DOCUMENT_LIMITS = { depthMax: 20, numberLengthMax: 1000 }

/** @param partitionKey the record's own, as Kinesis returned it */
export function decide(decoded: Decoded, partitionKey: string, context: DecideContext): Decision {
  if (decoded.kind === 'unreadable')
    return { kind: 'letter', letter: { reason: decoded.reason }, table: undefined }
  const table = `${decoded.schema}.${decoded.table}`
  if (decoded.kind === 'control') return { kind: 'skip', reason: 'control', table }
  if (decoded.table.startsWith('awsdms_')) return { kind: 'skip', reason: 'dms-table', table }
  const answer = context.rulesOf(decoded.schema, decoded.table)
  if (answer.kind === 'hold') return answer
  if (answer.kind === 'letter') return { ...answer, table }
  const { rules } = answer

  const isLoad = decoded.operation === 'load'
  const isExpected = partitionOf(decoded.partitionKeyType) === rules.partition
  if (!isExpected && !isLoad) return { kind: 'hold', hold: partitionContradiction(decoded, rules) }

  const key = keyOf(decoded, decoded.row.columns, rules)
  if (key.kind === 'letter') return unkeyed(key.letter, rules, context, table)
  const oldKey = decoded.operation === 'update' ? keyOf(decoded, withBefore(decoded), rules) : key
  if (oldKey.kind === 'letter') return { kind: 'letter', letter: oldKey.letter, table }

  const id = documentId(key.parts, context.sha256Hex)
  const oldId = documentId(oldKey.parts, context.sha256Hex)
  const writes: Write[] = []
  if (decoded.operation === 'delete') writes.push({ kind: 'delete', index: rules.index, id })
  else {
    const document = documentText(decoded, rules)
    if (document === undefined) {
      return { kind: 'letter', letter: { reason: 'json-column-unreadable', index: rules.index, id }, table }
    }
    writes.push({ kind: 'index', index: rules.index, id, document })
  }
  if (oldId === id)
    return { kind: 'write', writes, letters: [], isBelowChanges: isLoad && !isExpected, table }

  writes.push({ kind: 'delete', index: rules.index, id: oldId })
  if (rules.partition === 'table') return { kind: 'write', writes, letters: [], isBelowChanges: false, table }
  const isHome = homeTest(decoded, [key.parts, oldKey.parts], partitionKey, context)
  const atHome = [isHome(key.parts), isHome(oldKey.parts)]
  return {
    kind: 'write',
    writes: writes.filter((_, at) => atHome[at]),
    letters: writes
      .filter((_, at) => !atHome[at])
      .map(write => ({ reason: 'key-moved', index: write.index, id: write.id })),
    isBelowChanges: false,
    table,
  }
}

function partitionOf(partitionKeyType: string): TableRules['partition'] | undefined {
  return partitionKeyType === 'schema-table'
    ? 'table'
    : partitionKeyType === 'primary-key'
      ? 'key'
      : undefined
}

function partitionContradiction(change: Change, rules: TableRules): Hold {
  return {
    reason: 'partition-contradiction',
    table: rules.name,
    found: `a change with partition-key-type "${change.partitionKeyType}"`,
    expected:
      rules.partition === 'table' ? '"schema-table" (partition: table)' : '"primary-key" (partition: key)',
    remedy:
      'set `partition` of this table in the table file as the DMS object mapping has it, or mend the mapping',
  }
}

function unkeyed(letter: Letter, rules: TableRules, context: DecideContext, table: string): Decision {
  if (rules.isNamed || letter.reason !== 'no-key') return { kind: 'letter', letter, table }
  if (context.onUnknownTable === 'skip') return { kind: 'skip', reason: 'unknown-table', table }
  if (context.onUnknownTable === 'dead-letter')
    return { kind: 'letter', letter: { ...letter, reason: 'unknown-table' }, table }
  return {
    kind: 'hold',
    hold: {
      reason: 'unknown-table',
      table: rules.name,
      found: `no value for the default key column ${rules.key.join(', ')}`,
      expected: 'the table in the table file, with its key columns',
      remedy:
        'name the table with its `key` in TABLE_FILE, leave it out of the DMS selection, or set ON_UNKNOWN_TABLE',
    },
  }
}

type Key = { kind: 'key'; parts: string[] } | { kind: 'letter'; letter: Letter }

function keyOf(change: Change, columns: readonly Member[], rules: TableRules): Key {
  const parts: string[] = []
  for (const column of rules.key) {
    const found = last(columns, column)
    const token = found && change.text.slice(found.start, found.end)
    if (!found || token === undefined || token === 'null') return keyFault('no-key', column, rules)
    if (token.startsWith('{') || token.startsWith('[')) return keyFault('key-not-scalar', column, rules)
    const isText = token.startsWith('"')
    // An integer in exponent form has passed a double at the source: its last digits are gone already.
    if (!isText && /^-?\d.*[eE]/.test(token)) return keyFault('damaged-key', column, rules)
    const text = isText ? stringAt(change.text, found.start, found.end) : token
    // A lone surrogate has no UTF-8 form: two different keys would become one id.
    if (!text.isWellFormed()) return keyFault('damaged-key', column, rules)
    parts.push(text)
  }
  if (parts.every(part => part === '')) return keyFault('no-key', rules.key.join(', '), rules)
  return { kind: 'key', parts }
}

function keyFault(reason: LetterReason, column: string, rules: TableRules): Key {
  return { kind: 'letter', letter: { reason, detail: `key column ${column}`, index: rules.index } }
}

/** The row as it was named before the update. `{}` means an unchanged key. */
function withBefore(change: Change): Member[] {
  return [...change.row.columns, ...change.before]
}

/** One key column stands for itself; several are joined by `|`, with `|` and `\` inside them escaped by `\`. */
export function documentId(parts: readonly string[], sha256Hex: (text: string) => string): string {
  const id = parts.length === 1 ? parts[0]! : parts.map(part => part.replace(/[\\|]/g, '\\$&')).join('|')
  // A character is at most 3 bytes of UTF-8 for each UTF-16 unit, so most ids need no encoding to be measured.
  const isShort = id.length * 3 <= ID_BYTES_MAX || new TextEncoder().encode(id).length <= ID_BYTES_MAX
  return isShort ? id : `sha256:${sha256Hex(id)}`
}

/**
 * Which half of a key change this shard may write by version: the one whose own partition key falls in the shard.
 * DMS does not say which key it partitions such a record by, so one of the two must equal the record's own partition
 * key; if neither does, the form is unknown and both are foreign.
 */
function homeTest(
  change: Change,
  keys: readonly (readonly string[])[],
  partitionKey: string,
  context: DecideContext,
): (parts: readonly string[]) => boolean {
  const bare = (parts: readonly string[]) => parts.join('.')
  const prefixed = (parts: readonly string[]) => `${change.schema}.${change.table}.${bare(parts)}`
  const form = [bare, prefixed].find(candidate => keys.some(parts => candidate(parts) === partitionKey))
  return parts => form !== undefined && isInRange(context.md5(form(parts)), context.range)
}

/** The row's own text, JSON columns spliced in. @returns undefined when a JSON column does not hold JSON */
function documentText(change: Change, rules: TableRules): string | undefined {
  const { text, row } = change
  if (rules.jsonColumns.size === 0) return onOneLine(text.slice(row.start, row.end))
  let out = ''
  let from = row.start
  for (const column of row.columns) {
    if (!rules.jsonColumns.has(column.name) || text[column.start] !== '"') continue
    const inner = stringAt(text, column.start, column.end)
    // The row itself is one level of the document.
    const isJson =
      looksBounded(inner, { ...DOCUMENT_LIMITS, depthMax: DOCUMENT_LIMITS.depthMax - 1 }) === 'ok' &&
      parses(inner)
    if (!isJson) return undefined
    out += text.slice(from, column.start) + inner
    from = column.end
  }
  return onOneLine(out + text.slice(from, row.end))
}

function parses(text: string): boolean {
  try {
    JSON.parse(text)
    return text.isWellFormed()
  } catch {
    return false
  }
}
