/**
 * The stand-in for DMS against a real PostgreSQL: the text of every type as the server really sends it, and what becomes of each kind of change.
 */
import type { Client } from 'pg'
import { describe, expect, inject, test } from 'vitest'
import { inDatabaseOfItsOwn, operations, startTask, type TestDatabase, until } from './stand-in-run.ts'

let database: TestDatabase
let env: Record<string, string>
let sql: Client

inDatabaseOfItsOwn(inject('parts').endpoints.postgresUrl, fresh => {
  database = fresh
  sql = fresh.sql
  env = fresh.env
})

describe('values', () => {
  /** Type, value as SQL, and the JSON expected for it in a load and in a change. */
  const columns: [name: string, type: string, value: string, json: string][] = [
    ['id', 'bigint primary key', '123456789012345678', '123456789012345678'],
    ['c_int2', 'smallint', '-7', '-7'],
    ['c_int4', 'integer', '42', '42'],
    ['c_int8', 'bigint', '9223372036854775807', '9.2233720368547758e+18'],
    [
      'c_num',
      'numeric(38,10)',
      '1234567890123456789012345678.0123456789',
      '1234567890123456789012345678.0123456789',
    ],
    ['c_num_free', 'numeric', '0.611111104488373', '0.611111'],
    ['c_num_long', 'numeric(40,2)', '12345.67', '"12345.67"'],
    ['c_real', 'real', '2.2', '2.20000005'],
    ['c_double', 'double precision', '20.2', '20.2'],
    ['c_nan', 'double precision', "'NaN'", 'null'],
    ['c_money', 'money', "'-1234.56'", '-1234.56'],
    ['c_bool', 'boolean', 'true', 'true'],
    ['c_char', 'char(5)', "'ab'", '"ab"'],
    ['c_varchar', 'varchar(20)', '\'Zoë 🚀 "q" / \\\'', '"Zoë 🚀 \\"q\\" / \\\\"'],
    ['c_text', 'text', "E'line\\n\\ttab'", '"line\\n\\ttab"'],
    ['c_bytea', 'bytea', "'\\x80057d942e'", '"0x80057D942E"'],
    ['c_date', 'date', "'2018-01-02'", '"2018-01-02"'],
    ['c_time', 'time', "'09:15:01.25'", '"09:15:01"'],
    ['c_timetz', 'timetz', "'09:15:01+02'", '"09:15:01"'],
    ['c_ts', 'timestamp', "'2010-11-01 00:02:00.1'", '"2010-11-01T00:02:00.100000Z"'],
    ['c_ts_whole', 'timestamp', "'2010-11-01'", '"2010-11-01T00:00:00Z"'],
    ['c_ts3', 'timestamp(3)', "'2010-11-01 00:02:00.12'", '"2010-11-01T00:02:00.120Z"'],
    ['c_tstz', 'timestamptz', "'2026-03-02 09:15:01.204518+01'", '"2026-03-02T08:15:01.204518Z"'],
    ['c_interval', 'interval', "'-1 days -01:42:30'", '"-1 days -01:42:30"'],
    ['c_uuid', 'uuid', "'0b5e9d1c-4a57-4f0e-9a3c-2f6d2a7b8c11'", '"0b5e9d1c-4a57-4f0e-9a3c-2f6d2a7b8c11"'],
    ['c_enum', 'mood', "'happy'", '"happy"'],
    ['c_domain', 'percent', '12.50', '12.50'],
    ['c_inet', 'inet', "'10.0.0.1'", '"10.0.0.1"'],
    ['c_cidr', 'cidr', "'10.0.0.0/8'", '"10.0.0.0/8"'],
    ['c_macaddr', 'macaddr', "'08:00:2b:01:02:03'", '"08:00:2b:01:02:03"'],
    ['c_bit', 'bit(3)', "B'101'", '"101"'],
    ['c_range', 'int4range', "'[1,10)'", '"[1,10)"'],
    ['c_point', 'point', "'(1,2)'", '"(1,2)"'],
    ['c_box', 'box', "'(1,2),(3,4)'", '"(3,4),(1,2)"'],
    ['c_circle', 'circle', "'<(1,2),3>'", '"<(1,2),3>"'],
    ['c_json', 'json', '\'{ "b":1}\'', '"{ \\"b\\":1}"'],
    ['c_jsonb', 'jsonb', '\'{"foo":"bar"}\'', '"{\\"foo\\": \\"bar\\"}"'],
    ['c_array', 'text[]', '\'{plain,"two words",NULL}\'', '"{plain,\\"two words\\",NULL}"'],
    ['c_composite', 'pair', "ROW(1,'a b')", '"(1,\\"a b\\")"'],
    ['c_xml', 'xml', "'<a/>'", '"<a/>"'],
    ['c_tsvector', 'tsvector', "'fat cat'", "\"'cat' 'fat'\""],
    ['c_empty', 'text', "''", '""'],
    ['c_null', 'text', 'NULL', 'null'],
  ]

  const create = async (): Promise<void> => {
    await sql.query(`CREATE TYPE mood AS ENUM ('happy'); CREATE TYPE pair AS (a int, b text);
                     CREATE DOMAIN percent AS numeric(5,2);
                     CREATE TABLE every_type (${columns.map(([name, type]) => `${name} ${type}`).join(', ')})`)
  }
  const insert = (): Promise<unknown> =>
    sql.query(`INSERT INTO every_type VALUES (${columns.map(([, , value]) => value).join(', ')})`)
  const expected = `"data":{${columns.map(([name, , , json]) => `"${name}":${json}`).join()}}`

  test('every type reads the same in a load and in a change, whatever the server is set to', async () => {
    await create()
    await insert()
    await sql.query(`ALTER DATABASE ${new URL(database.url).pathname.slice(1)} SET datestyle = 'German'`)
    await sql.query(`ALTER DATABASE ${new URL(database.url).pathname.slice(1)} SET timezone = 'Asia/Tokyo'`)
    await sql.query(`ALTER DATABASE ${new URL(database.url).pathname.slice(1)} SET bytea_output = 'escape'`)
    const task = startTask(env)
    await task.says('streaming')
    await sql.query('DELETE FROM every_type')
    await insert()
    await until(() => task.rows().length === 3, 'load, delete and insert')
    await task.stop()
    const [load, , change] = task.rows()
    expect(load!.text).toContain(expected)
    expect(change!.text).toContain(expected)
  })

  test('other switches: booleans as text differ between load and change, numbers go through doubles, nulls are left out', async () => {
    await create()
    await insert()
    const task = startTask({
      ...env,
      DMS_MAP_BOOLEAN_AS_BOOLEAN: 'false',
      DMS_USE_LARGE_INTEGER_VALUE: 'false',
      DMS_NUMERIC: 'double',
      DMS_INCLUDE_NULL_AND_EMPTY: 'false',
      DMS_NO_HEX_PREFIX: 'true',
    })
    await task.says('streaming')
    await sql.query('UPDATE every_type SET c_int2 = 1')
    await until(() => task.rows().length === 2, 'load and update')
    await task.stop()
    const [load, update] = task.rows()
    expect(load!.text).toContain('"c_bool":"true"')
    expect(update!.text).toContain('"c_bool":"t"')
    expect(update!.text).toContain('"id":1.2345678901234568e+17')
    expect(update!.text).toContain('"c_num":1.2345678901234569e+27')
    expect(update!.text).toContain('"c_bytea":"80057D942E"')
    expect(update!.data).not.toHaveProperty('c_null')
    expect(update!.data).not.toHaveProperty('c_empty')
  })
})

