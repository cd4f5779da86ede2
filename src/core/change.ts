/**
 * Bytes of a Kinesis record -> a change record, a control record, or unreadable with the reason.
 *
 * The row is cut out as text and never parsed: a double would lose digits. One strict scan proves the record and finds
 * its members, in any order and layout.
 */
import {
  type CodeUnits,
  codeUnitsOf,
  type Members,
  type ObjectText,
  type ScanFault,
  type ScanLimits,
  type Scanned,
  scan,
} from './json-scan.ts'
import { find, nameAt, stringAt } from './json-text.ts'
import { timestampMs } from './timestamp.ts'

export type Operation = 'load' | 'insert' | 'update' | 'delete'

export type Change = {
  kind: 'change'
  operation: Operation
  schema: string
  table: string
  /** `schema-table`, `primary-key` and others: how DMS chose the record's partition key. */
  partitionKeyType: string
  /** The text of the whole record and where the columns of `data` stand in it. */
  text: string
  /** The same in bytes, where all of it is ASCII and positions are the same. */
  bytes: Uint8Array | undefined
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

/**
 * @param bytes the record's data as Kinesis returned it
 * @param beforeImage the member that holds the before-image (FieldName of DMS's BeforeImageSettings)
 */
export function decode(bytes: Uint8Array, beforeImage = BEFORE_IMAGE): Decoded {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return unreadable('not-utf8')
  }
  // Of the same length means ASCII, and then the bytes are the code units.
  const units = text.length === bytes.length ? bytes : codeUnitsOf(text)
  const record = scan(units, text.length, decodeLimits)
  if (typeof record === 'string') return unreadable(record)
  const meta = objectIn(text, record, 'metadata')?.members
  if (!meta) return unreadable('not-a-dms-record')
  const { recordType, operation, schema, table, partitionKeyType } = headOf(text, units, meta)
  if (schema === undefined || table === undefined || operation === undefined) {
    return unreadable('not-a-dms-record')
  }
  if (recordType === 'control') {
    const control = objectIn(text, record, 'control')
    const definition = control && definitionOf(text.slice(control.start, control.end))
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
    text,
    bytes: units === bytes ? bytes : undefined,
    row,
    before: operation === 'update' ? (objectIn(text, record, beforeImage)?.members ?? NONE) : NONE,
    committedAtMs: timeOf(units, meta, COMMIT_TIMESTAMP) ?? timeOf(units, meta, TIMESTAMP),
  }
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

function headOf(text: string, units: CodeUnits, meta: Members): Head {
  const start = meta[4] ?? -1
  const end = meta[23] ?? -1
  const isUsual = isNamed(units, meta, 0, TIMESTAMP) && start > 0 && end > 0
  if (!isUsual) return readHead(text, meta)
  for (let n = 0; n < recent.length; n++) {
    if (isAt(units, start, end, recent[n]!.bytes)) return recent[n]!.head
  }
  // Remembered are only heads whose members stand in the usual order, so what is found equal does as well.
  const key = text.slice(start, end)
  let head = heads.get(key)
  if (!head) {
    if (!HEAD_ORDER.every((name, n) => isNamed(units, meta, n, name))) return readHead(text, meta)
    head = readHead(text, meta.slice(0, 24))
    if (heads.size >= HEADS_MAX) heads.clear()
    heads.set(copied(key), head)
  }
  const bytes = bytesOf(key)
  // The code units of a text that is not ASCII are not its own.
  if (bytes.length === key.length) {
    recent[oldest] = { bytes, head }
    oldest = (oldest + 1) % RECENT_MAX
  }
  return head
}

/** Whether `wanted`, which is ASCII, stands from `start` to `end`; from the back, where the names of tables are. */
function isAt(units: CodeUnits, start: number, end: number, wanted: Uint8Array): boolean {
  if (wanted.length !== end - start) return false
  for (let i = wanted.length - 1; i >= 0; i--) if (units[start + i] !== wanted[i]) return false
  return true
}

/** Of two members of one name the first one counts, so that a head's text decides alone. */
function readHead(text: string, meta: Members): Head {
  const field = (name: string) => {
    for (let at = 0; at < meta.length; at += 4) {
      const start = meta[at + 2]!
      if (nameAt(text, meta, at) === name)
        return text[start] === '"' ? copied(stringAt(text, start, meta[at + 3]!)) : undefined
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
function isNamed(units: CodeUnits, members: Members, n: number, name: Uint8Array): boolean {
  const at = 4 * n
  return at < members.length && isAt(units, members[at]!, members[at + 1]!, name)
}

function timeOf(units: CodeUnits, meta: Members, name: Uint8Array): number | undefined {
  for (let n = 0; 4 * n < meta.length; n++) {
    if (isNamed(units, meta, n, name)) return timestampMs(units, meta[4 * n + 2]! + 1, meta[4 * n + 3]! - 1)
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
