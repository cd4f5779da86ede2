import { describe, expect, test } from 'vitest'
import {
  type Finding,
  type ServerFacts,
  serverFindings,
  type TableFacts,
  tableFindings,
} from '../../src/core/database-check.ts'
import { defaultRules } from '../../src/core/table.ts'
import { parseTableFile } from '../../src/table-file.ts'

const server: ServerFacts = {
  version: '16.8',
  isReplica: false,
  isManaged: true,
  walLevel: 'logical',
  slotsMax: 10,
  sendersMax: 10,
  senderTimeoutMs: 30_000,
  slots: [],
}
const slot = { name: 'left', isActive: false, retainedBytes: 3 * 2 ** 30, isLost: false }

describe('the server', () => {
  test('as Aurora is bootstrapped for DMS: nothing is found', () => {
    expect(serverFindings(server)).toEqual([])
  })

  test.each<[string, Partial<ServerFacts>, Finding['severity'], RegExp]>([
    ['a replica', { isReplica: true }, 'error', /replica.*writer.*SOURCE_DATABASE_HOST/],
    [
      'Aurora without logical replication',
      { walLevel: 'replica' },
      'error',
      /expected logical: set rds\.logical_replication = 1 in the cluster parameter group and restart the writer/,
    ],
    [
      'another server without logical replication',
      { walLevel: 'replica', isManaged: false },
      'error',
      /set wal_level = logical in postgresql\.conf/,
    ],
    [
      'no slot left, though one is read, as by a task of before',
      { slotsMax: 1, sendersMax: 1, slots: [{ ...slot, isActive: true }] },
      'warning',
      /all 1 replication slots are taken.*max_replication_slots/,
    ],
    [
      'no slot at all',
      { slotsMax: 0, sendersMax: 0 },
      'error',
      /all 0 replication slots are taken.*max_replication_slots/,
    ],
    ['fewer senders than slots', { sendersMax: 5 }, 'warning', /max_wal_senders is 5.*\(10\)/],
    ['a time limit DMS fails under', { senderTimeoutMs: 9999 }, 'error', /wal_sender_timeout is 9999 ms/],
    [
      'a time limit that hides a failover',
      { senderTimeoutMs: 300_000 },
      'warning',
      /wal_sender_timeout is 300 s/,
    ],
    [
      'a slot nobody reads',
      { slots: [slot] },
      'warning',
      /slot left is read by nobody and keeps 3\.0 GiB.*pg_drop_replication_slot\('left'\)/,
    ],
    ['a small one', { slots: [{ ...slot, retainedBytes: 1 }] }, 'warning', /keeps 1 MiB/],
    [
      'a slot that has lost its log',
      { slots: [{ ...slot, isLost: true }] },
      'warning',
      /slot left has lost its log.*load anew/,
    ],
  ])('%s', (_, facts, severity, text) => {
    expect(serverFindings({ ...server, ...facts })).toEqual([{ severity, text: expect.stringMatching(text) }])
  })

  test.each<[string, Partial<ServerFacts>]>([
    ['no time limit for senders', { senderTimeoutMs: 0 }],
    ['the least time limit', { senderTimeoutMs: 10_000 }],
    ['a slot that is read', { slots: [{ ...slot, isActive: true }] }],
    ['a slot never used', { slots: [{ ...slot, retainedBytes: undefined }] }],
  ])('%s is fine', (_, facts) => {
    expect(serverFindings({ ...server, ...facts })).toEqual([])
  })
})

const table: TableFacts = {
  schema: 'public',
  name: 'orders',
  owner: 'app',
  columns: ['id', 'code', 'note'],
  primaryKey: ['id'],
  uniqueKeys: [],
  replicaIdentity: 'default',
  identityColumns: ['id'],
  isUnlogged: false,
  isPartitioned: false,
  hasRowSecurity: false,
  isReadable: true,
}
const keyless = { primaryKey: [], identityColumns: [] }
const all = table.columns

function found(tables: Partial<TableFacts>[], entries = '{}', schemas = [{ name: 'public', isThere: true }]) {
  const file = parseTableFile(`tables: ${entries}`, 'tables.yaml')
  return tableFindings({
    schemas,
    tables: tables.map(facts => ({ ...table, ...facts })),
    rulesOf: (schema, name) => file.rulesOf(schema, name) ?? defaultRules(schema, name),
    named: file.named,
    reader: 'dms',
  })
}

