/**
 * One shard's pages, in order, at the pace Kinesis allows: at once when behind (5 reads a second), else at the poll
 * interval; each read after its bytes are reserved. Whatever fails is tried again from the same place, for ever, until
 * the signal says to stop: a position is never guessed.
 */
import { type BackoffMetrics, sleepAfterFailure } from './back-off.ts'
import { type Clock, untilAborted } from './clock.ts'
import { backoffMs } from './core/backoff.ts'
import { isAfter } from './core/shard.ts'
import { type ChildShard, lengthOf, type StreamPage, type StreamRecord } from './core/stream.ts'
import type { ReadBudget } from './read-budget.ts'

export type ReaderParts = {
  open: (shardId: string, from: string) => Promise<string | undefined>
  read: (iterator: string, limit: number) => Promise<StreamPage>
  budget: ReadBudget
  clock: Clock
  random: () => number
  log: { warn(fields: object, text: string): void }
  onRead: (read: { outcome: 'ok' | 'expired' | 'throttled' | 'failed'; seconds: number }) => void
  metrics: BackoffMetrics
}

export type ReaderSettings = {
  /** Without a successful read for this long the shard is given up. */
  stallMs: number
  pollMs: number
  limit: number
  retry: { firstMs: number; maxMs: number }
}

export type ReadPage = {
  records: StreamRecord[]
  /** Of the records' data. */
  bytes: number
  /** Of the memory they lie in, which the budget is charged with. */
  heldBytes: number
  behindMs: number
  /** The record at the position we opened at was not there any more: retention passed it, and perhaps others after it. */
  isTrimmed: boolean
  /** Set on the last page of a shard that ended. */
  end: { children: ChildShard[] } | undefined
  /** Gives the page's bytes back to the budget; once. */
  release(): void
  /**
   * Gives the page's memory to another one. Only when every record of it is settled: until then writes that wait, and
   * letters, read from it. A page left before that goes the way of all garbage.
   */
  recycle(): void
}

/** Kinesis allows five reads a second of a shard. */
const READ_SPACING_MS = 200
/** A read may answer with 10 MB; until a shard's usual answer is known that is what it reserves. */
const ANSWER_BYTES_MAX = 10_000_000
const ANSWER_BYTES_MIN = 65_536

/** @param start a sequence number up to which (inclusive) all is settled, or `TRIM_HORIZON` or `LATEST` */
export function shardReader(parts: ReaderParts, shardId: string, start: string, settings: ReaderSettings) {
  const { clock, budget, log } = parts
  // KCL writes this word where it begins at a time; the time is in its configuration, not in the table. The oldest record
  // loses nothing, and versions make the rest harmless.
  let position = start === 'AT_TIMESTAMP' ? 'TRIM_HORIZON' : start
  let iterator: string | undefined
  let nextReadMs = 0
  let isOpened = false
  let expectedBytes = ANSWER_BYTES_MAX

  const isNumber = () => /^\d+$/.test(position)

  /** One read. @returns undefined when the iterator had expired and the same place must be opened anew */
  async function readOnce(): Promise<ReadPage | undefined> {
    if (iterator === undefined) {
      iterator = await parts.open(shardId, position)
      isOpened = true
    }
    if (iterator === undefined) throw new Error(`Kinesis gave no iterator for ${shardId}`)
    const startedAtMs = clock.monotonic()
    const answer = await parts.read(iterator, settings.limit)
    parts.onRead({
      outcome: answer.kind === 'expired' ? 'expired' : 'ok',
      seconds: (clock.monotonic() - startedAtMs) / 1000,
    })
    if (answer.kind === 'expired') {
      iterator = undefined
      return undefined
    }
    if (answer.kind === 'gone') {
      log.warn({ shardId, position }, 'the stream no longer has this shard; taken as its end')
      return {
        records: [],
        bytes: 0,
        heldBytes: 0,
        behindMs: 0,
        isTrimmed: false,
        end: { children: [] },
        release: () => {},
        recycle: () => {},
      }
    }
    const isEnd = answer.next === undefined
    // Kinesis always names the children of a shard that ended; an end without them is a fault of the answer.
    if (isEnd && answer.children.length === 0)
      throw new Error(`Kinesis ended ${shardId} without naming its children`)
    iterator = answer.next
    // Opened at a number, the record of that number comes first, unless retention has passed it.
    const first = answer.records[0]
    const isTrimmed = isOpened && isNumber() && first !== undefined && first.sequenceNumber !== position
    if (first) isOpened = false
    // They come in order, so where the first one is new, all are.
    const records =
      isNumber() && first && !isAfter(first.sequenceNumber, position)
        ? answer.records.filter(record => isAfter(record.sequenceNumber, position))
        : answer.records
    position = answer.records.at(-1)?.sequenceNumber ?? position
    const isCaughtUp = answer.behindMs === 0 && answer.records.length < settings.limit
    nextReadMs = startedAtMs + (isCaughtUp ? settings.pollMs : READ_SPACING_MS)
    let bytes = 0
    for (const record of records) bytes += lengthOf(record)
    const heldBytes = Math.max(bytes, answer.bytes ?? 0)
    return {
      records,
      bytes,
      heldBytes,
      behindMs: answer.behindMs,
      isTrimmed,
      end: isEnd ? { children: answer.children } : undefined,
      release: () => budget.release(heldBytes),
      recycle: () => answer.recycle?.(),
    }
  }

  function waitAfter(error: unknown, attempt: number): void {
    const isThrottled =
      error instanceof Error && /ProvisionedThroughputExceeded|LimitExceeded|Throttl/.test(error.name)
    parts.onRead({ outcome: isThrottled ? 'throttled' : 'failed', seconds: 0 })
    if (!isThrottled)
      log.warn({ shardId, attempt, err: error }, 'read failed, trying again from the same place')
    nextReadMs = clock.monotonic() + READ_SPACING_MS + backoffMs(attempt, parts.random(), settings.retry)
  }

  /**
   * The next page, perhaps empty; undefined once the signal says to stop, `stalled` when reads have failed for the stall
   * time: another worker may be able to.
   */
  async function next(signal: AbortSignal): Promise<ReadPage | 'stalled' | undefined> {
    let failingSinceMs: number | undefined
    for (let attempt = 0; ; ) {
      const waitMs = Math.max(0, nextReadMs - clock.monotonic())
      if (attempt === 0) await clock.sleep(waitMs, signal)
      else await sleepAfterFailure(parts, 'kinesis', waitMs, signal)
      const reserved = expectedBytes
      if (!(await budget.reserve(reserved, signal))) return undefined
      let page: ReadPage | undefined
      try {
        page = await untilAborted(readOnce(), signal)
      } catch (error) {
        failingSinceMs ??= clock.monotonic()
        waitAfter(error, attempt++)
      }
      // The page keeps what it really holds; an answer that arrives after the signal is never seen by anybody.
      budget.release(reserved - (page?.heldBytes ?? 0))
      if (page) {
        // Of small records an answer is mostly what stands around their data.
        const usual = Math.max(page.bytes * 1.5, page.heldBytes)
        expectedBytes = Math.min(ANSWER_BYTES_MAX, Math.max(ANSWER_BYTES_MIN, usual))
        return page
      }
      if (signal.aborted) return undefined
      if (failingSinceMs !== undefined && clock.monotonic() - failingSinceMs > settings.stallMs)
        return 'stalled'
    }
  }

  return { next }
}
