/**
 * Where things are kept, and what is known of a running instance.
 *
 * Everything lies under `.local/`, which git ignores: `downloads/` for all, `<instance>/` for one run's data, logs and state.json.
 * Rule: state.json is written by the supervising process alone and always whole; others read it.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isRunning, type ProcessIdentity } from './process-identity.ts'
import type { Tools } from './requirements.ts'

export type Endpoints = {
  postgresUrl: string
  kinesisUrl: string
  dynamodbUrl: string
  sqsUrl: string
  opensearchUrl: string
}

export type PartName = 'postgres' | 'kinesis' | 'dynamodb' | 'sqs' | 'opensearch' | 'localstack'

/** For each part its ports by name. */
export type Ports = Partial<Record<PartName, Record<string, number>>>

/** What the parts run on: enough for another process to stop one and start it again. */
export type Running = { ports: Ports; endpoints: Endpoints; tools: Tools }

export type State = {
  instance: string
  /** The process that started the parts and stops them when it ends. */
  supervisor: ProcessIdentity
  localstack: boolean
  keepData: boolean
  /** Null until all parts are ready. */
  running: Running | null
}

const POLL_MS = 100

export const projectDir = join(import.meta.dirname, '..', '..')
const localDir = join(projectDir, '.local')
export const downloadsDir = join(localDir, 'downloads')

export function instanceDirOf(instance: string): string {
  // The folder is emptied again and again: a name must never lead anywhere else.
  if (!/^[a-z0-9][a-z0-9-]*$/.test(instance) || instance === 'downloads') {
    throw new Error(
      `${JSON.stringify(instance)} is no name for an instance; expected small letters, digits and hyphens`,
    )
  }
  return join(localDir, instance)
}

export function logFile(instanceDir: string, name: string): string {
  return join(instanceDir, 'logs', `${name}.log`)
}

export function readState(instance: string): State | undefined {
  try {
    return JSON.parse(readFileSync(join(instanceDirOf(instance), 'state.json'), 'utf8')) as State
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export function writeState(state: State): void {
  const file = join(instanceDirOf(state.instance), 'state.json')
  mkdirSync(instanceDirOf(state.instance), { recursive: true })
  writeFileSync(`${file}.new`, `${JSON.stringify(state, null, 2)}\n`)
  renameSync(`${file}.new`, file)
}

export function isSupervised(state: State): boolean {
  return isRunning(state.supervisor)
}

/** Resolves when the supervising process is gone; rejects with the signal. */
export async function untilUnsupervised(state: State, signal: AbortSignal): Promise<void> {
  while (isSupervised(state)) await sleep(POLL_MS, undefined, { signal })
}

/** Every instance that has a folder, running or not. */
export function knownInstances(): string[] {
  try {
    return readdirSync(localDir, { withFileTypes: true })
      .filter(entry => entry.isDirectory() && entry.name !== 'downloads')
      .map(entry => entry.name)
  } catch {
    return []
  }
}
