/**
 * One process of the service: its clock, and its way to everything outside.
 *
 * A paused process (SIGSTOP, a sleeping machine) does nothing; timers that become due and answers that arrive wait, and
 * run late, in any order, once it goes on. What it had sent before is under way and arrives all the same. A killed one
 * never runs again.
 */
import type { Clock } from '../../src/clock.ts'
import type { Chance } from './chance.ts'
import type { Timeline } from './timeline.ts'

/** ms since 1970-01-01Z at which virtual time begins. */
export const START_MS = 1_800_000_000_000

/** What becomes of one request; Infinity: lost on the way. */
export type Fate = { requestMs: number; answerMs: number }

export type SimulatedProcess = {
  owner: string
  clock: Clock
  chance: Chance
  isRunning(): boolean
  isDead(): boolean
  pause(): void
  resume(): void
  kill(): void
  /** Runs in the process when it runs; the second waits `ms` first. @returns how to cancel it */
  deliver(run: () => void): void
  later(ms: number, run: () => void): () => void
  /** One request and its answer. @throws when no answer came in time; the request may have been served, or will be */
  call<Value>(serve: () => Value | Promise<Value>, fate: Fate, timeoutMs: number): Promise<Value>
}

/** @param given.clockMs how far this machine's wall clock is off */
export function simulatedProcess(
  time: Timeline,
  chance: Chance,
  given: { owner: string; clockMs: number },
): SimulatedProcess {
  let state: 'running' | 'paused' | 'dead' = 'running'
  let waiting: (() => void)[] = []
  const bootMs = chance.whole(0, 1_000_000)

  function deliver(run: () => void): void {
    if (state === 'running') run()
    else if (state === 'paused') waiting.push(run)
  }

  function later(ms: number, run: () => void): () => void {
    const planned = time.at(time.now() + ms, () => deliver(run))
    return () => {
      planned.run = undefined
    }
  }

  const clock: Clock = {
    now: () => START_MS + given.clockMs + time.now(),
    monotonic: () => bootMs + time.now(),
    sleep: (ms, signal) =>
      new Promise(resolve => {
        if (signal?.aborted) return resolve()
        const cancel = later(ms, wake)
        function wake(): void {
          cancel()
          signal?.removeEventListener('abort', wake)
          resolve()
        }
        signal?.addEventListener('abort', wake)
      }),
  }

  return {
    owner: given.owner,
    clock,
    chance,
    isRunning: () => state === 'running',
    isDead: () => state === 'dead',
    pause() {
      if (state === 'running') state = 'paused'
    },
    resume() {
      if (state !== 'paused') return
      state = 'running'
      const late = chance.isHit(0.5) ? waiting : chance.shuffled(waiting)
      waiting = []
      for (const run of late) time.at(time.now(), () => deliver(run))
    },
    kill() {
      state = 'dead'
      waiting = []
    },
    deliver,
    later,
    call: (serve, fate, timeoutMs) =>
      new Promise((resolve, reject) => {
        let isOpen = true
        const settle = (how: () => void) => () => {
          if (!isOpen) return
          isOpen = false
          cancel()
          how()
        }
        const cancel = later(
          timeoutMs,
          settle(() => reject(new Error('no answer in time'))),
        )
        if (fate.requestMs === Number.POSITIVE_INFINITY) return
        time.outside(time.now() + fate.requestMs, () => {
          const answer = Promise.resolve(serve())
          // A refusal whose answer is lost is heard by nobody.
          answer.catch(() => {})
          if (fate.answerMs === Number.POSITIVE_INFINITY) return
          time.at(time.now() + fate.answerMs, () => deliver(settle(() => resolve(answer))))
        })
      }),
  }
}