describe('tables', () => {
  test('one with the default key, or with the key the table file names: nothing is found', () => {
    expect(found([{}])).toEqual([])
    const pair = { primaryKey: ['id', 'code'], identityColumns: ['id', 'code'] }
    expect(found([pair], '{ public.orders: { key: [code, id] } }')).toEqual([])
    expect(found([{ replicaIdentity: 'full', identityColumns: all }])).toEqual([])
  })

  test.each<[string, Partial<TableFacts>, RegExp]>([
    ['without a primary key', keyless, /no primary key: public\.orders; .*add a key.*mode: append.*skip/],
    [
      'with a key the change stream leaves out',
      { replicaIdentity: 'nothing', identityColumns: [] },
      /replica identity without the primary key: public\.orders \(NOTHING\).*REPLICA IDENTITY DEFAULT/,
    ],
    [
      'with a deferrable key',
      { identityColumns: [] },
      /public\.orders \(DEFAULT, but the key is deferrable\)/,
    ],
    [
      'known by another index',
      { replicaIdentity: 'index', identityColumns: ['code'] },
      /public\.orders \(an index of code\)/,
    ],
    ['that is unlogged', { isUnlogged: true }, /unlogged: public\.orders;.*SET LOGGED/],
  ])('one %s is a warning, and an error where the table file asks for it', (_, facts, text) => {
    const finding = { text: expect.stringMatching(text) }
    expect(found([facts])).toEqual([{ severity: 'warning', ...finding }])
    expect(found([facts], '{ public.orders: { key: [id] } }')).toContainEqual({
      severity: 'error',
      ...finding,
    })
    expect(found([facts], '{ public.*: {} }')).toContainEqual({ severity: 'error', ...finding })
    expect(found([facts], '{ public.orders: { mode: skip } }')).toEqual([])
  })

  test.each<[string, Partial<TableFacts>, string, Finding['severity'], RegExp]>([
    [
      'is not the primary key',
      {},
      '[code]',
      'error',
      /public\.orders has `key: \[code\]`.*the primary key is id: name that/,
    ],
    [
      'is a part of it',
      { primaryKey: ['id', 'code'], identityColumns: ['id', 'code'] },
      '[id]',
      'error',
      /the primary key is id, code/,
    ],
    ['is more than it', {}, '[id, code]', 'error', /the primary key is id: name that/],
    [
      'is unique, but deletes do not carry it',
      { uniqueKeys: [['code']] },
      '[code]',
      'error',
      /the primary key is id/,
    ],
    [
      'is unique, and deletes carry the row',
      { uniqueKeys: [['code']], replicaIdentity: 'full', identityColumns: all },
      '[code]',
      'warning',
      /where it changes in a row, the old document stays/,
    ],
    ['has a column that is not there', {}, '[ids]', 'error', /no column ids: mend the key/],
  ])('the key in the table file %s', (_, facts, key, severity, text) => {
    expect(found([facts], `{ public.orders: { key: ${key} } }`)).toEqual([
      { severity, text: expect.stringMatching(text) },
    ])
  })

  test('without a primary key, known by whole rows: the key must be unique, and LOB columns are lost', () => {
    const facts = { primaryKey: [], replicaIdentity: 'full', identityColumns: all } as const
    const lobs = {
      severity: 'warning',
      text: expect.stringMatching(/no primary key: public\.orders; DMS leaves out their LOB/),
    }
    expect(found([facts], '{ public.orders: { key: [id] } }')).toEqual([
      { severity: 'error', text: expect.stringMatching(/no unique index/) },
      lobs,
    ])
    expect(found([{ ...facts, uniqueKeys: [['id']] }], '{ public.orders: { key: [id] } }')).toEqual([lobs])
  })

  test('an append table without a key is only warned of', () => {
    expect(found([keyless], '{ public.orders: { mode: append } }').map(({ severity }) => severity)).toEqual([
      'warning',
      'warning',
    ])
  })

  test('tables nobody named, with another key than the default, share one line with what their keys are', () => {
    const facts = { primaryKey: ['code'], identityColumns: ['code'] }
    const many = Array.from({ length: 10 }, (_, at) => ({ ...facts, name: `t${at}` }))
    expect(found(many)).toEqual([
      {
        severity: 'warning',
        text: expect.stringMatching(
          /than the default `id`: public\.t0 \(code\), .*public\.t7 \(code\) and 2 more; give them/,
        ),
      },
    ])
  })

  test('what the user of DMS may not read is an error, named with its owner, unless it is skipped', () => {
    const facts = { isReadable: false }
    expect(found([facts, { name: 'items', ...facts }])).toEqual([
      {
        severity: 'error',
        text: expect.stringMatching(/^dms may not read public\.orders, public\.items.*\(app\): GRANT SELECT/),
      },
    ])
    expect(found([facts], '{ public.orders: { mode: skip } }')).toEqual([])
  })

  test('partitions and row level security are warned of', () => {
    expect(found([{ isPartitioned: true, hasRowSecurity: true }], '{ public.*: {} }')).toEqual([
      { severity: 'warning', text: expect.stringMatching(/^partitioned: public\.orders/) },
      { severity: 'warning', text: expect.stringMatching(/^row level security: public\.orders.*dms/) },
    ])
  })

  test('a schema that is missing is an error; a table of the table file that is missing, a warning', () => {
    const schemas = [
      { name: 'public', isThere: true },
      { name: 'shop', isThere: false },
    ]
    const entries = '{ public.gone: {}, other.gone: {}, public.past: { mode: skip } }'
    expect(found([], entries, schemas)).toEqual([
      {
        severity: 'error',
        text: expect.stringMatching(/schema shop is not in this database: mend SOURCE_SCHEMAS/),
      },
      {
        severity: 'warning',
        text: expect.stringMatching(/^not in the database, but in TABLE_FILE: public\.gone;/),
      },
    ])
  })
})
