/**
 * Change record -> what to write: document writes, dead letters, nothing, or a stop.
 *
 * A `hold` stops the shard before the record: the record is not at fault, something the operator can mend is. A dead
 * letter is for a record that can never be written. Nothing is dropped without one of the two or a counted skip.
 */
import { type Change, type Control, type Decoded, inText, mayHaveColumn } from './change.ts'
import { converted, type ParseArray } from './column.ts'
import { misfits } from './definition.ts'
import { each, find, nameAt, onOneLine, tokenAt, withChanges } from './json-text.ts'
import { current, homeTest, type Key, type KeyContext, keyOf, placeOf, previous } from './key.ts'
import { type Letter, type Place, settledBy } from './letter.ts'
import { pieceOf } from './member-bytes.ts'
import type { TableRules } from './table.ts'

export type Write = Place & {
  kind: 'index' | 'delete'
  /** The document's text on one line; with `index` only, and only where the row is not written as it stands. */
  document: string | undefined
  /** Else the document as it stands in these, from `start` to before `end`: most do, and need not be made into text and back. */
  bytes: Uint8Array | undefined
  start: number
  end: number
  keep: Keep | undefined
}

const utf8 = new TextDecoder()

/** The text of the document an index writes, whichever form it has. */
export function documentOf({ document, bytes, start, end }: Write): string {
  return bytes ? utf8.decode(bytes.subarray(start, end)) : (document ?? '')
}

/** The write with another document, given as text. */
export function withDocument(write: Write, document: string): Write {
  return { ...write, document, bytes: undefined, start: 0, end: 0 }
}

/** Columns an update says nothing of: their values come from the document as it was. */
export type Keep = {
  columns: readonly string[]
  /** The document under its key before the update, if that changed. */
  movedFrom: Place | undefined
}

export type HoldReason =
  | 'unknown-table'
  | 'partition-contradiction'
  | 'index-shared'
  | 'index-without-template'
  | 'trimmed'
  | 'too-many-letters'
  | 'unknown-answer'

export type Hold = { reason: HoldReason; table: string; found: string; expected: string; remedy: string }

export type Decision =
  | {
      kind: 'write'
      /** New before old at a key change: the old document goes only when the new one is settled. */
      writes: readonly Write[]
      letters: readonly Letter[]
      /** The load of a table whose changes lie in another shard: written below any change. */
      isBelowChanges: boolean
      rules: TableRules
      table: string
    }
  | { kind: 'letter'; letter: Letter; table: string | undefined }
  | { kind: 'skip'; reason: SkipReason; table: string }
  /** `misfits`: in what the table no longer fits the table file. */
  | { kind: 'control'; operation: string; table: string; misfits: string[] }
  | { kind: 'hold'; hold: Hold }

export type SkipReason = 'dms-table' | 'unknown-table' | 'not-selected'
export type OnUnknownTable = 'hold' | 'dead-letter' | 'skip'

export type TableAnswer =
  | { kind: 'rules'; rules: TableRules }
  | { kind: 'hold'; hold: Hold }
  | { kind: 'letter'; letter: Letter }

/** What a decision needs of the world. Hashes and the array parser are handed in because core imports nothing. */
export type DecideContext = KeyContext & {
  rulesOf: (schema: string, table: string) => TableAnswer
  /** The rules the table file has for a table, without any test of its index. */
  namedRulesOf: (schema: string, table: string) => TableRules | undefined
  onUnknownTable: OnUnknownTable
  /** The member of a record that holds the before-image. */
  beforeImage: string
  parseArray: ParseArray
}

