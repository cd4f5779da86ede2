/**
 * `npm run demo`: the whole pipeline on this machine, a worker killed half-way, and every document compared at the end.
 *
 * `play` is the story, in the order in which it is seen. Whatever happens, a fault, a deadline, Ctrl-C at any moment,
 * the parts are stopped before the program ends.
 */
import { stopWhenLauncherDies } from '../local/launcher.ts'
import { type Parts, startParts } from '../local/parts.ts'
import { compareAll } from './compare.ts'
import { createFleet, type Fleet, lagSeconds, type Worker } from './fleet.ts'
import { type ShardRange, shardOf } from './marker.ts'
import { helpText, type Options, readOptions, UsageError } from './options.ts'
import * as pipeline from './pipeline.ts'
import { createMarkers, type Markers } from './quiet.ts'
import { booksReport, latencyReport, tablesReport, workloadLine } from './report.ts'
import { comparisons, shopTables } from './shop.ts'
import { count, seconds, shortName, statusLines } from './status.ts'
import { createView, type View } from './view.ts'
import { DemoError, pause, waitFor } from './wait.ts'
import { createWindows, latencyOf, type Windows } from './windows.ts'
import { prepareWorkload } from './workload.ts'

/** The Kinesis emulator takes a few hundred records a second; this leaves it room to answer quickly. */
const changesPerSecond = 60
/** The first seconds are those of a cold JVM and of indices that are made by their first row. */
const warmUpMs = 5000
const redrawMs = 250
/** Longer than any of it took on a busy machine of two cores, so that a deadline that passes means something. */
const quietMs = 60_000
const recoveryMs = 40_000

type Stage = { options: Options; parts: Parts; view: View; signal: AbortSignal; fail: (error: Error) => void }

/** Ctrl-C, or the same from outside. */
class Interrupted extends Error {
  readonly exitCode: number

  constructor(exitCode: number) {
    super('interrupted')
    this.exitCode = exitCode
  }
}

const now = () => performance.now()

async function main(options: Options): Promise<number> {
  const over = new AbortController()
  const view = createView(process.stdout, now)
  onInterrupt(over, view)
  stopWhenLauncherDies(() => over.abort(new Interrupted(1)))
  const startedAt = now()
  let parts: Parts | undefined
  try {
    parts = await startLocalParts(options, view, over.signal)
    const stage = { options, parts, view, signal: over.signal, fail: (error: Error) => over.abort(error) }
    const isGood = await play(stage)
    view.say(
      `${isGood ? 'All as promised' : 'NOT as promised'} after ${seconds((now() - startedAt) / 1000)}. Logs: ${pipeline.logsDir(parts)}`,
    )
    if (options.keep) await untilInterrupted(stage)
    return isGood ? 0 : 1
  } catch (error) {
    view.clear()
    return exitCodeOf(over.signal.aborted ? over.signal.reason : error, parts)
  } finally {
    // From here on a child that ends does so because we say so.
    over.abort(new Interrupted(0))
    view.clear()
    await parts?.stop()
  }
}

/** What goes wrong here is the machine's (a missing program, the demo already running): the message says it all. */
async function startLocalParts({ localstack }: Options, view: View, signal: AbortSignal): Promise<Parts> {
  try {
    return await startParts({ instance: 'demo', localstack, log: view.say, signal })
  } catch (cause) {
    throw new DemoError((cause as Error).message, { cause })
  }
}

