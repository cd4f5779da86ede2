/**
 * Commit-to-indexed latency where it is promised: with every shard held.
 *
 * The workers' histograms grow from their start, so what counts is cut out of them by subtraction. Two windows:
 * - from 5 s after the workload starts (the first seconds are a cold JVM's) to the last scrape before the kill;
 * - from the first scrape after the recovery has been worked off to the end.
 * Recovered means that every shard is held by a living worker that reports less than a second of lag. Worked off means
 * that markers written at that moment are documents: the changes committed since the kill, which waited for the lease to
 * expire, were ahead of them and so lie before the second window. A change counts in the window in which it was indexed;
 * the few that were committed just before the kill and lost their worker count in neither.
 */
import { difference, type Histogram, observations, observationsUpTo, quantile, sum } from './scrape.ts'

export type Latency = { p50: number; p99: number; counted: number; withinLimit: number }

/** The promise: of a hundred changes at least 99 are indexed this soon after their commit. Must be a bucket's end. */
export const limitSeconds = 1.5
export const share = 0.99

/** Fewer say nothing of one in a hundred. */
export const countedMin = 300

export function createWindows(latency: () => Histogram) {
  let closed: Histogram = { bounds: [], counts: [] }
  let openedWith: Histogram | undefined

  /** What has been counted so far, in the open window too. */
  function counted(): Histogram {
    return openedWith ? sum(closed, difference(latency(), openedWith)) : closed
  }

  return {
    counted,
    open() {
      openedWith = latency()
    },
    close() {
      closed = counted()
      openedWith = undefined
    },
  }
}

export type Windows = ReturnType<typeof createWindows>

export function latencyOf(counted: Histogram): Latency {
  return {
    p50: quantile(counted, 0.5),
    p99: quantile(counted, share),
    counted: observations(counted),
    withinLimit: counted.bounds.length > 0 ? observationsUpTo(counted, limitSeconds) : 0,
  }
}

export function isKept(latency: Latency): boolean {
  return latency.counted >= countedMin && latency.withinLimit >= share * latency.counted
}
