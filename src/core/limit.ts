/**
 * How many bulk requests may be under way at once.
 *
 * Additive increase, multiplicative decrease on an average of round-trip times, as in Vector's adaptive concurrency
 * (`adaptive_concurrency/controller.rs`): it starts at 1, and once per averaged round trip it goes up by 1 if the limit was
 * reached without back pressure or slower answers, and down to 0.9 of itself on any back pressure or an unusually slow
 * round trip. Times are those of successful requests only. In two things it differs, each for a server on which the
 * plain rule fails:
 *
 * - Sizes. Batching is natural, so a request is small when it is quiet and full when behind, and a full one takes longer.
 *   That is not congestion: a time is compared only with the past of its own size class (a doubling of size each).
 *   And a limit that small requests have reached says nothing about as many full ones, so only requests at least half
 *   full raise it. Nothing is lost by that: while they are smaller, one round trip carries all there is.
 * - Worth. A server that only queues what it cannot yet serve never refuses and slows down by small steps; an average
 *   that forgets follows them up for ever. So the round trip of full requests is kept for each limit, and the limit goes
 *   back unless it earns, against a fifth less, at least half the throughput that perfect scaling would give. Where it
 *   earns exactly half is the peak of throughput over round trip, the usual definition of a queue's best point.
 *
 * Every limit from 1 to the present one was measured on the way up. A server that changed contradicts what is
 * remembered and is measured anew. In quiet times the limit only falls, by chance: that what was proved long ago is not
 * relied on is right, and the way back up takes few round trips.
 */

/** Weight of the newest interval in the mean. */
const ALPHA = 0.4
const DECREASE = 0.9
/** An interval this many standard deviations above the mean is slow. */
const DEVIATIONS = 2.5
/** Weight of the newest interval in the deviation: of the mean's three or four, too few to tell one in a hundred. */
const VARIANCE_ALPHA = 0.1
/** Times that differ by less than this share are the same: a constant time plus rounding has no deviation to speak of. */
const SLACK = 0.01
/** Times are divided by one another. */
const LEAST_SECONDS = 1e-6

/** Share of perfect scaling that more concurrency must bring. */
const WORTH = 0.5
/** The limit is compared with this share of itself. */
const LESS = 0.8
/** Requests that the round trip of a limit remembers: with a few, jitter would decide what a limit is worth. */
const MEMORY = 256
/** Intervals, beside as many as the limit, after which what is remembered is measured again when the limit goes back. */
const FRESH_INTERVALS = 8
/** What is measured this many standard errors from what is remembered is another server's, as it were. */
const CONTRADICTION = 3.5
/** Weight of the newest request in the spread of their times. */
const SPREAD_ALPHA = 0.02

/** Larger requests than this share of the greatest size raise the limit. */
const FULL_FROM = 0.5
/** Size classes: 2^-12 of a full request, and all below, to 2^8 (a document that is larger than a batch goes alone). */
const CLASS_MIN = -12
const CLASS_MAX = 8

/**
 * `failed`: no answer (timeout, broken connection), which counts as back pressure. `refused`: an answer that tells
 * nothing about load, such as 400, 413, or an index that is blocked.
 */
export type RequestOutcome = 'success' | 'back-pressure' | 'failed' | 'refused'

export type ConcurrencyLimit = {
  /** A whole number from 1 to `max`. A request may start while fewer are in flight. */
  current(): number
  /**
   * Tells of every request as it is sent; what it returns is to be called once, when the request has ended.
   *
   * @param request.size share of the greatest request, by bytes or actions, whichever is more; above 0; 1 is full
   * @param request.nowMs monotonic
   */
  started(request: { size: number; nowMs: number }): (outcome: RequestOutcome, nowMs: number) => void
  inFlight(): number
}

/** Seconds of one interval's requests. */
type Sum = { seconds: number; count: number }

/** Mean seconds, the number of requests that it rests on, and the interval of the last. */
type RoundTrip = { seconds: number; count: number; interval: number }

