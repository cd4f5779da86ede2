/**
 * Which process is meant, told by its id and the moment it started.
 *
 * Rule: an id alone proves nothing, for the system gives it out again. Nothing is signalled unless its start time, or the mark in its
 * environment, fits too. Linux tells both in /proc; other systems tell the time through `ps`; where nobody answers, the id has to do.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'

export type ProcessIdentity = {
  pid: number
  /** Ticks since boot on Linux, a date elsewhere: only good for comparing. Null when nobody could tell. */
  startTime: string | null
}

type LinuxProcess = { pid: number; group: number; startTime: string; isZombie: boolean }

const hasProc = existsSync('/proc/self/stat')

export function identityOf(pid: number): ProcessIdentity {
  return { pid, startTime: hasProc ? (linuxProcess(pid)?.startTime ?? null) : startTimeByPs(pid) }
}

export function isRunning(identity: ProcessIdentity): boolean {
  if (!answersSignals(identity.pid)) return false
  if (hasProc && linuxProcess(identity.pid)?.isZombie) return false
  const { startTime } = identityOf(identity.pid)
  return identity.startTime === null || startTime === null || startTime === identity.startTime
}

/**
 * Is anything left of the group this process led?
 *
 * @param mark decides where the leader has gone and only others are left, see `markedProcesses`
 */
export function isGroupRunning(leader: ProcessIdentity, mark: string): boolean {
  if (!answersSignals(-leader.pid)) return false
  if (!hasProc) return isRunning(leader)
  const members = linuxProcesses().filter(({ group }) => group === leader.pid)
  const leading = members.find(({ pid }) => pid === leader.pid)
  if (leading !== undefined) return leader.startTime === null || leading.startTime === leader.startTime
  return members.some(({ pid }) => hasMark(pid, mark))
}

/**
 * Processes that carry `NAME=value` in their environment, as what a process starts does unless it is cleared on purpose. It finds those
 * that left their parent's group. Linux only: elsewhere none is found.
 */
export function markedProcesses(mark: string): number[] {
  return hasProc ? linuxProcesses().flatMap(({ pid }) => (hasMark(pid, mark) ? pid : [])) : []
}

function answersSignals(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Without zombies: under a first process that does not collect them they would stay for good. */
function linuxProcesses(): LinuxProcess[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => linuxProcess(Number(name)) ?? [])
    .filter(({ isZombie }) => !isZombie)
}

function linuxProcess(pid: number): LinuxProcess | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in brackets and may hold blanks and brackets itself: count from its end.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { pid, isZombie: fields[0] === 'Z', group: Number(fields[2]), startTime: fields[19]! }
  } catch {
    return undefined
  }
}

function hasMark(pid: number, mark: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(mark)
  } catch {
    return false
  }
}

function startTimeByPs(pid: number): string | null {
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || null
  } catch {
    return null
  }
}
