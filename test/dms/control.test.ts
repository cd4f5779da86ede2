/** Control records beyond those of the real samples: types a table definition can name, and their keys. */
import { expect, test } from 'vitest'
import { type ControlOperation, type ControlSettings, controlRecord } from '../../docker/dms/control.ts'
import type { TableDef } from '../../docker/dms/records.ts'
import { tableDef } from './table-def.ts'

const control = (table: TableDef, operation: ControlOperation, settings: Partial<ControlSettings> = {}) => {
  const { partitionKey, data } = controlRecord(
    table,
    operation,
    'TASK',
    {
      messageFormat: 'json-unformatted',
      includeControlDetails: true,
      includePartitionValue: false,
      mapBooleanAsBoolean: true,
      ...settings,
    },
    0,
  )
  return { partitionKey, json: JSON.parse(data.toString()) as Record<string, Record<string, unknown>> }
}

const columnsOf = (columns: Record<string, string>, settings: Partial<ControlSettings> = {}) => {
  const { json } = control(tableDef('s.t', columns, ['id']), 'create-table', settings)
  return (json.control!['table-def'] as { columns: Record<string, unknown> }).columns
}

test('the partition key is task, schema and table, also for the nameless schema of DMS', () => {
  expect(control(tableDef('s.t', {}), 'drop-table').partitionKey).toBe('TASK.s.t')
  expect(control(tableDef('.awsdms_apply_exceptions', {}), 'create-table').partitionKey).toBe(
    'TASK..awsdms_apply_exceptions',
  )
})

test('without IncludeControlDetails there is no body, but the record', () => {
  const { json } = control(tableDef('s.t', { id: 'int4' }), 'create-table', { includeControlDetails: false })
  expect(Object.keys(json)).toEqual(['metadata'])
})

test('intervals are as long as the fields they are declared with', () => {
  const declared = {
    c: 'interval day',
    d: 'interval hour',
    e: 'interval minute',
    f: 'interval second',
    h: 'interval day to hour',
    i: 'interval day to minute',
    j: 'interval day to second',
    k: 'interval hour to minute',
    l: 'interval hour to second',
    m: 'interval minute to second',
    any: 'interval',
  }
  const lengths = Object.values(columnsOf(declared)).map(column => (column as { length: number }).length)
  expect(lengths).toEqual([16, 17, 15, 9, 25, 25, 25, 17, 17, 15, 128])
})

test('a boolean is BOOL, or a STRING of 5 without MapBooleanAsBoolean', () => {
  expect(columnsOf({ b: 'bool' })).toEqual({ b: { type: 'BOOL', nullable: true } })
  expect(columnsOf({ b: 'bool' }, { mapBooleanAsBoolean: false })).toEqual({
    b: { type: 'STRING', length: 5, nullable: true },
  })
})

test('text and jsonb have no length, varchar without one has 8000', () => {
  expect(columnsOf({ id: 'int8 not null', a: 'text', b: 'jsonb', c: 'varchar', n: 'numeric(10,2)' })).toEqual(
    {
      id: { type: 'INT64', nullable: false },
      a: { type: 'STRING', nullable: true },
      b: { type: 'STRING', nullable: true },
      c: { type: 'STRING', length: 8000, nullable: true },
      n: { type: 'NUMERIC', precision: 10, scale: 2, nullable: true },
    },
  )
})
