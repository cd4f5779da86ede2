/**
 * One run of the parts under a name: who may start it, and how it ends.
 *
 * Rule: an instance has one living supervisor. Who finds a dead one ends what that left behind and takes its place.
 */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { withLock } from './lock.ts'
import { type Group, isAlive, recordedGroups, stopGroup } from './process-group.ts'
import { identityOf } from './process-identity.ts'
import { instanceDirOf, isSupervised, readState, type State, writeState } from './state.ts'

/** The instance has a living supervisor. `state.running` is null while that one is still starting. */
export class AlreadyUpError extends Error {
  readonly state: State

  constructor(state: State) {
    super(
      `the local parts \`${state.instance}\` are already up, started by process ${state.supervisor.pid}; end that process, or run \`npm run local -- down ${state.instance}\``,
    )
    this.state = state
  }
}

const LEFTOVER_GRACE_MS = 3_000

/** Makes this process the supervisor of an instance that has none, with an empty folder (or the data of the last run). */
export async function claimInstance(
  wanted: Omit<State, 'supervisor' | 'running'>,
  options: { log: (line: string) => void; signal: AbortSignal },
): Promise<State> {
  const dir = instanceDirOf(wanted.instance)
  return await withLock(`${dir}.lock`, options, async () => {
    const former = readState(wanted.instance)
    if (former !== undefined && isSupervised(former)) throw new AlreadyUpError(former)
    await stopLeftovers(dir, options.log)
    // Logs of the last run are of no use once the next begins.
    removeFiles(dir, name => wanted.keepData && name !== 'logs' && !RECORDS.has(name))
    const state: State = { ...wanted, supervisor: identityOf(process.pid), running: null }
    writeState(state)
    return state
  })
}

/** Ends what a supervisor that was killed left running. */
export async function stopLeftovers(instanceDir: string, log: (line: string) => void): Promise<void> {
  const leftovers = recordedGroups(instanceDir).filter(isAlive)
  if (leftovers.length > 0)
    log(`stopping what an earlier run left behind: ${leftovers.map(({ name }) => name).join(', ')}`)
  await stopAll(instanceDir, leftovers, LEFTOVER_GRACE_MS)
}

/** Ends every process of the instance and forgets the run; logs stay, data if it is to be kept. */
export async function endInstance(instanceDir: string, keepData: boolean): Promise<void> {
  const groups = recordedGroups(instanceDir)
  // Those who use the parts go first, so that a worker can still give its leases back.
  await stopAll(
    instanceDir,
    groups.filter(({ kind }) => kind === 'child'),
  )
  await stopAll(
    instanceDir,
    groups.filter(({ kind }) => kind === 'part'),
  )
  removeFiles(instanceDir, name => name === 'logs' || (keepData && !RECORDS.has(name)))
}

const RECORDS = new Set(['groups', 'state.json'])

async function stopAll(instanceDir: string, groups: Group[], graceMsMax?: number): Promise<void> {
  await Promise.all(groups.map(group => stopGroup(instanceDir, group, graceMsMax)))
}

function removeFiles(instanceDir: string, isKept: (name: string) => boolean): void {
  let names: string[]
  try {
    names = readdirSync(instanceDir)
  } catch {
    return
  }
  for (const name of names)
    if (!isKept(name)) rmSync(join(instanceDir, name), { recursive: true, force: true })
}
