/**
 * Bytes of a Kinesis record -> a change record, a control record, or unreadable with the reason.
 *
 * The row is found, never parsed: a double would lose digits. One strict scan proves the record and notes where its
 * members stand in the bytes, in any order and layout; text is made of it only where a column must change.
 */
import { committedAt, headOf } from './head.ts'
import {
  INNER_STEP,
  locate,
  located,
  type Members,
  membersFrom,
  type ObjectText,
  type ScanFault,
  type ScanLimits,
  scanText,
} from './json-scan.ts'
import { find } from './json-text.ts'
import { bytesOf, findIn, nameInBytes, objectIn, pieceOf } from './member-bytes.ts'

export type Operation = 'load' | 'insert' | 'update' | 'delete'

export type Change = {
  kind: 'change'
  operation: Operation
  schema: string
  table: string
  /** `schema-table`, `primary-key` and others: how DMS chose the record's partition key. */
  partitionKeyType: string
  /** Where the record lies, perhaps among others; it ends before `end`. */
  bytes: Uint8Array
  start: number
  end: number
  /** Where in the bytes the row stands, and whether without a line feed. */
  rowStart: number
  rowEnd: number
  isOnOneLine: boolean
  /** Whether the before-image has columns; DMS also sends none, or `{}`. */
  hasBefore: boolean
  places: Places
  /** See `inText`. */
  text: ChangeText | undefined
  /** Commit time at the source, else the time DMS built the record; ms since 1970-01-01Z. */
  committedAtMs: number | undefined
}

/** The columns' places in `located`, of the scan of this number; read by `placesOf`, which scans again if need be. */
type Places = { scan: number; rowFirst: number; rowLast: number; beforeFirst: number; beforeLast: number }

/** A change as text, and its places in it. */
export type ChangeText = { text: string; row: ObjectText; before: Members }

/** Where a column is looked for: in the row, or in the before-image. */
export type Part = 'row' | 'before'

/** What a control record says of its table, where DMS was asked to (IncludeControlDetails). */
export type TableDefinition = { columns: ReadonlyMap<string, string>; primaryKey: readonly string[] }

export type Control = {
  kind: 'control'
  operation: string
  schema: string
  table: string
  definition: TableDefinition | undefined
}

export type Decoded = Change | Control | { kind: 'unreadable'; reason: UnreadableReason }

/**
 * Decodes one record, perhaps among others: from `start` to before `end`, the whole of the bytes unless given.
 * `isKnownUtf8` spares the test.
 */
export type Decode = (bytes: Uint8Array, start?: number, end?: number, isKnownUtf8?: boolean) => Decoded

export type UnreadableReason = 'not-utf8' | ScanFault | 'not-a-dms-record' | 'unknown-operation'

/** Limits on one record: nesting counts `data` itself as 2; OpenSearch takes 20 in a document and 1,000 digits. */
export const decodeLimits: ScanLimits = { depthMax: 21, numberLengthMax: 1000 }

/** The member of a record that holds the before-image, unless BeforeImageSettings name another. */
export const BEFORE_IMAGE = 'before-image'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function isOperation(text: string): text is Operation {
  return text === 'load' || text === 'insert' || text === 'update' || text === 'delete'
}

const METADATA = bytesOf('metadata')
const CONTROL = bytesOf('control')
const DATA = bytesOf('data')

const NOT_UTF8: Decoded = { kind: 'unreadable', reason: 'not-utf8' }

function unreadable(reason: UnreadableReason): Decoded {
  return { kind: 'unreadable', reason }
}

function isUtf8Portable(bytes: Uint8Array): boolean {
  try {
    utf8.decode(bytes)
    return true
  } catch {
    return false
  }
}

/**
 * The record is not made into text: JSON is made of ASCII, so members are found in the bytes, and most rows go out as the
 * bytes they came in.
 *
 * @param bytes the record's data as Kinesis returned it
 * @param beforeImage the member that holds the before-image (FieldName of DMS's BeforeImageSettings)
 */
export function decode(bytes: Uint8Array, beforeImage = BEFORE_IMAGE): Decoded {
  return isUtf8Portable(bytes) ? decodeUtf8(bytes, 0, bytes.length, beforeImage) : NOT_UTF8
}

