/**
 * A row and what happened to it, to the Kinesis record DMS would write: data, before image, metadata, partition key.
 *
 * Members come in DMS's order, which consumers may rely on: `data`, `before-image`, `metadata`, and inside the metadata the
 * order of `dataMetadata`.
 */
import { type Column, isLob } from './types.ts'
import { isNullOrEmpty, jsonValue, type ValueSettings } from './values.ts'
import { type JsonNode, jsonNull, type MessageFormat, writeRecord } from './wire.ts'

export type TableDef = { schema: string; name: string; columns: Column[]; primaryKey: string[] }

/** Values in the order of the table's columns as PostgreSQL prints them; `undefined`: not in the change (unchanged TOAST, key-only delete). */
export type Row = (string | null | undefined)[]

export type Operation = 'load' | 'insert' | 'update' | 'delete'

/** @property position of the transaction's commit, and the place of this message in the transaction */
export type TransactionDetails = {
  id: number
  recordId: number
  previous: { id: number; recordId: number } | null
  commitMicros: number
  position: string
}

export type Change = {
  operation: Operation
  row: Row
  /** The old row (or its key alone) of an update whose key changed; null where it did not. */
  before: Row | null
  /** Absent on load records. */
  transaction: TransactionDetails | null
}

export type PartitionMode = 'dms' | 'schema-table' | 'primary-key'

export type RecordSettings = ValueSettings & {
  messageFormat: MessageFormat
  includeNullAndEmpty: boolean
  includeTransactionDetails: boolean
  includePartitionValue: boolean
  partitionIncludeSchemaTable: boolean
  /** Name of the member that carries the old key of an update, or null when before images are off. */
  beforeImageField: string | null
  partition: PartitionMode
  /** `schema.table` names partitioned by primary key whatever `partition` says. */
  partitionByKey: ReadonlySet<string>
}

/** @property table for log lines; a partition key may be a row's value and is never logged */
export type KinesisRecord = { table: string; partitionKey: string; data: Buffer }

/** Kinesis refuses a longer one, and with it the whole request. What DMS does is not known; it is cut, which keeps order per key. */
const partitionKeyCharactersMax = 256

export const qualifiedName = (table: { schema: string; name: string }): string =>
  `${table.schema}.${table.name}`

/** @param nowMicros when the record is built, microseconds since 1970; becomes `metadata.timestamp` */
export function changeRecord(
  table: TableDef,
  change: Change,
  settings: RecordSettings,
  nowMicros: number,
): KinesisRecord {
  const isLoad = change.operation === 'load'
  const partition = partitionOf(table, change, settings)
  const members: [string, JsonNode][] = [
    ['data', { members: dataMembers(table, change.row, isLoad, settings) }],
  ]
  if (change.operation === 'update' && settings.beforeImageField !== null) {
    members.push([
      settings.beforeImageField,
      { members: change.before === null ? [] : keyMembers(table, change.before, settings) },
    ])
  }
  members.push(['metadata', { members: dataMetadata(table, change, partition, settings, nowMicros) }])
  return {
    table: qualifiedName(table),
    partitionKey: partition.key,
    data: writeRecord({ members }, settings.messageFormat),
  }
}

/** Microseconds since 1970 as DMS writes a moment: UTC, always six digits. */
export function isoMicros(micros: number): string {
  const millis = Math.floor(micros / 1000)
  const rest = String(micros - millis * 1000).padStart(3, '0')
  return new Date(millis).toISOString().replace('Z', `${rest}Z`)
}

function dataMembers(
  table: TableDef,
  row: Row,
  isLoad: boolean,
  settings: RecordSettings,
): [string, JsonNode][] {
  const members: [string, JsonNode][] = []
  for (const [index, column] of table.columns.entries()) {
    // DMS leaves LOB columns out of tables without a primary key: it reads LOBs by key.
    if (table.primaryKey.length === 0 && isLob(column.type)) continue
    const text = row[index] ?? null
    const value = text === null ? jsonNull : jsonValue(text, column.type, isLoad, settings)
    if (settings.includeNullAndEmpty || !isNullOrEmpty(value)) members.push([column.name, value])
  }
  return members
}

/** The key columns the old row has, in the table's order: before-image settings are fixed to `pk-only`. */
function keyMembers(table: TableDef, row: Row, settings: RecordSettings): [string, JsonNode][] {
  const members: [string, JsonNode][] = []
  for (const [index, column] of table.columns.entries()) {
    const text = row[index]
    if (!table.primaryKey.includes(column.name) || text === undefined || text === null) continue
    members.push([column.name, jsonValue(text, column.type, false, settings)])
  }
  return members
}

type Partition = { type: 'schema-table' | 'primary-key'; key: string }

function partitionOf(table: TableDef, change: Change, settings: RecordSettings): Partition {
  const name = qualifiedName(table)
  const isByKey =
    settings.partitionByKey.has(name) ||
    settings.partition === 'primary-key' ||
    (settings.partition === 'dms' && change.operation === 'load')
  const values = isByKey ? keyTexts(table, change.row, settings) : []
  if (values.length === 0) return { type: 'schema-table', key: cutKey(name) }
  const prefix = settings.partitionIncludeSchemaTable ? `${name}.` : ''
  const key = `${prefix}${values.join('.')}`
  // A key column may hold the empty string; Kinesis wants at least one character.
  return key === '' ? { type: 'schema-table', key: cutKey(name) } : { type: 'primary-key', key: cutKey(key) }
}

const cutKey = (key: string): string =>
  key.length <= partitionKeyCharactersMax ? key : [...key].slice(0, partitionKeyCharactersMax).join('')

function keyTexts(table: TableDef, row: Row, settings: RecordSettings): string[] {
  return table.primaryKey.map(name => {
    const index = table.columns.findIndex(column => column.name === name)
    const column = table.columns[index]
    const text = row[index]
    if (column === undefined || text === undefined || text === null) return ''
    const value = jsonValue(text, column.type, false, settings)
    if ('string' in value) return value.string.toString()
    return 'literal' in value ? value.literal : ''
  })
}

function dataMetadata(
  table: TableDef,
  change: Change,
  partition: Partition,
  settings: RecordSettings,
  nowMicros: number,
): [string, JsonNode][] {
  const text = (value: string): JsonNode => ({ string: value })
  const number = (value: number): JsonNode => ({ literal: String(value) })
  const members: [string, JsonNode][] = [
    ['timestamp', text(isoMicros(nowMicros))],
    ['record-type', text('data')],
    ['operation', text(change.operation)],
    ['partition-key-type', text(partition.type)],
  ]
  if (settings.includePartitionValue && partition.type !== 'schema-table') {
    members.push(['partition-key-value', text(partition.key)])
  }
  members.push(['schema-name', text(table.schema)], ['table-name', text(table.name)])
  const { transaction } = change
  if (transaction === null) return members
  members.push(['transaction-id', number(transaction.id)])
  if (!settings.includeTransactionDetails) return members
  members.push(['transaction-record-id', number(transaction.recordId)])
  if (transaction.previous !== null) {
    members.push(
      ['prev-transaction-id', number(transaction.previous.id)],
      ['prev-transaction-record-id', number(transaction.previous.recordId)],
    )
  }
  members.push(
    ['commit-timestamp', text(isoMicros(transaction.commitMicros))],
    ['stream-position', text(transaction.position)],
  )
  return members
}
