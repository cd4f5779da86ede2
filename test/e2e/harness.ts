/**
 * A scene: one test's own stream (four shards unless it asks for more), lease table, queue and indices on the shared
 * parts, and its workers.
 *
 * Rule: nothing of a scene is met by another. Every name carries the scene's own; all indices begin with `e2e_`, so that
 * one index template serves all. `close` ends every process the scene started, also after a failure, and takes its names away.
 */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, inject, onTestFinished } from 'vitest'
import { markerIds } from '../../docker/demo/marker.ts'
import { canonical } from '../../docker/demo/raw-json.ts'
import { attachParts, type Child, type Parts } from '../../docker/local/parts.ts'
import { createResources } from '../../docker/local/resources.ts'
import type {} from '../../docker/local/vitest-setup.ts'
import { openQueue, type Queue } from './dead-letters.ts'
import { type Documents, documentOf, documentsOf, removeIndices } from './documents.ts'
import { covers, type Leases, openLeases, sharesOf } from './leases.ts'
import { dmsRecord, isDataRecord, MARKER_TABLE } from './records.ts'
import { openStream, type Stream } from './stream.ts'
import { until } from './until.ts'
import { booksOf, startWorker, tenuresOf, type Worker } from './workers.ts'

export const SHARDS = 4
/** At least so many shards must have received data, or a test says nothing about several shards. */
const SHARDS_WITH_DATA_MIN = 3
export const LEASE_MS = 3_000
const BOOTSTRAP_MS = 60_000
const QUIET_MS = 45_000
const SHARES_MS = 30_000
const INDEX_PATTERN = 'e2e_*'

export type Scene = {
  name: string
  parts: Parts
  stream: Stream
  leases: Leases
  queue: Queue
  queueUrl: string
  /** The schema of the scene's tables. */
  schema: string
  indexOf(table: string): string
  /** What a worker is started with, but for its name. */
  env: Record<string, string>
  /** One table in each shard, in the order of the shards. */
  tables: string[]
  /** A table name that begins with `stem` and, partitioned by `schema.table`, falls into the shard at this place. */
  tableIn(shard: number, stem: string): string
  startWorker(id: string, env?: Record<string, string>): Promise<Worker>
  /** Waits until these workers read so many shards each, most first, and nothing is being handed over. */
  untilShares(workers: readonly Worker[], shares: readonly number[], deadlineMs?: number): Promise<void>
  /** Any other process of the scene; ended with it. */
  spawn(name: string, argv: string[], env: Record<string, string>): Child
  /** Writes a table file; the marker table is always in it. @param yaml lines below `tables:`, indented by two */
  tableFile(name: string, yaml?: string): string
  /** Waits as `until`, and shows the workers' last lines when in vain. */
  until: typeof until
  /** Everything put so far is settled and checkpointed: a marker through each open shard, then its lease. */
  quiet(deadlineMs?: number): Promise<void>
  /** Fails where fewer than three shards received data records other than markers. */
  expectDataInShards(): Promise<void>
  expectNoLetters(): Promise<void>
  /** What the index of the table holds now. */
  documents(table: string): Promise<Documents>
  /** The index of the table holds exactly these. @param expected id -> JSON text */
  expectDocuments(table: string, expected: Record<string, string>): Promise<void>
  /** Each worker given is ready, owes nothing and has read what it has settled. */
  expectSettled(workers: readonly Worker[]): Promise<void>
  close(): Promise<void>
}

/** Vitest loads this file anew for each test file. */
let isBootstrapped = false

/** The scene ends with the test that opened it. Outside a test (beforeAll), call `close`. */
export async function openScene(name: string, options: { shards?: number } = {}): Promise<Scene> {
  const scene = await createScene(name, options)
  onTestFinished(() => scene.close())
  return scene
}

