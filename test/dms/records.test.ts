/** Rows to records: which members there are, and by which key a record is partitioned. */
import { describe, expect, test } from 'vitest'
import { type Change, changeRecord, type RecordSettings, type TableDef } from '../../docker/dms/records.ts'
import { micros, recordSettings, tableDef } from './table-def.ts'

const built = micros('2026-03-02T09:15:01.204518Z')
const lines = tableDef('shop.lines', { order_id: 'int8', line: 'int2', note: 'text', paid: 'bool' }, [
  'order_id',
  'line',
])
const row = ['30004', '2', '', null]

const insert: Change = {
  operation: 'insert',
  row,
  before: null,
  transaction: { id: 7, recordId: 1, previous: null, commitMicros: built, position: '0/1.2.0/1' },
}
const load: Change = { operation: 'load', row, before: null, transaction: null }

const record = (table: TableDef, change: Change, settings: Partial<RecordSettings> = {}) => {
  const { partitionKey, data } = changeRecord(table, change, recordSettings(settings), built)
  const json = JSON.parse(data.toString()) as {
    data: Record<string, unknown>
    metadata: Record<string, unknown>
    'before-image'?: unknown
  }
  return {
    partitionKey,
    ...json,
    type: json.metadata['partition-key-type'],
    value: json.metadata['partition-key-value'],
  }
}

describe('partition key', () => {
  test('by default a load goes by primary key and a change by schema.table', () => {
    expect(record(lines, load)).toMatchObject({ partitionKey: '30004.2', type: 'primary-key' })
    expect(record(lines, insert)).toMatchObject({ partitionKey: 'shop.lines', type: 'schema-table' })
  })

  test('schema-table sets one kind for both', () => {
    for (const change of [load, insert]) {
      expect(record(lines, change, { partition: 'schema-table' })).toMatchObject({
        partitionKey: 'shop.lines',
        type: 'schema-table',
      })
    }
  })

  test('primary-key sets one kind for both', () => {
    for (const change of [load, insert]) {
      expect(record(lines, change, { partition: 'primary-key' })).toMatchObject({
        partitionKey: '30004.2',
        type: 'primary-key',
      })
    }
  })

  test('a table named as partitioned by key is, whatever holds for the rest', () => {
    for (const partition of ['dms', 'schema-table'] as const) {
      const settings = { partition, partitionByKey: new Set(['shop.lines']) }
      expect(record(lines, insert, settings).partitionKey).toBe('30004.2')
      expect(record({ ...lines, name: 'others' }, insert, settings).partitionKey).toBe('shop.others')
    }
  })

  test('a table without a key goes by schema.table everywhere', () => {
    for (const partition of ['dms', 'primary-key'] as const) {
      expect(record({ ...lines, primaryKey: [] }, load, { partition })).toMatchObject({
        partitionKey: 'shop.lines',
        type: 'schema-table',
      })
    }
  })

  test('PartitionIncludeSchemaTable is a prefix of primary-key values and chooses nothing', () => {
    const settings = { partitionIncludeSchemaTable: true }
    expect(record(lines, load, settings).partitionKey).toBe('shop.lines.30004.2')
    expect(record(lines, insert, settings)).toMatchObject({
      partitionKey: 'shop.lines',
      type: 'schema-table',
    })
  })

  test('IncludePartitionValue repeats it in the metadata, never that of schema-table', () => {
    const settings = { includePartitionValue: true, partitionIncludeSchemaTable: true }
    expect(record(lines, load, settings).value).toBe('shop.lines.30004.2')
    expect(record(lines, insert, settings).value).toBeUndefined()
    expect(record(lines, load).value).toBeUndefined()
  })

  test('a key that moves goes by the new value, a delete by the old', () => {
    const settings = { partition: 'primary-key' } as const
    const update: Change = { ...insert, operation: 'update', before: ['1', '1', undefined, undefined] }
    expect(record(lines, update, settings).partitionKey).toBe('30004.2')
    const gone: Change = { ...insert, operation: 'delete', row: ['9', '1', undefined, undefined] }
    expect(record(lines, gone, settings).partitionKey).toBe('9.1')
  })

  test('more than 256 characters are cut, and an empty key falls back to schema.table', () => {
    const words = tableDef('shop.words', { word: 'varchar' }, ['word'])
    expect(record(words, { ...load, row: ['é'.repeat(300)] }).partitionKey).toBe('é'.repeat(256))
    expect(record(words, { ...load, row: [''] })).toMatchObject({
      partitionKey: 'shop.words',
      type: 'schema-table',
    })
  })
})

