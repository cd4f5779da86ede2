/** The command line. The only file that sees the process: arguments, environment, signals, exit code. */
import './heap.ts'

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { pino, stdSerializers } from 'pino'
import { BOOTSTRAP_HELP, BOOTSTRAP_SETTINGS, bootstrap } from './commands/bootstrap.ts'
import { run } from './commands/run.ts'
import { TRANSFORM_HELP, TRANSFORM_SETTINGS, transform } from './commands/transform.ts'
import { readConfig, settingsHelp, settingsTable } from './config.ts'
import { ConfigError, OutsideError } from './errors.ts'
import { tableFileSchema } from './table-file-schema.ts'

const HELP = `Keeps OpenSearch indices equal to PostgreSQL tables, from AWS DMS records in a Kinesis stream.

usage: node src/main.ts [command] [--help]
       node src/main.ts --print-schema

  run        read the stream and write the indices until SIGTERM (default)
  bootstrap  make the source database ready for DMS and OpenSearch for run; before the first run, and after a change of its settings
  transform  read records from standard input and print what would be written, to try a table file
  settings   print the table of settings as Markdown

  --print-schema   print the JSON Schema of the table file (TABLE_FILE)

exit codes: 0 done, 1 a fault in the program, 2 settings or usage, 3 something outside is missing or refuses for good

settings (environment variables; AWS region, credentials and endpoints by the AWS SDK's own):
${settingsHelp()}
`

const HELP_OF: Readonly<Record<string, string>> = { bootstrap: BOOTSTRAP_HELP, transform: TRANSFORM_HELP }

const COMMANDS = ['run', 'bootstrap', 'transform', 'settings'] as const

function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return manifest.version
}

function stopSignals() {
  const drain = new AbortController()
  const abandon = new AbortController()
  const onSignal = () => (drain.signal.aborted ? abandon.abort() : drain.abort())
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return { drain: drain.signal, abandon: abandon.signal, end: () => process.exit(0) }
}

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(HELP_OF[args[0] ?? ''] ?? HELP)
    return
  }
  if (args.length === 1 && args[0] === '--print-schema') {
    process.stdout.write(`${JSON.stringify(tableFileSchema, null, 2)}\n`)
    return
  }
  const [command = 'run', ...rest] = args
  if (!COMMANDS.some(name => name === command) || rest.length > 0) {
    throw new ConfigError(`unknown: ${args.join(' ')}; expected one of ${COMMANDS.join(', ')}, or --help`)
  }
  if (command === 'settings') {
    process.stdout.write(`${settingsTable()}\n`)
    return
  }
  if (command === 'transform') {
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0)
      throw error
    })
    const summary = await transform(readConfig(process.env, TRANSFORM_SETTINGS), process.stdin, printed)
    process.stderr.write(`${summary}\n`)
    return
  }
  // All lines through one stream, so that none is written into the middle of another.
  const output = pino.destination({ dest: process.stdout.fd, sync: true })
  const print = (line: string) => void output.write(`${line}\n`)
  const logFrom = (level: string) => pino({ level, serializers: { err: withoutValues } }, output)
  if (command === 'bootstrap') {
    const config = readConfig(process.env, BOOTSTRAP_SETTINGS)
    await bootstrap(config, { log: logFrom(config.LOG_LEVEL), stop: stopSignals().drain, print })
    return
  }
  const config = readConfig(process.env)
  await run(config, logFrom(config.LOG_LEVEL), version(), stopSignals(), print)
}

/** Waits where the reader is slower. */
async function printed(line: string): Promise<void> {
  if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain')
}

/** Errors of OpenSearch's client carry the request and its answer: rows. Only name, message and stack are logged. */
function withoutValues(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { type, message, stack } = stdSerializers.err(error)
  return { type, name: error.name, message: message.slice(0, 500), stack }
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  const code = error instanceof ConfigError ? 2 : error instanceof OutsideError ? 3 : 1
  process.stderr.write(
    code === 1
      ? `${error instanceof Error ? (error.stack ?? error.message) : error}\n`
      : `${(error as Error).message}\n`,
  )
  process.exitCode = code
}
