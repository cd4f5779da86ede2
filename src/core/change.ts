/**
 * Bytes of a Kinesis record -> a change record, a control record, or unreadable with the reason.
 *
 * The row is found, never parsed: a double would lose digits. One strict scan proves the record and notes where its
 * members stand in the bytes, in any order and layout; text is made of it only where a column must change.
 */
import {
  type Members,
  type ObjectText,
  type ScanFault,
  type ScanLimits,
  type Scanned,
  scan,
  scanText,
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
  bytes: Uint8Array
  /** The record as text, and then all positions are in it; undefined while they are in the bytes. See `inText`. */
  text: string | undefined
  row: ObjectText
  /** Columns of the before-image; empty when DMS sent none or `{}`. */
  before: Members
  /** Commit time at the source, else the time DMS built the record; ms since 1970-01-01Z. */
  committedAtMs: number | undefined
}

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
 * @param isUtf8 the platform's own makes no text of it; core imports nothing
 */
export function decode(bytes: Uint8Array, beforeImage = BEFORE_IMAGE, isUtf8 = isUtf8Portable): Decoded {
  if (!isUtf8(bytes)) return unreadable('not-utf8')
  const record = scan(bytes, bytes.length, decodeLimits)
  if (typeof record === 'string') return unreadable(record)
  const meta = objectIn(bytes, record, METADATA)
  if (!meta) return unreadable('not-a-dms-record')
  const { recordType, operation, schema, table, partitionKeyType } = headOf(bytes, meta)
  if (schema === undefined || table === undefined || operation === undefined) {
    return unreadable('not-a-dms-record')
  }
  if (recordType === 'control') {
    const control = objectIn(bytes, record, CONTROL)
    const definition = control && definitionOf(pieceOf(bytes, control.start, control.end))
    return { kind: 'control', operation, schema, table, definition }
  }
  if (recordType !== 'data') return unreadable('not-a-dms-record')
  if (!isOperation(operation)) return unreadable('unknown-operation')
  const row = objectIn(bytes, record, DATA)
  if (!row) return unreadable('not-a-dms-record')
  return {
    kind: 'change',
    operation,
    schema,
    table,
    partitionKeyType,
    bytes,
    text: undefined,
    row,
    before:
      operation === 'update' ? (objectIn(bytes, record, nameInBytes(beforeImage))?.members ?? NONE) : NONE,
    committedAtMs: timeOf(bytes, meta.members, COMMIT_TIMESTAMP) ?? timeOf(bytes, meta.members, TIMESTAMP),
  }
}

/** The change as text, with the positions in it: for what looks at more than the key. */
export function inText(change: Change, beforeImage = BEFORE_IMAGE): Change {
  const { bytes } = change
  const text = utf8.decode(bytes)
  if (text.length === bytes.length) return { ...change, text }
  const record = scanText(text, decodeLimits)
  if (typeof record === 'string' || !record.top) throw new Error('expected the record that was decoded')
  const { top, inner } = record
  const member = (name: string) => inner[find(text, top, name) / 4]
  const before = change.operation === 'update' ? member(beforeImage)?.members : undefined
  return { ...change, text, row: member('data')!, before: before ?? NONE }
}

/** The value of a column as it is written, in real text; undefined when the members do not have it. */
export function valueIn({ text, bytes }: Change, members: Members, column: string): string | undefined {
  const at = text === undefined ? findIn(bytes, members, nameInBytes(column)) : find(text, members, column)
  if (at < 0) return undefined
  const start = members[at + 2]!
  const end = members[at + 3]!
  return text === undefined ? pieceOf(bytes, start, end) : text.slice(start, end)
}

/** Where in `members` the last member of a name stands; -1 when there is none. As `find`, in bytes. */
function findIn(bytes: Uint8Array, members: Members, name: Uint8Array): number {
  for (let at = members.length - 4; at >= 0; at -= 4) {
    const start = members[at]!
    const isIt =
      start < 0
        ? isAt(bytesOf(nameIn(bytes, -start, members[at + 1]!)), 0, name.length, name)
        : isAt(bytes, start, members[at + 1]!, name)
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

const NONE: Members = []

function objectIn(bytes: Uint8Array, { top, inner }: Scanned, name: Uint8Array): ObjectText | undefined {
  const at = top ? findIn(bytes, top, name) : -1
  return at < 0 ? undefined : inner[at / 4]
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
const recent: { bytes: Uint8Array; head: Head }[] = []
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

function headOf(bytes: Uint8Array, meta: ObjectText): Head {
  const { members } = meta
  const start = members[4] ?? -1
  const end = members[23] ?? -1
  const isUsual = isNamed(bytes, members, 0, TIMESTAMP) && start > 0 && end > 0
  if (!isUsual) return readHead(bytes, meta)
  for (let n = 0; n < recent.length; n++) {
    if (isAt(bytes, start, end, recent[n]!.bytes)) return recent[n]!.head
  }
  // Remembered are only heads whose members stand in the usual order, so what is found equal does as well.
  const key = pieceOf(bytes, start, end)
  let head = heads.get(key)
  if (!head) {
    if (!HEAD_ORDER.every((name, n) => isNamed(bytes, members, n, name))) return readHead(bytes, meta)
    head = readHead(bytes, meta)
    if (heads.size >= HEADS_MAX) heads.clear()
    heads.set(key, head)
  }
  recent[oldest] = { bytes: bytes.slice(start, end), head }
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
function readHead(bytes: Uint8Array, { start, end }: ObjectText): Head {
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

/** @param n of the member @returns whether it is written so, without escapes */
function isNamed(bytes: Uint8Array, members: Members, n: number, name: Uint8Array): boolean {
  const at = 4 * n
  return at < members.length && isAt(bytes, members[at]!, members[at + 1]!, name)
}

function timeOf(bytes: Uint8Array, meta: Members, name: Uint8Array): number | undefined {
  for (let n = 0; 4 * n < meta.length; n++) {
    if (isNamed(bytes, meta, n, name)) return timestampMs(bytes, meta[4 * n + 2]! + 1, meta[4 * n + 3]! - 1)
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
