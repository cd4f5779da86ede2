/**
 * `npm run docker:check`: builds the image and holds it to what the README says of it.
 *
 * The whole pipeline runs on this machine's parts, with the service in containers: strict ones, the first stopped by `docker stop` in the
 * middle of the traffic. At the end every document is compared. No part of `npm test`: it needs a Docker engine, or root on Debian to
 * start one.
 *
 * Exit codes: 0 all holds, 1 something does not, 3 something on this machine is missing or refused.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type pg from 'pg'
import { compareAll, isEqual } from '../demo/compare.ts'
import * as pipeline from '../demo/pipeline.ts'
import { comparisons, tableFile } from '../demo/shop.ts'
import { waitFor } from '../demo/wait.ts'
import { prepareWorkload } from '../demo/workload.ts'
import { stopWhenLauncherDies } from '../local/launcher.ts'
import { type Parts, startParts } from '../local/parts.ts'
import { freePorts } from '../local/ports.ts'
import { ensureBaseImage } from './base-image.ts'
import { type Container, runDetached, STOP_S, STRICT } from './container.ts'
import { type Engine, openEngine } from './engine.ts'

const IMAGE = 'aurora-opensearch-cdc:check'
const BASE = 'node:24-bookworm-slim'
const MEGABYTE = 1e6
const ADDED_MAX = 80 * MEGABYTE
const START_MS_MAX = 1000
const START_ATTEMPTS = 3
const LISTEN_MS = 20_000
const HEALTHY_MS = 30_000
const WORKLOAD = { changesPerSecond: 60, seconds: 12 }
/** In the middle of the workload. */
const STOP_AFTER_CHANGES = 300
const SEED = 7
const EQUAL_MS = 90_000
const APP = '.compile-cache node_modules package.json src'
const LIST_APP = "console.log(fs.readdirSync('/app').sort().join(' '))"

const log = (line: string): void => console.error(line)
let isAllGood = true

function verdict(isGood: boolean, what: string): void {
  isAllGood &&= isGood
  console.log(`${isGood ? 'ok ' : 'NOT'} ${what}`)
}

async function checkImage(engine: Engine, signal: AbortSignal): Promise<void> {
  const isMade = await ensureBaseImage(BASE, engine, { log, signal })
  log(`building ${IMAGE}${isMade ? `, on a ${BASE} made on this machine` : ''}`)
  // On an engine without a bridge only the host's network leads to the package registry.
  await engine.docker(['build', '--network', 'host', '--tag', IMAGE, '.'])
  const inspect = (image: string, format: string) =>
    engine.docker(['image', 'inspect', '--format', format, image])
  const sizeOf = async (image: string) => Number(await inspect(image, '{{.Size}}'))
  const added = (await sizeOf(IMAGE)) - (await sizeOf(BASE))
  verdict(
    added < ADDED_MAX,
    `adds ${(added / MEGABYTE).toFixed(1)} MB to its base, below ${ADDED_MAX / MEGABYTE}`,
  )
  const config = JSON.parse(await inspect(IMAGE, '{{json .Config}}'))
  verdict(config.User === '1000:1000', `runs as ${config.User}, not as root`)
  const command = JSON.stringify(config.Cmd)
  verdict(command === '["node","src/main.ts"]' && !config.Entrypoint, `starts ${command}, nothing in front`)
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  const label = config.Labels['org.opencontainers.image.version']
  verdict(label === version, `is labelled ${label}, as package.json has it`)
  const found = await engine.docker(['run', '--rm', '--network', 'none', IMAGE, 'node', '-e', LIST_APP])
  verdict(found.trim() === APP, `holds ${found.trim()}`)
}

/** The compose plugin is a program of its own, and not everywhere. */
async function checkCompose(engine: Engine): Promise<void> {
  const isThere = await engine.docker(['compose', 'version']).then(
    () => true,
    () => false,
  )
  if (!isThere) {
    log('no `docker compose` here: what it says of docker/compose.yaml is not checked')
    return
  }
  const profiles = ['--profile', 'load', '--profile', 'dashboards']
  await engine.docker(['compose', '--file', 'docker/compose.yaml', ...profiles, 'config', '--quiet'])
  verdict(true, '`docker compose config` accepts docker/compose.yaml')
}

type Shop = { session: pg.Client; run: () => Promise<Container> }

