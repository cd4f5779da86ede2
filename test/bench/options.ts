/** The options of the bench, read by hand-written rules so that a mistake is told before anything is started. */
import { parseArgs } from 'node:util'

export type Options = { runs: number; only: string[] }

/** Print it, exit 2. */
export class UsageError extends Error {}

const RUNS_MAX = 100

export function helpText(names: readonly string[]): string {
  return `npm run bench:leases [-- options]

Measures what handing over leases costs, with real worker processes on the local parts, and holds each measure's maximum
to its bound. The last lines are \`name: value unit\`.

  --runs N      how often each is measured (default 5)
  --only NAME   only this measure, may be given several times: ${names.join(', ')}
  --help        this text

Exit codes: 0 every bound holds, 1 one does not or a measure failed, 2 unknown option, 130 Ctrl-C.
`
}

/** @returns the options, or `help` if that was asked for. @throws UsageError */
export function readOptions(argv: string[], names: readonly string[]): Options | 'help' {
  const { help, runs = '5', only = [...names] } = parsed(argv)
  if (help) return 'help'
  if (!/^\d+$/.test(runs) || Number(runs) < 1 || Number(runs) > RUNS_MAX)
    throw new UsageError(`--runs is "${runs}": a whole number from 1 to ${RUNS_MAX} is expected`)
  const unknown = only.find(name => !names.includes(name))
  if (unknown !== undefined)
    throw new UsageError(`--only is "${unknown}": one of ${names.join(', ')} is expected`)
  return { runs: Number(runs), only }
}

function parsed(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      options: {
        runs: { type: 'string' },
        only: { type: 'string', multiple: true },
        help: { type: 'boolean', short: 'h' },
      },
    }).values
  } catch (cause) {
    throw new UsageError(`${(cause as Error).message.split('. ')[0]}. See npm run bench:leases -- --help`, {
      cause,
    })
  }
}
