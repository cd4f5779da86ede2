/**
 * Everything the service works with, on this machine, as plain processes: PostgreSQL, Kinesis, DynamoDB, SQS, OpenSearch.
 *
 * Rule: nothing outlives its use. Each process leads a group that is written down; the process that called `startParts` supervises the
 * instance and stops all of it, also when a signal arrives half way or a part does not start. What a supervisor killed with SIGKILL
 * leaves behind is found by the next start and ended first. Data is thrown away unless it was asked to be kept.
 *
 * The ports are free ones. All parts listen on 127.0.0.1 except kinesis-local, DynamoDB Local and LocalStack, which listen on every
 * interface and cannot be told otherwise: where that matters, keep the machine behind a firewall.
 */
import { CREDENTIALS, REGION } from './aws-clients.ts'
import { type Child, startChild } from './child.ts'
import { ensureFetched, isFetched } from './downloads.ts'
import { dynamodb } from './dynamodb.ts'
import { claimInstance, endInstance } from './instance.ts'
import { kinesis } from './kinesis.ts'
import { localstack } from './localstack.ts'
import { opensearch } from './opensearch.ts'
import type { Part } from './part.ts'
import { freePorts } from './ports.ts'
import { postgres, postgresUrl } from './postgres.ts'
import { isAlive, killGroupsNow, recordedGroups, stopGroup } from './process-group.ts'
import { requireTools, type Tools } from './requirements.ts'
import { sqs } from './sqs.ts'
import { plainEnv, startPart } from './start-part.ts'
import {
  type Endpoints,
  instanceDirOf,
  isSupervised,
  type PartName,
  type Ports,
  projectDir,
  type Running,
  readState,
  type State,
  writeState,
} from './state.ts'

export type { Child } from './child.ts'
export { AlreadyUpError } from './instance.ts'
export type { Endpoints, PartName } from './state.ts'

export type Parts = {
  endpoints: Endpoints
  /** See `awsEnv`. */
  env: Record<string, string>
  /** The folder with this instance's data and logs. */
  instanceDir: string
  /** Stops one part; the others go on. */
  stopPart(name: PartName): Promise<void>
  /** Starts a stopped part again, on the same port. Kinesis and LocalStack come back empty, the others with their data. */
  startPart(name: PartName): Promise<void>
  /**
   * Starts another process of this instance, recorded like the parts. Its environment is ours without any AWS setting, and `env` over it.
   * Output goes to `<instanceDir>/logs/<name>.log` and to the child's listeners.
   */
  spawn(name: string, argv: string[], env: Record<string, string>): Child
  /** Stops everything that still runs; a second call waits for the first. */
  stop(): Promise<void>
}

export type StartOptions = {
  /** Names the folder; instances run side by side. */
  instance: string
  /** LocalStack in place of the three emulators for AWS. It keeps no data, whatever `keepData` says. */
  localstack?: boolean
  /** Keeps data from the last run and for the next one. */
  keepData?: boolean
  log: (line: string) => void
  /** Gives up starting: everything started so far is stopped. Once started, call `stop`. */
  signal?: AbortSignal
}

export async function startParts(options: StartOptions): Promise<Parts> {
  const { instance, log, keepData = false } = options
  const withLocalstack = options.localstack ?? false
  const signal = options.signal ?? new AbortController().signal
  const claimed = await claimInstance({ instance, localstack: withLocalstack, keepData }, { log, signal })
  const instanceDir = instanceDirOf(instance)
  const killNow = (): void => killGroupsNow(instanceDir)
  process.once('exit', killNow)
  const endAll = async (): Promise<void> => {
    await endInstance(instanceDir, keepData)
    process.off('exit', killNow)
  }

  try {
    const parts = partsOf(claimed)
    const tools = await prepareMachine(parts, { log, signal })
    const ports = await choosePorts(parts)
    const running: Running = { ports, endpoints: endpointsOf(ports), tools }
    await startTogether(parts, signal, (part, failed) =>
      startPart(part, instanceDir, { ports: ports[part.name]!, tools, keepData, signal: failed }, log),
    )
    const state: State = { ...claimed, running }
    writeState(state)
    return openParts(state, running, log, endAll)
  } catch (error) {
    await endAll()
    throw error
  }
}

/**
 * The parts of an instance that another process supervises, for use from this one (a test, next to the test run's set-up).
 * What it starts is recorded with the rest, so the supervisor ends it too; its `stop` ends only the processes spawned through it.
 */
