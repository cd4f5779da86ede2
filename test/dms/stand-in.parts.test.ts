/**
 * The stand-in for DMS against a real PostgreSQL, and as a program against a real Kinesis emulator.
 *
 * What the pure tests cannot show: the text PostgreSQL really sends, the slot, the snapshot, restarts.
 */
import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import type { Put } from '../../docker/dms/sink.ts'
import {
  createDatabase,
  createStream,
  type DmsRecord,
  isRow,
  startProgram,
  startTask,
  stopAll,
  until,
} from './stand-in-run.ts'

const { endpoints, env: awsEnv } = inject('parts')

let database: Awaited<ReturnType<typeof createDatabase>>
let env: Record<string, string>
let sql: Client

beforeEach(async () => {
  database = await createDatabase(endpoints.postgresUrl)
  sql = database.sql
  const task = `t${Math.random().toString(36).slice(2, 10)}`
  env = { DMS_SOURCE_URL: database.url, DMS_TABLES: 'public.%', DMS_TASK: task }
})

afterEach(async () => {
  await stopAll()
  await database.drop()
})

const operations = (records: DmsRecord[]): string[] =>
  records.map(({ metadata }) => `${metadata.operation} ${metadata['table-name']}`)

const slotPosition = async (): Promise<string> => {
  const { rows } = await sql.query<{ lsn: string }>(
    'SELECT confirmed_flush_lsn AS lsn FROM pg_replication_slots WHERE slot_name = $1',
    [`dms_${env.DMS_TASK}`],
  )
  return rows[0]!.lsn
}

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

describe('full load', () => {
  test('snapshot and changes fit together while rows are written', async () => {
    await sql.query(
      'CREATE TABLE counters (id int primary key, n int); INSERT INTO counters SELECT g, 0 FROM generate_series(1, 500) g',
    )
    let isWriting = true
    const writer = new Client({ connectionString: database.url })
    await writer.connect()
    const writing = (async () => {
      for (let n = 1; isWriting; n += 1) {
        await writer.query('INSERT INTO counters VALUES ($1, 0)', [1000 + n])
        await writer.query('UPDATE counters SET n = n + 1 WHERE id = $1', [(n % 500) + 1])
        await writer.query('DELETE FROM counters WHERE id = $1', [990 + n])
      }
    })()
    const task = startTask({ ...env, DMS_LOAD_ROWS_PER_FETCH: '50' })
    await task.says('streaming')
    isWriting = false
    await writing
    await writer.end()
    await sql.query('INSERT INTO counters VALUES (-1, 0)')
    await until(() => task.rows().at(-1)?.data.id === -1, 'the last insert')
    await task.stop()
    const mirror = new Map<unknown, unknown>()
    for (const { metadata, data } of task.rows()) {
      // Each row of the snapshot once, and no change of what the snapshot shows already.
      if (metadata.operation === 'load' || metadata.operation === 'insert')
        expect(mirror.has(data.id)).toBe(false)
      if (metadata.operation === 'update' || metadata.operation === 'delete')
        expect(mirror.has(data.id)).toBe(true)
      if (metadata.operation === 'delete') mirror.delete(data.id)
      else mirror.set(data.id, data.n)
    }
    const { rows } = await sql.query<{ id: number; n: number }>('SELECT id, n FROM counters')
    expect(mirror).toEqual(new Map(rows.map(({ id, n }) => [id, n])))
  })

  test('a start during the load begins it again; a start after it goes on with changes', async () => {
    await sql.query('CREATE TABLE a (id int primary key); INSERT INTO a SELECT generate_series(1, 20)')
    const first = startTask(
      { ...env, DMS_PUT_RECORDS_MAX: '5', DMS_PENDING_BYTES_MAX: '500' },
      put => async batch => {
        if (first.rows().length >= 10) void first.stop()
        return put(batch)
      },
    )
    await first.done
    expect(first.messages).not.toContain('full load finished')

    const second = startTask(env)
    await second.says('streaming')
    await second.stop()
    expect(second.rows().filter(({ metadata }) => metadata.operation === 'load')).toHaveLength(20)
    expect(second.messages).toEqual(['full load finished', 'all full loads finished', 'streaming'])

    await sql.query('INSERT INTO a VALUES (21)')
    const third = startTask(env)
    await until(() => third.rows().length === 1, 'the insert made while nothing ran')
    await third.stop()
    expect(operations(third.records)).toEqual([
      'create-table awsdms_apply_exceptions',
      'drop-table a',
      'create-table a',
      'insert a',
    ])
  })

  test('the kinds of task: a load alone ends, changes alone load nothing', async () => {
    await sql.query('CREATE TABLE a (id int primary key); INSERT INTO a VALUES (1)')
    const load = startTask({ ...env, DMS_TASK_TYPE: 'full-load', DMS_TASK: `${env.DMS_TASK}_load` })
    await load.done
    expect(operations(load.rows())).toEqual(['load a'])
    const { rows } = await sql.query('SELECT 1 FROM pg_replication_slots WHERE slot_name = $1', [
      `dms_${env.DMS_TASK}_load`,
    ])
    expect(rows).toHaveLength(0)

    const changes = startTask({ ...env, DMS_TASK_TYPE: 'cdc', DMS_TABLE_PREP: 'do-nothing' })
    await changes.says('streaming')
    await sql.query('INSERT INTO a VALUES (2)')
    await until(() => changes.rows().length === 1, 'the insert')
    await changes.stop()
    expect(operations(changes.records)).toEqual([
      'create-table awsdms_apply_exceptions',
      'create-table a',
      'insert a',
    ])
  })
})