/** As `decode`, of what is known to be UTF-8. */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number, beforeImage: string): Decoded {
  const fault = locate(bytes, start, end, decodeLimits)
  if (fault !== undefined) return unreadable(fault)
  const meta = objectIn(bytes, METADATA)
  if (meta < 0) return unreadable('not-a-dms-record')
  const { scan } = located
  const { recordType, operation, schema, table, partitionKeyType } = headOf(bytes, start, meta)
  // A head that is met for the first time is scanned by itself.
  if (located.scan !== scan) locate(bytes, start, end, decodeLimits)
  if (schema === undefined || table === undefined || operation === undefined) {
    return unreadable('not-a-dms-record')
  }
  const { places } = located
  if (recordType === 'control') {
    const control = objectIn(bytes, CONTROL)
    const definition =
      control < 0 ? undefined : definitionOf(pieceOf(bytes, places[control + 2]!, places[control + 3]!))
    return { kind: 'control', operation, schema, table, definition }
  }
  if (recordType !== 'data') return unreadable('not-a-dms-record')
  if (!isOperation(operation)) return unreadable('unknown-operation')
  const row = objectIn(bytes, DATA)
  if (row < 0) return unreadable('not-a-dms-record')
  const before = operation === 'update' ? objectIn(bytes, nameInBytes(beforeImage)) : -1
  const beforeFirst = before < 0 ? 0 : places[before + 4]!
  const beforeLast = before < 0 ? 0 : places[before + 5]!
  return {
    kind: 'change',
    operation,
    schema,
    table,
    partitionKeyType,
    bytes,
    start,
    end,
    rowStart: places[row + 2]!,
    rowEnd: places[row + 3]!,
    isOnOneLine: places[row + 6] === 0,
    hasBefore: beforeLast > beforeFirst,
    places: {
      scan: located.scan,
      rowFirst: places[row + 4]!,
      rowLast: places[row + 5]!,
      beforeFirst,
      beforeLast,
    },
    text: undefined,
    committedAtMs: committedAt(bytes, meta),
  }
}

/** Sees to it that the places of the change are in `located`. @returns them */
function placesOf({ places, bytes, start, end }: Change): Places {
  if (places.scan !== located.scan) {
    locate(bytes, start, end, decodeLimits)
    places.scan = located.scan
  }
  return places
}

/** The change as text, with the positions in it: for what looks at more than the key. */
export function inText(change: Change, beforeImage = BEFORE_IMAGE): Change & { text: ChangeText } {
  const { bytes, start, end, rowStart, rowEnd } = change
  const text = utf8.decode(bytes.subarray(start, end))
  if (text.length === end - start) {
    const { rowFirst, rowLast, beforeFirst, beforeLast } = placesOf(change)
    const members = membersFrom(rowFirst, rowLast, start)
    const row = { start: rowStart - start, end: rowEnd - start, members }
    return { ...change, text: { text, row, before: membersFrom(beforeFirst, beforeLast, start) } }
  }
  const record = scanText(text, decodeLimits)
  if (typeof record === 'string' || !record.top) throw new Error('expected the record that was decoded')
  const { top, inner } = record
  const member = (name: string) => inner[find(text, top, name) / 4]
  const before = change.operation === 'update' ? member(beforeImage)?.members : undefined
  return { ...change, text: { text, row: member('data')!, before: before ?? [] } }
}

/** The value of a column as it is written, in real text; undefined when the part does not have it. */
export function valueIn(change: Change, part: Part, column: string): string | undefined {
  if (change.text) {
    const { text, row, before } = change.text
    const members = part === 'row' ? row.members : before
    const at = find(text, members, column)
    return at < 0 ? undefined : text.slice(members[at + 2], members[at + 3])
  }
  const { rowFirst, rowLast, beforeFirst, beforeLast } = placesOf(change)
  const { places } = located
  const name = nameInBytes(column)
  const at =
    part === 'row'
      ? findIn(change.bytes, INNER_STEP, rowFirst, rowLast, name)
      : findIn(change.bytes, INNER_STEP, beforeFirst, beforeLast, name)
  return at < 0 ? undefined : pieceOf(change.bytes, places[at + 2]!, places[at + 3]!)
}

/**
 * Whether a column's name may begin with a letter; asked of every record before it is text, so in bytes. Names beyond ASCII
 * and names with escapes may.
 */
export function mayHaveColumn(change: Change, letter: number): boolean {
  const { rowFirst, rowLast } = placesOf(change)
  const { places } = located
  for (let at = rowFirst; at < rowLast; at += INNER_STEP) {
    const byte = change.bytes[Math.abs(places[at]!)]!
    if (byte === letter || byte > 0x7f || places[at]! < 0) return true
  }
  return false
}

/**
 * `{"table-def":{"columns":{"id":{"type":"INT32","nullable":false}},"primary-key":["id"]}}`, each part of it optional.
 * Names only, so it may be parsed. @param control proved, at most as deep as the limit
 */
function definitionOf(control: string): TableDefinition | undefined {
  const { 'table-def': table } = JSON.parse(control) as {
    'table-def'?: { columns?: Record<string, { type?: unknown } | null>; 'primary-key'?: unknown }
  }
  if (!table?.columns || typeof table.columns !== 'object') return undefined
  const key = table['primary-key']
  return {
    columns: new Map(
      Object.entries(table.columns).map(([name, column]) => [name, String(column?.type ?? '')]),
    ),
    primaryKey: Array.isArray(key) ? key.map(String) : [],
  }
}
