/**
 * The command line of the local parts, for work by hand: they run in the foreground until Ctrl-C.
 *
 * Exit codes: 0 done, 2 wrong usage, 3 something on this machine is missing or refused, 130 interrupted while starting.
 */
import { parseArgs } from 'node:util'
import { endInstance, stopLeftovers } from './instance.ts'
import { stopWhenLauncherDies } from './launcher.ts'
import { AlreadyUpError, awsEnv, type Endpoints, partsOf, prepareMachine, startParts } from './parts.ts'
import { isAlive, recordedGroups } from './process-group.ts'
import { createResources } from './resources.ts'
import { instanceDirOf, isSupervised, knownInstances, readState, untilUnsupervised } from './state.ts'

const HELP = `Usage: npm run local -- COMMAND

PostgreSQL, Kinesis, DynamoDB, SQS and OpenSearch on this machine, as plain processes on free ports.

  up [--localstack] [--keep-data]   starts them and stays until Ctrl-C; prints their URLs and the settings for the service
  down [INSTANCE]                   stops an instance (default: dev, the one of \`up\`) and whatever a killed run left behind
  status                            shows every instance that runs
  fetch [--localstack]              only fetches what \`up\` would

  --localstack   LocalStack plays Kinesis, DynamoDB and SQS
  --keep-data    goes on with the data of the last run, and keeps it for the next; not with --localstack, which keeps none

Everything is kept below .local/ (downloads, data, logs). Needs Java 17 to 23, PostgreSQL, and Maven for the first run; LocalStack
needs Python 3.11 or 3.13. OPENSEARCH_VERSION=3.8.0 takes that OpenSearch in place of 2.19.6; version 3 needs Java 21 or newer
beside the other. Root on Debian gets what is missing from apt. PostgreSQL, OpenSearch and ElasticMQ listen on 127.0.0.1;
kinesis-local, DynamoDB Local and LocalStack listen on every interface and cannot be told otherwise.`

const INSTANCE = 'dev'
const RESOURCES = { stream: 'cdc', shards: 4, leaseTable: 'cdc-leases', queue: 'cdc-dead-letters' }
const DOWN_MS = 60_000

class UsageError extends Error {}

type Options = { localstack: boolean; keepData: boolean; operands: string[] }

const COMMANDS: Record<
  string,
  { allowed: (keyof Options)[]; run: (options: Options, signal: AbortSignal) => Promise<number> }
> = {
  up: { allowed: ['localstack', 'keepData'], run: up },
  down: { allowed: ['operands'], run: down },
  status: { allowed: [], run: status },
  fetch: { allowed: ['localstack'], run: fetchOnly },
}

const log = (line: string): void => console.error(line)

process.exitCode = await main(process.argv.slice(2))