describe('failures', () => {
  test('partial failures are sent again in order, and the last record of each key is its newest', async () => {
    await sql.query(
      'CREATE TABLE counters (id int primary key, n int); INSERT INTO counters SELECT g, 0 FROM generate_series(1, 10) g',
    )
    let calls = 0
    const flaky =
      (put: Put): Put =>
      async batch => {
        calls += 1
        if (calls % 5 === 0) throw new Error('connection refused')
        const isFailing = (place: number): boolean => calls % 2 === 0 && place % 3 === 1
        await put(batch.filter((_, place) => !isFailing(place)))
        return batch.map((_, place) =>
          isFailing(place) ? { isPut: false, error: 'throttled' } : { isPut: true },
        )
      }
    const task = startTask({ ...env, DMS_PUT_RECORDS_MAX: '7' }, flaky)
    await task.says('streaming')
    for (let n = 1; n <= 60; n += 1)
      await sql.query('UPDATE counters SET n = $1 WHERE id = $2', [n, (n % 10) + 1])
    const { rows: position } = await sql.query<{ lsn: string }>('SELECT pg_current_wal_lsn() AS lsn')
    await until(async () => {
      const { rows } = await sql.query<{ done: boolean }>('SELECT $1::pg_lsn >= $2::pg_lsn AS done', [
        await slotPosition(),
        position[0]!.lsn,
      ])
      return rows[0]!.done
    }, 'everything is confirmed')
    await task.stop()
    expect(task.messages).toContain('PutRecords failed, sending again')
    const last = new Map(task.rows().map(({ data }) => [data.id, data.n]))
    const { rows } = await sql.query<{ id: number; n: number }>('SELECT id, n FROM counters')
    expect(last).toEqual(new Map(rows.map(({ id, n }) => [id, n])))
    const firstSeen = [
      ...new Set(
        task
          .rows()
          .filter(({ metadata }) => metadata.operation === 'update')
          .map(({ data }) => data.n),
      ),
    ]
    expect(firstSeen).toHaveLength(60)
  })

  test('a position is confirmed only when its records were put', async () => {
    await sql.query('CREATE TABLE a (id int primary key)')
    const letGo = Promise.withResolvers<void>()
    let isAsked = false
    const task = startTask(env, put => async batch => {
      if (batch.some(({ data }) => data.includes('"insert"'))) {
        isAsked = true
        await letGo.promise
      }
      return put(batch)
    })
    await task.says('streaming')
    await sql.query('INSERT INTO a VALUES (1)')
    await until(() => isAsked, 'the insert is about to be put')
    const { rows } = await sql.query<{ lsn: string }>('SELECT pg_current_wal_lsn() AS lsn')
    const isBehind = async (): Promise<boolean> => {
      const answer = await sql.query<{ behind: boolean }>('SELECT $1::pg_lsn < $2::pg_lsn AS behind', [
        await slotPosition(),
        rows[0]!.lsn,
      ])
      return answer.rows[0]!.behind
    }
    // Two status messages go out in this time (one a second): long enough for a wrong one to be seen.
    const lookUntil = performance.now() + 2200
    await until(async () => {
      expect(await isBehind()).toBe(true)
      return performance.now() > lookUntil
    }, 'two status messages')
    letGo.resolve()
    await until(async () => !(await isBehind()), 'the position is confirmed')
    await task.stop()
  })

  test('a transaction whose commit follows the last confirmed one at once is not lost by a restart', async () => {
    await sql.query('CREATE TABLE a (id int primary key)')
    const other = new Client({ connectionString: database.url })
    await other.connect()
    const task = startTask({ ...env, DMS_PUT_RECORDS_MAX: '1' }, put => async batch => {
      if (batch.some(({ data }) => data.includes('"id":2'))) throw new Error('connection refused')
      return put(batch)
    })
    await task.says('streaming')
    await sql.query('BEGIN; INSERT INTO a VALUES (1)')
    await other.query('BEGIN; INSERT INTO a VALUES (2)')
    await Promise.all([sql.query('COMMIT').then(() => other.query('COMMIT'))])
    await until(() => task.messages.includes('PutRecords failed, sending again'), 'the second insert fails')
    await task.stop()
    expect(task.rows().map(({ data }) => data.id)).toEqual([1])
    const next = startTask(env)
    await until(() => next.rows().length > 0, 'the second insert')
    await next.stop()
    expect(next.rows().map(({ data }) => data.id)).toEqual([2])
    await other.end()
  })

  test('a restart sends again what is held back on request', async () => {
    await sql.query('CREATE TABLE a (id int primary key)')
    const task = startTask({ ...env, DMS_RESEND_TRANSACTIONS: '2' })
    await task.says('streaming')
    for (const id of [1, 2, 3]) await sql.query('INSERT INTO a VALUES ($1)', [id])
    await until(() => task.rows().length === 3, 'three inserts')
    await task.stop()
    const next = startTask(env)
    await until(() => next.rows().length === 2, 'two of them again')
    await next.stop()
    expect(next.rows().map(({ data }) => data.id)).toEqual([2, 3])
  })

  test('a slot that is gone is said to be gone, and DMS_START=restart loads again', async () => {
    await sql.query('CREATE TABLE a (id int primary key); INSERT INTO a VALUES (1)')
    const task = startTask(env)
    await task.says('streaming')
    await task.stop()
    await until(async () => {
      const dropped = await sql
        .query('SELECT pg_drop_replication_slot($1)', [`dms_${env.DMS_TASK}`])
        .catch(() => null)
      return dropped !== null
    }, 'the slot can be dropped')
    await expect(startTask(env).done).rejects.toThrow(/is gone.*DMS_START=restart/)
    const again = startTask({ ...env, DMS_START: 'restart' })
    await again.says('streaming')
    await again.stop()
    expect(operations(again.rows())).toEqual(['load a'])
  })
})

