/** A clock that moves by hand: `advance` wakes the sleepers that are due, in order of their time. */
import type { Clock } from '../../src/clock.ts'

export function fakeClock(startMs = 1_800_000_000_000) {
  let elapsedMs = 0
  let sleepers: { atMs: number; wake: () => void }[] = []

  /** Lets everything that can go on without time go on. Each turn of the event loop drains all promises. */
  async function settle(turns = 20): Promise<void> {
    for (let turn = 0; turn < turns; turn++) await new Promise(resolve => setImmediate(resolve))
  }

  const clock: Clock = {
    now: () => startMs + elapsedMs,
    monotonic: () => elapsedMs,
    sleep: (ms, signal) =>
      new Promise(resolve => {
        if (signal?.aborted) return resolve()
        const sleeper = {
          atMs: elapsedMs + ms,
          wake: () => {
            signal?.removeEventListener('abort', sleeper.wake)
            sleepers = sleepers.filter(other => other !== sleeper)
            resolve()
          },
        }
        sleepers.push(sleeper)
        signal?.addEventListener('abort', sleeper.wake)
      }),
  }

  return {
    clock,
    settle,
    async advance(ms: number): Promise<void> {
      const untilMs = elapsedMs + ms
      await settle()
      for (;;) {
        const next = sleepers.reduce<(typeof sleepers)[number] | undefined>(
          (first, other) => (!first || other.atMs < first.atMs ? other : first),
          undefined,
        )
        if (!next || next.atMs > untilMs) break
        elapsedMs = Math.max(elapsedMs, next.atMs)
        next.wake()
        await settle()
      }
      elapsedMs = untilMs
      await settle()
    },
  }
}
