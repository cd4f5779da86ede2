/**
 * Bytes of a Kinesis record -> a change record, a control record, or unreadable with the reason.
 *
 * The row is cut out as text. JSON.parse proves the record (it accepts any depth without recursion in V8); its value is
 * thrown away, because a double would lose digits.
 */
import { looksBounded, type Member, members, stringAt } from './json-text.ts'
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
  row: { start: number; end: number; columns: Member[] }
  /** Columns of the before-image; empty when DMS sent none or `{}`. */
  before: Member[]
  /** Commit time at the source, else the time DMS built the record; ms since 1970-01-01Z. */
  committedAtMs: number | undefined
}

export type Decoded =
  | Change
  | { kind: 'control'; operation: string; schema: string; table: string }
  | { kind: 'unreadable'; reason: UnreadableReason }

export type UnreadableReason =
  | 'not-utf8'
  | 'not-json'
  | 'not-a-dms-record'
  | 'unknown-operation'
  | 'too-deep'
  | 'number-too-long'

/** Limits on one record: nesting counts `data` itself as 2; OpenSearch takes 20 in a document and 1,000 digits. */
export type DecodeLimits = { depthMax: number; numberLengthMax: number }

export const decodeLimits: DecodeLimits = { depthMax: 21, numberLengthMax: 1000 }

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function isOperation(text: string | undefined): text is Operation {
  return text === 'load' || text === 'insert' || text === 'update' || text === 'delete'
}

/** @param bytes the record's data as Kinesis returned it */
export function decode(bytes: Uint8Array, limits: DecodeLimits = decodeLimits): Decoded {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return { kind: 'unreadable', reason: 'not-utf8' }
  }
  const bounded = looksBounded(text, limits)
  try {
    JSON.parse(text)
  } catch {
    return { kind: 'unreadable', reason: 'not-json' }
  }
  if (bounded !== 'ok') return { kind: 'unreadable', reason: bounded }
  const top = members(text)
  const metadata = top && last(top, 'metadata')
  const meta = metadata && members(text, metadata.start)
  if (!top || !meta) return { kind: 'unreadable', reason: 'not-a-dms-record' }

  const field = (name: string) => stringMember(text, meta, name)
  const schema = field('schema-name')
  const table = field('table-name')
  const operation = field('operation')
  const recordType = field('record-type')
  if (schema === undefined || table === undefined || operation === undefined || recordType === undefined) {
    return { kind: 'unreadable', reason: 'not-a-dms-record' }
  }
  if (recordType === 'control') return { kind: 'control', operation, schema, table }
  if (recordType !== 'data') return { kind: 'unreadable', reason: 'not-a-dms-record' }
  if (!isOperation(operation)) return { kind: 'unreadable', reason: 'unknown-operation' }
  const data = last(top, 'data')
  const columns = data && members(text, data.start)
  if (!data || !columns) return { kind: 'unreadable', reason: 'not-a-dms-record' }
  const before = last(top, 'before-image')
  return {
    kind: 'change',
    operation,
    schema,
    table,
    partitionKeyType: field('partition-key-type') ?? '',
    text,
    row: { start: data.start, end: data.end, columns },
    before: (before && members(text, before.start)) ?? [],
    committedAtMs: timestampMs(field('commit-timestamp') ?? '') ?? timestampMs(field('timestamp') ?? ''),
  }
}

/** The last member of a name, as JSON.parse would have it. */
export function last(all: readonly Member[], name: string): Member | undefined {
  return all.findLast(member => member.name === name)
}

function stringMember(text: string, all: readonly Member[], name: string): string | undefined {
  const found = last(all, name)
  return found && text[found.start] === '"' ? stringAt(text, found.start, found.end) : undefined
}