export function attachParts(instance: string, log: (line: string) => void): Parts {
  const state = readState(instance)
  if (state === undefined || !isSupervised(state) || state.running === null) {
    throw new Error(`the local parts \`${instance}\` are not up; start them before attaching to them`)
  }
  const children: Child[] = []
  const parts = openParts(state, state.running, log, async () => {
    await Promise.all(children.map(child => stopGroup(instanceDirOf(instance), child.group)))
  })
  return {
    ...parts,
    spawn(name, argv, env) {
      const child = parts.spawn(name, argv, env)
      children.push(child)
      return child
    },
  }
}

function openParts(
  state: State,
  running: Running,
  log: (line: string) => void,
  end: () => Promise<void>,
): Parts {
  const instanceDir = instanceDirOf(state.instance)
  let ending: Promise<void> | undefined

  const runningGroups = (name: PartName) =>
    recordedGroups(instanceDir).filter(
      group => group.kind === 'part' && group.name === name && isAlive(group),
    )

  const partNamed = (name: PartName): Part => {
    const part = partsOf(state).find(candidate => candidate.name === name)
    if (part !== undefined) return part
    throw new Error(
      `${name} is not one of the parts of \`${state.instance}\`: ${Object.keys(running.ports).join(', ')}`,
    )
  }

  return {
    endpoints: running.endpoints,
    env: awsEnv(running.endpoints),
    instanceDir,

    async stopPart(name) {
      const { name: partName } = partNamed(name)
      await Promise.all(runningGroups(partName).map(group => stopGroup(instanceDir, group)))
    },

    async startPart(name) {
      const part = partNamed(name)
      if (runningGroups(name).length > 0) return
      const given = { ports: running.ports[name]!, tools: running.tools, keepData: state.keepData }
      await startPart(part, instanceDir, { ...given, signal: new AbortController().signal }, log)
    },

    spawn(name, argv, env) {
      return startChild(instanceDir, name, { argv, env: { ...plainEnv(), ...env }, cwd: projectDir })
    },

    stop() {
      ending ??= end()
      return ending
    },
  }
}

/** What an AWS SDK client needs to find the parts, as environment variables. */
export function awsEnv(endpoints: Endpoints): Record<string, string> {
  return {
    AWS_ENDPOINT_URL_KINESIS: endpoints.kinesisUrl,
    AWS_ENDPOINT_URL_DYNAMODB: endpoints.dynamodbUrl,
    AWS_ENDPOINT_URL_SQS: endpoints.sqsUrl,
    AWS_REGION: REGION,
    AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
  }
}

export function partsOf({ localstack: withLocalstack }: Pick<State, 'localstack'>): Part[] {
  return withLocalstack ? [opensearch, localstack, postgres] : [opensearch, dynamodb, sqs, kinesis, postgres]
}

async function choosePorts(parts: Part[]): Promise<Ports> {
  const wanted = parts.flatMap(({ name, portNames }) => portNames.map(portName => ({ name, portName })))
  const free = await freePorts(wanted.length)
  const ports: Ports = {}
  wanted.forEach(({ name, portName }, index) => {
    ports[name] = { ...ports[name], [portName]: free[index]! }
  })
  return ports
}

function endpointsOf(ports: Ports): Endpoints {
  const url = (name: PartName): string => `http://127.0.0.1:${(ports[name] ?? ports.localstack)!.http}`
  return {
    postgresUrl: postgresUrl(ports.postgres!.sql!),
    kinesisUrl: url('kinesis'),
    dynamodbUrl: url('dynamodb'),
    sqsUrl: url('sqs'),
    opensearchUrl: url('opensearch'),
  }
}

/** What has to be installed and fetched before these parts can start, done. */
export async function prepareMachine(
  parts: Pick<Part, 'downloads'>[],
  { log, signal }: { log: (line: string) => void; signal: AbortSignal },
): Promise<Tools> {
  const downloads = parts.flatMap(part => part.downloads)
  const missing = downloads.filter(download => !isFetched(download))
  const tools = await requireTools({ fetchWith: new Set(missing.map(({ needs }) => needs)), log, signal })
  await ensureFetched(missing, { tools, log, signal })
  return tools
}

/** Side by side. The first that fails ends the waiting for the others, and is the one reported. */
async function startTogether(
  parts: Part[],
  signal: AbortSignal,
  start: (part: Part, failed: AbortSignal) => Promise<void>,
): Promise<void> {
  const failure = new AbortController()
  const either = AbortSignal.any([signal, failure.signal])
  const starts = parts.map(part => start(part, either))
  try {
    await Promise.all(starts)
  } catch (error) {
    failure.abort(error)
    // Nothing may be started any more once we return: whoever is about to spawn sees the signal first.
    await Promise.allSettled(starts)
    throw error
  }
}
