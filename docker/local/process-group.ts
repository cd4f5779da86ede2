/**
 * Processes started in a group of their own and written down, so that whoever comes later can end them.
 *
 * Rule: one file a group, written right after its start and removed when nothing of the group is left. Several processes (the
 * supervisor, a test that restarts a part) write here at the same time without a lock, because none writes another's file.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { identityOf, isGroupRunning, markedProcesses, type ProcessIdentity } from './process-identity.ts'

export type Group = {
  name: string
  kind: 'part' | 'child'
  leader: ProcessIdentity
  /** What everything started by it carries in its environment. */
  mark: string
  port: number | null
  /** What ends it in order, and how long that may take before it is killed. */
  stop: { signal: NodeJS.Signals; graceMs: number }
  /** Somebody is ending it: its exit is no news. */
  isStopping: boolean
}

export type GroupCommand = { argv: string[]; env: Record<string, string>; cwd: string }

const POLL_MS = 25
const KILL_WAIT_MS = 10_000

const MARK = 'CDC_LOCAL_GROUP'

export function spawnGroup(
  instanceDir: string,
  about: Pick<Group, 'name' | 'kind' | 'port' | 'stop'>,
  command: GroupCommand,
  stdio: StdioOptions,
): { child: ChildProcess; group: Group } {
  const [program, ...args] = command.argv
  const mark = `${instanceDir}/${about.name}/${randomUUID()}`
  const child = spawn(program!, args, {
    cwd: command.cwd,
    env: { ...command.env, [MARK]: mark },
    stdio,
    detached: true,
  })
  // Without a listener the event would end this process. A program that cannot be started has no pid, which is looked at below.
  child.on('error', () => {})
  if (child.pid === undefined)
    throw new Error(`${about.name}: ${program} could not be started; is it there and executable?`)
  const group: Group = { ...about, leader: identityOf(child.pid), mark: `${MARK}=${mark}`, isStopping: false }
  writeGroup(instanceDir, group)
  return { child, group }
}

export function recordedGroups(instanceDir: string): Group[] {
  let files: string[]
  try {
    files = readdirSync(groupsDir(instanceDir))
  } catch {
    return []
  }
  return files.flatMap(file =>
    file.endsWith('.json') ? (readGroup(join(groupsDir(instanceDir), file)) ?? []) : [],
  )
}

/** Is anything left of it, in the group or out of it? */
export function isAlive(group: Group): boolean {
  return isGroupRunning(group.leader, group.mark) || markedProcesses(group.mark).length > 0
}

/** Was this exit asked for, by us or by another process? */
export function isStopping(instanceDir: string, group: Group): boolean {
  return readGroup(groupFile(instanceDir, group))?.isStopping ?? true
}

/**
 * Ends a group: its signal, then its time of grace (or less, if `graceMsMax` says so), then SIGKILL to all that is left of it.
 * Processes that left the group (LocalStack starts its emulators that way) are ended by the leader if it has the time, else here.
 */
export async function stopGroup(
  instanceDir: string,
  group: Group,
  graceMsMax = Number.POSITIVE_INFINITY,
): Promise<void> {
  const isGone = (): boolean => !isGroupRunning(group.leader, group.mark)
  if (!isGone()) {
    writeGroup(instanceDir, { ...group, isStopping: true })
    signalGroup(group.leader.pid, group.stop.signal)
    // A test may have paused it; a paused process sees no other signal but SIGKILL.
    signalGroup(group.leader.pid, 'SIGCONT')
    await isTrueWithin(isGone, Math.min(group.stop.graceMs, graceMsMax))
  }
  killNow(group)
  if (!(await isTrueWithin(() => !isAlive(group), KILL_WAIT_MS))) {
    throw new Error(
      `${group.name}: process group ${group.leader.pid} is still there ${KILL_WAIT_MS} ms after SIGKILL; see \`ps -o pid,stat,args -g ${group.leader.pid}\``,
    )
  }
  rmSync(groupFile(instanceDir, group), { force: true })
}

/** For a process that ended by itself: nothing is left to be found by others, so nothing is kept of it. */
export function forgetGroup(instanceDir: string, group: Group): void {
  if (!isAlive(group)) rmSync(groupFile(instanceDir, group), { force: true })
}

/** For the last moment of a process that was not given the time to stop anything. */
export function killGroupsNow(instanceDir: string): void {
  for (const group of recordedGroups(instanceDir)) {
    writeGroup(instanceDir, { ...group, isStopping: true })
    killNow(group)
  }
}

function killNow(group: Group): void {
  if (isGroupRunning(group.leader, group.mark)) signalGroup(group.leader.pid, 'SIGKILL')
  for (const pid of markedProcesses(group.mark)) signalIfThere(pid, 'SIGKILL')
}

export function signalGroup(pgid: number, signal: NodeJS.Signals): void {
  signalIfThere(-pgid, signal)
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function isTrueWithin(check: () => boolean, ms: number): Promise<boolean> {
  const deadline = performance.now() + ms
  while (!check()) {
    if (performance.now() > deadline) return false
    await sleep(POLL_MS)
  }
  return true
}

function groupsDir(instanceDir: string): string {
  return join(instanceDir, 'groups')
}

function groupFile(instanceDir: string, group: Group): string {
  return join(groupsDir(instanceDir), `${group.name}-${group.leader.pid}.json`)
}

function readGroup(file: string): Group | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Group
  } catch {
    return undefined
  }
}

function writeGroup(instanceDir: string, group: Group): void {
  const file = groupFile(instanceDir, group)
  mkdirSync(groupsDir(instanceDir), { recursive: true })
  writeFileSync(`${file}.new`, JSON.stringify(group))
  renameSync(`${file}.new`, file)
}
