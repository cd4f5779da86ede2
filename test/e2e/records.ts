/**
 * Records as AWS DMS writes them, as text by hand: nothing here passes through the code under test.
 *
 * The row is given as JSON text, so that its digits are in the test as they are in the stream.
 */

export type Operation = 'load' | 'insert' | 'update' | 'delete'

export type DmsRecord = {
  operation: Operation | (string & {})
  schema: string
  table: string
  /** JSON text of the row, such as `{"id":1,"name":"a"}`. */
  row: string
  /** JSON text of the old key columns; `{}` where the key did not change. Updates only. */
  before?: string
  partitionKeyType?: 'schema-table' | 'primary-key'
}

/** `json-unformatted`: one line, no blanks, a newline at the end. */
export function dmsRecord({
  operation,
  schema,
  table,
  row,
  before,
  partitionKeyType = 'schema-table',
}: DmsRecord): string {
  const beforeImage = operation === 'update' ? `"before-image":${before ?? '{}'},` : ''
  const now = `${new Date().toISOString().slice(0, -1)}000Z`
  const transaction =
    operation === 'load'
      ? ''
      : `,"transaction-id":4294967311,"transaction-record-id":1,"commit-timestamp":"${now}","stream-position":"0/1A2B3C4D.1.0/1A2B3C4D"`
  return `{"data":${row},${beforeImage}"metadata":{"timestamp":"${now}","record-type":"data","operation":"${operation}","partition-key-type":"${partitionKeyType}","schema-name":"${schema}","table-name":"${table}"${transaction}}}\n`
}

/** Sent for each table when a task starts; never acted upon. */
export function controlRecord(operation: string, schema: string, table: string): string {
  return `{"control":{},"metadata":{"timestamp":"2026-01-01T00:00:00.000000Z","record-type":"control","operation":"${operation}","partition-key-type":"task-id","schema-name":"${schema}","table-name":"${table}"}}\n`
}

export const MARKER_TABLE = 'marker'

/** Whether the record is a row's, of any table but the markers'. Bytes that are no record are not. */
export function isDataRecord(bytes: Uint8Array): boolean {
  try {
    const { metadata } = JSON.parse(Buffer.from(bytes).toString()) as { metadata?: Record<string, unknown> }
    return metadata?.['record-type'] === 'data' && metadata['table-name'] !== MARKER_TABLE
  } catch {
    return false
  }
}