describe('the program with Kinesis', () => {
  test('loads, streams, stops on SIGTERM with 0, and goes on from the slot, also after SIGKILL', async () => {
    await sql.query(
      'CREATE TABLE orders (id int primary key, n int); INSERT INTO orders SELECT g, 0 FROM generate_series(1, 30) g',
    )
    const name = `dms-${env.DMS_TASK}`
    const stream = await createStream(endpoints.kinesisUrl, name)
    const all = { ...awsEnv, ...env, DMS_STREAM: name }
    const rows = async (): Promise<DmsRecord[]> => (await stream.read()).filter(isRow)

    const first = startProgram(all)
    await first.says('streaming')
    expect(first.lines.map(line => JSON.parse(line) as object)).toMatchObject([
      { msg: 'full load finished', table: 'public.orders', rows: 30 },
      { msg: 'all full loads finished' },
      { msg: 'streaming' },
    ])
    await sql.query('UPDATE orders SET n = 1 WHERE id = 1')
    await until(async () => (await rows()).length === 31, 'the update is in the stream')
    first.kill('SIGTERM')
    expect(await first.ended()).toBe(0)

    await sql.query('UPDATE orders SET n = 2 WHERE id = 1')
    const second = startProgram(all)
    await until(async () => (await rows()).length === 32, 'the update made while nothing ran')
    for (let n = 3; n <= 40; n += 1) await sql.query('UPDATE orders SET n = $1 WHERE id = 1', [n])
    second.kill('SIGKILL')
    await second.ended()

    await sql.query('UPDATE orders SET n = 41 WHERE id = 1')
    const third = startProgram(all)
    await until(async () => (await rows()).at(-1)?.data.n === 41, 'the last update')
    third.kill('SIGTERM')
    expect(await third.ended()).toBe(0)

    const written = await rows()
    expect(written[30]).toMatchObject({ key: 'public.orders', before: {}, data: { id: 1, n: 1 } })
    expect(new Set(written.slice(0, 30).map(({ key }) => Number(key)))).toEqual(
      new Set(Array.from({ length: 30 }, (_, i) => i + 1)),
    )
    const updates = written.slice(30).map(({ data }) => Number(data.n))
    expect([...new Set(updates)]).toEqual(Array.from({ length: 41 }, (_, i) => i + 1))
    stream.close()
  })

  test('an idle stream gets a change well within 100 ms of its commit', async () => {
    await sql.query('CREATE TABLE orders (id int primary key)')
    const putAfterMs: number[] = []
    const task = startTask(env, put => async batch => {
      const nowMs = Date.now()
      const outcome = await put(batch)
      const change = task.rows().at(-1)
      if (change !== undefined)
        putAfterMs.push(nowMs - Date.parse(String(change.metadata['commit-timestamp'])))
      return outcome
    })
    await task.says('streaming')
    for (let id = 1; id <= 21; id += 1) {
      await sql.query('INSERT INTO orders VALUES ($1)', [id])
      await until(() => putAfterMs.length === id, 'the insert is put')
    }
    await task.stop()
    expect(putAfterMs.sort((a, b) => a - b)[10]).toBeLessThan(100)
  })

  test('wrong settings end with 2 and every mistake, a missing stream or source with 3 and one line', async () => {
    await sql.query('CREATE TABLE orders (id int primary key)')
    const wrong = startProgram({ ...env, DMS_NUMERIC: 'exact' })
    expect(await wrong.ended()).toBe(2)
    expect(wrong.errors).toHaveLength(2)

    const noStream = startProgram({ ...awsEnv, ...env, DMS_STREAM: 'dms-nowhere' })
    expect(await noStream.ended()).toBe(3)
    expect(noStream.errors).toHaveLength(1)
    expect(noStream.errors[0]).toContain('stream dms-nowhere')

    const name = `dms-${env.DMS_TASK}`
    const stream = await createStream(endpoints.kinesisUrl, name)
    const noSource = startProgram({
      ...awsEnv,
      ...env,
      DMS_STREAM: name,
      DMS_SOURCE_URL: 'postgresql://postgres@127.0.0.1:1/nowhere',
    })
    expect(await noSource.ended()).toBe(3)
    expect(noSource.errors).toHaveLength(1)
    expect(noSource.errors[0]).toContain('source database')

    const noTable = startProgram({ ...awsEnv, ...env, DMS_STREAM: name, DMS_TABLES: 'public.none' })
    expect(await noTable.ended()).toBe(3)
    expect(noTable.errors[0]).toContain('no table of the source matches public.none')
    stream.close()

    const help = startProgram({}, ['--help'])
    expect(await help.ended()).toBe(0)
    expect(help.lines.join('\n')).toContain('DMS_PARTITION_BY_KEY')
  })
})
