/** What a process and all it started have used so far, by /proc. Linux only. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'

/** The kernel's clock tick in user space (USER_HZ): 100 a second on every Linux. */
const TICKS_PER_SECOND = 100
/** To look for further processes costs more than to ask those that are known. */
const LOOK_MS = 1_000

/** `cpuSeconds`: user and system time. `peakBytes`: sum of the largest resident sets (VmHWM). */
export type Cost = { cpuSeconds: number; peakBytes: number }

export function isMeasurable(): boolean {
  return existsSync('/proc/self/stat')
}

/** @returns asks for the cost so far; undefined once the process has ended */
export function costOfTree(root: number): () => Cost | undefined {
  let pids = [root]
  let lookedAtMs = Number.NEGATIVE_INFINITY
  return () => {
    const now = performance.now()
    if (now - lookedAtMs > LOOK_MS) {
      pids = treeOf(root)
      lookedAtMs = now
    }
    const stats = pids.flatMap(pid => statAt(pid) ?? [])
    // The program is still named after its end, but its memory is not.
    const peaks = pids.map(peakOf)
    if (stats.length === 0 || peaks[0] === 0) return undefined
    return {
      cpuSeconds: stats.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
      peakBytes: peaks.reduce((sum, peak) => sum + peak, 0),
    }
  }
}

function treeOf(root: number): number[] {
  const all = readdirSync('/proc').flatMap(name => {
    const stat = /^\d+$/.test(name) ? statAt(Number(name)) : undefined
    return stat ? [{ pid: Number(name), parent: stat.parent }] : []
  })
  const found = [root]
  for (const pid of found) for (const { pid: child, parent } of all) if (parent === pid) found.push(child)
  return found
}

function statAt(pid: number) {
  const stat = textOf(`/proc/${pid}/stat`)
  return stat === undefined ? undefined : statOf(stat)
}

/**
 * The line of /proc/PID/stat. The second field is the program's name in brackets and may hold blanks and brackets itself.
 * Children that have ended and were waited for are counted in fields 16 and 17.
 */
export function statOf(stat: string): { parent: number; cpuSeconds: number } {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  return { parent: Number(fields[1]), cpuSeconds: ticks / TICKS_PER_SECOND }
}

function peakOf(pid: number): number {
  return memoryOf(pid, 'VmHWM')
}

/** What a process holds now, without its children; 0 once it has ended. */
export function residentBytes(pid: number): number {
  return memoryOf(pid, 'VmRSS')
}

function memoryOf(pid: number, name: 'VmHWM' | 'VmRSS'): number {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(textOf(`/proc/${pid}/status`) ?? '')
  return found ? Number(found[1]) * 1024 : 0
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
