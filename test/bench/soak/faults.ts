/**
 * Which faults a soak brings about, in which order, and how.
 *
 * A restart of OpenSearch is not among them: it loses the tombstones that refuse late copies of older writes, a limit that
 * is known, so documents in the end could differ without a fault in the service.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { numbersFrom } from '../records/changes.ts'
import { DISTURBANCES, type Disturbance, type SinkProxy } from '../sink-proxy.ts'
import type { PacedCall, ReadFailure } from '../stubs/paced-stream-stub.ts'

export const FAULT_EVERY_S = 20

const READ_FAILURES = ['throttled', 'failed', 'expired'] as const satisfies readonly ReadFailure[]
const WORKER_FAULTS = ['killed', 'restarted', 'stopped'] as const

export const FAULT_KINDS = [
  ...DISTURBANCES.map(kind => `bulk ${kind}` as const),
  ...READ_FAILURES.map(kind => `reads ${kind}` as const),
  ...WORKER_FAULTS.map(kind => `worker ${kind}` as const),
]
export type FaultKind = (typeof FAULT_KINDS)[number]

/** Each kind once before any comes again, in an order of the seed's. */
export function* faultOrder(seed: number): Generator<FaultKind, never> {
  const random = numbersFrom(seed)
  for (;;) {
    const left = [...FAULT_KINDS]
    while (left.length > 0) yield left.splice(random(left.length), 1)[0]!
  }
}

const DISTURBED_MS = 6_000
/** Longer than a lease, so that the other worker takes the shards of one that stands still. */
const STOPPED_MS = 15_000
const AWAY_MS = 3_000

/** What faults are done to. The worker is the one that is not watched for memory. */
export type FaultTargets = {
  proxy: Pick<SinkProxy, 'disturb'>
  tellStream: (call: PacedCall) => Promise<unknown>
  worker: {
    signal(signal: 'SIGSTOP' | 'SIGCONT'): void
    /** Ends it by this signal, and resolves once it has ended. */
    end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>
    start(): Promise<void>
  }
}

/** A fault every 20 s of a span, or as soon as the one before is over. */
export async function disturb(
  targets: FaultTargets,
  { fromMs, minutes, seed }: { fromMs: number; minutes: number; seed: number },
  onFault: (kind: FaultKind, atS: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const order = faultOrder(seed)
  for (let atS = FAULT_EVERY_S; atS < minutes * 60; atS += FAULT_EVERY_S) {
    await sleep(Math.max(0, fromMs + atS * 1000 - Date.now()), undefined, { signal })
    const kind = order.next().value
    onFault(kind, atS)
    await carryOut(kind, targets, signal)
  }
}

/** @returns when the fault is over */
export async function carryOut(
  kind: FaultKind,
  { proxy, tellStream, worker }: FaultTargets,
  signal: AbortSignal,
): Promise<void> {
  const [where, what] = kind.split(' ') as [string, string]
  if (where === 'bulk') {
    proxy.disturb(what as Disturbance, DISTURBED_MS)
    await sleep(DISTURBED_MS, undefined, { signal })
  } else if (where === 'reads') {
    await tellStream({ fail: what as ReadFailure, forMs: DISTURBED_MS })
    await sleep(DISTURBED_MS, undefined, { signal })
  } else if (what === 'stopped') {
    worker.signal('SIGSTOP')
    await sleep(STOPPED_MS, undefined, { signal })
    worker.signal('SIGCONT')
  } else {
    await worker.end(what === 'killed' ? 'SIGKILL' : 'SIGTERM')
    await sleep(AWAY_MS, undefined, { signal })
    await worker.start()
  }
}
