/**
 * A scene of the bench: a stream with its lease table and queue, a feed into each shard, and real worker processes.
 *
 * As in the tests nothing of a scene is met by another, and `close` ends every process it started.
 */
import { randomBytes } from 'node:crypto'
import { markerIds } from '../../docker/demo/marker.ts'
import type { Child, Parts } from '../../docker/local/parts.ts'
import { createResources } from '../../docker/local/resources.ts'
import { openQueue } from '../e2e/dead-letters.ts'
import { removeIndices } from '../e2e/documents.ts'
import { createFeed, type Feed } from '../e2e/feed.ts'
import { type Leases, openLeases, sharesOf } from '../e2e/leases.ts'
import { openStream } from '../e2e/stream.ts'
import { until } from '../e2e/until.ts'
import { startWorker, tenuresOf, type Worker } from '../e2e/workers.ts'

export type BenchScene = {
  parts: Parts
  leases: Leases
  feed: Feed
  /** One in each shard. */
  tables: string[]
  /** What a worker is started with, but for its name. */
  env: Record<string, string>
  startWorker(id: string, env?: Record<string, string>): Promise<Worker>
  /** Waits until these workers read so many shards each, most first, and nothing is being handed over. */
  untilShares(workers: readonly Worker[], shares: readonly number[]): Promise<void>
  /** The tables whose shards this worker owns now. */
  tablesOf(owner: string): Promise<string[]>
  shardOf(table: string): string
  until: typeof until
  close(): Promise<void>
}

const SHARES_MS = 60_000
/** All indices of the bench begin with it, so that one index template serves all. */
export const INDEX_PATTERN = 'bench_*'

export function serviceEnv(parts: Parts, names: { stream: string; leaseTable: string; queueUrl: string }) {
  return {
    ...parts.env,
    STREAM_NAME: names.stream,
    LEASE_TABLE: names.leaseTable,
    DEAD_LETTER_QUEUE_URL: names.queueUrl,
    OPENSEARCH_URL: parts.endpoints.opensearchUrl,
    INDEX_PATTERNS: INDEX_PATTERN,
    INDEX_REPLICAS: '0',
    // The emulator answers nobody else while it gathers a large page. All else is as it is delivered.
    GET_RECORDS_LIMIT: '1000',
    HTTP_PORT: '0',
  }
}

export async function openScene(parts: Parts, purpose: string, shardCount = 4): Promise<BenchScene> {
  const { endpoints } = parts
  const name = `${purpose}-${randomBytes(3).toString('hex')}`
  const schema = `bench_${name.replaceAll('-', '_')}`
  const names = { stream: name, leaseTable: `${name}-leases`, queue: `${name}-letters` }
  const { queueUrl } = await createResources(endpoints, { ...names, shards: shardCount })
  const stream = openStream(endpoints.kinesisUrl, name)
  const leases = openLeases(endpoints.dynamodbUrl, names.leaseTable)
  const queue = openQueue(endpoints.sqsUrl, queueUrl)
  const shards = await stream.openShards()
  const numbers = markerIds(shards, { partitionKeyOf: n => `${schema}.t${n}` })
  const tables = shards.map(({ shardId }) => `t${numbers.get(shardId)!}`)
  const shardOf = (table: string): string => shards[tables.indexOf(table)]!.shardId
  const feed = createFeed({
    stream,
    schema,
    tables,
    indexOf: table => `${schema}_${table}`,
    opensearchUrl: endpoints.opensearchUrl,
  })
  const env = serviceEnv(parts, { stream: name, leaseTable: names.leaseTable, queueUrl })
  const children: Child[] = []
  const workers: Worker[] = []
  const seen = (): string => workers.map(worker => worker.tail()).join('\n')
  const untilSeen: typeof until = (what, look, options = {}) => until(what, look, { seen, ...options })

  return {
    parts,
    leases,
    feed,
    tables,
    env,
    shardOf,
    until: untilSeen,

    async startWorker(id, more = {}) {
      const worker = await startWorker(parts, `${name}-${id}`, id, { ...env, ...more }, child =>
        children.push(child),
      )
      workers.push(worker)
      return worker
    },

    async untilShares(those, shares) {
      const owners = those.map(({ id }) => id)
      await untilSeen(
        `${owners.join(', ')} to own ${shares.join('/')} leases`,
        async () => {
          const all = await leases.all()
          if (all.size !== shardCount || sharesOf(all, owners)?.join() !== shares.join()) return false
          const tenures = await Promise.all(those.map(tenuresOf))
          return tenures.sort((a, b) => b - a).join() === shares.join()
        },
        { deadlineMs: SHARES_MS },
      )
    },

    async tablesOf(owner) {
      const all = await leases.all()
      return tables.filter(table => all.get(shardOf(table))?.leaseOwner === owner)
    },

    async close() {
      await feed.close()
      for (const child of children) child.kill('SIGKILL')
      await Promise.all(children.map(child => child.exited))
      await Promise.all([stream.remove(), leases.remove(), queue.remove()])
      await removeIndices(endpoints.opensearchUrl, `${schema}_*`)
    },
  }
}

/** A new row and a counter for each table, so that no measure pays for making an index. */
export async function warmUp(feed: Feed): Promise<void> {
  for (let put = 0; put < 2; put++) await feed.untilSeen(await feed.put())
}
