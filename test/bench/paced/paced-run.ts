/**
 * One run over the paced stream: our consumer behind a proxy that tells which records are acknowledged, until the arrivals
 * are ended; then all must be acknowledged and the documents right.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Mix } from '../records/changes.ts'
import { type Consumer, startConsumer } from '../records/consumers.ts'
import { type Acknowledged, type SinkProxy, startSinkProxy } from '../sink-proxy.ts'
import type { PacedCall, PacedState } from '../stubs/paced-stream-stub.ts'
import { startStub } from '../stubs/start-stub.ts'
import { type ChangeLog, changeLog } from './change-log.ts'
import { type Ledger, ledger } from './ledger.ts'
import type { Pace } from './pace.ts'
import type { Sink } from './sinks.ts'

export type PacedStream = {
  url: string
  pace: Pace
  logs: ChangeLog[]
  tell(call: PacedCall): Promise<PacedState>
  stop(): void
}

export async function startPacedStream(
  pace: Pace,
  onFault: (fault: string) => void,
  mix?: Mix,
): Promise<PacedStream> {
  const settings = mix ? { pace, mix } : { pace }
  const stub = await startStub('paced-stream-stub.ts', settings, ({ fault }) => {
    if (typeof fault === 'string') onFault(fault)
  })
  return {
    url: stub.url,
    pace,
    logs: Array.from({ length: pace.shards }, (_, shard) => changeLog(shard, mix)),
    async tell(call) {
      const answer = await fetch(`${stub.url}/bench`, { method: 'POST', body: JSON.stringify(call) })
      return (await answer.json()) as PacedState
    },
    stop: stub.stop,
  }
}

export type PacedSettings = {
  pace: Pace
  openSink: (onFault: (fault: string) => void) => Promise<Sink>
  answerDelayMs?: number
  onLatency?: (latencyMs: number, arrivedAtMs: number) => void
  onAcknowledged?: (actions: readonly Acknowledged[]) => void
  /** While this goes on records arrive. The signal comes when the run has failed meanwhile. */
  during: (run: { ledger: Ledger; startedAtMs: number; signal: AbortSignal }) => Promise<void>
}

/** All that has arrived must be acknowledged within this time of the end of the arrivals. */
const SETTLE_MS = 120_000
const LOOK_MS = 100

/** @throws Error when the consumer ends early, records stay unacknowledged, or the documents are not right */
export async function pacedRun(settings: PacedSettings): Promise<PacedState> {
  const { pace, onLatency = () => {}, onAcknowledged = () => {} } = settings
  const faults: string[] = []
  const onFault = (fault: string): void => void faults.push(fault)
  const over = new AbortController()
  const { signal } = over
  const closings: (() => unknown)[] = []
  try {
    const sink = await settings.openSink(onFault)
    closings.push(sink.close)
    const stream = await startPacedStream(pace, onFault)
    closings.push(stream.stop)
    const book = ledger(pace, stream.logs, onLatency)
    const proxy: SinkProxy = await startSinkProxy(
      sink.world.opensearchUrl,
      (actions, nowMs) => {
        book.acknowledge(actions, nowMs)
        onAcknowledged(actions)
      },
      settings.answerDelayMs,
    )
    closings.push(proxy.close)
    const startedAtMs = Date.now()
    const consumer: Consumer = startConsumer('ours', {
      ...sink.world,
      kinesisUrl: stream.url,
      opensearchUrl: proxy.url,
    })
    closings.push(consumer.kill)
    await Promise.race([consumer.failed, settings.during({ ledger: book, startedAtMs, signal })])
    const state = await stream.tell({ stop: true })
    await Promise.race([consumer.failed, untilAcknowledged(book, state.counts, signal)])
    await consumer.stop()
    const wrong = [...new Set(faults), ...(await sink.wrong(stream.logs, state.counts))]
    if (wrong.length > 0) throw new Error(`the run was not right: ${wrong.join('; ')}`)
    return state
  } finally {
    over.abort()
    for (const close of closings.reverse()) await close()
  }
}

/** @throws Error when some are not within two minutes */
export async function untilAcknowledged(
  book: Ledger,
  counts: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  const deadlineMs = performance.now() + SETTLE_MS
  for (; book.missing(counts) > 0; await sleep(LOOK_MS, undefined, { signal }))
    if (performance.now() > deadlineMs)
      throw new Error(
        `${book.missing(counts)} records are not acknowledged ${SETTLE_MS / 1000} s after the last arrived`,
      )
}
