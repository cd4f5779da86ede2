/**
 * Records in order to PutRecords, one request at a time.
 *
 * Batches form by themselves: a request takes whatever has gathered while the one before was away, so an idle stream waits for
 * nothing and a busy one fills its requests. When some records of a request fail, the first of them and everything behind it
 * is sent again: a record may arrive twice, but the last word on a key is the newest, and nothing is left out.
 */
import type { KinesisRecord } from './records.ts'

/** For each record of the request, in order, whether the stream took it; `error` says why not. */
export type PutOutcome = { isPut: boolean; error?: string }[]

/** Resolves with the outcome, rejects with `StreamRefusedError` for good or with anything else for now. */
export type Put = (records: KinesisRecord[]) => Promise<PutOutcome>

/** The stream will not take this, however often it is asked: missing, forbidden, or the record is too large. */
export class StreamRefusedError extends Error {}

export type SinkSettings = {
  /** Kinesis allows 500 a request. */
  recordsMax: number
  /** Of one request, data and partition keys; Kinesis allows 5 MiB. */
  requestBytesMax: number
  /** Of one record, data and partition key; Kinesis allows 1 MiB unless the stream is set to more. */
  recordBytesMax: number
  /** What waits here at most, apart from the record that passes the mark; then `add` waits. */
  pendingBytesMax: number
  tooLarge: 'stop' | 'drop'
}

export type SinkWorld = {
  put: Put
  /** Waits that long; returns early when the sink is closed. */
  wait: (ms: number) => Promise<void>
  random: () => number
  onRetry: (failure: { attempt: number; waitMs: number; failed: number; error: string }) => void
  onDropped: (dropped: { table: string; bytes: number }) => void
}

const firstWaitMs = 50
const longestWaitMs = 5_000

/** 50 ms, 100, 200 ... 5 s, each shortened by up to half at random, so that several writers do not come back together. */
export function retryWaitMs(attempt: number, random: number): number {
  const fullMs = Math.min(firstWaitMs * 2 ** (attempt - 1), longestWaitMs)
  return Math.round(fullMs * (1 - random / 2))
}

const bytesOf = (record: KinesisRecord): number => record.data.length + Buffer.byteLength(record.partitionKey)

type Entry = { record: KinesisRecord; bytes: number } | { mark: () => void }

export function createSink(settings: SinkSettings, world: SinkWorld) {
  const queue: Entry[] = []
  let pendingBytes = 0
  let isClosed = false
  let failure: Error | null = null
  let reportFailure: (error: Error) => void = () => {}
  const failed = new Promise<never>((_, reject) => {
    reportFailure = reject
  })
  // Whoever races against it hears of it; nobody has to.
  failed.catch(() => {})
  let running: Promise<void> | null = null
  const waiting: { isReached: () => boolean; resolve: () => void; reject: (error: Error) => void }[] = []

  const fail = (error: Error): Error => {
    failure = error
    reportFailure(error)
    return error
  }

  const wake = (): void => {
    for (const waiter of waiting.splice(0)) {
      if (failure !== null) waiter.reject(failure)
      else if (isClosed || waiter.isReached()) waiter.resolve()
      else waiting.push(waiter)
    }
  }
  const until = (isReached: () => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      waiting.push({ isReached, resolve, reject })
      wake()
    })

  const start = (): void => {
    if (running !== null || isClosed || failure !== null) return
    // The turn of the loop ends first, so that all records of one transaction that came in one read share a request.
    running = new Promise<void>(resolve => setImmediate(resolve))
      .then(drain)
      .catch((error: unknown) => {
        fail(error instanceof Error ? error : new Error(String(error)))
      })
      .finally(() => {
        running = null
        wake()
        // What came between the end of the loop and here has found it still running.
        if (queue.length > 0) start()
      })
  }

  const passMarks = (): void => {
    for (let head = queue[0]; head !== undefined && 'mark' in head; head = queue[0]) {
      queue.shift()
      head.mark()
    }
  }

  async function drain(): Promise<void> {
    let attempt = 0
    passMarks()
    while (queue.length > 0 && !isClosed) {
      const batch = nextBatch()
      const { put, error } = await tryPut(batch)
      accept(put)
      if (put === batch.length) {
        attempt = 0
      } else if (!isClosed) {
        attempt = put > 0 ? 1 : attempt + 1
        const waitMs = retryWaitMs(attempt, world.random())
        world.onRetry({ attempt, waitMs, failed: batch.length - put, error })
        await world.wait(waitMs)
      }
    }
  }

  function nextBatch(): KinesisRecord[] {
    const batch: KinesisRecord[] = []
    let bytes = 0
    for (const entry of queue) {
      if ('mark' in entry) continue
      if (batch.length === settings.recordsMax) break
      if (batch.length > 0 && bytes + entry.bytes > settings.requestBytesMax) break
      batch.push(entry.record)
      bytes += entry.bytes
    }
    return batch
  }

  /** How many records from the front of the batch are safely in the stream. */
  async function tryPut(batch: KinesisRecord[]): Promise<{ put: number; error: string }> {
    try {
      const outcome = await world.put(batch)
      const failed = outcome.findIndex(record => !record.isPut)
      if (failed < 0) return { put: batch.length, error: '' }
      return { put: failed, error: outcome[failed]?.error ?? 'no reason given' }
    } catch (error) {
      if (error instanceof StreamRefusedError) throw error
      return { put: 0, error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) }
    }
  }

  function accept(count: number): void {
    for (let left = count; left > 0; left -= 1) {
      passMarks()
      const entry = queue.shift()
      if (entry !== undefined && 'record' in entry) pendingBytes -= entry.bytes
    }
    passMarks()
    wake()
  }

  return {
    /** Takes the next record; resolves once there is room for more. Rejects when the stream refuses for good. */
    async add(record: KinesisRecord): Promise<void> {
      if (failure !== null) throw failure
      if (isClosed) return
      const bytes = bytesOf(record)
      if (bytes > settings.recordBytesMax) {
        if (settings.tooLarge === 'stop') {
          // Kept as the sink's failure: no mark behind the missing record may pass.
          throw fail(
            new StreamRefusedError(
              `a record of ${record.table} has ${bytes} bytes, over the stream's limit of ${settings.recordBytesMax}: ` +
                'raise that limit and DMS_RECORD_BYTES_MAX, lower DMS_LOB_BYTES_MAX, or set DMS_RECORD_TOO_LARGE=drop',
            ),
          )
        }
        world.onDropped({ table: record.table, bytes })
        return
      }
      queue.push({ record, bytes })
      pendingBytes += bytes
      start()
      if (pendingBytes > settings.pendingBytesMax) {
        await until(() => pendingBytes <= settings.pendingBytesMax)
      }
    },

    /** Calls back once every record added before is in the stream; never when it is not. */
    mark(reached: () => void): void {
      // The records before it may have been turned away: behind a request still under way it would pass without them.
      if (isClosed || failure !== null) return
      queue.push({ mark: reached })
      start()
    },

    /** Resolves when everything added so far is in the stream, or when the sink is closed. */
    async flushed(): Promise<void> {
      start()
      await until(() => queue.length === 0)
    },

    /** Rejects when the stream refuses for good; never resolves. */
    failed,

    /** Whether every record handed to `add` is in the stream; no longer once records are turned away. */
    hasPutAll: (): boolean => queue.length === 0 && !isClosed && failure === null,

    /** Lets the request under way come home and drops what was not sent; the slot sends it again after a restart. */
    async close(): Promise<void> {
      isClosed = true
      wake()
      await running
    },
  }
}

export type Sink = ReturnType<typeof createSink>
