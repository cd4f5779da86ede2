/**
 * Simulated servers under a client that obeys the limit. Time is virtual: a minute takes milliseconds, and a seed gives
 * the same run again.
 *
 * A server works on up to `parallel` requests at once, lets others wait in order of arrival, and refuses those above
 * `refuseAbove` at once. All three may change with time.
 */
import type { ConcurrencyLimit } from '../../src/core/limit.ts'
import { type Chance, seededChance } from '../simulation/chance.ts'

export type Server = {
  /** Requests worked on at once; others wait. */
  parallel?: (nowMs: number) => number
  /** Requests on the server, this one included, above which it answers 429. */
  refuseAbove?: (nowMs: number) => number
  /** Time of one request once it is worked on. @param working requests worked on, this one included */
  workMs: (request: { working: number; size: number; nowMs: number; chance: Chance }) => number
  /** Nobody there: connections fail. */
  isDown?: (nowMs: number) => boolean
}

export type Load = (nowMs: number) => number

export type Run = {
  /** Full requests a second that succeeded between two times. */
  throughput(fromMs: number, toMs: number): number
  /** The longest unbroken time with the limit above a value. */
  longestAboveMs(value: number, fromMs: number, toMs: number): number
  /** When the limit first was at least a value, from a time on; infinite if never. */
  reachedAtMs(value: number, fromMs: number): number
  meanLimit(fromMs: number, toMs: number): number
}

const REFUSAL_MS = 5

/**
 * @param given.load full requests' worth of work arriving a second; without it there is always more than enough. What has
 * arrived when a slot is free makes one request, at most a full one.
 */
export function run(given: {
  limit: ConcurrencyLimit
  server: Server
  forMs: number
  seed: number
  load?: Load
}): Run {
  const { limit, server, forMs, load } = given
  const chance = seededChance(given.seed)
  const parallel = server.parallel ?? (() => Number.POSITIVE_INFINITY)
  const refuseAbove = server.refuseAbove ?? (() => Number.POSITIVE_INFINITY)
  const events: { atMs: number; do: () => void }[] = []
  const waiting: (() => void)[] = []
  const done: { atMs: number; size: number }[] = []
  const limits = [{ atMs: 0, limit: limit.current() }]
  let nowMs = 0
  let working = 0
  let queued = 0

  function at(atMs: number, action: () => void): void {
    let place = events.length
    while (place > 0 && events[place - 1]!.atMs <= atMs) place--
    events.splice(place, 0, { atMs, do: action })
  }

  function serve(): void {
    while (waiting.length > 0 && working < parallel(nowMs)) waiting.shift()!()
  }

  function send(size: number): void {
    const end = limit.started({ size, nowMs })
    if (server.isDown?.(nowMs)) {
      at(nowMs + REFUSAL_MS, () => end('failed', nowMs))
      return
    }
    if (working + waiting.length + 1 > refuseAbove(nowMs)) {
      at(nowMs + REFUSAL_MS, () => end('back-pressure', nowMs))
      return
    }
    waiting.push(() => {
      working++
      at(nowMs + server.workMs({ working, size, nowMs, chance }), () => {
        working--
        const isLost = server.isDown?.(nowMs) ?? false
        if (!isLost) done.push({ atMs: nowMs, size })
        end(isLost ? 'failed' : 'success', nowMs)
        serve()
      })
    })
    serve()
  }

  function fill(): void {
    while (limit.inFlight() < limit.current()) {
      const size = load ? Math.min(1, queued) : 1
      if (size === 0) return
      queued -= load ? size : 0
      send(size)
    }
  }

  function arrive(): void {
    queued += load!(nowMs) / 100
    at(nowMs + 10, arrive)
  }

  if (load) at(0, arrive)
  fill()
  while (events.length > 0) {
    const event = events.pop()!
    if (event.atMs > forMs) break
    nowMs = event.atMs
    event.do()
    fill()
    if (limits.at(-1)!.limit !== limit.current()) limits.push({ atMs: nowMs, limit: limit.current() })
  }

  /** The parts of a time span in which the limit stayed the same. */
  const spans = (fromMs: number, toMs: number) =>
    limits
      .map((entry, place) => ({
        limit: entry.limit,
        fromMs: Math.max(fromMs, entry.atMs),
        toMs: Math.min(toMs, limits[place + 1]?.atMs ?? forMs),
      }))
      .filter(span => span.toMs > span.fromMs)

  return {
    throughput: (fromMs, toMs) =>
      done
        .filter(({ atMs }) => atMs >= fromMs && atMs < toMs)
        .reduce((sum, { size }) => sum + size / ((toMs - fromMs) / 1000), 0),
    longestAboveMs(value, fromMs, toMs) {
      let longest = 0
      let current = 0
      for (const span of spans(fromMs, toMs)) {
        current = span.limit > value ? current + span.toMs - span.fromMs : 0
        longest = Math.max(longest, current)
      }
      return longest
    },
    reachedAtMs: (value, fromMs) =>
      spans(fromMs, forMs).find(span => span.limit >= value)?.fromMs ?? Number.POSITIVE_INFINITY,
    meanLimit: (fromMs, toMs) =>
      spans(fromMs, toMs).reduce(
        (sum, span) => sum + (span.limit * (span.toMs - span.fromMs)) / (toMs - fromMs),
        0,
      ),
  }
}