/** A busy machine is no fault of the image: the best of a few starts counts. @returns the last one, running */
async function checkStart(shop: Shop): Promise<Container> {
  for (let attempt = 1; ; attempt++) {
    const container = await shop.run()
    const startMs = await container.msUntil('listening', LISTEN_MS)
    const isQuick = startMs < START_MS_MAX
    if (isQuick || attempt === START_ATTEMPTS) {
      verdict(isQuick, `answers ${Math.round(startMs)} ms after its start, below ${START_MS_MAX}`)
      return container
    }
    await container.stop()
  }
}

/** The traffic; the container is told to stop in the middle of it, and another one goes on. */
async function checkStop(shop: Shop, signal: AbortSignal): Promise<void> {
  const first = await checkStart(shop)
  await first.untilHealthy(HEALTHY_MS)
  verdict(true, `runs with ${STRICT.join(' ')}, and its health check passes`)
  const workload = await prepareWorkload(shop.session, SEED)
  const writing = workload.run({ ...WORKLOAD, signal })
  await waitFor({
    what: 'the workload to be under way',
    see: "PostgreSQL's log",
    deadlineMs: EQUAL_MS,
    signal,
    look: () => workload.counts.inserts + workload.counts.updates > STOP_AFTER_CHANGES,
  })
  const { exitCode, tookMs } = await first.stop()
  const isInTime = exitCode === 0 && tookMs < STOP_S * 1000
  verdict(
    isInTime,
    `ends ${Math.round(tookMs)} ms after \`docker stop -t ${STOP_S}\` with exit code ${exitCode}`,
  )
  verdict((await first.log()).includes('"drained"'), 'has drained before its end')
  await shop.run()
  await writing
}

async function checkRun(engine: Engine, parts: Parts, signal: AbortSignal): Promise<void> {
  const { queueUrl } = await pipeline.createStream(parts, signal)
  const session = await pipeline.openSession(parts, error => log(error.message))
  const containers: string[] = []
  try {
    await pipeline.stockShop(session)
    const settings = pipeline.serviceSettings(parts, queueUrl)
    await pipeline.bootstrap(parts, settings, signal)
    // The health check asks at HTTP_PORT, so it must be a number both know.
    const ports = await freePorts(START_ATTEMPTS + 1)
    const env = { ...settings, HTTP_HOST: '127.0.0.1' }
    const dms = pipeline.startDms(parts)
    await pipeline.fullLoad(dms, signal)
    const run = async () => {
      const name = `cdc-check-${containers.length + 1}`
      await engine.docker(['rm', '--force', name]).catch(() => {})
      containers.push(name)
      const own = { ...env, HTTP_PORT: String(ports[containers.length - 1]) }
      return runDetached(engine, { name, image: IMAGE, env: own, tableFile: fileURLToPath(tableFile) })
    }
    await checkStop({ session, run }, signal)
    const world = { database: session, opensearchUrl: parts.endpoints.opensearchUrl, signal }
    const outcomes = await waitFor({
      what: 'every document to be equal to its row',
      see: `the logs in ${pipeline.logsDir(parts)}`,
      deadlineMs: EQUAL_MS,
      signal,
      look: async () => {
        const found = await compareAll(comparisons, world)
        return found.every(isEqual) && found
      },
    })
    const rows = outcomes.reduce((sum, outcome) => sum + outcome.rows, 0)
    verdict(true, `mirrors: all ${rows} rows are documents, digit for digit`)
  } finally {
    for (const name of containers) await engine.docker(['rm', '--force', name]).catch(() => {})
    await session.end()
  }
}

async function main(): Promise<number> {
  const over = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => over.abort())
  stopWhenLauncherDies(() => over.abort())
  let parts: Parts | undefined
  let engine: Engine | undefined
  try {
    parts = await startParts({ instance: 'docker-check', log, signal: over.signal })
    engine = await openEngine(parts, { log, signal: over.signal })
    await checkCompose(engine)
    await checkImage(engine, over.signal)
    await checkRun(engine, parts, over.signal)
    return isAllGood ? 0 : 1
  } catch (error) {
    log(over.signal.aborted ? 'interrupted; everything was stopped' : messages(error))
    return 3
  } finally {
    await engine?.close()
    await parts?.stop()
  }
}

function messages(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}\n  because: ${messages(error.cause)}`
}

// Sockets that are still open must not keep the program from ending.
process.exit(await main())
