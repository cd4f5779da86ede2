/** One process of the production service, put together as `run` does it, on the models and with the simulated network. */
import { blockedIndices } from '../../src/blocked-indices.ts'
import { bulkWriter } from '../../src/bulk-writer.ts'
import { decoder } from '../../src/decoder.ts'
import { readBudget } from '../../src/read-budget.ts'
import { type ConsumerParts, consumeShard } from '../../src/shard-consumer.ts'
import { parseTableFile } from '../../src/table-file.ts'
import { decideContext } from '../../src/tables.ts'
import type { Tenure } from '../../src/tenure.ts'
import type { LeaseTable } from '../../src/worker.ts'
import { worker } from '../../src/worker.ts'
import type { fakeLeaseTable } from '../fakes/lease-table.ts'
import type { fakeStream } from '../fakes/stream.ts'
import { type Index, indexClient, leaseClient, lettersClient, streamClient, type Weather } from './network.ts'
import type { SimulatedProcess } from './process.ts'
import { tableFile } from './source.ts'
import type { Timeline } from './timeline.ts'

/** A tenth of life's, so that a run is short; the look at the leases (about a second) is the product's own. */
export const LEASE_MS = 1000

/** A part of the service replaced by a worse one, to prove that the oracle sees the difference. */
export type Patch = {
  table?: (table: LeaseTable, self: SimulatedProcess) => LeaseTable
  tenure?: (tenure: Tenure) => Tenure
  consumer?: (parts: ConsumerParts, self: SimulatedProcess) => ConsumerParts
}

export type Outside = {
  time: Timeline
  stream: ReturnType<typeof fakeStream>
  table: ReturnType<typeof fakeLeaseTable>
  index: Index
  weather: Weather
  /** To what an answer that comes late belongs: the request it answers, or (a mutant) the document it speaks of. */
  answersFit: 'attempt' | 'document'
  /** `index/id` -> the reasons of the letters that name it, of those settled against the source's row. */
  letters: Map<string, Set<string>>
  tables: keyof typeof tableFiles
  trace: (line: string) => void
  /** Called when the run is over: Node keeps combined abort signals, and all they hold, until one of their parts aborts. */
  onEnd: (() => void)[]
  counts: { jumps: number; lost: number; tenures: number }
}

export type RunningService = { self: SimulatedProcess; drain: () => void; isDone: () => boolean }

const tableFiles = {
  plain: parseTableFile(tableFile(false), 'tables.yaml'),
  kept: parseTableFile(tableFile(true), 'tables.yaml'),
}

export function startService(
  outside: Outside,
  self: SimulatedProcess,
  patches: readonly Patch[],
): RunningService {
  const { time, weather, counts } = outside
  const { clock, chance } = self
  const drain = new AbortController()
  const abandon = new AbortController()
  const log = (fields: object, text: string) =>
    outside.trace(
      `${self.owner} ${text} ${JSON.stringify(fields, (_, value) => (value instanceof Error ? value.message : value))}`,
    )
  const logger = { info: log, warn: log, error: log }

  const table = patches.reduce(
    (inner, { table: patch }) => patch?.(inner, self) ?? inner,
    leaseClient(time, self, outside.table, weather, LEASE_MS),
  )
  const stream = streamClient(self, outside.stream, weather)
  const search = indexClient(outside, self, LEASE_MS)
  const writer = bulkWriter({
    bulk: search.bulk,
    limits: { bytesMax: 5_000_000, actionsMax: 5000, inFlightMax: 2 },
    monotonic: clock.monotonic,
    onRequest: () => {},
  })
  const budget = readBudget(100_000_000)
  const retry = { firstMs: 50, maxMs: 400 }
  // A few pages.
  const parkingRoom = readBudget(20_000)
  const blocked = blockedIndices({ clock, random: chance.random, log: logger }, retry)
  const context: ConsumerParts['context'] = decideContext({
    file: tableFiles[outside.tables],
    indexPatterns: ['public_*'],
    onUnknownTable: 'hold',
    beforeImage: 'before-image',
    beforeImagePrefix: 'BI_',
  })
  const consumerParts = patches.reduce<ConsumerParts>(
    (inner, { consumer: patch }) => patch?.(inner, self) ?? inner,
    {
      open: stream.open,
      read: stream.read,
      write: writer.write,
      documents: search.documents,
      sendLetters: lettersClient(self, outside.letters, weather),
      leases: async () => (await table.list()).leases,
      createChildren: (ending, children) => me.createChildren(ending, children),
      budget,
      parkingRoom,
      blocked,
      decode: decoder('before-image'),
      context,
      clock,
      random: chance.random,
      log: logger,
      onRead: () => {},
      metrics: {
        backoff: () => {},
        received: () => {},
        behind: () => {},
        watch: () => () => {},
        checkpointed: () => {},
        settled: () => {},
        tableSettled: () => {},
        skipped: () => {},
        control: () => {},
        deadLetters: () => {},
        retries: () => {},
        latency: () => {},
        fenceJumped: () => {
          counts.jumps++
        },
        held: () => {},
      },
    },
  )
  const me = worker(
    {
      table,
      listShards: stream.listShards,
      consume: (tenure, stop) =>
        consumeShard(
          consumerParts,
          patches.reduce((inner, { tenure: patch }) => patch?.(inner) ?? inner, tenure),
          stop,
          {
            stream: 'simulated',
            service: 'test',
            pollMs: 300,
            stallMs: 60_000,
            onTrimmed: 'hold',
            limit: 6,
            checkpointMs: 100,
            heldRetryMs: 5000,
            // Fewer than a page has, so that pages are cut.
            keptMax: 3,
            letters: { lettersMax: 1000, shareMax: 0.05, shareFrom: 100 },
            recordBytesMax: 1_000_000,
            unknownAnswerMs: 60_000,
            onUnknownAnswer: 'hold',
            retry,
          },
        ),
      destroySockets: search.destroySockets,
      clock,
      random: chance.random,
      log: logger,
      metrics: {
        backoff: () => {},
        leasesHeld: () => {},
        leases: () => {},
        expired: () => {},
        leaseTaken: () => {
          counts.tenures++
        },
        leaseEnded: how => {
          if (how === 'lost') counts.lost++
        },
        renewal: () => {},
        clock: () => {},
      },
    },
    {
      owner: self.owner,
      leaseMs: LEASE_MS,
      handoffMs: 3 * LEASE_MS,
      maxLeases: 100,
      scanUnitsMax: 500,
      shardSyncMs: 2500,
      initialPosition: 'TRIM_HORIZON',
    },
  )
  outside.onEnd.push(() => {
    drain.abort()
    abandon.abort()
  })
  let isDone = false
  void me.run({ drain: drain.signal, abandon: abandon.signal }).then(() => {
    isDone = true
  })
  return {
    self,
    isDone: () => isDone,
    drain() {
      drain.abort()
      self.later(2.5 * LEASE_MS, () => abandon.abort())
    },
  }
}
