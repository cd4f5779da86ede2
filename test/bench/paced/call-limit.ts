/**
 * Kinesis allows five GetRecords calls a second a shard. Calls that keep 200 ms from each other pass, however the network
 * jitters; a reader that is faster for longer than a moment does not.
 */

const CALLS_PER_SECOND = 5

/** @returns whether a call at this time is within the limit; a refused call costs nothing */
export function callLimit(): (nowMs: number) => boolean {
  let left = CALLS_PER_SECOND
  let atMs = Number.NEGATIVE_INFINITY
  return nowMs => {
    left = Math.min(CALLS_PER_SECOND, left + (Math.max(0, nowMs - atMs) / 1000) * CALLS_PER_SECOND)
    atMs = nowMs
    if (left < 1) return false
    left--
    return true
  }
}
