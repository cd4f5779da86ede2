/**
 * Bytes of a Kinesis record -> a change record, a control record, or unreadable with the reason.
 *
 * The row is found, never parsed: a double would lose digits. One strict scan proves the record and notes where its
 * members stand in the bytes, in any order and layout; text is made of it only where a column must change.
 */
import {
  INNER_STEP,
  locate,
  located,
  type Members,
  membersFrom,
  type ObjectText,
  remember,
  remembered,
  type ScanFault,
  type ScanLimits,
  scanText,
  TOP_STEP,
} from './json-scan.ts'
import { find, nameAt, objectOf, stringAt } from './json-text.ts'
import { timestampMs } from './timestamp.ts'

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

/** The columns' places in `located`, of the scan of this number; read by `membersOf`, which scans again if need be. */
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

const utf8Encoder = new TextEncoder()
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function isOperation(text: string): text is Operation {
  return text === 'load' || text === 'insert' || text === 'update' || text === 'delete'
}

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
    committedAtMs: timeOf(bytes, meta, COMMIT_TIMESTAMP) ?? timeOf(bytes, meta, TIMESTAMP),
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

/** Where the last member of a name stands among the places located; -1 when there is none. As `find`, in bytes. */
function findIn(bytes: Uint8Array, step: number, first: number, last: number, name: Uint8Array): number {
  const { places } = located
  for (let at = last - step; at >= first; at -= step) {
    const start = places[at]!
    const isIt =
      start < 0
        ? isAt(bytesOf(nameIn(bytes, -start, places[at + 1]!)), 0, name.length, name)
        : isAt(bytes, start, places[at + 1]!, name)
    if (isIt) return at
  }
  return -1
}

/** A name that is written with escapes. */
function nameIn(bytes: Uint8Array, start: number, end: number): string {
  const token = pieceOf(bytes, start - 1, end + 1)
  return stringAt(token, 0, token.length)
}

/** Names as bytes: a table has a handful of them, asked for with every record. */
const namesInBytes = new Map<string, Uint8Array>()

function nameInBytes(name: string): Uint8Array {
  let bytes = namesInBytes.get(name)
  if (!bytes) {
    bytes = bytesOf(name)
    if (namesInBytes.size >= HEADS_MAX) namesInBytes.clear()
    namesInBytes.set(name, bytes)
  }
  return bytes
}

const SHORT_MAX = 24

/** The text of a piece of bytes. Most are short and ASCII: keys. */
export function pieceOf(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > SHORT_MAX) return utf8.decode(bytes.subarray(start, end))
  let text = ''
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!
    if (byte > 0x7f) return utf8.decode(bytes.subarray(start, end))
    text += String.fromCharCode(byte)
  }
  return text
}

/** Where among the places located the member of a name stands whose value is an object; -1 where it is none. */
function objectIn(bytes: Uint8Array, name: Uint8Array): number {
  const { isObject, places, topFirst, topEnd } = located
  const at = isObject ? findIn(bytes, TOP_STEP, topFirst, topEnd, name) : -1
  return at >= 0 && places[at + 4]! >= 0 ? at : -1
}

/** What the metadata says besides times and the transaction: the same for all records of a table and an operation. */
type Head = {
  recordType: string | undefined
  operation: string | undefined
  schema: string | undefined
  table: string | undefined
  partitionKeyType: string
}

/**
 * Heads by their text, since a stream has a handful of them; and those met last, because to compare with a few is cheaper
 * than to find one of many. Only saves time: what is forgotten is read again.
 */
const heads = new Map<string, Head>()
const HEADS_MAX = 1000
const recent: (Head | undefined)[] = []
const RECENT_MAX = 6
let oldest = 0

