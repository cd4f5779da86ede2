/** The production worker, consumer and writer on models of everything outside, with time that moves by hand. */
import { blockedIndices } from '../../src/blocked-indices.ts'
import { bulkWriter } from '../../src/bulk-writer.ts'
import type { OnUnknownTable } from '../../src/core/document.ts'
import type { SealedLetter } from '../../src/core/letter.ts'
import type { BulkAnswer } from '../../src/core/outcome.ts'
import { decoder } from '../../src/decoder.ts'
import { readBudget } from '../../src/read-budget.ts'
import { consumeShard } from '../../src/shard-consumer.ts'
import { noTableFile, parseTableFile } from '../../src/table-file.ts'
import { decideContext } from '../../src/tables.ts'
import { worker } from '../../src/worker.ts'
import { fakeClock } from './clock.ts'
import { fakeLeaseTable } from './lease-table.ts'
import { fakeSearch } from './search.ts'
import { fakeStream } from './stream.ts'

const RETRY = { firstMs: 100, maxMs: 1000 }

export function fakeWorld(options: { shards?: number } = {}) {
  const time = fakeClock()
  const stream = fakeStream(options.shards ?? 1)
  const table = fakeLeaseTable(time.clock.now)
  const search = fakeSearch()
  const letters: SealedLetter[] = []
  const faults = {
    /** Replaces the next answers of the index, one each; then it answers itself. */
    bulk: [] as (BulkAnswer | 'never')[],
    /** Answers are withheld while set; the request has been applied. */
    holdAnswers: undefined as Promise<void> | undefined,
    /** The queue is away. */
    queueAway: false,
    /** DynamoDB takes no writes. */
    tableAway: false,
  }

  async function bulk(body: Buffer): Promise<BulkAnswer> {
    const fault = faults.bulk.shift()
    if (fault === 'never') return new Promise(() => {})
    if (fault) return fault
    const answer = await search.bulk(body)
    await faults.holdAnswers
    return answer
  }

  function startWorker(
    owner: string,
    given: {
      tables?: string
      onUnknownTable?: OnUnknownTable
      onUnknownAnswer?: 'hold' | 'dead-letter'
      leaseMs?: number
      parkedBytesMax?: number
    } = {},
  ) {
    const drain = new AbortController()
    const abandon = new AbortController()
    const logs: { level: string; text: string; fields: Record<string, unknown> }[] = []
    const counts = {
      received: 0,
      settled: new Map<string, number>(),
      held: new Map<string, string>(),
      jumps: 0,
      leasesHeld: 0,
      /** Seconds waited after failures. */
      backoff: new Map<string, number>(),
      endings: [] as string[],
    }
    const inFlight = new Map<string, () => number>()
    const parked = new Map<string, () => number>()
    const ages = new Map<string, () => number>()
    const log = (level: string) => (fields: object, text: string) =>
      logs.push({ level, text, fields: { ...fields } })
    const backoff = (where: string, seconds: number) =>
      counts.backoff.set(where, (counts.backoff.get(where) ?? 0) + seconds)
    const logger = { info: log('info'), warn: log('warn'), error: log('error') }
    const leaseMs = given.leaseMs ?? 10_000
    const writer = bulkWriter({
      bulk,
      limits: { bytesMax: 5_000_000, actionsMax: 5000, inFlightMax: 4 },
      monotonic: time.clock.monotonic,
      onRequest: () => {},
    })
    const parkingRoom = readBudget(given.parkedBytesMax ?? 1_000_000)
    const blocked = blockedIndices({ clock: time.clock, random: () => 0.5, log: logger }, RETRY)
    const context = decideContext({
      file: given.tables ? parseTableFile(given.tables, 'tables.yaml') : noTableFile,
      indexPatterns: ['public_*'],
      onUnknownTable: given.onUnknownTable ?? 'hold',
      beforeImage: 'before-image',
      beforeImagePrefix: 'BI_',
    })
    let socketsDestroyed = 0
    const me = worker(
      {
        table: {
          ...table,
          create: lease => table.create(lease),
          take: (lease, claim) => (faults.tableAway ? Promise.reject(away()) : table.take(lease, claim)),
          write: (...call) => (faults.tableAway ? Promise.reject(away()) : table.write(...call)),
        },
        listShards: () => stream.listShards(),
        consume: (tenure, stop) =>
          consumeShard(
            {
              open: stream.open,
              read: (iterator, limit) => stream.read(iterator, limit),
              write: writer.write,
              documents: search.documents,
              sendLetters: async sealed => {
                if (faults.queueAway) throw new Error('the queue is away')
                letters.push(...sealed)
              },
              leases: async () => (await table.list()).leases,
              createChildren: me.createChildren,
              budget: readBudget(100_000_000),
              parkingRoom,
              blocked,
              decode: decoder('before-image'),
              context,
              clock: time.clock,
              random: () => 0.5,
              log: logger,
              onRead: () => {},
              metrics: {
                backoff,
                received: (_shard, records) => {
                  counts.received += records
                },
                behind: () => {},
                watch: (shard, ask) => {
                  inFlight.set(shard, ask.inFlight)
                  parked.set(shard, ask.parked)
                  ages.set(shard, ask.checkpointAgeSeconds)
                  return () => inFlight.delete(shard)
                },
                checkpointed: () => {},
                settled: (_shard, outcome, records) =>
                  counts.settled.set(outcome, (counts.settled.get(outcome) ?? 0) + records),
                tableSettled: () => {},
                skipped: () => {},
                control: () => {},
                deadLetters: () => {},
                retries: () => {},
                latency: () => {},
                fenceJumped: () => {
                  counts.jumps++
                },
                held: (shard, reason) =>
                  reason ? counts.held.set(shard, reason) : counts.held.delete(shard),
              },
            },
            tenure,
            stop,
            {
              stream: 'fake',
              service: 'test',
              pollMs: 250,
              stallMs: 300_000,
              onTrimmed: 'hold',
              limit: 100,
              checkpointMs: 0,
              heldRetryMs: 30_000,
              keptMax: 200,
              letters: { lettersMax: 1000, shareMax: 0.05, shareFrom: 100 },
              recordBytesMax: 1_000_000,
              unknownAnswerMs: 60_000,
              onUnknownAnswer: given.onUnknownAnswer ?? 'hold',
              retry: RETRY,
            },
          ),
        destroySockets: () => {
          socketsDestroyed++
        },
        clock: time.clock,
        random: () => 0.5,
        log: logger,
        metrics: {
          backoff,
          leasesHeld: leases => {
            counts.leasesHeld = leases
          },
          leases: () => {},
          expired: () => {},
          leaseTaken: () => {},
          leaseEnded: how => counts.endings.push(how),
          renewal: () => {},
          clock: () => {},
        },
      },
      {
        owner,
        leaseMs,
        handoffMs: 30_000,
        maxLeases: 100,
        scanUnitsMax: 500,
        shardSyncMs: 10_000,
        initialPosition: 'TRIM_HORIZON',
      },
    )
    let isDone = false
    const done = me.run({ drain: drain.signal, abandon: abandon.signal }).then(() => {
      isDone = true
    })
    return {
      logs,
      counts,
      done,
      isDone: () => isDone,
      heldShards: me.heldShards,
      isTurning: me.isTurning,
      drain: () => drain.abort(),
      abandon: () => abandon.abort(),
      socketsDestroyed: () => socketsDestroyed,
      checkpointAge: (shard: string) => ages.get(shard)!(),
      parked: (shard: string) => parked.get(shard)!(),
      parkedBytes: parkingRoom.reservedBytes,
      blocked: blocked.all,
      inFlight: () => [...inFlight.values()].reduce((sum, count) => sum + count(), 0),
      settledCount: () => [...counts.settled.values()].reduce((sum, count) => sum + count, 0),
    }
  }

  return { time, stream, table, search, letters, faults, startWorker }
}

function away(): Error {
  return new Error('DynamoDB is away')
}

/** A DMS record of public.t in the one-line layout. */
export function row(
  operation: string,
  data: string,
  given: { before?: string; table?: string } = {},
): string {
  const before = given.before ? `,"before-image":${given.before}` : ''
  return `{"data":${data}${before},"metadata":{"timestamp":"2026-07-29T00:58:17.983670Z","record-type":"data","operation":"${operation}","partition-key-type":"schema-table","schema-name":"public","table-name":"${given.table ?? 't'}"}}\n`
}
