/** Waiting after a failure, counted: how much of its time the service loses to what is away or refuses, and where. */
import type { Clock } from './clock.ts'
import { type BackoffPlace, backoffMs } from './core/backoff.ts'

export type BackoffMetrics = { backoff: (where: BackoffPlace, seconds: number) => void }

type Parts = { clock: Clock; random: () => number; metrics: BackoffMetrics }

/** Counted when it is over: a signal ends a wait early, and what was only planned is no lost time. */
export async function sleepAfterFailure(
  { clock, metrics }: Omit<Parts, 'random'>,
  where: BackoffPlace,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  const startedAtMs = clock.monotonic()
  await clock.sleep(ms, signal)
  metrics.backoff(where, (clock.monotonic() - startedAtMs) / 1000)
}

export function backOff(
  parts: Parts,
  failed: { where: BackoffPlace; attempt: number; firstMs: number; maxMs: number },
  signal: AbortSignal,
): Promise<void> {
  return sleepAfterFailure(parts, failed.where, backoffMs(failed.attempt, parts.random(), failed), signal)
}
