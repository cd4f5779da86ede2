/** The mode `cost`: ours and the reference in turn, so that whatever else the machine does meets both. */
import type { Figures } from '../figures.ts'
import type { ConsumerName } from './consumers.ts'
import { measureRun } from './one-run.ts'
import type { CostOptions } from './options.ts'
import { profileLines } from './profile.ts'

/** CPU of ours for a record, of the reference's. */
const RATIO_MAX = 0.5
const PEAK_MAX_MIB = 384
const PEAK_MANY_SHARDS_MAX_MIB = 512
/** Up to here the lower bound of memory holds. */
const FEW_SHARDS = 4
const FUNCTIONS_SHOWN = 25

/** Runs one piece of work; a failure is told and counted, and the next piece goes on. */
export type Attempt = (what: string, work: () => Promise<void>) => Promise<void>

export async function measureCost(
  options: CostOptions,
  figures: Figures,
  attempt: Attempt,
  log: (line: string) => void,
): Promise<void> {
  for (const shards of options.shards) {
    for (const page of options.pages) {
      await attempt(`${page} records an answer, ${shards} shards`, async () => {
        for (let run = 1; run <= options.repeat; run++) {
          log(`${page} records an answer, ${shards} shards, run ${run} of ${options.repeat}`)
          await compare(options, { shards, page }, figures)
        }
      })
    }
  }
  if (options.profileDir !== undefined)
    await attempt('the profile', async () =>
      console.log(profileLines(options.profileDir!, FUNCTIONS_SHOWN).join('\n')),
    )
}

/** One run of each, ours first. */
async function compare(
  { records, hasReference, profileDir }: CostOptions,
  setting: Setting,
  figures: Figures,
): Promise<void> {
  const { shards, page } = setting
  const suffix = shards === FEW_SHARDS ? `${page}` : `${page}_at_${shards}_shards`
  const costs: number[] = []
  for (const name of hasReference ? (['ours', 'reference'] as const) : (['ours'] as const)) {
    const { cpuPerMillion, recordsPerSecond, peakMiB } = await measured(name, setting, records, profileDir)
    costs.push(cpuPerMillion)
    figures.add(`bench_cpu_${name}_${suffix}`, cpuPerMillion, 'CPU-s/million')
    figures.add(`bench_rate_${name}_${suffix}`, Math.round(recordsPerSecond), 'records/s')
    const peakMax = name === 'ours' ? peakMaxMiB(shards) : undefined
    figures.add(`bench_peak_rss_${name}_${suffix}`, peakMiB, 'MiB', peakMax)
  }
  const [ours, reference] = costs
  if (reference !== undefined) figures.add(`bench_cpu_ratio_${suffix}`, ours! / reference, 'times', RATIO_MAX)
}

export type Setting = { shards: number; page: number }

export function peakMaxMiB(shards: number): number {
  return shards <= FEW_SHARDS ? PEAK_MAX_MIB : PEAK_MANY_SHARDS_MAX_MIB
}

/** One run, its progress shown on a terminal. */
export async function measured(
  consumer: ConsumerName,
  { shards, page }: Setting,
  records: number,
  profileDir?: string,
) {
  const pagesEach = Math.ceil(records / shards / page)
  const showsProgress = process.stderr.isTTY
  try {
    return await measureRun({
      consumer,
      stream: { shards, page, pagesEach },
      profileDir,
      onProgress: actions => {
        if (showsProgress)
          process.stderr.write(`\r  ${actions} of at most ${pagesEach * shards * page} actions`)
      },
    })
  } finally {
    if (showsProgress) process.stderr.write('\r\u001b[K')
  }
}
