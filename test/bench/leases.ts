/**
 * `npm run bench:leases`: what it costs to start, lose, hand over and keep leases.
 *
 * Parts of its own, real worker processes, each measure several times. A bound holds for the largest value, not for the
 * usual one. Exit code 1 where one does not hold.
 */
import { stopWhenLauncherDies } from '../../docker/local/launcher.ts'
import { type Parts, startParts } from '../../docker/local/parts.ts'
import { createResources } from '../../docker/local/resources.ts'
import { measureColdStart } from './cold-start.ts'
import { createFigures, type Figures } from './figures.ts'
import { measureJoin } from './join.ts'
import { measureKill } from './kill.ts'
import { measureLeave } from './leave.ts'
import { helpText, readOptions, UsageError } from './options.ts'
import { serviceEnv } from './scene.ts'
import { measureIdleWrites, measureLooks } from './table-cost.ts'

const MEASURES: Record<string, (parts: Parts, figures: Figures, runs: number) => Promise<void>> = {
  'cold-start': measureColdStart,
  kill: measureKill,
  leave: measureLeave,
  join: measureJoin,
  'idle-writes': measureIdleWrites,
  looks: measureLooks,
}

const BOOTSTRAP_MS = 60_000

const log = (line: string): void => console.error(line)

process.exitCode = await main(process.argv.slice(2))

async function main(argv: string[]): Promise<number> {
  const names = Object.keys(MEASURES)
  try {
    const options = readOptions(argv, names)
    if (options !== 'help') return await bench(options)
    console.log(helpText(names))
    return 0
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    log(error.message)
    return 2
  }
}

async function bench({ runs, only }: { runs: number; only: string[] }): Promise<number> {
  // Everything that was started is killed as this process exits.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))
  stopWhenLauncherDies(() => process.exit(130))
  const startedAtMs = performance.now()
  const sinceStart = (): string => `${Math.round((performance.now() - startedAtMs) / 1000)} s`
  const parts = await startParts({ instance: 'bench', log })
  const figures = createFigures(log)
  let failed = 0
  try {
    await bootstrap(parts)
    for (const name of only) {
      log(`${name}, ${runs} times (${sinceStart()} so far)`)
      try {
        await MEASURES[name]!(parts, figures, runs)
      } catch (error) {
        failed++
        log(`${name} failed: ${error instanceof Error ? error.stack : error}`)
      }
    }
  } finally {
    await parts.stop()
  }
  log(`done after ${sinceStart()}`)
  console.log(figures.lines().join('\n'))
  return failed === 0 && figures.beyondBounds().length === 0 ? 0 : 1
}

/** The index template, once for all scenes. */
async function bootstrap(parts: Parts): Promise<void> {
  const names = { stream: 'bootstrap', leaseTable: 'bootstrap', queue: 'bootstrap' }
  const { queueUrl } = await createResources(parts.endpoints, { ...names, shards: 1 })
  const child = parts.spawn(
    'bootstrap',
    [process.execPath, 'src/main.ts', 'bootstrap'],
    serviceEnv(parts, { ...names, queueUrl }),
  )
  await child.line(line => line.startsWith('OpenSearch: index template'), BOOTSTRAP_MS)
  await child.exited
}
