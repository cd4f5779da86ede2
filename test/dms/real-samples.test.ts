/**
 * The same rows and settings as those of real tasks give the same bytes.
 *
 * Each case gives the row as PostgreSQL would print it, the table and the settings of the task; the sample gives the record. Only the
 * moment the record was built is taken from the sample.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { applyExceptionsTable, controlRecord } from '../../docker/dms/control.ts'
import {
  type Change,
  changeRecord,
  type KinesisRecord,
  type Operation,
  type RecordSettings,
  type Row,
  type TableDef,
  type TransactionDetails,
} from '../../docker/dms/records.ts'
import {
  alltypes,
  batting,
  dagRun,
  diamonds,
  films,
  foo,
  intervals,
  inventory,
  status,
  suspended,
  taskInstance,
} from './real-tables.ts'
import { micros, recordSettings, tableDef } from './table-def.ts'

type Sample = { name: string; partitionKey?: string; record: string }

const samples = new Map(
  readFileSync(new URL('real-samples.jsonl', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .slice(1)
    .map(line => JSON.parse(line) as Sample)
    .map(sample => [sample.name, sample]),
)

/** The RDS task of 2025-06: object mapping by table, every switch on. */
const everySwitch = recordSettings({
  includePartitionValue: true,
  partitionIncludeSchemaTable: true,
  partition: 'schema-table',
})
/** Tasks of 2021 to 2023, defaults of DMS. */
const plain = recordSettings({
  includeNullAndEmpty: false,
  includeTransactionDetails: false,
  beforeImageField: null,
  mapBooleanAsBoolean: false,
  useLargeIntegerValue: false,
})
const taskId = 'DZ6OKLFYA5BWVG4RYROQUHXU4E'

const transaction = (
  id: number,
  commit = '1970-01-01T00:00:00.000000Z',
  position = '',
  previous: TransactionDetails['previous'] = null,
): TransactionDetails => ({ id, recordId: 1, previous, commitMicros: micros(commit), position })

type Case =
  | {
      kind: 'control'
      operation: 'create-table' | 'drop-table'
      table: TableDef
      settings: RecordSettings
      details: boolean
    }
  | { kind: 'change'; table: TableDef; settings: RecordSettings; change: Change }

const control = (
  operation: 'create-table' | 'drop-table',
  table: TableDef,
  settings = everySwitch,
  details = true,
): Case => ({ kind: 'control', operation, table, settings, details })

const change = (
  operation: Operation,
  table: TableDef,
  row: Row,
  more: { settings?: RecordSettings; before?: Row; transaction?: TransactionDetails } = {},
): Case => ({
  kind: 'change',
  table,
  settings: more.settings ?? everySwitch,
  change: { operation, row, before: more.before ?? null, transaction: more.transaction ?? null },
})

