/**
 * The pipeline around the workers: the shop's tables, the stream with its shards, the index template, the stand-in for
 * AWS DMS. Everything that is started once and then left alone.
 */
import { fileURLToPath } from 'node:url'
import { ListShardsCommand } from '@aws-sdk/client-kinesis'
import pg from 'pg'
import { kinesisClient } from '../local/aws-clients.ts'
import type { Child, Parts } from '../local/parts.ts'
import { createResources } from '../local/resources.ts'
import type { ShardRange } from './marker.ts'
import { markerTable, shopSql, shopTables, tableFile } from './shop.ts'
import { DemoError, heard, orAborted } from './wait.ts'

const stream = 'shop-changes'
export const leaseTable = 'shop-leases'
const queue = 'shop-dead-letters'
/** Four, so that the six tables of the shop (by MD5 of their names) reach each of them; marker.test.ts holds to it. */
const shardCount = 4
export const leaseMs = 5000

/** One call to an emulator, which now and then stops for a moment. */
export const callMs = 10_000
const queryMs = 30_000
const bootstrapMs = 30_000
/** The emulator takes a few hundred records a second, and the load is 2,330 rows. */
const fullLoadMs = 60_000

/** The stream, the lease table and the queue. */
export async function createStream(
  parts: Parts,
  signal: AbortSignal,
): Promise<{ queueUrl: string; shards: ShardRange[] }> {
  const names = { stream, shards: shardCount, leaseTable, queue }
  const { queueUrl } = await orAborted(createResources(parts.endpoints, names), signal)
  return { queueUrl, shards: await openShards(parts) }
}

/** The shards that records are put into now: those not closed by a split or merge. */
async function openShards(parts: Parts): Promise<ShardRange[]> {
  const kinesis = kinesisClient(parts.endpoints.kinesisUrl, callMs)
  const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName: stream }))
  // The emulator does not end while a connection to it is open.
  kinesis.destroy()
  return Shards.filter(shard => !shard.SequenceNumberRange?.EndingSequenceNumber)
    .map(shard => ({
      shardId: shard.ShardId!,
      startingHashKey: shard.HashKeyRange!.StartingHashKey!,
      endingHashKey: shard.HashKeyRange!.EndingHashKey!,
    }))
    .sort((a, b) => a.shardId.localeCompare(b.shardId))
}

/** A session in UTC, as the comparison's SQL asks for. */
export async function openSession(parts: Parts, onFault: (error: Error) => void): Promise<pg.Client> {
  const session = new pg.Client({
    connectionString: parts.endpoints.postgresUrl,
    options: '-c timezone=UTC',
    connectionTimeoutMillis: callMs,
    query_timeout: queryMs,
  })
  session.on('error', cause =>
    onFault(
      new DemoError(`the connection to PostgreSQL broke. See ${logsDir(parts)}/postgres.log`, { cause }),
    ),
  )
  await session.connect()
  return session
}

/** Makes the tables with their first rows, and says how many those are. */
export async function stockShop(session: pg.Client): Promise<number> {
  await session.query(await shopSql())
  const counts = shopTables.map(table => `(select count(*) from ${table})`).join(' + ')
  const { rows } = await session.query<{ count: string }>(`select ${counts} as count`)
  return Number(rows[0]!.count)
}

/** What every worker and `bootstrap` are started with, but for the worker's name. */
export function serviceSettings(parts: Parts, queueUrl: string): Record<string, string> {
  return {
    ...parts.env,
    STREAM_NAME: stream,
    LEASE_TABLE: leaseTable,
    DEAD_LETTER_QUEUE_URL: queueUrl,
    OPENSEARCH_URL: parts.endpoints.opensearchUrl,
    TABLE_FILE: fileURLToPath(tableFile),
    LEASE_MS: String(leaseMs),
    INDEX_REPLICAS: '0',
    // The emulator holds one call for seconds when it may answer ten thousand records.
    GET_RECORDS_LIMIT: '1000',
    // What fails while a part starts is tried again soon; half a minute of waiting would be half of the demo.
    RETRY_MAX_MS: '2000',
    HTTP_PORT: '0',
  }
}

export async function bootstrap(
  parts: Parts,
  settings: Record<string, string>,
  signal: AbortSignal,
): Promise<void> {
  const child = parts.spawn('bootstrap', [process.execPath, 'src/main.ts', 'bootstrap'], settings)
  const late = AbortSignal.timeout(bootstrapMs)
  const { code } = await orAborted(child.exited, AbortSignal.any([signal, late])).catch(error => {
    if (signal.aborted) throw error
    throw new DemoError(`waited ${bootstrapMs / 1000} s for bootstrap to end. See ${child.logFile}`)
  })
  if (code !== 0) throw new DemoError(`bootstrap ended with ${code}. See ${child.logFile}`)
}

/** Load and changes by table, as the service's default; the markers by key, so that each can reach a shard of its own. */
export function startDms(parts: Parts): Child {
  return parts.spawn('dms', [process.execPath, 'docker/dms/main.ts'], {
    ...parts.env,
    DMS_SOURCE_URL: parts.endpoints.postgresUrl,
    DMS_STREAM: stream,
    DMS_TABLES: [...shopTables, markerTable].map(table => `public.${table}`).join(),
    DMS_PARTITION: 'schema-table',
    DMS_PARTITION_BY_KEY: `public.${markerTable}`,
  })
}

export async function fullLoad(dms: Child, signal: AbortSignal): Promise<void> {
  const isFinished = (line: string) => (line.includes('"all full loads finished"') ? true : undefined)
  await heard(dms, isFinished, { what: 'that the full load is finished', deadlineMs: fullLoadMs, signal })
}

export function logsDir(parts: Parts): string {
  return `${parts.instanceDir}/logs`
}
