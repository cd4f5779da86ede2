/**
 * Global set-up for Vitest: one set of parts for a whole test run; with LocalStack for the project of that name.
 *
 * Tests run in other processes. They take what they need by `inject('parts')`, and `attachParts(inject('parts').instance, log)` to stop and
 * start a part or to spawn a worker.
 */
import type { TestProject } from 'vitest/node'
import { stopWhenLauncherDies } from './launcher.ts'
import { type Endpoints, startParts } from './parts.ts'

export type ProvidedParts = {
  instance: string
  endpoints: Endpoints
  env: Record<string, string>
  instanceDir: string
}

declare module 'vitest' {
  interface ProvidedContext {
    parts: ProvidedParts
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const localstack = project.name === 'localstack'
  const instance = localstack ? 'test-localstack' : 'test'
  // Vitest runs the teardown after Ctrl-C only once it has begun to run tests; until then the signal must end what was started.
  const giveUp = new AbortController()
  const onInterrupt = (): void => giveUp.abort()
  process.on('SIGINT', onInterrupt)
  // No teardown for these. Everything is killed as this process exits.
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
  stopWhenLauncherDies(() => process.exit(1))
  try {
    const log = (line: string): void => console.error(line)
    const parts = await startParts({ instance, localstack, log, signal: giveUp.signal })
    const { endpoints, env, instanceDir } = parts
    project.provide('parts', { instance, endpoints, env, instanceDir })
    return () => parts.stop()
  } finally {
    process.off('SIGINT', onInterrupt)
  }
}