describe('data', () => {
  test('IncludeNullAndEmpty keeps NULL and the empty string apart; off, both are left out', () => {
    expect(record(lines, insert).data).toEqual({ order_id: 30004, line: 2, note: '', paid: null })
    expect(record(lines, insert, { includeNullAndEmpty: false }).data).toEqual({ order_id: 30004, line: 2 })
  })

  test('a value that was not sent (unchanged TOAST) is null or left out', () => {
    const update: Change = { ...insert, operation: 'update', row: ['1', '1', undefined, 't'] }
    expect(record(lines, update).data).toEqual({ order_id: 1, line: 1, note: null, paid: true })
    expect(record(lines, update, { includeNullAndEmpty: false }).data).toEqual({
      order_id: 1,
      line: 1,
      paid: true,
    })
  })

  test('a delete has its key and nulls, or its key alone', () => {
    const gone: Change = { ...insert, operation: 'delete', row: ['1', '2', undefined, undefined] }
    expect(record(lines, gone).data).toEqual({ order_id: 1, line: 2, note: null, paid: null })
    expect(record(lines, gone, { includeNullAndEmpty: false }).data).toEqual({ order_id: 1, line: 2 })
  })

  test('a table without a key has no LOB columns', () => {
    expect(record({ ...lines, primaryKey: [] }, insert).data).toEqual({
      order_id: 30004,
      line: 2,
      paid: null,
    })
  })
})

describe('before image', () => {
  const update: Change = { ...insert, operation: 'update' }

  test('an unchanged key gives an empty one, a changed key the old one, all its columns', () => {
    expect(record(lines, update)['before-image']).toEqual({})
    const moved: Change = { ...update, before: ['30003', '2', 'old', 't'] }
    expect(record(lines, moved)['before-image']).toEqual({ order_id: 30003, line: 2 })
  })

  test('only updates have one, under the name that is set, or none at all', () => {
    expect(record(lines, insert)).not.toHaveProperty('before-image')
    expect(record(lines, update, { beforeImageField: 'bi' })).toHaveProperty('bi')
    expect(record(lines, update, { beforeImageField: null })).not.toHaveProperty('before-image')
  })
})

describe('metadata', () => {
  test('IncludeTransactionDetails off leaves the transaction id alone', () => {
    expect(Object.keys(record(lines, insert, { includeTransactionDetails: false }).metadata)).toEqual([
      'timestamp',
      'record-type',
      'operation',
      'partition-key-type',
      'schema-name',
      'table-name',
      'transaction-id',
    ])
  })

  test('all members come in the order of DMS', () => {
    const change: Change = {
      ...insert,
      transaction: { ...insert.transaction!, previous: { id: 6, recordId: 3 } },
    }
    const settings = { partition: 'primary-key', includePartitionValue: true } as const
    expect(record(lines, change, settings).metadata).toEqual({
      timestamp: '2026-03-02T09:15:01.204518Z',
      'record-type': 'data',
      operation: 'insert',
      'partition-key-type': 'primary-key',
      'partition-key-value': '30004.2',
      'schema-name': 'shop',
      'table-name': 'lines',
      'transaction-id': 7,
      'transaction-record-id': 1,
      'prev-transaction-id': 6,
      'prev-transaction-record-id': 3,
      'commit-timestamp': '2026-03-02T09:15:01.204518Z',
      'stream-position': '0/1.2.0/1',
    })
    expect(Object.keys(record(lines, change, settings).metadata).join()).toBe(
      'timestamp,record-type,operation,partition-key-type,partition-key-value,schema-name,table-name,transaction-id,transaction-record-id,prev-transaction-id,prev-transaction-record-id,commit-timestamp,stream-position',
    )
  })

  test('a load has no transaction', () => {
    expect(record(lines, load).metadata).not.toHaveProperty('transaction-id')
  })
})
