/**
 * Control records: what DMS says about tables at each start of a task, asked for or not.
 *
 * `IncludeControlDetails` decides whether they have a body, not whether they exist. A consumer that takes `drop-table` at
 * its word loses its data at every restart; that is why they are sent here too.
 */
import { isoMicros, type KinesisRecord, qualifiedName, type TableDef } from './records.ts'
import { type DmsType, isLob } from './types.ts'
import { type JsonNode, type MessageFormat, writeRecord } from './wire.ts'

export type ControlSettings = {
  messageFormat: MessageFormat
  includeControlDetails: boolean
  includePartitionValue: boolean
  mapBooleanAsBoolean: boolean
}

export type ControlOperation = 'create-table' | 'drop-table'

const exceptionsColumn = (name: string, length: number | null): TableDef['columns'][number] => ({
  name,
  type: { kind: 'string', length, isPadded: false },
  isNullable: false,
})

/** DMS's own table of failed changes; the only one of its tables announced without being asked for. */
export const applyExceptionsTable: TableDef = {
  schema: '',
  name: 'awsdms_apply_exceptions',
  columns: [
    exceptionsColumn('TASK_NAME', 128),
    exceptionsColumn('TABLE_OWNER', 128),
    exceptionsColumn('TABLE_NAME', 128),
    { name: 'ERROR_TIME', type: { kind: 'timestamp', fractionDigits: 6 }, isNullable: false },
    exceptionsColumn('STATEMENT', null),
    exceptionsColumn('ERROR', null),
  ],
  primaryKey: [],
}

export function controlRecord(
  table: TableDef,
  operation: ControlOperation,
  taskId: string,
  settings: ControlSettings,
  nowMicros: number,
): KinesisRecord {
  const text = (value: string): JsonNode => ({ string: value })
  const metadata: [string, JsonNode][] = [
    ['timestamp', text(isoMicros(nowMicros))],
    ['record-type', text('control')],
    ['operation', text(operation)],
    ['partition-key-type', text('task-id')],
  ]
  if (settings.includePartitionValue) metadata.push(['partition-key-value', text(taskId)])
  metadata.push(['schema-name', text(table.schema)], ['table-name', text(table.name)])

  const members: [string, JsonNode][] = [['metadata', { members: metadata }]]
  if (settings.includeControlDetails) {
    const body: [string, JsonNode][] =
      operation === 'create-table' ? [['table-def', tableDef(table, settings.mapBooleanAsBoolean)]] : []
    members.unshift(['control', { members: body }])
  }
  return {
    table: qualifiedName(table),
    partitionKey: `${taskId}.${qualifiedName(table)}`,
    data: writeRecord({ members }, settings.messageFormat),
  }
}

function tableDef(table: TableDef, mapBooleanAsBoolean: boolean): JsonNode {
  const columns = table.columns
    .filter(column => table.primaryKey.length > 0 || !isLob(column.type))
    .map((column): [string, JsonNode] => [
      column.name,
      {
        members: [
          ...typeMembers(column.type, mapBooleanAsBoolean),
          ['nullable', { literal: String(column.isNullable) }],
        ],
      },
    ])
  const members: [string, JsonNode][] = [['columns', { members: columns }]]
  if (table.primaryKey.length > 0) {
    members.push(['primary-key', { list: table.primaryKey.map(name => ({ string: name })) }])
  }
  return { members }
}

/** BOOL, INTn, FLOAT, DOUBLE, STRING, DATE32 and TIMESTAMP were seen in real records; NUMERIC, TIME and BYTES are guesses. */
function typeMembers(type: DmsType, mapBooleanAsBoolean: boolean): [string, JsonNode][] {
  const named = (name: string): [string, JsonNode] => ['type', { string: name }]
  const sized = (name: string, value: number): [string, JsonNode] => [name, { literal: String(value) }]
  switch (type.kind) {
    case 'integer':
      return [named(`INT${type.bits}`)]
    case 'numeric':
      return [named('NUMERIC'), sized('precision', type.precision), sized('scale', type.scale)]
    case 'money':
      return [named('NUMERIC'), sized('precision', 38), sized('scale', 4)]
    case 'real':
      return [named('FLOAT')]
    case 'double':
      return [named('DOUBLE')]
    case 'boolean':
      return mapBooleanAsBoolean ? [named('BOOL')] : [named('STRING'), sized('length', 5)]
    case 'string':
      return type.length === null ? [named('STRING')] : [named('STRING'), sized('length', type.length)]
    case 'text-lob':
      return [named('STRING')]
    case 'binary-lob':
      return [named('BYTES')]
    case 'date':
      return [named('DATE32')]
    case 'time':
      return [named('TIME')]
    case 'timestamp':
      return [named('TIMESTAMP')]
    default:
      return type satisfies never
  }
}