async function play(stage: Stage): Promise<boolean> {
  const { options, parts, view, signal, fail } = stage
  const { queueUrl, shards } = await pipeline.createStream(parts, signal)
  const tablesOf = tablesByShard(shards)
  const shop = await pipeline.openSession(parts, fail)
  // The workload's transactions are its own: who only looks or writes markers does so over a second session.
  const onlooker = await pipeline.openSession(parts, fail)
  let redraw: NodeJS.Timeout | undefined
  try {
    const rows = await pipeline.stockShop(shop)
    for (const line of pipelineLines(rows, shards, tablesOf)) view.say(line)
    const settings = pipeline.serviceSettings(parts, queueUrl)
    await pipeline.bootstrap(parts, settings, signal)
    const fleet = createFleet({
      parts,
      shardIds: shards.map(shard => shard.shardId),
      settings,
      signal,
      onFault: fail,
    })
    const markers = createMarkers({ database: onlooker, shards, fleet, parts, signal })
    const windows = createWindows(fleet.latency)
    const workload = await prepareWorkload(shop, options.seed)

    let phase = () => 'full load'
    const loadStartedAt = now()
    const dms = pipeline.startDms(parts)
    void dms.exited.then(({ code }) =>
      fail(new DemoError(`the stand-in for DMS ended with ${code}. See ${dms.logFile}`)),
    )
    await Promise.all([fleet.start('worker-1'), fleet.start('worker-2')])
    fleet.watch()
    redraw = setInterval(() => {
      const { counts } = workload
      view.show(statusLines({ phase: phase(), fleet, counts, latency: windows.counted(), tablesOf }))
    }, redrawMs)
    await pipeline.fullLoad(dms, signal)
    await markers.untilQuiet({ deadlineMs: quietMs })
    view.say(
      `Full load: ${count(rows)} rows are documents ${since(loadStartedAt)} after the start of the workers and of DMS.`,
    )

    const writingFrom = now()
    phase = () => `${Math.floor((now() - writingFrom) / 1000)} of ${options.seconds} s`
    view.say(`Workload: ${changesPerSecond} changes/s for ${options.seconds} s, seed ${options.seed}.`)
    await Promise.all([
      workload.run({ changesPerSecond, seconds: options.seconds, signal }),
      killOneHalfWay(fleet, windows, markers, stage),
    ])
    phase = () => 'waiting for the stream to be quiet'
    const writtenAt = now()
    await markers.untilQuiet({ deadlineMs: quietMs })
    windows.close()
    view.say(`${workloadLine(workload.counts)}. The stream was quiet ${since(writtenAt)} after the last one.`)

    phase = () => 'comparing'
    const outcomes = await compareAll(comparisons, {
      database: onlooker,
      opensearchUrl: parts.endpoints.opensearchUrl,
      signal,
    })
    clearInterval(redraw)
    view.clear()
    const reports = [tablesReport(outcomes), latencyReport(latencyOf(windows.counted())), booksReport(fleet)]
    for (const line of ['', ...reports.flatMap(report => report.lines), '', ...whereToLook(stage, fleet), ''])
      view.say(line)
    return reports.every(report => report.isGood)
  } finally {
    clearInterval(redraw)
    await Promise.all([shop.end(), onlooker.end()])
  }
}

/** Opens and closes the windows of the latency around it; see windows.ts for what that means. */
async function killOneHalfWay(
  fleet: Fleet,
  windows: Windows,
  markers: Markers,
  { options, parts, view, signal }: Stage,
): Promise<void> {
  await pause(warmUpMs, signal)
  await fleet.look()
  windows.open()
  await pause((options.seconds * 1000) / 2 - warmUpMs, signal)

  await fleet.look()
  windows.close()
  const victim = withMostLeases(fleet)
  const held = fleet.shards().filter(shard => shard.owner === victim.name)
  const killedAt = now()
  await fleet.kill(victim)
  view.say(
    `Killed ${victim.name} (SIGKILL), which held ${held.map(shard => shortName(shard.shardId)).join(' and ')}; starting worker-3.`,
  )
  await fleet.start('worker-3')
  await waitFor({
    what: 'every shard to be held by a living worker and less than 1 s behind',
    see: `the logs of the workers in ${pipeline.logsDir(parts)}`,
    deadlineMs: recoveryMs,
    signal,
    async look() {
      await fleet.look()
      return lagSeconds(fleet.shards()) < 1
    },
  })
  const recovered = since(killedAt)
  await markers.untilPassed({ deadlineMs: quietMs })
  await fleet.look()
  windows.open()
  view.say(
    `Recovered: ${recovered} after the kill every shard was held again and less than 1 s behind (a lease lasts ` +
      `${pipeline.leaseMs / 1000} s); after ${since(killedAt)} what had waited was indexed.`,
  )
}

