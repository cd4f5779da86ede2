/** The demo's options: one table, from which both the reading and `--help` are made. */
import { parseArgs } from 'node:util'

export type Options = { seed: number; seconds: number; keep: boolean; localstack: boolean }

/** Print it, exit 2. */
export class UsageError extends Error {}

const rows = [
  { name: 'seconds', value: 'N', help: 'how long the workload writes (default 28, at least 24)' },
  {
    name: 'seed',
    value: 'N',
    help: 'which workload: the same number writes the same rows (default: another each time, printed)',
  },
  { name: 'keep', help: 'leave everything running after the comparison, until Ctrl-C' },
  { name: 'localstack', help: 'Kinesis, DynamoDB and SQS from LocalStack instead of one small process each' },
  { name: 'help', help: 'this text' },
] as const

/**
 * Shorter, and the half before the kill has nothing left to measure after its first 5 s, nor has the half after it once
 * the leases have been taken over.
 */
const secondsMin = 24
/** Longer than this the tables outgrow what a comparison in memory is meant for. */
const secondsMax = 3600

export const helpText = `npm run demo [-- options]

Starts the whole pipeline on this machine, changes a small shop for half a minute, kills a worker half-way and
compares every table with its index. Ends with 0 only if all is equal.

${rows.map(row => `  --${'value' in row ? `${row.name} ${row.value}` : row.name}`.padEnd(16) + row.help).join('\n')}

Exit codes: 0 all equal, 1 something differs, is late or went wrong, 2 unknown option, 130 Ctrl-C.
`

/** @returns the options, or `help` if that was asked for. @throws UsageError */
export function readOptions(argv: string[], { randomSeed }: { randomSeed: () => number }): Options | 'help' {
  const { values } = parsed(argv)
  if (values.help) return 'help'
  return {
    seed: wholeNumber('seed', values.seed, { min: 0, max: 2 ** 31 - 1 }) ?? randomSeed(),
    seconds: wholeNumber('seconds', values.seconds, { min: secondsMin, max: secondsMax }) ?? 28,
    keep: values.keep ?? false,
    localstack: values.localstack ?? false,
  }
}

function parsed(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      options: {
        seconds: { type: 'string' },
        seed: { type: 'string' },
        keep: { type: 'boolean' },
        localstack: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (cause) {
    throw new UsageError(`${(cause as Error).message.split('. ')[0]}. See npm run demo -- --help`, { cause })
  }
}

function wholeNumber(
  name: string,
  text: string | undefined,
  { min, max }: { min: number; max: number },
): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw new UsageError(`--${name} is "${text}": a whole number from ${min} to ${max} is expected`)
  }
  return value
}