/** What DMS writes first, in this order: all that makes a head, and the time before it. */
const HEAD_ORDER = [
  'timestamp',
  'record-type',
  'operation',
  'partition-key-type',
  'schema-name',
  'table-name',
].map(bytesOf)
const COMMIT_TIMESTAMP = bytesOf('commit-timestamp')
const METADATA = bytesOf('metadata')
const CONTROL = bytesOf('control')
const DATA = bytesOf('data')
const TIMESTAMP = HEAD_ORDER[0]!

function bytesOf(text: string): Uint8Array {
  return utf8Encoder.encode(text)
}

/** A copy of its own: a piece of a record's text would keep all of it in memory. */
function copied(text: string): string {
  return utf8.decode(bytesOf(text))
}

/** @param start of the record @param meta where the metadata stands among the places located */
function headOf(bytes: Uint8Array, start: number, meta: number): Head {
  const { places } = located
  const first = places[meta + 4]!
  const isUsual =
    first + 6 * INNER_STEP <= places[meta + 5]! &&
    isNamed(bytes, first, TIMESTAMP) &&
    places[first + INNER_STEP]! > 0
  if (!isUsual) return readHead(bytes, places[meta + 2]!, places[meta + 3]!)
  // From the name of the second member to the value of the sixth.
  const headStart = places[first + INNER_STEP]!
  const headEnd = places[first + 5 * INNER_STEP + 3]!
  const met = remembered(headStart - start, headEnd - headStart)
  if (met >= 0) return recent[met]!
  // Remembered are only heads whose members stand in the usual order, so what is found equal does as well.
  const key = pieceOf(bytes, headStart, headEnd)
  let head = heads.get(key)
  if (!head) {
    if (!HEAD_ORDER.every((name, n) => isNamed(bytes, first + n * INNER_STEP, name)))
      return readHead(bytes, places[meta + 2]!, places[meta + 3]!)
    // Before the head is scanned by itself: the record stands there no longer then.
    remember(oldest, headStart - start, headEnd - headStart)
    head = readHead(bytes, places[meta + 2]!, places[meta + 3]!)
    if (heads.size >= HEADS_MAX) heads.clear()
    heads.set(key, head)
  } else remember(oldest, headStart - start, headEnd - headStart)
  recent[oldest] = head
  oldest = (oldest + 1) % RECENT_MAX
  return head
}

/** Whether `wanted` stands from `start` to `end`; from the back, where the names of tables are. */
function isAt(bytes: Uint8Array, start: number, end: number, wanted: Uint8Array): boolean {
  if (wanted.length !== end - start) return false
  for (let i = wanted.length - 1; i >= 0; i--) if (bytes[start + i] !== wanted[i]) return false
  return true
}

/** Of two members of one name the first one counts, so that a head's text decides alone. */
function readHead(bytes: Uint8Array, start: number, end: number): Head {
  const text = pieceOf(bytes, start, end)
  const { members } = objectOf(text)
  const field = (name: string) => {
    for (let at = 0; at < members.length; at += 4) {
      const value = members[at + 2]!
      if (nameAt(text, members, at) === name)
        return text[value] === '"' ? copied(stringAt(text, value, members[at + 3]!)) : undefined
    }
    return undefined
  }
  return {
    recordType: field('record-type'),
    operation: field('operation'),
    schema: field('schema-name'),
    table: field('table-name'),
    partitionKeyType: field('partition-key-type') ?? '',
  }
}

/** @param at of the member among the places located @returns whether its name is written so, without escapes */
function isNamed(bytes: Uint8Array, at: number, name: Uint8Array): boolean {
  return isAt(bytes, located.places[at]!, located.places[at + 1]!, name)
}

function timeOf(bytes: Uint8Array, meta: number, name: Uint8Array): number | undefined {
  const { places } = located
  const last = places[meta + 5]!
  for (let at = places[meta + 4]!; at < last; at += INNER_STEP) {
    if (isNamed(bytes, at, name)) return timestampMs(bytes, places[at + 2]! + 1, places[at + 3]! - 1)
  }
  return undefined
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