function withMostLeases(fleet: Fleet): Worker {
  return fleet
    .workers()
    .reduce((most, worker) => (fleet.holdings(worker) > fleet.holdings(most) ? worker : most))
}

/** By table, so the partition key is `schema.table`, whatever the row. */
function tablesByShard(shards: ShardRange[]): (shardId: string) => string[] {
  const tables = Map.groupBy(shopTables, table => shardOf(`public.${table}`, shards))
  return shardId => tables.get(shardId) ?? []
}

function pipelineLines(
  rows: number,
  shards: ShardRange[],
  tablesOf: (shardId: string) => string[],
): string[] {
  return [
    `A shop of ${count(rows)} rows and a stream of ${shards.length} shards:`,
    ...shards.map(
      ({ shardId }) => `  ${shortName(shardId)} carries ${tablesOf(shardId).join(' and ') || 'no table'}`,
    ),
  ]
}

function whereToLook({ options, parts }: Stage, fleet: Fleet): string[] {
  if (!options.keep) return ['To look around while it runs: npm run demo -- --keep']
  const { opensearchUrl, postgresUrl } = parts.endpoints
  return [
    'Where to look:',
    `  documents  ${new URL('/public_orders/_search?pretty', opensearchUrl)}`,
    `  indices    ${new URL('/_cat/indices?v', opensearchUrl)}`,
    `  rows       psql ${postgresUrl}   (what is changed there arrives here)`,
    ...fleet
      .workers()
      .map(worker => `  ${worker.name}   ${worker.url}/metrics and ${worker.url}/health/ready`),
    `  logs       ${pipeline.logsDir(parts)}`,
  ]
}

async function untilInterrupted({ view, signal }: Stage): Promise<void> {
  view.say('Everything is left running. Ctrl-C stops it.')
  await new Promise<void>(resolve => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  if (!(signal.reason instanceof Interrupted)) throw signal.reason
}

/**
 * The first signal stops everything in order. Another one kills everything at once: parts.ts does that when this process
 * exits. A terminal sends Ctrl-C to all its processes, and npm and the launcher pass theirs on, so what arrives within a
 * second of the first is the same key press.
 */
function onInterrupt(over: AbortController, view: View): void {
  let firstAt: number | undefined
  for (const [name, exitCode] of Object.entries({ SIGHUP: 129, SIGINT: 130, SIGTERM: 143 })) {
    process.on(name, () => {
      if (firstAt === undefined) {
        firstAt = now()
        view.clear()
        view.say('Stopping everything; once more kills it.')
        over.abort(new Interrupted(exitCode))
      } else if (now() - firstAt > 1000) process.exit(exitCode)
    })
  }
}

function since(startedAt: number): string {
  return seconds((now() - startedAt) / 1000)
}

function exitCodeOf(error: unknown, parts: Parts | undefined): number {
  if (error instanceof Interrupted) return error.exitCode
  const isExpected = error instanceof DemoError
  console.error(isExpected ? error.message : error)
  if (isExpected && error.cause instanceof Error && !error.message.includes(error.cause.message)) {
    console.error(`because: ${error.cause.message}`)
  }
  if (parts) console.error(`Logs: ${pipeline.logsDir(parts)}`)
  return 1
}

function readOptionsOrExit(): Options {
  try {
    const options = readOptions(process.argv.slice(2), {
      randomSeed: () => Math.floor(Math.random() * 1_000_000),
    })
    if (options !== 'help') return options
    process.stdout.write(helpText)
    process.exit(0)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(error.message)
    process.exit(2)
  }
}

// Sockets that are still open (a scrape's, the SDK's) must not keep the program from ending.
process.exit(await main(readOptionsOrExit()))