/** @param partitionKey the record's own, as Kinesis returned it */
export function decide(decoded: Decoded, partitionKey: string, context: DecideContext): Decision {
  if (decoded.kind === 'unreadable')
    return { kind: 'letter', letter: { reason: decoded.reason }, table: undefined }
  if (decoded.kind === 'control') return control(decoded, context)
  if (decoded.table.startsWith('awsdms_'))
    return { kind: 'skip', reason: 'dms-table', table: `${decoded.schema}.${decoded.table}` }
  const answer = context.rulesOf(decoded.schema, decoded.table)
  if (answer.kind === 'hold') return answer
  if (answer.kind === 'letter') return { ...answer, table: `${decoded.schema}.${decoded.table}` }
  const { rules } = answer
  if (rules.mode === 'skip') return { kind: 'skip', reason: 'not-selected', table: rules.name }

  const isLoad = decoded.operation === 'load'
  const isExpected = isPartitionedBy(rules.partition, decoded.partitionKeyType)
  if (!isExpected && !isLoad) return { kind: 'hold', hold: partitionContradiction(decoded, rules) }
  if (rules.mode === 'append' && (decoded.operation === 'update' || decoded.operation === 'delete')) {
    const letter: Letter = { reason: 'append-only', detail: decoded.operation, index: rules.index }
    return { kind: 'letter', letter, table: rules.name }
  }

  const hasBeforeImage = hasPrefixed(decoded, context.beforeImagePrefix)
  return decideChange(
    hasBeforeImage || needsText(rules) ? inText(decoded, context.beforeImage) : decoded,
    rules,
    { isBelowChanges: isLoad && !isExpected, hasBeforeImage },
    partitionKey,
    context,
  )
}

/** Whether columns are looked for by names or changed; else a row is written as it stands, and only its key is read. */
function needsText({ columns, excluded, keepOnNull }: TableRules): boolean {
  return columns.size > 0 || excluded.size > 0 || keepOnNull.size > 0
}

function decideChange(
  decoded: Change,
  rules: TableRules,
  { isBelowChanges, hasBeforeImage }: { isBelowChanges: boolean; hasBeforeImage: boolean },
  partitionKey: string,
  context: DecideContext,
): Decision {
  const key = keyOf(decoded, rules, current, context)
  const isMoved = decoded.operation === 'update' && (decoded.hasBefore || hasBeforeImage)
  const oldKey = isMoved ? keyOf(decoded, rules, previous, context) : key
  if (key.kind === 'letter' && (oldKey.kind === 'letter' || key.letter.reason === 'no-key'))
    return unkeyed(key.letter, rules, context)

  const place = key.kind === 'key' ? placeOf(key.parts, rules, context.sha256Hex) : undefined
  if (place && decoded.operation === 'delete') {
    return written(rules, isBelowChanges, [writeOf('delete', place, undefined, undefined)], NO_LETTERS)
  }
  const oldPlace =
    isMoved && oldKey.kind === 'key' ? placeOf(oldKey.parts, rules, context.sha256Hex) : undefined
  const movedFrom = oldPlace?.id === place?.id ? undefined : oldPlace
  const index = indexOf(decoded, key, place, movedFrom, rules, context, hasBeforeImage)
  if (!isMoved || (!movedFrom && oldKey.kind === 'key'))
    return index.kind !== 'letter'
      ? written(rules, isBelowChanges, [index], NO_LETTERS)
      : { kind: 'letter', letter: index.letter, table: rules.name }

  // Each half by itself: what cannot be written of the one must not keep the other from being written.
  const parts = [key, oldKey].flatMap(one => (one.kind === 'key' ? [one.parts] : []))
  const isHome = rules.partition === 'table' ? () => true : homeTest(decoded, parts, partitionKey, context)
  const writes: Write[] = []
  const letters: Letter[] = []
  const foreign = (at: Place): Letter => ({ reason: 'key-moved', settle: 'source-row', ...at })
  if (index.kind === 'letter') letters.push(index.letter)
  else if (key.kind === 'key' && isHome(key.parts)) writes.push(index)
  else if (place) letters.push(foreign(place))
  if (oldKey.kind === 'letter') letters.push(oldKey.letter)
  else if (movedFrom && isHome(oldKey.parts)) writes.push(writeOf('delete', movedFrom, undefined, undefined))
  else if (movedFrom) letters.push(foreign(movedFrom))
  return written(rules, false, writes, letters)
}

/** The half of a change that writes the row, or why it cannot be written. */
function indexOf(
  change: Change,
  key: Key,
  place: Place | undefined,
  movedFrom: Place | undefined,
  rules: TableRules,
  context: DecideContext,
  hasBeforeImage: boolean,
): Write | { kind: 'letter'; letter: Letter } {
  if (key.kind === 'letter') return key
  const keep = keepOf(change, rules, movedFrom)
  // Of what may stand between tokens only a line feed ends a document in a bulk body.
  if (!change.text && change.isOnOneLine) return rowAsItStands(place!, change, keep)
  const document = documentText(change, rules, context, hasBeforeImage)
  if (document.kind === 'document') return writeOf('index', place!, document.document, keep)
  const letter: Letter = { reason: 'column-unreadable', detail: `column ${document.column}`, ...place }
  return { kind: 'letter', letter: settledBy(rules, letter) }
}

