/**
 * Bytes of a Kinesis record -> a change record, a control record, or unreadable with the reason.
 *
 * The row is cut out as text and never parsed: a double would lose digits. One strict scan proves the record and finds
 * its members, in any order and layout.
 */
import {
  codeUnitsOf,
  type Members,
  type ObjectText,
  type ScanFault,
  type ScanLimits,
  type Scanned,
  scan,
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
  /**
   * The record as one character a byte, so that positions in both are the same. JSON is made of ASCII, so this is enough to
   * find things by; what lies beyond ASCII in it is read by `textOf`. Made into real text only where a column must change.
   */
  text: string
  /** Whether `text` is real text already. */
  isText: boolean
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
const latin1 = new TextDecoder('latin1')
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function isOperation(text: string): text is Operation {
  return text === 'load' || text === 'insert' || text === 'update' || text === 'delete'
}

function unreadable(reason: UnreadableReason): Decoded {
  return { kind: 'unreadable', reason }
}

/** What the platform does quicker than JavaScript can; core imports nothing. */
export type ByteFunctions = {
  isUtf8: (bytes: Uint8Array) => boolean
  /** One character a byte: the same for ASCII, any other one for the rest. */
  latin1: (bytes: Uint8Array) => string
}

const portable: ByteFunctions = {
  isUtf8(bytes) {
    try {
      utf8.decode(bytes)
      return true
    } catch {
      return false
    }
  },
  latin1: bytes => latin1.decode(bytes),
}

/**
 * @param bytes the record's data as Kinesis returned it
 * @param beforeImage the member that holds the before-image (FieldName of DMS's BeforeImageSettings)
 */
export function decode(bytes: Uint8Array, beforeImage = BEFORE_IMAGE, functions = portable): Decoded {
  if (!functions.isUtf8(bytes)) return unreadable('not-utf8')
  const record = scan(bytes, bytes.length, decodeLimits)
  if (typeof record === 'string') return unreadable(record)
  const text = functions.latin1(bytes)
  const meta = objectIn(text, record, 'metadata')
  if (!meta) return unreadable('not-a-dms-record')
  const { recordType, operation, schema, table, partitionKeyType } = headOf(text, bytes, meta)
  if (schema === undefined || table === undefined || operation === undefined) {
    return unreadable('not-a-dms-record')
  }
  if (recordType === 'control') {
    const control = objectIn(text, record, 'control')
    const definition = control && definitionOf(textIn(bytes, control.start, control.end))
    return { kind: 'control', operation, schema, table, definition }
  }
  if (recordType !== 'data') return unreadable('not-a-dms-record')
  if (!isOperation(operation)) return unreadable('unknown-operation')
  const row = objectIn(text, record, 'data')
  if (!row) return unreadable('not-a-dms-record')
  return {
    kind: 'change',
    operation,
    schema,
    table,
    partitionKeyType,
    bytes,
    text,
    isText: false,
    row,
    before:
      operation === 'update' ? (objectIn(text, record, nameInBytes(beforeImage))?.members ?? NONE) : NONE,
    committedAtMs: timeOf(bytes, meta.members, COMMIT_TIMESTAMP) ?? timeOf(bytes, meta.members, TIMESTAMP),
  }
}

/** The change with its text as real text and the positions in it. For what looks into values or names beyond ASCII. */
export function inText(change: Change, beforeImage = BEFORE_IMAGE): Change {
  const text = textIn(change.bytes, 0, change.bytes.length)
  if (text.length === change.bytes.length) return { ...change, text, isText: true }
  const record = scan(codeUnitsOf(text), text.length, decodeLimits)
  const row = typeof record === 'string' ? undefined : objectIn(text, record, 'data')
  if (typeof record === 'string' || !row) throw new Error('expected the record that was decoded')
  const before = change.operation === 'update' ? objectIn(text, record, beforeImage)?.members : undefined
  return { ...change, text, isText: true, row, before: before ?? NONE }
}

/** The real text of a piece of a change that came out of its `text`. */
export function textOf({ isText, text, bytes }: Change, start: number, end: number): string {
  const piece = text.slice(start, end)
  return isText || isAscii(piece) ? piece : textIn(bytes, start, end)
}

function textIn(bytes: Uint8Array, start: number, end: number): string {
  return utf8.decode(bytes.subarray(start, end))
}

/** Whether a text is ASCII; for short ones, where a loop is quicker than an expression. */
export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false
  return true
}

/** A name as it stands in text of one character a byte. */
function nameInBytes(name: string): string {
  return isAscii(name) ? name : latin1.decode(utf8Encoder.encode(name))
}

const NONE: Members = []

function objectIn(text: string, { top, inner }: Scanned, name: string): ObjectText | undefined {
  const at = top ? find(text, top, name) : -1
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
const TIMESTAMP = HEAD_ORDER[0]!

function bytesOf(text: string): Uint8Array {
  return utf8Encoder.encode(text)
}

/** A copy of its own: a piece of a record's text would keep all of it in memory. */
function copied(text: string): string {
  return utf8.decode(bytesOf(text))
}

function headOf(text: string, bytes: Uint8Array, meta: ObjectText): Head {
  const { members } = meta
  const start = members[4] ?? -1
  const end = members[23] ?? -1
  const isUsual = isNamed(bytes, members, 0, TIMESTAMP) && start > 0 && end > 0
  if (!isUsual) return readHead(bytes, meta)
  for (let n = 0; n < recent.length; n++) {
    if (isAt(bytes, start, end, recent[n]!.bytes)) return recent[n]!.head
  }
  // Remembered are only heads whose members stand in the usual order, so what is found equal does as well.
  const key = text.slice(start, end)
  let head = heads.get(key)
  if (!head) {
    if (!HEAD_ORDER.every((name, n) => isNamed(bytes, members, n, name))) return readHead(bytes, meta)
    head = readHead(bytes, meta)
    if (heads.size >= HEADS_MAX) heads.clear()
    heads.set(copied(key), head)
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
  const text = textIn(bytes, start, end)
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
