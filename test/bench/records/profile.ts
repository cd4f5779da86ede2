/** A CPU profile of V8 (--cpu-prof) -> which functions took the time by themselves. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The part of a .cpuprofile that is read. `timeDeltas`: microseconds that each sample stands for. */
export type CpuProfile = {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[]
  samples: number[]
  timeDeltas: number[]
}

/** `share`: of the time in which something ran, 0 to 1. */
export type SelfTime = { name: string; place: string; share: number }

/** @returns largest first; what runs inside the engine has no place */
export function selfTimes({ nodes, samples, timeDeltas }: CpuProfile): SelfTime[] {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const spent = new Map<string, { name: string; place: string; micros: number }>()
  let all = 0
  for (const [at, id] of samples.entries()) {
    const { functionName, url, lineNumber } = frames.get(id)!
    if (functionName === '(idle)') continue
    const micros = timeDeltas[at]!
    all += micros
    const place =
      url === '' ? '' : `${url.replace(/^file:.*\/(?=(?:src|node_modules|test)\/)/, '')}:${lineNumber + 1}`
    const key = `${functionName} ${place}`
    const found = spent.get(key) ?? { name: functionName || '(anonymous)', place, micros: 0 }
    found.micros += micros
    spent.set(key, found)
  }
  return [...spent.values()]
    .sort((a, b) => b.micros - a.micros)
    .map(({ name, place, micros }) => ({ name, place, share: micros / all }))
}

/** The newest profile in a folder. @returns a line each for the functions with the most time of their own */
export function profileLines(dir: string, count: number): string[] {
  const newest = readdirSync(dir)
    .filter(name => name.endsWith('.cpuprofile'))
    .sort()
    .at(-1)
  if (newest === undefined) throw new Error(`no profile was written to ${dir}`)
  const profile = JSON.parse(readFileSync(join(dir, newest), 'utf8')) as CpuProfile
  return selfTimes(profile)
    .slice(0, count)
    .map(({ name, place, share }) => `${(100 * share).toFixed(1).padStart(5)} %  ${name}  ${place}`)
}
