/** The service's container: run as strictly as a cluster would, watched by its log, stopped as an orchestrator stops it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Engine } from './engine.ts'

/** No file system to write to, no root, no capability, no new right. */
export const STRICT = [
  '--read-only',
  '--user',
  '1000',
  '--cap-drop',
  'ALL',
  '--security-opt',
  'no-new-privileges',
] as const

export const STOP_S = 30

const POLL_MS = 100
const HEALTH_EVERY = '1s'
const TABLE_FILE = '/etc/cdc/tables.yaml'

type LogLine = { msg?: string; time?: number }

export type Container = {
  name: string
  /** Milliseconds from the start of its process to the log line with this message. */
  msUntil(message: string, deadlineMs: number): Promise<number>
  untilHealthy(deadlineMs: number): Promise<void>
  /** `docker stop`. @returns the exit code, and how long it took */
  stop(): Promise<{ exitCode: number; tookMs: number }>
  log(): Promise<string>
}

export async function runDetached(
  engine: Engine,
  wanted: { name: string; image: string; env: Record<string, string>; tableFile: string },
): Promise<Container> {
  const { name, image, env } = wanted
  const mount = ['--volume', `${wanted.tableFile}:${TABLE_FILE}:ro`, '--env', `TABLE_FILE=${TABLE_FILE}`]
  const settings = Object.entries(env).flatMap(([key, value]) => ['--env', `${key}=${value}`])
  // The parts listen on this machine's loopback, which only the host's network reaches.
  const place = ['--detach', '--name', name, '--network', 'host', '--health-interval', HEALTH_EVERY]
  await engine.docker(['run', ...place, ...STRICT, ...settings, ...mount, image])
  const inspect = async (format: string) =>
    (await engine.docker(['inspect', '--format', format, name])).trim()
  const log = () => engine.docker(['logs', name])

  async function until<T>(what: string, deadlineMs: number, look: () => Promise<T | undefined>): Promise<T> {
    const giveUpAt = performance.now() + deadlineMs
    for (;;) {
      const found = await look()
      if (found !== undefined) return found
      if (performance.now() > giveUpAt || (await inspect('{{.State.Running}}')) !== 'true')
        throw new Error(
          `${name} (${await inspect('{{.State.Status}}, exit code {{.State.ExitCode}}')}): waited for ${what} in vain; its log:\n${await log()}`,
        )
      await sleep(POLL_MS)
    }
  }

  return {
    name,
    log,
    async msUntil(message, deadlineMs) {
      const startedAt = Date.parse(await inspect('{{.State.StartedAt}}'))
      return until(`the log line "${message}"`, deadlineMs, async () => {
        const line = linesOf(await log()).find(({ msg }) => msg === message)
        return line?.time === undefined ? undefined : line.time - startedAt
      })
    },
    async untilHealthy(deadlineMs) {
      await until('its health check to pass', deadlineMs, async () =>
        (await inspect('{{.State.Health.Status}}')) === 'healthy' ? true : undefined,
      )
    },
    async stop() {
      const startedAt = performance.now()
      await engine.docker(['stop', '--time', String(STOP_S), name])
      const tookMs = performance.now() - startedAt
      return { exitCode: Number(await inspect('{{.State.ExitCode}}')), tookMs }
    },
  }
}

function linesOf(log: string): LogLine[] {
  return log.split('\n').flatMap(line => (line.startsWith('{') ? (JSON.parse(line) as LogLine) : []))
}
