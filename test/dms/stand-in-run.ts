/** Runs of the stand-in for tests: a database of their own, a task in this process with a stream in memory, or the program with Kinesis. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
} from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { Client } from 'pg'
import { afterEach, beforeEach } from 'vitest'
import { createMicrosClock } from '../../docker/dms/clock.ts'
import { readSettings } from '../../docker/dms/settings.ts'
import type { Put } from '../../docker/dms/sink.ts'
import { runTask } from '../../docker/dms/task.ts'

export type DmsRecord = {
  key: string
  text: string
  data: Record<string, unknown>
  before: Record<string, unknown> | undefined
  metadata: Record<string, string | number>
}

export function parseRecord(key: string, text: string): DmsRecord {
  const json = JSON.parse(text) as Omit<DmsRecord, 'key' | 'text' | 'before'> & {
    'before-image'?: Record<string, unknown>
  }
  return { key, text, data: json.data, before: json['before-image'], metadata: json.metadata }
}

export const isRow = (record: DmsRecord): boolean => record.metadata['record-type'] === 'data'

const deadlineMs = 30_000
const lookMs = 20

export async function until(isTrue: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + deadlineMs
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${deadlineMs / 1000} s`)
    await sleep(lookMs)
  }
}

export const operations = (records: DmsRecord[]): string[] =>
  records.map(({ metadata }) => `${metadata.operation} ${metadata['table-name']}`)

/** @property env the settings of a task of its own on that database; the stream is the caller's */
export type TestDatabase = { url: string; sql: Client; env: Record<string, string> }

/** Each test gets a new database; what it left running ends and the database goes, slots included. */
export function inDatabaseOfItsOwn(serverUrl: string, take: (database: TestDatabase) => void): void {
  let drop: () => Promise<void>
  beforeEach(async () => {
    const created = await createDatabase(serverUrl)
    drop = created.drop
    const task = `t${Math.random().toString(36).slice(2, 10)}`
    const env = { DMS_SOURCE_URL: created.url, DMS_TABLES: 'public.%', DMS_TASK: task }
    take({ url: created.url, sql: created.sql, env })
  })
  afterEach(async () => {
    await stopAll()
    await drop()
  })
}

async function createDatabase(
  serverUrl: string,
): Promise<{ url: string; sql: Client; drop: () => Promise<void> }> {
  const name = `dms_${Math.random().toString(36).slice(2, 10)}`
  const admin = new Client({ connectionString: serverUrl })
  await admin.connect()
  await admin.query(`CREATE DATABASE ${name}`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  const sql = new Client({ connectionString: url.href })
  await sql.connect()
  return {
    url: url.href,
    sql,
    drop: async () => {
      await sql.end()
      const { rows } = await admin.query<{ slot_name: string }>(
        'SELECT slot_name FROM pg_replication_slots WHERE database = $1',
        [name],
      )
      for (const { slot_name } of rows) {
        await until(async () => {
          const dropped = await admin
            .query('SELECT pg_drop_replication_slot($1)', [slot_name])
            .catch(() => null)
          return dropped !== null
        }, `slot ${slot_name} can be dropped`)
      }
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`)
      await admin.end()
    },
  }
}

const stops = new Set<() => Promise<unknown>>()

/** Ends whatever a failed test left running; a slot in use could not be dropped. */
async function stopAll(): Promise<void> {
  await Promise.allSettled([...stops].map(stop => stop()))
  stops.clear()
}

/** A task in this process. `around` may stand between it and the stream in memory, to fail or to wait. */
export function startTask(env: Record<string, string>, around: (put: Put) => Put = put => put) {
  const records: DmsRecord[] = []
  const messages: string[] = []
  const stopping = new AbortController()
  const keep: Put = async batch => {
    for (const { partitionKey, data } of batch) records.push(parseRecord(partitionKey, data.toString()))
    return batch.map(() => ({ isPut: true }))
  }
  const note = (_facts: object, message: string): void => {
    messages.push(message)
  }
  const done = runTask(
    readSettings({ DMS_STREAM: 'memory', ...env }),
    {
      put: around(keep),
      nowMicros: createMicrosClock(),
      random: Math.random,
      wait: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => {}),
      log: { info: note, warn: note },
    },
    stopping.signal,
  )
  done.catch(() => {})
  stops.add(() => {
    stopping.abort()
    return done
  })
  return {
    records,
    rows: (): DmsRecord[] => records.filter(isRow),
    messages,
    says: (message: string): Promise<void> =>
      until(async () => {
        await Promise.race([done, Promise.resolve()])
        return messages.includes(message)
      }, `task says "${message}"`),
    done,
    stop: async (): Promise<void> => {
      stopping.abort()
      await done
    },
  }
}

const program = new URL('../../docker/dms/main.ts', import.meta.url).pathname

/** The program itself, as it is started for real. */
export function startProgram(env: Record<string, string>, args: string[] = []) {
  const child = spawn(process.execPath, [program, ...args], {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  const errors: string[] = []
  createInterface({ input: child.stdout }).on('line', line => lines.push(line))
  createInterface({ input: child.stderr }).on('line', line => errors.push(line))
  const closed = once(child, 'close') as Promise<[code: number | null, signal: string | null]>
  stops.add(() => {
    child.kill('SIGKILL')
    return closed
  })
  return {
    lines,
    errors,
    says: (message: string): Promise<void> =>
      until(() => {
        if (child.exitCode !== null) throw new Error(`the program ended: ${errors.join('\n')}`)
        return lines.some(line => (JSON.parse(line) as { msg: string }).msg === message)
      }, `the program says "${message}"`),
    kill: (signal: NodeJS.Signals): boolean => child.kill(signal),
    /** Exit code, null when it was killed. */
    ended: async (): Promise<number | null> => (await closed)[0],
  }
}

/** A stream with one shard; `read` gives everything in it, in order. */
export async function createStream(endpoint: string, name: string) {
  const client = new KinesisClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    requestHandler: new NodeHttpHandler({ requestTimeout: 10_000, throwOnRequestTimeout: true }),
  })
  await client.send(new CreateStreamCommand({ StreamName: name, ShardCount: 1 }))
  await until(async () => {
    const answer = await client.send(new DescribeStreamSummaryCommand({ StreamName: name }))
    return answer.StreamDescriptionSummary?.StreamStatus === 'ACTIVE'
  }, `stream ${name} is active`)
  const { Shards } = await client.send(new ListShardsCommand({ StreamName: name }))
  return {
    async read(): Promise<DmsRecord[]> {
      const records: DmsRecord[] = []
      const start = await client.send(
        new GetShardIteratorCommand({
          StreamName: name,
          ShardId: Shards![0]!.ShardId!,
          ShardIteratorType: 'TRIM_HORIZON',
        }),
      )
      let iterator = start.ShardIterator
      for (;;) {
        const page = await client.send(new GetRecordsCommand({ ShardIterator: iterator, Limit: 1000 }))
        for (const { PartitionKey, Data } of page.Records!) {
          records.push(parseRecord(PartitionKey!, Buffer.from(Data!).toString()))
        }
        if (page.Records!.length === 0) return records
        iterator = page.NextShardIterator
      }
    },
    close: (): void => client.destroy(),
  }
}