export async function createScene(
  purpose: string,
  { shards: shardCount = SHARDS }: { shards?: number } = {},
): Promise<Scene> {
  const { instance } = inject('parts')
  const parts = attachParts(instance, () => {})
  const { endpoints } = parts
  const name = `${purpose}-${randomBytes(3).toString('hex')}`
  const schema = `e2e_${name.replaceAll('-', '_')}`
  const names = { stream: name, shards: shardCount, leaseTable: `${name}-leases`, queue: `${name}-letters` }
  const { queueUrl } = await createResources(endpoints, names)
  const stream = openStream(endpoints.kinesisUrl, name)
  const leases = openLeases(endpoints.dynamodbUrl, names.leaseTable)
  const queue = openQueue(endpoints.sqsUrl, queueUrl)
  const shards = await stream.openShards()
  const tableIn = (shard: number, stem: string): string => {
    const numbers = markerIds(shards, { partitionKeyOf: n => `${schema}.${stem}${n}` })
    return `${stem}${numbers.get(shards[shard]!.shardId)!}`
  }
  const tables = shards.map((_, shard) => tableIn(shard, 't'))
  const indexOf = (table: string): string => `${schema}_${table}`.toLowerCase()
  const children: Child[] = []
  const workers: Worker[] = []
  let nextMarkerId = 1

  const tableFile = (fileName: string, yaml = ''): string => {
    const path = join(parts.instanceDir, `${name}-${fileName}.yaml`)
    writeFileSync(path, `tables:\n  ${schema}.${MARKER_TABLE}: { partition: key }\n${yaml}`)
    return path
  }

  const env: Record<string, string> = {
    ...parts.env,
    STREAM_NAME: name,
    LEASE_TABLE: names.leaseTable,
    DEAD_LETTER_QUEUE_URL: queueUrl,
    OPENSEARCH_URL: endpoints.opensearchUrl,
    TABLE_FILE: tableFile('tables'),
    INDEX_PATTERNS: INDEX_PATTERN,
    INDEX_REPLICAS: '0',
    LEASE_MS: String(LEASE_MS),
    CHECKPOINT_MS: '200',
    RETRY_MAX_MS: '1000',
    // The emulator answers nobody else while it gathers a large page.
    GET_RECORDS_LIMIT: '1000',
    HTTP_PORT: '0',
  }

  function spawn(childName: string, argv: string[], childEnv: Record<string, string>): Child {
    const child = parts.spawn(`${name}-${childName}`, argv, childEnv)
    children.push(child)
    return child
  }

  const seen = (): string => workers.map(worker => worker.tail()).join('\n')
  const untilSeen: typeof until = (what, look, options = {}) => until(what, look, { seen, ...options })

  const documents = (table: string): Promise<Documents> =>
    documentsOf(endpoints.opensearchUrl, indexOf(table))

  async function quiet(deadlineMs = QUIET_MS): Promise<void> {
    const ids = markerIds(await stream.openShards(), { from: nextMarkerId })
    nextMarkerId = Math.max(...ids.values()) + 1
    const put = await stream.put(
      [...ids.values()].map(id => ({
        partitionKey: String(id),
        data: dmsRecord({
          operation: 'insert',
          schema,
          table: MARKER_TABLE,
          row: `{"id":${id}}`,
          partitionKeyType: 'primary-key',
        }),
      })),
    )
    for (const { shardId, sequenceNumber } of put) {
      const isCheckpointed = async (): Promise<boolean> => {
        const lease = (await leases.all()).get(shardId)
        return lease !== undefined && covers(lease.checkpoint, sequenceNumber)
      }
      await untilSeen(`the checkpoint of ${shardId} to cover its marker`, isCheckpointed, { deadlineMs })
    }
    for (const id of ids.values()) {
      const marker = await documentOf(endpoints.opensearchUrl, indexOf(MARKER_TABLE), String(id))
      expect(marker, `marker ${id}, which its lease says is settled`).toBeDefined()
    }
  }

  async function close(): Promise<void> {
    for (const child of children) child.kill('SIGKILL')
    await Promise.all(children.map(child => child.exited))
    await Promise.all([stream.remove(), leases.remove(), queue.remove()])
    await removeIndices(endpoints.opensearchUrl, `${schema}_*`)
  }

  async function bootstrap(): Promise<void> {
    const child = spawn('bootstrap', [process.execPath, 'src/main.ts', 'bootstrap'], env)
    await child.line(line => line.startsWith('OpenSearch: index template'), BOOTSTRAP_MS)
    expect(await child.exited).toEqual({ code: 0, signal: null })
    isBootstrapped = true
  }

  try {
    if (!isBootstrapped) await bootstrap()
  } catch (error) {
    await close()
    throw error
  }

  return {
    name,
    parts,
    stream,
    leases,
    queue,
    queueUrl,
    schema,
    indexOf,
    env,
    tables,
    tableIn,
    spawn,
    tableFile,
    until: untilSeen,
    quiet,
    documents,
    close,

    async startWorker(id, more = {}) {
      const worker = await startWorker(parts, `${name}-${id}`, id, { ...env, ...more }, child =>
        children.push(child),
      )
      workers.push(worker)
      return worker
    },

    async untilShares(those, shares, deadlineMs = SHARES_MS) {
      const owners = those.map(({ id }) => id)
      const areThere = async (): Promise<boolean> => {
        const all = await leases.all()
        if (all.size !== shardCount || sharesOf(all, owners)?.join() !== shares.join()) return false
        const tenures = await Promise.all(those.map(tenuresOf))
        return tenures.sort((a, b) => b - a).join() === shares.join()
      }
      const what = `${owners.join(', ')} to own ${shares.join('/')} leases`
      await untilSeen(what, areThere, { deadlineMs })
    },

    async expectDataInShards() {
      const records = await stream.readAll()
      const shards = new Set(records.filter(({ data }) => isDataRecord(data)).map(({ shardId }) => shardId))
      expect(shards.size, 'shards that received data records').toBeGreaterThanOrEqual(SHARDS_WITH_DATA_MIN)
    },

    async expectNoLetters() {
      const reasons = (await queue.letters()).map(({ reason, shardId }) => `${reason} in ${shardId}`)
      expect(reasons).toEqual([])
    },

    async expectDocuments(table, expected) {
      const found = await documents(table)
      const texts = Object.entries(expected).map(([id, text]) => [id, canonical(text)])
      expect(Object.fromEntries(found), `documents of ${indexOf(table)}`).toEqual(Object.fromEntries(texts))
    },

    async expectSettled(those) {
      for (const worker of those) {
        // A page may be on its way; the books must balance all the same, and come to rest.
        const books = await untilSeen(`${worker.id} to have nothing in flight`, async () => {
          const found = booksOf(await worker.samples())
          for (const { shard, read, settled, inFlight } of found)
            expect(settled + inFlight, `${worker.id}, ${shard}: settled + in flight`).toBe(read)
          return found.every(({ inFlight }) => inFlight === 0) && found
        })
        expect(books.length, `shards that ${worker.id} has read of`).toBeGreaterThan(0)
        expect(await worker.ready()).toEqual({ status: 200, wrong: [] })
      }
    },
  }
}
