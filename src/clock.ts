/** The real clock. Wall time for what is written down, monotonic time for how long something took. */
import { performance } from 'node:perf_hooks'

export type Clock = {
  /** ms since 1970-01-01Z; may jump. */
  now(): number
  /** ms since some moment; never goes back and does not follow the wall clock. */
  monotonic(): number
  /** Resolves after `ms`, or at once when the signal aborts: the caller looks at the signal, nothing is thrown. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise(resolve => {
      if (signal?.aborted) return resolve()
      const wake = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      const timer = setTimeout(wake, ms)
      signal?.addEventListener('abort', wake)
    }),
}

export function untilAbort(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** The answer, or undefined as soon as the signal aborts: a hanging request must not hold up a worker that leaves. */
export function untilAborted<Value>(answer: Promise<Value>, signal: AbortSignal): Promise<Value | undefined> {
  return new Promise((resolve, reject) => {
    const leave = () => resolve(undefined)
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
    // Also when we have left: a late failure has nobody else to hear it.
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
  })
}