/** @param settings.max requests; the setting BULK_IN_FLIGHT_MAX */
export function concurrencyLimit(settings: { max: number }): ConcurrencyLimit {
  let limit = 1
  let inFlight = 0
  /** Mean seconds of each size class. */
  const means = new Map<number, number>()
  /** Of an interval's time over the mean, about 1. */
  let variance = 0
  /** Variance of one full request's time over its mean, out of neighbours' differences: a change of the mean is no spread. */
  let spread = 0
  let lastSeconds: number | undefined
  /** Mean seconds of full requests by the limit they were sent at; no entry above the highest limit so far. */
  const roundTripAt: RoundTrip[] = []
  let nextAtMs = Number.NEGATIVE_INFINITY
  let intervalMs = 0
  let interval = 0

  /** The interval under way. */
  let sums = new Map<number, Sum>()
  let atLimit: Sum = { seconds: 0, count: 0 }
  let hasBackPressure = false

  /** The interval's times over the past means of their classes; none if every class is new. */
  function slowness(): number | undefined {
    let expected = 0
    let measured = 0
    for (const [sizeClass, { seconds, count }] of sums) {
      const mean = means.get(sizeClass)
      if (mean === undefined) continue
      measured += seconds / mean
      expected += count
    }
    return expected > 0 ? measured / expected : undefined
  }

  /**
   * Whether this limit earns enough more than a fifth less does. Not known before so many requests were measured that
   * chance seldom decides: the standard error is to be half the distance between perfect and just enough.
   */
  function worth(): boolean | undefined {
    const here = roundTripAt[limit]
    if (atLimit.count === 0 || !here) return undefined
    if (limit === 1) return true
    const less = lessThan(limit)
    const perfect = limit / less
    const enough = 1 + WORTH * (perfect - 1)
    const error = Math.sqrt((2 * spread) / here.count)
    if (error > (perfect / enough - 1) / 2 && here.count < MEMORY) return undefined
    return limit / here.seconds >= (enough * less) / roundTripAt[less]!.seconds
  }

  /**
   * Where a limit goes that is not worth it: to what it was compared with, so that this is measured again. If what that
   * in turn is compared with is old, to there: a single wrong measurement would otherwise hold the limit up for ever.
   */
  function back(): number {
    const less = lessThan(limit)
    const before = lessThan(less)
    return isOld(roundTripAt[before]!) ? before : less
  }

  function learn(slow: number | undefined): void {
    let seconds = 0
    let count = 0
    for (const [sizeClass, sum] of sums) {
      means.set(sizeClass, averaged(means.get(sizeClass), sum))
      seconds += sum.seconds
      count += sum.count
    }
    if (count > 0) intervalMs = (seconds / count) * 1000
    if (slow !== undefined) variance = (1 - VARIANCE_ALPHA) * (variance + VARIANCE_ALPHA * (slow - 1) ** 2)
  }

  /** Adds what was measured to what is remembered of this limit, or puts it in the place of what it contradicts. */
  function remember(): void {
    const newest = atLimit.seconds / atLimit.count
    const past = roundTripAt[limit]
    const isContradicted =
      past !== undefined &&
      Math.abs(newest / past.seconds - 1) >
        Math.max(SLACK, CONTRADICTION * Math.sqrt(spread * (1 / past.count + 1 / atLimit.count)))
    const pastCount = past && !isContradicted ? Math.min(past.count, MEMORY) : 0
    const count = pastCount + atLimit.count
    const seconds = ((past?.seconds ?? 0) * pastCount + atLimit.seconds) / count
    roundTripAt[limit] = { seconds: Math.max(seconds, LEAST_SECONDS), count, interval }
  }

  function isOld(roundTrip: RoundTrip): boolean {
    return interval - roundTrip.interval > FRESH_INTERVALS + limit
  }

  function decide(nowMs: number): void {
    const slow = slowness()
    const unusual = Math.max(SLACK, DEVIATIONS * Math.sqrt(variance))
    const isSlow = slow !== undefined && slow >= 1 + unusual
    if (atLimit.count > 0 && !hasBackPressure) remember()
    const isWorth = worth()
    learn(slow)
    if (hasBackPressure || isSlow) limit = Math.max(1, Math.floor(limit * DECREASE))
    else if (isWorth === false) limit = back()
    else if (isWorth && slow !== undefined && slow <= 1 + SLACK && limit < settings.max) limit++
    interval++
    nextAtMs = nowMs + intervalMs
    sums = new Map()
    atLimit = { seconds: 0, count: 0 }
    hasBackPressure = false
  }

  return {
    current: () => limit,
    inFlight: () => inFlight,
    started({ size, nowMs: startedAtMs }) {
      inFlight++
      const sizeClass = Math.min(CLASS_MAX, Math.max(CLASS_MIN, Math.ceil(Math.log2(size))))
      const limitThen = limit
      const isAtLimit = size > FULL_FROM && inFlight >= limit
      return (outcome, nowMs) => {
        inFlight--
        if (outcome === 'back-pressure' || outcome === 'failed') hasBackPressure = true
        if (outcome === 'success') {
          const seconds = (nowMs - startedAtMs) / 1000
          const sum = sums.get(sizeClass)
          if (sum) addTo(sum, seconds)
          else sums.set(sizeClass, { seconds, count: 1 })
          if (isAtLimit && limitThen === limit) {
            addTo(atLimit, seconds)
            if (lastSeconds !== undefined && seconds + lastSeconds > 0) {
              const difference = (seconds - lastSeconds) / (seconds + lastSeconds)
              spread += SPREAD_ALPHA * (2 * difference ** 2 - spread)
            }
            lastSeconds = seconds
          }
        }
        const hasEvidence = hasBackPressure || sums.size > 0
        if (hasEvidence && nowMs >= nextAtMs) decide(nowMs)
      }
    },
  }
}

function addTo(sum: Sum, seconds: number): void {
  sum.seconds += seconds
  sum.count++
}

/** The limit that this one is compared with. */
function lessThan(limit: number): number {
  return Math.max(1, Math.min(limit - 1, Math.round(limit * LESS)))
}

/** The mean with an interval added to it. */
function averaged(mean: number | undefined, { seconds, count }: Sum): number {
  const newest = Math.max(seconds / count, LEAST_SECONDS)
  return mean === undefined ? newest : mean + ALPHA * (newest - mean)
}
