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
  scan,
} from './json-scan.ts'
import { find, stringOf } from './json-text.ts'
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
  const scanned = scan(text.length === bytes.length ? bytes : codeUnitsOf(text), decodeLimits)
  if (typeof scanned === 'string') return unreadable(scanned)
  const { top, inner } = scanned
  const member = (name: string) => {
    const at = top ? find(text, top, name) : -1
    return at < 0 ? undefined : inner[at / 4]
  }
  const meta = member('metadata')?.members
  if (!meta) return unreadable('not-a-dms-record')
  const schema = stringOf(text, meta, 'schema-name')
  const table = stringOf(text, meta, 'table-name')
  const operation = stringOf(text, meta, 'operation')
  const recordType = stringOf(text, meta, 'record-type')
  if (schema === undefined || table === undefined || operation === undefined) {
    return unreadable('not-a-dms-record')
  }
  if (recordType === 'control') {
    const control = member('control')
    const definition = control && definitionOf(text.slice(control.start, control.end))
    return { kind: 'control', operation, schema, table, definition }
  }
  if (recordType !== 'data') return unreadable('not-a-dms-record')
  if (!isOperation(operation)) return unreadable('unknown-operation')
  const row = member('data')
  if (!row) return unreadable('not-a-dms-record')
  return {
    kind: 'change',
    operation,
    schema,
    table,
    partitionKeyType: stringOf(text, meta, 'partition-key-type') ?? '',
    text,
    row,
    before: (operation === 'update' && member(beforeImage)?.members) || [],
    committedAtMs:
      timestampMs(stringOf(text, meta, 'commit-timestamp') ?? '') ??
      timestampMs(stringOf(text, meta, 'timestamp') ?? ''),
  }
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
