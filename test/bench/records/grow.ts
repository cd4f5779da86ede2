/** The mode `grow`: what a record costs as shards become more and answers smaller. */
import { type Figures, medianOf } from '../figures.ts'
import { type Attempt, measured, peakMaxMiB, type Setting } from './cost.ts'
import type { GrowOptions } from './options.ts'

/** Dearest number of shards, of the cheapest, at full answers. */
const SPREAD_MAX = 1.25
/** Kinesis allows five reads a second a shard, so a small answer and few shards take long. */
const READS_PER_SECOND = 5
const RUN_SECONDS = 20

export async function measureGrowth(
  options: GrowOptions,
  figures: Figures,
  attempt: Attempt,
  log: (line: string) => void,
): Promise<void> {
  const fullPage = Math.max(...options.pages)
  for (const page of options.pages) {
    const costs = new Map<number, number[]>()
    for (let run = 1; run <= options.repeat; run++) {
      for (const shards of options.shards) {
        const what = `${page} records an answer, ${shards} shards`
        log(`${what}, run ${run} of ${options.repeat}`)
        await attempt(what, async () => {
          const cost = await measureOne({ shards, page }, options.records, figures)
          costs.set(shards, [...(costs.get(shards) ?? []), cost])
        })
      }
    }
    if (costs.size < options.shards.length || costs.size < 2) continue
    // Of the medians: between two runs of one setting the machine's own pace may lie as far apart as the bound.
    const medians = [...costs.values()].map(medianOf)
    const spread = Math.max(...medians) / Math.min(...medians)
    figures.add(`grow_cpu_over_shards_${page}`, spread, 'times', page === fullPage ? SPREAD_MAX : undefined)
  }
}

/** @returns CPU-seconds per million records */
async function measureOne(setting: Setting, records: number, figures: Figures): Promise<number> {
  const { shards, page } = setting
  const { cpuPerMillion, recordsPerSecond, peakMiB } = await measured(
    'ours',
    setting,
    recordsOf(setting, records),
  )
  const suffix = `${page}_at_${shards}_shards`
  figures.add(`grow_cpu_${suffix}`, cpuPerMillion, 'CPU-s/million')
  figures.add(`grow_rate_${suffix}`, Math.round(recordsPerSecond), 'records/s')
  figures.add(`grow_peak_rss_${suffix}`, peakMiB, 'MiB', peakMaxMiB(shards))
  return cpuPerMillion
}

/** As many as were asked for, or what can be read in the time of a run. */
export function recordsOf({ shards, page }: Setting, records: number): number {
  return Math.min(records, shards * page * READS_PER_SECOND * RUN_SECONDS)
}
