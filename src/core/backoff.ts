/** What failed: OpenSearch, the dead-letter queue, reads from Kinesis, the lease table. */
export type BackoffPlace = 'bulk' | 'queue' | 'kinesis' | 'lease'

/**
 * How long to wait before the next attempt: full jitter, anywhere from 0 to a ceiling that doubles.
 *
 * With firstMs 100 and maxMs 30,000 the ceilings are 100, 200, 400, ... 25.6 s, then 30 s for ever.
 *
 * @param attempt 0 for the wait after the first failure
 * @param random from 0 (inclusive) to 1
 */
export function backoffMs(
  attempt: number,
  random: number,
  limits: { firstMs: number; maxMs: number },
): number {
  return Math.floor(random * Math.min(limits.maxMs, limits.firstMs * 2 ** Math.min(attempt, 30)))
}
