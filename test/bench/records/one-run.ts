/**
 * One run of one consumer over the whole stream, with stubs of its own: sampled, then checked.
 *
 * It is over when every shard was read to its end and the rows at the `_bulk` stub are those the changes leave, revision by
 * revision; the last sample is that of the last bulk answer.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type BulkState, STATE_PATH } from '../stubs/bulk-state.ts'
import type { StreamSettings } from '../stubs/get-records-stub.ts'
import { startStub } from '../stubs/start-stub.ts'
import { type Consumer, type ConsumerName, queueUrlAt, startConsumer, TEMPLATE } from './consumers.ts'
import { finalRows, unwritten } from './final-rows.ts'
import { type Cost, costOfTree } from './process-cost.ts'
import { figuresOf, type RunFigures, type Sample } from './steady-state.ts'

export type RunSettings = {
  consumer: ConsumerName
  stream: StreamSettings
  profileDir: string | undefined
  onProgress: (actions: number) => void
}

const QUIET_MS = 500
/** The start, or the largest pause between two bulk answers; then the run has failed. */
const STALL_MS = 60_000
/** As often as a Prometheus would. */
const SCRAPE_MS = 5_000
const LOOK_MS = 100

/** @throws Error when the consumer ends early, a stub meets what it does not know, or the rows are not right in the end */
export async function measureRun(settings: RunSettings): Promise<RunFigures> {
  const { stream } = settings
  const records = stream.shards * stream.page * stream.pagesEach
  const wrongIn = finalRows(stream)
  const started: (() => void)[] = []
  const seen: Seen = { samples: [], faults: [], ended: 0 }
  let costNow: () => Cost | undefined = () => undefined

  function hear(message: Record<string, unknown>): void {
    if (typeof message.fault === 'string') seen.faults.push(message.fault)
    if (typeof message.ended === 'number') seen.ended = message.ended
    if (typeof message.actions !== 'number') return
    const cost = costNow()
    if (cost) seen.samples.push({ atMs: performance.now(), actions: message.actions, ...cost })
    settings.onProgress(message.actions)
  }

  async function start(file: string, about: object): Promise<string> {
    const stub = await startStub(file, about, hear)
    started.push(stub.stop)
    return stub.url
  }

  try {
    const kinesisUrl = await start('get-records-stub.ts', stream)
    const dynamodbUrl = await start('lease-table-stub.ts', {})
    const opensearchUrl = await start('bulk-stub.ts', TEMPLATE)
    const wrong = async () =>
      wrongIn((await (await fetch(`${opensearchUrl}${STATE_PATH}`)).json()) as BulkState)
    const world = {
      kinesisUrl,
      dynamodbUrl,
      queueUrl: queueUrlAt(dynamodbUrl),
      opensearchUrl,
      settings: { GET_RECORDS_LIMIT: String(stream.page) },
    }
    const consumer = startConsumer(settings.consumer, world, settings.profileDir)
    started.push(consumer.kill)
    costNow = costOfTree(consumer.pid)
    const isRead = () => seen.ended === stream.shards
    await Promise.race([
      consumer.failed,
      untilOver(seen, consumer, async () => isRead() && (await wrong()).length === 0),
    ])
    const metrics = await consumer.metrics()
    await consumer.stop()
    const faults = [...seen.faults, ...(await wrong()), ...unwritten(metrics, records)]
    if (faults.length > 0) throw new Error(`the run was not right: ${[...new Set(faults)].join('; ')}`)
    return figuresOf(seen.samples, records)
  } finally {
    for (const end of started) end()
  }
}

/** `ended`: shards that were read to their end. */
type Seen = { samples: Sample[]; faults: string[]; ended: number }

/** Until it is over, or nothing more is to be expected: the caller looks which. */
async function untilOver(seen: Seen, consumer: Consumer, isOver: () => Promise<boolean>): Promise<void> {
  let lastMs = performance.now()
  for (let scrapedAtMs = lastMs; seen.faults.length === 0; await sleep(LOOK_MS)) {
    const now = performance.now()
    lastMs = seen.samples.at(-1)?.atMs ?? lastMs
    if (now - lastMs > STALL_MS) return
    if (now - lastMs > QUIET_MS && seen.samples.length > 0 && (await isOver())) return
    if (now - scrapedAtMs < SCRAPE_MS) continue
    scrapedAtMs = now
    await consumer.metrics()
  }
}
