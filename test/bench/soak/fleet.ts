/** The two workers of a soak: `resident`, which is never touched, and `guest`, which faults happen to. */
import type { Parts } from '../../../docker/local/parts.ts'
import { startWorker, type Worker } from '../../e2e/workers.ts'

export type Fleet = {
  residentPid: number
  guest: {
    signal(signal: 'SIGSTOP' | 'SIGCONT'): void
    end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>
    start(): Promise<void>
  }
  /** Log lines of the level error and above, of both: message -> how often. */
  errors(): ReadonlyMap<string, number>
  /** Rejects when a worker ends that was not asked to. */
  failed: Promise<never>
  /** Both drain and leave. @throws Error where one does not end with exit code 0 */
  stop(): Promise<void>
}

const LEVEL_ERROR = 50
const CRASHED = 'a worker ended by itself'

export async function startFleet(parts: Parts, env: Record<string, string>): Promise<Fleet> {
  const errors = new Map<string, number>()
  const { promise: failed, reject: fail } = Promise.withResolvers<never>()
  // Who waits for something else at the moment looks later.
  failed.catch(() => {})
  const asked = new WeakSet<Worker>()

  async function start(id: string): Promise<Worker> {
    const worker = await startWorker(parts, `soak-${id}`, id, env, child => {
      child.onLine(line => {
        const message = errorOf(line)
        if (message !== undefined) errors.set(message, (errors.get(message) ?? 0) + 1)
      })
    })
    void worker.child.exited.then(({ code, signal }) => {
      if (!asked.has(worker)) fail(new Error(`${CRASHED}: ${signal ?? code}. ${worker.tail()}`))
    })
    return worker
  }

  async function end(worker: Worker, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    asked.add(worker)
    worker.child.kill(signal)
    const how = await worker.child.exited
    if (signal === 'SIGTERM' && how.code !== 0)
      throw new Error(
        `${worker.id} ended with ${how.signal ?? how.code} on SIGTERM; expected 0. ${worker.tail()}`,
      )
  }

  const resident = await start('resident')
  let guest = await start('guest')
  return {
    residentPid: resident.child.pid,
    guest: {
      signal: signal => guest.child.kill(signal),
      end: signal => end(guest, signal),
      async start() {
        guest = await start('guest')
      },
    },
    errors: () => errors,
    failed,
    async stop() {
      await Promise.all([end(resident, 'SIGTERM'), end(guest, 'SIGTERM')])
    },
  }
}

/** @returns the message of a log line that is an error; lines that are no log count as one */
export function errorOf(line: string): string | undefined {
  if (!line.startsWith('{')) return line
  const { level, msg } = JSON.parse(line) as { level: number; msg: string }
  return level >= LEVEL_ERROR ? msg : undefined
}
