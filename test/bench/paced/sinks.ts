/** What a consumer of the paced stream writes to: stubs, or the local parts with a real OpenSearch. One run each. */
import { randomBytes } from 'node:crypto'
import type { Parts } from '../../../docker/local/parts.ts'
import { createResources } from '../../../docker/local/resources.ts'
import { openQueue } from '../../e2e/dead-letters.ts'
import { removeIndices } from '../../e2e/documents.ts'
import { openLeases } from '../../e2e/leases.ts'
import { openStream } from '../../e2e/stream.ts'
import { digestOf } from '../records/changes.ts'
import { queueUrlAt, TEMPLATE, type World } from '../records/consumers.ts'
import { type BulkState, STATE_PATH } from '../stubs/bulk-state.ts'
import { startStub } from '../stubs/start-stub.ts'
import type { ChangeLog } from './change-log.ts'
import { compareDocuments, differenceLines } from './compare-documents.ts'

export type Sink = {
  world: Omit<World, 'kinesisUrl'>
  /** What is wrong with the documents and letters, once all records are settled; nothing when they are right. */
  wrong(logs: readonly ChangeLog[], counts: readonly number[]): Promise<string[]>
  close(): Promise<void>
}

/** @param onFault is told of a request that a stub could not answer */
export async function stubSink(onFault: (fault: string) => void): Promise<Sink> {
  const hear = ({ fault }: Record<string, unknown>): void => {
    if (typeof fault === 'string') onFault(fault)
  }
  const table = await startStub('lease-table-stub.ts', {}, hear)
  const search = await startStub('bulk-stub.ts', TEMPLATE, hear)
  return {
    world: {
      dynamodbUrl: table.url,
      queueUrl: queueUrlAt(table.url),
      opensearchUrl: search.url,
      settings: {},
    },
    async wrong(logs, counts) {
      const state = (await (await fetch(`${search.url}${STATE_PATH}`)).json()) as BulkState
      const expected = digestOf(logs.map((log, shard) => [shard, log.rowsAfter(counts[shard]!)] as const))
      return state.digest === expected ? [] : ['the documents in the end are not those the changes leave']
    },
    async close() {
      table.stop()
      search.stop()
    },
  }
}

const INDEX_PATTERN = TEMPLATE.patterns[0]!
const BOOTSTRAP_MS = 60_000

export type OpenSearchSink = Sink & {
  queueUrl: string
  leaseTable: string
  /** How many letters are in the queue; it is empty afterwards. */
  letters(): Promise<number>
}

/** A table, a queue and indices of its own on the parts. */
export async function openSearchSink(parts: Parts): Promise<OpenSearchSink> {
  const { endpoints } = parts
  const name = `bench-${randomBytes(3).toString('hex')}`
  const leaseTable = `${name}-leases`
  const { queueUrl } = await createResources(endpoints, {
    stream: name,
    shards: 1,
    leaseTable,
    queue: `${name}-letters`,
  })
  const queue = openQueue(endpoints.sqsUrl, queueUrl)
  // The parts come with a stream; this bench has its own.
  await openStream(endpoints.kinesisUrl, name).remove()
  const { AWS_ENDPOINT_URL_KINESIS: _, ...settings } = parts.env
  const world = {
    dynamodbUrl: endpoints.dynamodbUrl,
    queueUrl,
    opensearchUrl: endpoints.opensearchUrl,
    settings: { ...settings, LEASE_TABLE: leaseTable, INDEX_REPLICAS: '0' },
  }
  await bootstrap(parts, world)
  return {
    world,
    queueUrl,
    leaseTable,
    letters: async () => (await queue.letters()).length,
    async wrong(logs, counts) {
      const letters = await queue.letters()
      const wrong = differenceLines(await compareDocuments(endpoints.opensearchUrl, logs, counts))
      return letters.length === 0 ? wrong : [`${letters.length} letters: ${letters[0]!.reason}`, ...wrong]
    },
    async close() {
      await Promise.all([openLeases(endpoints.dynamodbUrl, leaseTable).remove(), queue.remove()])
      await removeIndices(endpoints.opensearchUrl, INDEX_PATTERN)
    },
  }
}

async function bootstrap(parts: Parts, { opensearchUrl, queueUrl, settings }: Sink['world']): Promise<void> {
  const child = parts.spawn('bootstrap', [process.execPath, 'src/main.ts', 'bootstrap'], {
    ...settings,
    STREAM_NAME: 'bench',
    DEAD_LETTER_QUEUE_URL: queueUrl,
    OPENSEARCH_URL: opensearchUrl,
    INDEX_PATTERNS: INDEX_PATTERN,
  })
  await child.line(line => line.startsWith('OpenSearch: index template'), BOOTSTRAP_MS)
  await child.exited
}
