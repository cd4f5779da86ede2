/**
 * `npm run bench`: what a record costs, how that grows, how soon a record is a document, how fast a backlog is worked off.
 *
 * A bound holds for the worst value, not for the usual one. Exit code 1 where one does not hold.
 *
 * Records a second say little where stubs answer: consumer and stubs share the machine, and ours reads a shard five times a
 * second at the most, as Kinesis allows, where the reference of the mode `cost` reads on at once. CPU-seconds are compared.
 */
import { stopWhenLauncherDies } from '../../docker/local/launcher.ts'
import { createFigures } from './figures.ts'
import { UsageError } from './options.ts'
import { measureCatchUp } from './records/catch-up.ts'
import { type Attempt, measureCost } from './records/cost.ts'
import { measureGrowth } from './records/grow.ts'
import { measureLatency } from './records/latency.ts'
import { HELP, type RecordsOptions, readRecordsOptions } from './records/options.ts'
import { isMeasurable } from './records/process-cost.ts'

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
  // Stubs, consumers and parts end with this process.
  const abort = (): never => process.exit(130)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, abort)
  stopWhenLauncherDies(abort)

  const figures = createFigures(log)
  let failed = 0
  const attempt: Attempt = async (what, work) => {
    try {
      await work()
    } catch (error) {
      failed++
      log(`${what} failed: ${error instanceof Error ? error.stack : error}`)
    }
  }
  switch (options.mode) {
    case 'cost':
      await measureCost(options, figures, attempt, log)
      break
    case 'grow':
      await measureGrowth(options, figures, attempt, log)
      break
    case 'latency':
      await measureLatency(options, figures, attempt, log)
      break
    case 'catch-up':
      await measureCatchUp(options, figures, attempt, log)
  }
  console.log(figures.lines().join('\n'))
  const beyond = figures.beyondBounds()
  if (beyond.length > 0) log(`not within their bounds: ${beyond.join(', ')}`)
  return failed === 0 && beyond.length === 0 ? 0 : 1
}