const cases: Record<string, Case> = {
  'control-drop-table-at-task-start': control('drop-table', films),
  'control-create-table-with-pk': control('create-table', films),
  'control-create-table-without-pk': control('create-table', diamonds),
  'control-apply-exceptions-no-control-member': control(
    'create-table',
    applyExceptionsTable,
    { ...plain, messageFormat: 'json' },
    false,
  ),
  'load-text-pk': change('load', films, ['B    ', 'Ghostbusters', '2', '2018-01-02', 'Ghost', '01:30:00']),
  'load-float4-bool-timestamp': change('load', alltypes, [
    '6692',
    't',
    '2',
    '2',
    '2',
    '20',
    '2.2',
    '20.2',
    '11/01/10',
    '2',
    '2010-11-01 00:02:00.1',
    '2010',
    '11',
  ]),
  'load-whole-second-timestamp': change('load', alltypes, [
    '6690',
    't',
    '0',
    '0',
    '0',
    '0',
    '0',
    '0',
    '11/01/10',
    '0',
    '2010-11-01 00:00:00',
    '2010',
    '11',
  ]),
  'load-intervals': change('load', intervals, [
    '1 day',
    '01:00:00',
    '-00:01:00',
    '00:00:01.02999',
    '1 day 04:00:00',
    '1 day 00:17:00',
    '-1 days -01:42:30',
    '01:02:00',
    '01:01:53.000037',
    '00:01:03.002009',
  ]),
  'load-explicit-nulls-mixed-case-columns': change('load', batting, [
    'abercda01',
    '1871',
    '1',
    'TRO',
    '25',
    '118',
    '30',
    '32',
    '6',
    '0',
    '0',
    '13',
    '8',
    '1',
    '4',
    '0',
    null,
    null,
    null,
    null,
    null,
  ]),
  'load-double-integral': change('load', diamonds, [
    '0.23',
    'Ideal',
    'E',
    'SI2',
    '61.5',
    '55',
    '326',
    '3.95',
    '3.98',
    '2.43',
  ]),
  'awsdms-status-update': change(
    'update',
    status,
    [
      'ip-172-23-0-106',
      taskId,
      'NOT RUNNING',
      '2025-06-21 12:06:46',
      '0',
      '0',
      '0',
      '',
      '2025-06-21 12:06:46',
      '',
      '2025-06-21 12:06:46',
      '2025-06-21 12:06:46',
    ],
    { before: ['ip-172-23-0-106', taskId] },
  ),
  'awsdms-suspended-delete': change('delete', suspended, ['ip-172-23-0-106', taskId], {
    settings: { ...everySwitch, includeNullAndEmpty: false },
  }),
  'cdc-insert-transaction-details': change('insert', foo, ['46', 'Jane', '31', '{"baz": "qux"}'], {
    transaction: transaction(1139, '2024-07-29T00:58:17.974340Z', '00000002/7C007178.3.00000002/7C007178'),
  }),
  'cdc-update-empty-before-image': change('update', foo, ['42', 'John', '33', '{"foo": "bar"}'], {
    transaction: transaction(1140, '2024-07-29T00:58:44.886717Z', '00000002/7C007328.2.00000002/7C007328', {
      id: 1139,
      recordId: 1,
    }),
  }),
  'cdc-update-key-change-before-image': change('update', foo, ['45', 'Jane', '31', '{"baz": "qux"}'], {
    before: ['46', undefined, undefined, undefined],
    transaction: transaction(1141, '2024-07-29T00:59:07.678294Z', '00000002/7C0073F8.2.00000002/7C0073F8', {
      id: 1140,
      recordId: 1,
    }),
  }),
  'cdc-delete-nulls-for-non-key': change('delete', foo, ['45', undefined, undefined, undefined], {
    transaction: transaction(1144, '2024-07-29T01:09:25.366257Z', '00000002/840001D8.2.00000002/840001D8', {
      id: 1141,
      recordId: 1,
    }),
  }),
  'bytes-formatted-delete-key-only': change(
    'delete',
    tableDef('public.PERSON', { ID: 'int4', NAME: 'varchar(50)' }, ['ID']),
    ['3', undefined],
    { settings: { ...plain, messageFormat: 'json' }, transaction: transaction(15899) },
  ),
  'cdc-insert-bytea-hex-nulls-omitted': change(
    'insert',
    taskInstance,
    [
      'run_this_last',
      'beeflow_lambda_only',
      'manual__2022-12-18T19:28:42.442556+00:00',
      null,
      '0',
      '',
      'airflow',
      'default_pool',
      'lambda',
      '1',
      'EmptyOperator',
      '0',
      '\\x80057d942e',
      '1',
      '-1',
    ],
    { settings: plain, transaction: transaction(364547) },
  ),
  'cdc-insert-boolean-t': change(
    'insert',
    dagRun,
    [
      '2583',
      'beeflow_lambda_only',
      '2022-12-18 19:28:42.442556+00',
      'queued',
      'manual__2022-12-18T19:28:42.442556+00:00',
      't',
      '\\x80057d942e',
      null,
      'manual',
      '47df48931be256c11cced337c1d5d9d8',
      '2022-12-18 19:28:42.473943+00',
      '2022-12-18 19:20:00+00',
      '2022-12-18 19:25:00+00',
      '1',
    ],
    { settings: plain, transaction: transaction(364547) },
  ),
  'cdc-delete-key-only-unformatted': change('delete', dagRun, ['2636'], {
    settings: plain,
    transaction: transaction(372172),
  }),
  'bytes-unformatted-update-trailing-newline': change(
    'update',
    inventory,
    [
      '14498',
      'WDW_MK_AP_DAILY',
      '2023-04-22',
      'America/New_York',
      '13000',
      '12920',
      '9948',
      '2023-04-17 13:33:15',
      'DUMMY01',
      '2022-01-20 11:43:31',
      'DUMMY02',
      '1',
      '1',
    ],
    { settings: plain, transaction: transaction(806749481298409) },
  ),
  'bytes-formatted-load': change(
    'load',
    inventory,
    [
      '10082',
      'DLR_DP_PH_DAILY',
      '2021-09-26',
      'America/Los_Angeles',
      '1000',
      '900',
      '1',
      '2021-08-19 11:20:47',
      'testuser',
      '2021-05-24 12:55:07',
      'testuser',
      '1',
      '1',
    ],
    { settings: { ...plain, messageFormat: 'json' } },
  ),
  'load-pk-partition-value': change(
    'load',
    tableDef('public.tags', { index: 'int8', userId: 'int8', movieId: 'int8' }, ['index']),
    ['138756', '6550', '98004'],
    { settings: { ...everySwitch, partition: 'dms' } },
  ),
  'load-null-jsonb': change(
    'load',
    tableDef('public.demo', { id: 'int4', name: 'text', age: 'int4', attributes: 'jsonb' }, ['id']),
    ['393', 'Test', '4', null],
    { settings: { ...everySwitch, partition: 'dms' } },
  ),
}

function written(sample: Sample, given: Case): KinesisRecord {
  const built = micros((JSON.parse(sample.record) as { metadata: { timestamp: string } }).metadata.timestamp)
  if (given.kind === 'change') return changeRecord(given.table, given.change, given.settings, built)
  const settings = { ...given.settings, includeControlDetails: given.details }
  return controlRecord(given.table, given.operation, taskId, settings, built)
}

describe('a row of a real task becomes the record that task wrote', () => {
  test('every sample has a case', () => {
    expect(Object.keys(cases).sort()).toEqual([...samples.keys()].sort())
  })

  test.each(Object.entries(cases))('%s', (name, given) => {
    const sample = samples.get(name)!
    const record = written(sample, given)
    expect(record.data.toString()).toBe(sample.record)
    if (sample.partitionKey !== undefined) expect(record.partitionKey).toBe(sample.partitionKey)
  })
})
