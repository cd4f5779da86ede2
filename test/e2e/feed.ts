/**
 * A steady trickle into every shard, watched record by record: how long did each wait until OpenSearch had it?
 *
 * Each shard has one table. Records of even number are new rows, so that none can be lost unseen; those of odd number set
 * the row `counter` to their own number, so that a change applied out of order is seen as a number that falls. The indices
 * are asked every few hundredths of a second, so a wait is never told too short, and too long by one such look at most.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { ask } from './documents.ts'
import { dmsRecord } from './records.ts'
import type { Stream } from './stream.ts'
import { until } from './until.ts'

export type FeedPlace = {
  stream: Pick<Stream, 'put'>
  schema: string
  /** One in each shard. */
  tables: readonly string[]
  indexOf(table: string): string
  opensearchUrl: string
}

/** Times are of the monotonic clock; `putAtMs` is when the put was sent. */
export type Fed = { table: string; shardId: string; number: number; putAtMs: number; seenAtMs?: number }

export type Feed = {
  /** Puts one record into the shard of each of these tables (default: all). */
  put(tables?: readonly string[]): Promise<Fed[]>
  /** Puts one into each shard, again and again until `stop`. */
  start(): void
  stop(): Promise<void>
  /** Waits until each of these records is applied (default: all put so far). */
  untilSeen(records?: readonly Fed[], deadlineMs?: number): Promise<void>
  records(): readonly Fed[]
  /** Counters that were seen to fall, in words; empty when order was kept. */
  disorder(): readonly string[]
  /** Ends the looking. */
  close(): Promise<void>
}

const PUT_EVERY_MS = 100
const LOOK_EVERY_MS = 25
const ARRIVAL_MS = 45_000
const COUNTER = 'counter'

export function createFeed(place: FeedPlace): Feed {
  const all: Fed[] = []
  const waiting = new Map<string, Fed[]>(place.tables.map(table => [table, []]))
  const counters = new Map<string, number>()
  const disorder: string[] = []
  const over = new AbortController()
  let putting = Promise.resolve()
  let isPutting = false
  let nextNumber = 0

  async function put(tables = place.tables): Promise<Fed[]> {
    const number = nextNumber++
    const id = number % 2 === 0 ? String(number) : COUNTER
    const putAtMs = performance.now()
    const puts = await place.stream.put(
      tables.map(table => ({
        partitionKey: `${place.schema}.${table}`,
        data: dmsRecord({
          operation: number < 2 || id !== COUNTER ? 'insert' : 'update',
          schema: place.schema,
          table,
          row: `{"id":"${id}","number":${number}}`,
        }),
      })),
    )
    const fed = tables.map((table, at) => ({ table, shardId: puts[at]!.shardId, number, putAtMs }))
    for (const record of fed) waiting.get(record.table)!.push(record)
    all.push(...fed)
    return fed
  }

  async function look(): Promise<void> {
    const asked = [...waiting].flatMap(([table, records]) => {
      const rows = records.filter(({ number }) => number % 2 === 0).map(({ number }) => String(number))
      return [COUNTER, ...rows].map(id => ({ table, id }))
    })
    const answer = await ask(place.opensearchUrl, 'POST', '/_mget', {
      body: { docs: asked.map(({ table, id }) => ({ _index: place.indexOf(table), _id: id })) },
    })
    const nowMs = performance.now()
    const { docs } = JSON.parse(answer) as { docs: { found?: boolean; _source?: { number: number } }[] }
    for (const [at, { table, id }] of asked.entries()) {
      const document = docs[at]!
      if (!document.found) continue
      const { number } = document._source!
      if (id === COUNTER) {
        const before = counters.get(table) ?? -1
        if (number < before) disorder.push(`${table}: ${number} after ${before}`)
        counters.set(table, number)
      }
      settle(table, nowMs, record =>
        id === COUNTER ? record.number % 2 === 1 && record.number <= number : record.number === number,
      )
    }
  }

  function settle(table: string, seenAtMs: number, isSeen: (record: Fed) => boolean): void {
    const records = waiting.get(table)!
    for (const record of records) if (isSeen(record)) record.seenAtMs = seenAtMs
    waiting.set(
      table,
      records.filter(({ seenAtMs: at }) => at === undefined),
    )
  }

  const looking = (async () => {
    while (!over.signal.aborted) {
      // OpenSearch may be busy for a moment; who waits for a record is told by `untilSeen`.
      await look().catch(() => {})
      await pause(LOOK_EVERY_MS)
    }
  })()

  return {
    put,
    records: () => all,
    disorder: () => disorder,

    start() {
      isPutting = true
      putting = (async () => {
        while (isPutting) {
          const nextAtMs = performance.now() + PUT_EVERY_MS
          await put()
          await pause(Math.max(0, nextAtMs - performance.now()))
        }
      })()
      // A put that fails is told by `stop`; until then it must not end the run as unhandled.
      putting.catch(() => {})
    },

    async stop() {
      isPutting = false
      await putting
    },

    async untilSeen(records = all, deadlineMs = ARRIVAL_MS) {
      const missing = () => records.filter(({ seenAtMs }) => seenAtMs === undefined)
      await until('every record to be applied', () => missing().length === 0, {
        deadlineMs,
        seen: () =>
          missing()
            .slice(0, 10)
            .map(({ table, shardId, number }) => `${number} of ${table} in ${shardId} is missing`)
            .join('\n'),
      })
    },

    async close() {
      over.abort()
      isPutting = false
      await Promise.allSettled([putting, looking])
    },
  }
}

/** How long a record that was seen waited, in ms. */
export const waitOf = ({ putAtMs, seenAtMs }: Fed): number => seenAtMs! - putAtMs