const NO_LETTERS: readonly Letter[] = []

// Made for every record, so without copying one object into another; of one shape, whatever is undefined.
function written(
  rules: TableRules,
  isBelowChanges: boolean,
  writes: readonly Write[],
  letters: readonly Letter[],
): Decision {
  return { kind: 'write', writes, letters, isBelowChanges, rules, table: rules.name }
}

function writeOf(
  kind: Write['kind'],
  { index, id, routing }: Place,
  document: string | undefined,
  keep: Keep | undefined,
): Write {
  return { kind, index, id, routing, document, bytes: undefined, start: 0, end: 0, keep }
}

function rowAsItStands({ index, id, routing }: Place, change: Change, keep: Keep | undefined): Write {
  const { bytes, rowStart: start, rowEnd: end } = change
  return { kind: 'index', index, id, routing, document: undefined, bytes, start, end, keep }
}

function control(record: Control, context: DecideContext): Decision {
  const rules = context.namedRulesOf(record.schema, record.table)
  return {
    kind: 'control',
    operation: record.operation,
    table: `${record.schema}.${record.table}`,
    misfits: rules && record.definition ? misfits(rules, record.definition) : [],
  }
}

/** Whether a record is partitioned as the table file says, as far as it tells. One constant keeps a table together as well. */
function isPartitionedBy(partition: TableRules['partition'], partitionKeyType: string): boolean {
  if (partitionKeyType === '') return true
  return partition === 'key'
    ? partitionKeyType === 'primary-key'
    : partitionKeyType === 'schema-table' || partitionKeyType === 'constant'
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

function unkeyed(letter: Letter, rules: TableRules, context: DecideContext): Decision {
  const table = rules.name
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

/** Columns of an update that keep what the document has. Inserts and loads say NULL and mean it. */
function keepOf(change: Change, rules: TableRules, movedFrom: Place | undefined): Keep | undefined {
  if (change.operation !== 'update' || rules.keepOnNull.size === 0) return undefined
  const columns = [...rules.keepOnNull].filter(column => (current(change, column) ?? 'null') === 'null')
  return columns.length === 0 ? undefined : { columns, movedFrom }
}

/** Whether the row may have columns of the before-image beside its own: told by the prefix's first letter. */
function hasPrefixed(change: Change, prefix: string): boolean {
  return prefix !== '' && mayHaveColumn(change, prefix.charCodeAt(0))
}

type Document = { kind: 'document'; document: string } | { kind: 'broken'; column: string }

/** The row's own text, changed only where the table file asks for it. */
function documentText(
  change: Change,
  rules: TableRules,
  context: DecideContext,
  hasBeforeImage: boolean,
): Document {
  if (!change.text) {
    const { bytes, rowStart, rowEnd } = change
    return { kind: 'document', document: onOneLine(pieceOf(bytes, rowStart, rowEnd)) }
  }
  const { text, row } = change.text
  const changes = new Map<number, string | undefined>()
  for (const [name, { type, onBroken }] of rules.columns) {
    const at = find(text, row.members, name)
    if (at < 0) continue
    const token = tokenAt(text, row.members, at)
    const value = converted(token, type, context.parseArray)
    if (value === token) continue
    const sibling = `${name}_text`
    if (value !== undefined) changes.set(at, value)
    else if (onBroken === 'text' && find(text, row.members, sibling) < 0)
      changes.set(at, `null,${JSON.stringify(sibling)}:${token}`)
    else return { kind: 'broken', column: name }
  }
  for (const name of rules.excluded) {
    const at = find(text, row.members, name)
    if (at >= 0) changes.set(at, undefined)
  }
  if (hasBeforeImage) {
    // A column of the before-image names one of the row behind its prefix; any other column is the row's own.
    const names = [...each(row.members)].map(at => nameAt(text, row.members, at))
    const known = new Set(names)
    const { beforeImagePrefix: prefix } = context
    for (const [n, name] of names.entries())
      if (name.startsWith(prefix) && known.has(name.slice(prefix.length))) changes.set(4 * n, undefined)
  }
  return { kind: 'document', document: onOneLine(withChanges(text, row, changes)) }
}
