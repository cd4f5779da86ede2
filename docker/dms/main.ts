/**
 * A stand-in for AWS DMS, for development and tests only: PostgreSQL to Kinesis on one machine.
 *
 * It is no part of the service. It writes what AWS DMS writes (layout, values, partition keys, control records, the behaviour
 * at restarts), so that the service can be run and proven where there is no AWS.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { createMicrosClock } from './clock.ts'
import { createStream } from './kinesis.ts'
import { helpText, readSettings, SettingsError } from './settings.ts'
import { StreamRefusedError } from './sink.ts'
import { SourceRefusedError } from './source.ts'
import { runTask } from './task.ts'

async function main(): Promise<number> {
  const [argument] = process.argv.slice(2)
  if (argument === '--help') {
    process.stdout.write(helpText())
    return 0
  }
  if (argument !== undefined) throw new SettingsError([`argument ${argument} is not known: only --help is`])
  const settings = readSettings(process.env)
  const log = pino({ base: null }, pino.destination({ dest: 1, sync: true }))
  const stopping = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stopping.abort())
  const stream = createStream(settings.stream)
  try {
    await stream.check()
    await runTask(
      settings,
      {
        put: stream.put,
        nowMicros: createMicrosClock(),
        random: Math.random,
        // An aborted wait is a wait that is over.
        wait: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => {}),
        log,
      },
      stopping.signal,
    )
    log.info('stopped')
    return 0
  } finally {
    stream.close()
  }
}

function exitCode(error: unknown): number {
  if (error instanceof SettingsError) {
    process.stderr.write(`${error.mistakes.join('\n')}\n`)
    return 2
  }
  if (error instanceof SourceRefusedError || error instanceof StreamRefusedError) {
    process.stderr.write(`${error.message}\n`)
    return 3
  }
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  return 1
}

process.exitCode = await main().catch(exitCode)
