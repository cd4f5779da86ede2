/**
 * `npm run bench`: what a record costs, ours against the plain loop of reference-loop.ts.
 *
 * The two run in turn, so that whatever else the machine does meets both. A bound holds for the largest value, not for the
 * usual one. Exit code 1 where one does not hold.
 *
 * Records a second say little: consumer and stubs share the machine, and ours reads a shard five times a second at the most,
 * as Kinesis allows, where the reference reads on at once. CPU-seconds are what is compared.
 */
import { stopWhenLauncherDies } from '../../docker/local/launcher.ts'
import { createFigures, type Figures } from './figures.ts'
import { UsageError } from './options.ts'
import type { ConsumerName } from './records/consumers.ts'
import { measureRun } from './records/one-run.ts'
import { HELP, type RecordsOptions, readRecordsOptions } from './records/options.ts'
import { isMeasurable } from './records/process-cost.ts'
import { profileLines } from './records/profile.ts'

/** CPU of ours for a record, of the reference's. */
const RATIO_MAX = 0.5
const PEAK_MAX_MIB = 384
const PEAK_MANY_SHARDS_MAX_MIB = 512
/** Up to here the lower bound of memory holds. */
const FEW_SHARDS = 4
const FUNCTIONS_SHOWN = 25

const log = (line: string): void => console.error(line)

process.exitCode = await main(process.argv.slice(2))

async function main(argv: string[]): Promise<number> {
  try {
    const options = readRecordsOptions(argv)
    if (options !== 'help') return await bench(options)
    console.log(HELP)
    return 0
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    log(error.message)
    return 2
  }
}

async function bench(options: RecordsOptions): Promise<number> {
  if (!isMeasurable()) {
    log('this bench reads /proc, which this system does not have: run it on Linux')
    return 1
  }
  let killRun = (): void => {}
  const abort = (): never => process.exit(130)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, abort)
  process.once('exit', () => killRun())
  stopWhenLauncherDies(abort)

  const figures = createFigures(log)
  let failed = 0
  for (const shards of options.shards) {
    for (const page of options.pages) {
      const setting = { ...options, shards, page, onStart: (kill: () => void) => (killRun = kill) }
      try {
        for (let run = 1; run <= options.repeat; run++) await compare(setting, run, figures)
      } catch (error) {
        failed++
        log(
          `failed at ${page} records an answer, ${shards} shards: ${error instanceof Error ? error.stack : error}`,
        )
      }
    }
  }
  if (options.profileDir !== undefined && failed === 0)
    console.log(profileLines(options.profileDir, FUNCTIONS_SHOWN).join('\n'))
  console.log(figures.lines().join('\n'))
  return failed === 0 && figures.isWithinBounds() ? 0 : 1
}

type Setting = Omit<RecordsOptions, 'shards'> & {
  shards: number
  page: number
  onStart: (kill: () => void) => void
}

/** One run of each, ours first. */
async function compare(setting: Setting, run: number, figures: Figures): Promise<void> {
  const { shards, page } = setting
  const suffix = shards === FEW_SHARDS ? `${page}` : `${page}_at_${shards}_shards`
  const peakMax = shards <= FEW_SHARDS ? PEAK_MAX_MIB : PEAK_MANY_SHARDS_MAX_MIB
  const costs: number[] = []
  for (const name of setting.hasReference ? (['ours', 'reference'] as const) : (['ours'] as const)) {
    log(`${name}, ${page} records an answer, ${shards} shards, run ${run} of ${setting.repeat}`)
    const { cpuPerMillion, recordsPerSecond, peakMiB } = await measured(name, setting)
    costs.push(cpuPerMillion)
    figures.add(`bench_cpu_${name}_${suffix}`, cpuPerMillion, 'CPU-s/million')
    figures.add(`bench_rate_${name}_${suffix}`, Math.round(recordsPerSecond), 'records/s')
    figures.add(`bench_peak_rss_${name}_${suffix}`, peakMiB, 'MiB', name === 'ours' ? peakMax : undefined)
  }
  const [ours, reference] = costs
  if (reference !== undefined) figures.add(`bench_cpu_ratio_${suffix}`, ours! / reference, 'times', RATIO_MAX)
}

async function measured(consumer: ConsumerName, { records, shards, page, profileDir, onStart }: Setting) {
  const pagesEach = Math.ceil(records / shards / page)
  const showsProgress = process.stderr.isTTY
  try {
    return await measureRun({
      consumer,
      stream: { shards, page, pagesEach },
      profileDir,
      onStart,
      onProgress: actions => {
        if (showsProgress)
          process.stderr.write(`\r  ${actions} of at most ${pagesEach * shards * page} actions`)
      },
    })
  } finally {
    if (showsProgress) process.stderr.write('\r\u001b[K')
  }
}
