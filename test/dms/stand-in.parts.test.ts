/**
 * The stand-in for DMS against a real PostgreSQL, and as a program against a real Kinesis emulator: what the pure tests
 * cannot show of the slot, the snapshot, failures and restarts.
 */
import { Client } from 'pg'
import { describe, expect, inject, test } from 'vitest'
import type { Put } from '../../docker/dms/sink.ts'
import {
  createStream,
  type DmsRecord,
  inDatabaseOfItsOwn,
  isRow,
  operations,
  startProgram,
  startTask,
  type TestDatabase,
  until,
} from './stand-in-run.ts'

const { endpoints, env: awsEnv } = inject('parts')

let database: TestDatabase
let env: Record<string, string>
let sql: Client

inDatabaseOfItsOwn(inject('parts').endpoints.postgresUrl, fresh => {
  database = fresh
  sql = fresh.sql
  env = fresh.env
})

const slotPosition = async (): Promise<string> => {
  const { rows } = await sql.query<{ lsn: string }>(
    'SELECT confirmed_flush_lsn AS lsn FROM pg_replication_slots WHERE slot_name = $1',
    [`dms_${env.DMS_TASK}`],
  )
  return rows[0]!.lsn
}

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

  test('no change is lost over many stops in the middle of writing, and none comes before an older one of its table', async () => {
    await sql.query('CREATE TABLE a (id int primary key, tx int)')
    const writer = new Client({ connectionString: database.url })
    await writer.connect()
    let id = 0
    let isWriting = true
    const task = startTask(env)
    await task.says('streaming')
    await task.stop()
    const writing = (async () => {
      for (let tx = 1; isWriting; tx += 1) {
        for (const { size } of [{ size: 1 }, { size: 7 }]) {
          await writer.query('INSERT INTO a SELECT g, $1 FROM generate_series($2::int, $3::int) g', [
            tx,
            id + 1,
            id + size,
          ])
          id += size
        }
      }
    })()
    const seen: number[][] = []
    for (let run = 1; run <= 12; run += 1) {
      let requests = 0
      const each = startTask({ ...env, DMS_PUT_RECORDS_MAX: '3' }, put => async batch => {
        requests += 1
        if (requests === run * 2) {
          // The stop comes while this request is under way, and changes still come in before it is home.
          void each.stop()
          const idAtStop = id
          await until(() => id > idAtStop + 20, 'more rows are written')
        }
        if (requests % 7 === 0) throw new Error('connection refused')
        return put(batch)
      })
      await each.done
      seen.push(each.rows().map(({ data }) => Number(data.id)))
    }
    isWriting = false
    await writing
    await writer.end()
    const rest = startTask(env)
    await until(() => rest.rows().at(-1)?.data.id === id, 'the last insert')
    await rest.stop()
    seen.push(rest.rows().map(({ data }) => Number(data.id)))
    expect(new Set(seen.flat()).size).toBe(id)
    for (const ids of seen) expect([...new Set(ids)]).toEqual([...new Set(ids)].sort((a, b) => a - b))
    // A run begins where the one before ended or earlier, never behind it.
    for (const [index, ids] of seen.entries()) {
      const before = seen[index - 1]?.at(-1)
      if (before !== undefined && ids[0] !== undefined) expect(ids[0]).toBeLessThanOrEqual(before + 1)
    }
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

  test('a session the server ends is the end of the task, with a reason', async () => {
    await sql.query('CREATE TABLE a (id int primary key)')
    const ends = async (query: string, reason: RegExp): Promise<void> => {
      const task = startTask(env)
      await task.says('streaming')
      await sql.query(query, [`dms_${env.DMS_TASK}`])
      await expect(task.done).rejects.toThrow(reason)
    }
    await ends(
      'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1',
      /change stream of slot .* ended/,
    )
    await ends(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'dms-stand-in' AND backend_type = 'client backend'
          AND datname = current_database() AND $1 <> ''`,
      /source database ended the session/,
    )
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
