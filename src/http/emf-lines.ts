/** Prints a line of CloudWatch metrics a minute, from the values /metrics would show, until the worker has ended. */
import type { Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import { type EmfSource, type EmfValues, emfLine } from './emf.ts'

const MINUTE_MS = 60_000
/** Lines fall in the middle of CloudWatch's minutes: on their edge a minute would now and then have two, another none. */
const IN_MINUTE_MS = 30_000
/** A timer may wake a little early; its line is then that of the coming moment. */
const EARLY_MS = 1000

export type EmfParts = { registry: Registry; clock: Clock; print: (line: string) => void }

/** @param ended aborts once the worker has drained; then a last line tells what has happened since the one before */
export async function emfLines(parts: EmfParts, source: EmfSource, ended: AbortSignal): Promise<void> {
  if (source.namespace === '') return
  const { clock } = parts
  const { states, increases } = readings(parts.registry)
  while (!ended.aborted) {
    await clock.sleep(untilNextMs(clock.now()), ended)
    // What the worker held it holds no more: the states of one that leaves would be told beside its successor's.
    const values = { ...(ended.aborted ? {} : await states()), ...(await increases()) }
    parts.print(emfLine(source, clock.now(), values))
  }
}

function untilNextMs(nowMs: number): number {
  const waitMs = MINUTE_MS - ((nowMs + IN_MINUTE_MS) % MINUTE_MS)
  return waitMs < EARLY_MS ? waitMs + MINUTE_MS : waitMs
}

/** Each metric is read by itself: a look at the whole registry would reset the event loop's histogram under Prometheus. */
function readings(registry: Registry) {
  let told = { DeadLetters: 0, BulkFailures: 0, RecordsSettled: 0, FenceJumps: 0 }
  let toldBuckets = new Map<number, number>()

  async function seriesOf(name: string) {
    const metric = registry.getSingleMetric(name)
    if (!metric) throw new Error(`no metric ${name}`)
    return (await metric.get()).values
  }

  async function valuesOf(name: string, isWanted: (outcome: unknown) => boolean = () => true) {
    const series = await seriesOf(name)
    return series.filter(({ labels }) => isWanted(labels.outcome)).map(({ value }) => value)
  }

  /** Read minus settled minus in flight, of each shard: read in one go, or a record would be seen between two of them. */
  async function unaccounted(): Promise<number> {
    const [received = [], settled = [], inFlight = []] = await Promise.all(
      ['cdc_records_received_total', 'cdc_records_settled_total', 'cdc_records_in_flight'].map(seriesOf),
    )
    const missing = new Map<unknown, number>()
    const add = (shard: unknown, records: number) => missing.set(shard, (missing.get(shard) ?? 0) + records)
    for (const { labels, value } of received) add(labels.shard, value)
    for (const { labels, value } of [...settled, ...inFlight]) add(labels.shard, -value)
    return sum(Array.from(missing.values(), Math.abs))
  }

  /** Of the requests since the last line; undefined without any. */
  async function bulkSecondsP99(): Promise<number | undefined> {
    const buckets = new Map<number, number>()
    for (const { labels, value } of await seriesOf('cdc_bulk_duration_seconds')) {
      const { le } = labels as { le?: number | string }
      if (le !== undefined) buckets.set(le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), value)
    }
    const since = Array.from(buckets, ([bound, count]) => ({
      bound,
      count: count - (toldBuckets.get(bound) ?? 0),
    }))
    toldBuckets = buckets
    return quantile(0.99, since)
  }

  return {
    /** Largest lag and age are not told by a worker without a shard, which knows nothing of either. */
    async states(): Promise<EmfValues> {
      const lags = await valuesOf('cdc_shard_lag_seconds')
      const ages = await valuesOf('cdc_checkpoint_age_seconds')
      return {
        ...(lags.length > 0 ? { LagSecondsMax: Math.max(...lags) } : {}),
        ...(ages.length > 0 ? { CheckpointAgeSecondsMax: Math.max(...ages) } : {}),
        ShardsHeld: sum(await valuesOf('cdc_shard_held')),
        LeasesHeld: sum(await valuesOf('cdc_leases_held')),
        LeasesUnread: sum(await valuesOf('cdc_leases_unowned')) + sum(await valuesOf('cdc_leases_expired')),
        RecordsUnaccounted: await unaccounted(),
      }
    },
    /** Since the last line. From counters without a shard: those of a shard end with its tenure, and with them what was not told. */
    async increases(): Promise<EmfValues> {
      const hasFailed = (outcome: unknown) => outcome !== 'ok' && outcome !== 'partial'
      const now = {
        DeadLetters: sum(await valuesOf('cdc_dead_letters_total')),
        BulkFailures: sum(await valuesOf('cdc_bulk_requests_total', hasFailed)),
        RecordsSettled: sum(await valuesOf('cdc_table_records_settled_total')),
        FenceJumps: sum(await valuesOf('cdc_fence_jumps_total')),
      }
      const since = {
        DeadLetters: now.DeadLetters - told.DeadLetters,
        BulkFailures: now.BulkFailures - told.BulkFailures,
        RecordsSettled: now.RecordsSettled - told.RecordsSettled,
        FenceJumps: now.FenceJumps - told.FenceJumps,
      }
      told = now
      const p99 = await bulkSecondsP99()
      return p99 === undefined ? since : { ...since, BulkSecondsP99: p99 }
    },
  }
}

/**
 * As Prometheus works it out: evenly spread within a bucket, and what lies beyond the last bound at that bound.
 * @param buckets with counts up to each bound, ascending, the last one without end
 */
function quantile(q: number, buckets: readonly { bound: number; count: number }[]): number | undefined {
  const all = buckets.at(-1)?.count ?? 0
  if (all === 0) return undefined
  const rank = q * all
  const at = buckets.findIndex(({ count }) => count >= rank)
  const { bound, count } = buckets[at]!
  const below = buckets[at - 1] ?? { bound: 0, count: 0 }
  if (bound === Number.POSITIVE_INFINITY) return below.bound
  return below.bound + ((bound - below.bound) * (rank - below.count)) / (count - below.count)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
