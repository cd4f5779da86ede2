/**
 * Any other process of an instance: a worker, the stand-in for DMS.
 *
 * Its output goes to its log file and, line by line, to whoever listens. The listener gets every line from the moment of the start on,
 * if it subscribes in the same turn; `line` also looks at those that went by.
 */
import { createWriteStream, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { GRACE_MS } from './part.ts'
import { forgetGroup, type Group, signalGroup, spawnGroup } from './process-group.ts'
import { logFile } from './state.ts'

export type Exit = { code: number | null; signal: NodeJS.Signals | null }

export type Child = {
  name: string
  pid: number
  /** How it is recorded. */
  group: Group
  logFile: string
  /** Calls back for each further line; returns how to end that. */
  onLine(listener: (line: string) => void): () => void
  /** The first line that fits, past or to come. Rejected when the child ends before, or after `deadlineMs`. */
  line(fits: (line: string) => boolean, deadlineMs: number): Promise<string>
  /** To the child and everything it started. */
  kill(signal: NodeJS.Signals): void
  exited: Promise<Exit>
}

/** Enough for any start-up; a chatty child must not fill our memory. */
const LINES_KEPT = 1_000
const LINES_SHOWN = 20

export function startChild(
  instanceDir: string,
  name: string,
  command: { argv: string[]; env: Record<string, string>; cwd: string },
): Child {
  const log = logFile(instanceDir, name)
  mkdirSync(dirname(log), { recursive: true })
  const { child, group } = spawnGroup(
    instanceDir,
    { name, kind: 'child', port: null, stop: { signal: 'SIGTERM', graceMs: GRACE_MS } },
    command,
    ['ignore', 'pipe', 'pipe'],
  )
  const listeners = new Set<(line: string) => void>()
  const kept: string[] = []
  let hasEnded = false
  const file = createWriteStream(log, { flags: 'a' })
  for (const stream of [child.stdout!, child.stderr!]) {
    createInterface({ input: stream }).on('line', line => {
      file.write(`${line}\n`)
      kept.push(line)
      if (kept.length > LINES_KEPT) kept.shift()
      for (const listener of listeners) listener(line)
    })
  }
  // 'close' comes after the last line, 'exit' may come before it.
  const exited = new Promise<Exit>(resolve => {
    child.once('close', (code, signal) => {
      file.end()
      hasEnded = true
      forgetGroup(instanceDir, group)
      resolve({ code, signal })
    })
  })

  const onLine = (listener: (line: string) => void): (() => void) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  return {
    name,
    pid: group.leader.pid,
    group,
    logFile: log,
    exited,
    onLine,
    kill(signal) {
      // The id of a group that has ended may be another's by now.
      if (!hasEnded) signalGroup(group.leader.pid, signal)
    },
    line(fits, deadlineMs) {
      const seen = kept.find(fits)
      if (seen !== undefined) return Promise.resolve(seen)
      return new Promise((resolve, reject) => {
        const fail = (what: string): void => {
          finish()
          reject(
            new Error(
              `${name} ${what} before the line that was waited for. Its last lines (all in ${log}):\n${kept.slice(-LINES_SHOWN).join('\n')}`,
            ),
          )
        }
        const timer = setTimeout(() => fail(`was given ${deadlineMs} ms, which went by`), deadlineMs)
        const unsubscribe = onLine(line => {
          if (!fits(line)) return
          finish()
          resolve(line)
        })
        const finish = (): void => {
          clearTimeout(timer)
          unsubscribe()
        }
        void exited.then(({ code, signal }) => fail(`ended (${signal ?? `exit code ${code}`})`))
      })
    },
  }
}