async function main(argv: string[]): Promise<number> {
  const stopping = new AbortController()
  const stop = (signal: NodeJS.Signals): void => {
    // A second Ctrl-C: no more patience. What still runs is killed as this process exits.
    if (stopping.signal.aborted && signal === 'SIGINT') process.exit(130)
    stopping.abort()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
  stopWhenLauncherDies(() => stopping.abort())
  try {
    return await command(argv)(stopping.signal)
  } catch (error) {
    if (error instanceof UsageError) {
      log(`${error.message}\n\n${HELP}`)
      return 2
    }
    if (stopping.signal.aborted) {
      log('interrupted; everything started so far was stopped')
      return 130
    }
    log(messages(error))
    return 3
  }
}

function command(argv: string[]): (signal: AbortSignal) => Promise<number> {
  const { values, positionals } = parsed(argv)
  const [name, ...operands] = positionals
  if (values.help) {
    return async () => {
      console.log(HELP)
      return 0
    }
  }
  if (name === undefined) throw new UsageError('a command is missing')
  const found = COMMANDS[name]
  if (found === undefined) throw new UsageError(`there is no command ${JSON.stringify(name)}`)
  const options: Options = { localstack: values.localstack, keepData: values['keep-data'], operands }
  if (options.localstack && !found.allowed.includes('localstack'))
    throw new UsageError(`${name} takes no --localstack`)
  if (options.keepData && !found.allowed.includes('keepData'))
    throw new UsageError(`${name} takes no --keep-data`)
  if (options.localstack && options.keepData)
    throw new UsageError('LocalStack keeps no data: --localstack or --keep-data, not both')
  if (operands.length > (found.allowed.includes('operands') ? 1 : 0)) {
    throw new UsageError(`${name} does not take ${JSON.stringify(operands.at(-1))}`)
  }
  return signal => found.run(options, signal)
}

function parsed(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        localstack: { type: 'boolean', default: false },
        'keep-data': { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

async function up({ localstack, keepData }: Options, signal: AbortSignal): Promise<number> {
  let parts: Awaited<ReturnType<typeof startParts>>
  try {
    parts = await startParts({ instance: INSTANCE, localstack, keepData, log, signal })
  } catch (error) {
    if (error instanceof AlreadyUpError) return await reuse(error, localstack)
    throw error
  }
  try {
    await show(parts.endpoints)
    log('\nCtrl-C stops everything.')
    await aborted(signal)
    log('stopping')
  } finally {
    await parts.stop()
  }
  log(keepData ? 'stopped; data is kept in .local/dev' : 'stopped; data is gone')
  return 0
}

async function reuse(error: AlreadyUpError, localstack: boolean): Promise<number> {
  const { running, supervisor } = error.state
  if (running === null)
    throw new Error(
      `process ${supervisor.pid} is still starting the parts; look again with \`npm run local -- status\``,
    )
  if (error.state.localstack !== localstack) {
    throw new Error(`${error.message}. They run ${error.state.localstack ? 'with' : 'without'} LocalStack`)
  }
  log(`already up, started by process ${supervisor.pid}; nothing to do`)
  await show(running.endpoints)
  return 0
}

/** Creates the resources, where they are not there yet, and prints what to export for the service and the stand-in for DMS. */
async function show(endpoints: Endpoints): Promise<void> {
  const { queueUrl } = await createResources(endpoints, RESOURCES)
  const settings = {
    ...awsEnv(endpoints),
    STREAM_NAME: RESOURCES.stream,
    LEASE_TABLE: RESOURCES.leaseTable,
    DEAD_LETTER_QUEUE_URL: queueUrl,
    OPENSEARCH_URL: endpoints.opensearchUrl,
    // The emulators answer nobody else while they gather a large page.
    GET_RECORDS_LIMIT: '1000',
    DMS_SOURCE_URL: endpoints.postgresUrl,
    DMS_STREAM: RESOURCES.stream,
  }
  console.log(urls(endpoints))
  console.log(
    Object.entries(settings)
      .map(([name, value]) => `export ${name}=${value}`)
      .join('\n'),
  )
}

async function down({ operands }: Options, signal: AbortSignal): Promise<number> {
  const instance = operands[0] ?? INSTANCE
  const dir = instanceDirOf(instance)
  const state = readState(instance)
  if (state !== undefined && isSupervised(state)) {
    log(`asking process ${state.supervisor.pid} to stop`)
    process.kill(state.supervisor.pid, 'SIGTERM')
    await untilUnsupervised(state, AbortSignal.any([signal, AbortSignal.timeout(DOWN_MS)]))
  }
  await stopLeftovers(dir, log)
  await endInstance(dir, state?.keepData ?? true)
  log(`${instance} is down`)
  return 0
}

async function status(): Promise<number> {
  const states = knownInstances().flatMap(instance => readState(instance) ?? [])
  for (const state of states) {
    const dir = instanceDirOf(state.instance)
    const groups = recordedGroups(dir).filter(isAlive)
    const supervision = isSupervised(state)
      ? `${state.running === null ? 'starting' : 'up'}, process ${state.supervisor.pid}`
      : 'its process was killed; the next start or `down` clears it away'
    console.log(`${state.instance}: ${supervision}`)
    for (const { name, leader, port } of groups) {
      console.log(`  ${name.padEnd(12)} process group ${leader.pid}${port === null ? '' : `, port ${port}`}`)
    }
    if (state.running !== null && isSupervised(state)) console.log(urls(state.running.endpoints))
  }
  if (states.length === 0) console.log('nothing is up')
  return 0
}

async function fetchOnly({ localstack }: Options, signal: AbortSignal): Promise<number> {
  await prepareMachine(partsOf({ localstack }), { log, signal })
  log('everything is there')
  return 0
}

function urls(endpoints: Endpoints): string {
  return Object.entries(endpoints)
    .map(([name, url]) => `  ${name.replace(/Url$/, '').padEnd(12)} ${url}`)
    .join('\n')
}

async function aborted(signal: AbortSignal): Promise<void> {
  // Something must keep this process alive, also when every part has ended by itself.
  const alive = setInterval(() => {}, 2 ** 30)
  await new Promise<void>(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
  clearInterval(alive)
}

function messages(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}\n  because: ${messages(error.cause)}`
}
