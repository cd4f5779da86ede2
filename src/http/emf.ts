/**
 * CloudWatch's Embedded Metric Format: a line of the log from which CloudWatch makes metrics, for the few that alarms need
 * where nothing scrapes /metrics. Each name costs money a worker, so what only explains an alarm stays in Prometheus.
 */

const UNITS = {
  LagSecondsMax: 'Seconds',
  CheckpointAgeSecondsMax: 'Seconds',
  ShardsHeld: 'Count',
  LeasesHeld: 'Count',
  LeasesUnread: 'Count',
  RecordsUnaccounted: 'Count',
  BulkSecondsP99: 'Seconds',
  DeadLetters: 'Count',
  BulkFailures: 'Count',
  RecordsSettled: 'Count',
  FenceJumps: 'Count',
} as const

export const EMF_METRICS: readonly string[] = Object.keys(UNITS)

/** What is left out is not known: an alarm must not take it for 0. */
export type EmfValues = Partial<Record<keyof typeof UNITS, number>>

/** Alarms look at the stream, people at the worker. */
const DIMENSIONS = [['Stream'], ['Stream', 'Worker']]

export type EmfSource = { namespace: string; stream: string; worker: string }

/** @returns one line, without its end */
export function emfLine({ namespace, stream, worker }: EmfSource, atMs: number, values: EmfValues): string {
  const known = Object.entries(UNITS).flatMap(([name, unit]) => {
    const value = values[name as keyof EmfValues]
    // CloudWatch throws the whole line away for one value that is no number.
    return value !== undefined && Number.isFinite(value) ? [{ name, unit, value }] : []
  })
  const directive = {
    Namespace: namespace,
    Dimensions: DIMENSIONS,
    Metrics: known.map(({ name, unit }) => ({ Name: name, Unit: unit })),
  }
  return JSON.stringify({
    _aws: { Timestamp: Math.floor(atMs), CloudWatchMetrics: [directive] },
    Stream: stream,
    Worker: worker,
    ...Object.fromEntries(known.map(({ name, value }) => [name, value])),
  })
}
