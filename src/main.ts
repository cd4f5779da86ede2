/** The command line. The only file that sees the process: arguments, environment, signals, exit code. */
import { readFileSync } from 'node:fs'
import { pino, stdSerializers } from 'pino'
import { bootstrap } from './commands/bootstrap.ts'
import { run } from './commands/run.ts'
import { type Config, readConfig, settingsHelp, settingsTable } from './config.ts'
import { ConfigError, OutsideError } from './errors.ts'

const HELP = `Keeps OpenSearch indices equal to PostgreSQL tables, from AWS DMS records in a Kinesis stream.

usage: node src/main.ts [command] [--help]

  run        read the stream and write the indices until SIGTERM (default)
  bootstrap  put the index template; once before the first run, and after a change of the INDEX_ settings
  settings   print the table of settings as Markdown

exit codes: 0 done, 1 a fault in the program, 2 settings or usage, 3 something outside is missing or refuses for good

settings (environment variables; AWS region, credentials and endpoints by the AWS SDK's own):
${settingsHelp()}
`

const COMMANDS = ['run', 'bootstrap', 'settings'] as const

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
    process.stdout.write(HELP)
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
  const config: Config = readConfig(process.env)
  const log = pino({ level: config.LOG_LEVEL, serializers: { err: withoutValues } })
  const signals = stopSignals()
  if (command === 'bootstrap') await bootstrap(config, log, signals.drain)
  else await run(config, log, version(), signals)
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