describe('changes', () => {
  test('a key change is one update with the old key; a delete has its key; TRUNCATE is not seen', async () => {
    await sql.query('CREATE TABLE orders (id int primary key, status text)')
    const task = startTask(env)
    await task.says('streaming')
    await sql.query("INSERT INTO orders VALUES (1, 'new')")
    await sql.query("UPDATE orders SET status = 'paid'")
    await sql.query('UPDATE orders SET id = 2')
    await sql.query('DELETE FROM orders')
    await sql.query("INSERT INTO orders VALUES (3, 'kept')")
    await sql.query('TRUNCATE orders')
    await sql.query("INSERT INTO orders VALUES (4, 'last')")
    await until(() => task.rows().at(-1)?.data.id === 4, 'the last insert')
    await task.stop()
    expect(task.rows().map(({ metadata, data, before }) => [metadata.operation, data, before])).toEqual([
      ['insert', { id: 1, status: 'new' }, undefined],
      ['update', { id: 1, status: 'paid' }, {}],
      ['update', { id: 2, status: 'paid' }, { id: 1 }],
      ['delete', { id: 2, status: null }, undefined],
      ['insert', { id: 3, status: 'kept' }, undefined],
      ['insert', { id: 4, status: 'last' }, undefined],
    ])
  })

  test('an unchanged TOAST value is null, also under REPLICA IDENTITY FULL', async () => {
    await sql.query(`CREATE TABLE docs (id int primary key, n int, body text);
                     ALTER TABLE docs ALTER body SET STORAGE EXTERNAL;
                     CREATE TABLE docs_full (LIKE docs INCLUDING ALL);
                     ALTER TABLE docs_full REPLICA IDENTITY FULL`)
    const task = startTask(env)
    await task.says('streaming')
    for (const table of ['docs', 'docs_full']) {
      await sql.query(`INSERT INTO ${table} VALUES (1, 1, repeat('x', 5000))`)
      await sql.query(`UPDATE ${table} SET n = 2`)
      await sql.query(`UPDATE ${table} SET body = 'short'`)
      await sql.query(`DELETE FROM ${table}`)
    }
    await until(() => task.rows().length === 8, 'eight changes')
    await task.stop()
    const rows = task.rows().map(({ data }) => data)
    expect(rows[1]).toEqual({ id: 1, n: 2, body: null })
    expect(rows[5]).toEqual({ id: 1, n: 2, body: null })
    expect(rows[3]).toEqual({ id: 1, n: null, body: null })
    expect(rows[7]).toEqual({ id: 1, n: 2, body: 'short' })
  })

  test('a table without a key keeps working at the source and sends inserts alone, without LOBs', async () => {
    await sql.query(`CREATE TABLE plain (a int, t text); CREATE TABLE whole (a int, t text);
                     ALTER TABLE whole REPLICA IDENTITY FULL`)
    const task = startTask(env)
    await task.says('streaming')
    for (const table of ['plain', 'whole']) {
      await sql.query(`INSERT INTO ${table} VALUES (1, 'x')`)
      await sql.query(`UPDATE ${table} SET a = 2`)
      await sql.query(`DELETE FROM ${table}`)
    }
    await until(() => task.rows().at(-1)?.metadata.operation === 'delete', 'the last delete')
    await task.stop()
    expect(operations(task.rows())).toEqual(['insert plain', 'insert whole', 'update whole', 'delete whole'])
    expect(task.rows().map(({ data }) => data)).toEqual([{ a: 1 }, { a: 1 }, { a: 2 }, { a: 2 }])
  })

  test('a table with a deferrable key keeps working at the source too', async () => {
    await sql.query('CREATE TABLE later (id int primary key DEFERRABLE, n int)')
    const task = startTask(env)
    await task.says('streaming')
    await sql.query('INSERT INTO later VALUES (1, 1)')
    await sql.query('UPDATE later SET n = 2')
    await sql.query('INSERT INTO later VALUES (2, 1)')
    await until(() => task.rows().length === 2, 'two inserts')
    await task.stop()
    expect(operations(task.rows())).toEqual(['insert later', 'insert later'])
  })

  test('changes of a partitioned table come under the name of the partition', async () => {
    await sql.query(`CREATE TABLE months (id int primary key) PARTITION BY RANGE (id);
                     CREATE TABLE months_1 PARTITION OF months FOR VALUES FROM (0) TO (100);
                     INSERT INTO months VALUES (1)`)
    const task = startTask(env)
    await task.says('streaming')
    await sql.query('INSERT INTO months VALUES (2)')
    await until(() => task.rows().length === 3, 'two loads and an insert')
    await task.stop()
    expect(operations(task.rows()).sort()).toEqual(['insert months_1', 'load months', 'load months_1'])
  })

  test('a column added meanwhile appears with its first row', async () => {
    await sql.query('CREATE TABLE orders (id int primary key)')
    const task = startTask(env)
    await task.says('streaming')
    await sql.query('INSERT INTO orders VALUES (1)')
    await sql.query("ALTER TABLE orders ADD coupon varchar(9) DEFAULT 'none'")
    await sql.query("INSERT INTO orders VALUES (2, 'ten')")
    await until(() => task.rows().length === 2, 'two inserts')
    await task.stop()
    expect(task.rows().map(({ data }) => data)).toEqual([{ id: 1 }, { id: 2, coupon: 'ten' }])
  })

  test('transactions carry their details', async () => {
    await sql.query('CREATE TABLE orders (id int primary key)')
    const task = startTask(env)
    await task.says('streaming')
    await sql.query('INSERT INTO orders SELECT generate_series(1, 2)')
    const { rows } = await sql.query<{ xid: string; at: Date }>(
      'WITH i AS (INSERT INTO orders VALUES (3) RETURNING 1) SELECT txid_current()::text AS xid, now() AS at FROM i',
    )
    await until(() => task.rows().length === 3, 'three inserts')
    await task.stop()
    const [first, second, third] = task.rows().map(({ metadata }) => metadata)
    expect(first).toMatchObject({ 'transaction-record-id': 1 })
    expect(first).not.toHaveProperty('prev-transaction-id')
    expect(second).toMatchObject({ 'transaction-record-id': 2, 'transaction-id': first!['transaction-id'] })
    expect(second!['commit-timestamp']).toBe(first!['commit-timestamp'])
    expect(third).toMatchObject({
      'transaction-id': Number(rows[0]!.xid),
      'transaction-record-id': 1,
      'prev-transaction-id': first!['transaction-id'],
      'prev-transaction-record-id': 2,
    })
    expect(third!['stream-position']).toMatch(/^[0-9A-F]{8}\/[0-9A-F]{8}\.2\.[0-9A-F]{8}\/[0-9A-F]{8}$/)
    const committedMs = Date.parse(String(third!['commit-timestamp'])) - rows[0]!.at.getTime()
    expect(committedMs).toBeGreaterThanOrEqual(-1)
    expect(committedMs).toBeLessThan(5000)
  })
})
