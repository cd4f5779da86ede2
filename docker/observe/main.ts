/**
 * `npm run observe`: the demo's shop with two workers under load, one of them killed half-way, and Prometheus over it; then the dashboards
 * as pictures in docker/screenshots.
 *
 * Exit codes: 0 done, 1 a panel that should show something found nothing, 3 something on this machine is missing or refused.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createFleet, type Fleet } from '../demo/fleet.ts'
import * as pipeline from '../demo/pipeline.ts'
import { createMarkers } from '../demo/quiet.ts'
import { pause } from '../demo/wait.ts'
import { prepareWorkload } from '../demo/workload.ts'
import { stopWhenLauncherDies } from '../local/launcher.ts'
import { type Parts, startParts } from '../local/parts.ts'
import { projectDir } from '../local/state.ts'
import { type Dashboard, filledIn, type Panel, readDashboards } from './panels.ts'
import { writePicture } from './picture.ts'
import { type Prometheus, requirePrometheus, startPrometheus } from './prometheus.ts'

const SECONDS = 100
const CHANGES_PER_SECOND = 60
const SEED = 7
const QUIET_MS = 60_000
/** Rows of a dashboard on one picture: more is too tall to look at. */
const PICTURE_UNITS = 48
const log = (line: string): void => console.error(line)

async function watch(parts: Parts, signal: AbortSignal): Promise<{ prometheus: Prometheus; from: number }> {
  const programs = await requirePrometheus({ log, signal })
  const { queueUrl, shards } = await pipeline.createStream(parts, signal)
  const fail = (error: Error) => log(error.message)
  const session = await pipeline.openSession(parts, fail)
  const onlooker = await pipeline.openSession(parts, fail)
  try {
    await pipeline.stockShop(session)
    const settings = pipeline.serviceSettings(parts, queueUrl)
    await pipeline.bootstrap(parts, settings, signal)
    const shardIds = shards.map(({ shardId }) => shardId)
    const fleet = createFleet({ parts, shardIds, settings, signal, onFault: fail })
    const markers = createMarkers({ database: onlooker, shards, fleet, parts, signal })
    const prometheus = await startPrometheus(parts, programs.prometheus)
    const from = Date.now() / 1000
    const dms = pipeline.startDms(parts)
    await Promise.all(['worker-1', 'worker-2'].map(name => startScraped(fleet, prometheus, name)))
    await pipeline.fullLoad(dms, signal)
    const workload = await prepareWorkload(session, SEED)
    log(`${CHANGES_PER_SECOND} changes/s for ${SECONDS} s`)
    await Promise.all([
      workload.run({ changesPerSecond: CHANGES_PER_SECOND, seconds: SECONDS, signal }),
      killOne(fleet, prometheus, signal),
    ])
    await markers.untilQuiet({ deadlineMs: QUIET_MS })
    return { prometheus, from }
  } finally {
    await Promise.all([session.end(), onlooker.end()])
  }
}

async function startScraped(fleet: Fleet, prometheus: Prometheus, name: string): Promise<void> {
  await fleet.start(name)
  prometheus.scrape(fleet.workers().map(({ url }) => url))
}

async function killOne(fleet: Fleet, prometheus: Prometheus, signal: AbortSignal): Promise<void> {
  await pause((SECONDS * 1000) / 2, signal)
  const [victim] = fleet.workers()
  await fleet.kill(victim!)
  log(`killed ${victim!.name}, starting worker-3`)
  await startScraped(fleet, prometheus, 'worker-3')
}

/** Rows together up to what fits a picture. */
function pagesOf({ panels }: Dashboard): Panel[][] {
  const rows: Panel[][] = []
  for (const panel of panels) {
    if (panel.type === 'row') rows.push([])
    rows.at(-1)!.push(panel)
  }
  const heightOf = (group: Panel[]) =>
    Math.max(...group.map(({ gridPos }) => gridPos.y + gridPos.h)) -
    Math.min(...group.map(({ gridPos }) => gridPos.y))
  const pages: Panel[][] = []
  for (const row of rows) {
    const page = pages.at(-1)
    if (page && heightOf([...page, ...row]) <= PICTURE_UNITS) page.push(...row)
    else pages.push([...row])
  }
  return pages
}

/** Panels that have nothing to show and do not say that this is well. */
async function silentPanels(
  dashboards: Dashboard[],
  prometheus: Prometheus,
  range: { from: number; to: number },
): Promise<string[]> {
  const silent: string[] = []
  for (const { title, targets = [], fieldConfig } of dashboards.flatMap(({ panels }) => panels)) {
    if (targets.length === 0 || fieldConfig?.defaults.noValue !== undefined) continue
    const found = await Promise.all(
      targets.map(({ expr }) => prometheus.queryRange(filledIn(expr, '10s'), { ...range, step: 1 })),
    )
    if (found.every(series => series.length === 0)) silent.push(title)
  }
  return silent
}

async function main(): Promise<number> {
  const over = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => over.abort())
  stopWhenLauncherDies(() => over.abort())
  let parts: Parts | undefined
  try {
    parts = await startParts({ instance: 'observe', log, signal: over.signal })
    const { prometheus, from } = await watch(parts, over.signal)
    const dashboards = readDashboards()
    const range = { from, to: Date.now() / 1000 }
    const silent = await silentPanels(dashboards, prometheus, range)
    for (const title of silent) log(`found nothing to show: ${title}`)
    const dir = join(projectDir, 'docker/screenshots')
    mkdirSync(dir, { recursive: true })
    for (const dashboard of dashboards) {
      const pages = pagesOf(dashboard)
      for (const [at, panels] of pages.entries()) {
        const name = dashboard.file.replace('.json', pages.length > 1 ? `-${at + 1}.png` : '.png')
        await writePicture(join(dir, name), dashboard, panels, {
          prometheus,
          range,
          log,
          signal: over.signal,
        })
        log(`drawn: docker/screenshots/${name}`)
      }
    }
    return silent.length === 0 ? 0 : 1
  } catch (error) {
    log(over.signal.aborted ? 'interrupted; everything was stopped' : String((error as Error).stack))
    return 3
  } finally {
    // From here on a worker that ends does so because we say so.
    over.abort()
    await parts?.stop()
  }
}

// Sockets that are still open must not keep the program from ending.
process.exit(await main())
