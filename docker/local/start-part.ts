/**
 * Starts one part and waits until it is ready.
 *
 * Rule: it is ready, or the error says which part, why, the end of its log and where the log is. A part that ends by itself is never
 * waited for.
 */
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Part, Place } from './part.ts'
import { isStopping, spawnGroup } from './process-group.ts'
import { logFile } from './state.ts'

// A busy machine of two cores once took 27 s for OpenSearch.
const READY_MS = 120_000
const POLL_MS = 50
const LOG_LINES_SHOWN = 20

export async function startPart(
  part: Part,
  instanceDir: string,
  given: Omit<Place, 'dir'>,
  log: (line: string) => void,
): Promise<void> {
  const started = performance.now()
  const place: Place = { ...given, dir: join(instanceDir, part.name) }
  mkdirSync(place.dir, { recursive: true })
  const { argv, env } = await part.prepare(place)
  place.signal.throwIfAborted()

  const logPath = logFile(instanceDir, part.name)
  mkdirSync(join(instanceDir, 'logs'), { recursive: true })
  const output = openSync(logPath, 'a')
  const port = place.ports[part.portNames[0]!]!
  const { child, group } = spawnGroup(
    instanceDir,
    { name: part.name, kind: 'part', port, stop: part.stop },
    { argv, env: { ...plainEnv(), ...env }, cwd: place.dir },
    ['ignore', output, output],
  )
  closeSync(output)

  let exit: string | undefined
  let isReady = false
  child.once('exit', (code, signal) => {
    exit = signal ?? `exit code ${code}`
    if (isReady && !isStopping(instanceDir, group))
      log(`${part.name} ended by itself (${exit}); its log: ${logPath}`)
  })

  const deadline = started + READY_MS
  for (;;) {
    place.signal.throwIfAborted()
    if (exit !== undefined) throw notReady(part.name, `ended at its start (${exit})`, logPath)
    try {
      await part.callOnce(place)
      break
    } catch (cause) {
      if (performance.now() > deadline)
        throw notReady(part.name, `was not ready after ${READY_MS / 1000} s`, logPath, cause)
    }
    await sleep(POLL_MS, undefined, { signal: place.signal })
  }
  isReady = true
  log(`${part.name} is ready on port ${port} after ${((performance.now() - started) / 1000).toFixed(1)} s`)
}

/** Our environment without what would lead an AWS client elsewhere: profiles, endpoints and credentials of the person at the keyboard. */
export function plainEnv(): Record<string, string> {
  const entries = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !/^(AWS_|CDC_LAUNCHED$)/.test(entry[0]),
  )
  return Object.fromEntries(entries)
}

function notReady(name: string, what: string, logPath: string, cause?: unknown): Error {
  const lines = readFileSync(logPath, 'utf8').trimEnd().split('\n').slice(-LOG_LINES_SHOWN)
  return new Error(
    `${name} ${what}. The end of its log (${logPath}):\n${lines.map(line => `  ${line}`).join('\n')}`,
    { cause },
  )
}
