/** The options of `npm run soak`. */
import { parseArgs } from 'node:util'
import { UsageError } from '../options.ts'
import { wholeNumber } from '../records/options.ts'
import { FAULT_EVERY_S, FAULT_KINDS } from './faults.ts'

export type SoakOptions = { minutes: number; perSecond: number; seed: number }

const MINUTES = 60
const PER_SECOND = 1_000

export const HELP = `npm run soak [-- options]

Our \`run\` command for a long time: two workers, a stream of 4 shards in which records arrive evenly (a stub that keeps
Kinesis's limits), a real OpenSearch, DynamoDB and SQS (the local parts), and a random fault every ${FAULT_EVERY_S} s. One worker is never
touched, and its memory is what is looked at; the other is killed, restarted and made to stand still. A line a minute. In the
end every record must be acknowledged and checkpointed, every document be the one the changes leave, text for text, and no
letter be sent.

Faults: ${FAULT_KINDS.join(', ')}.

  --minutes N   how long records arrive (${MINUTES})
  --rate N      records a second (${PER_SECOND})
  --seed N      of the faults' order; printed, so that a run can be had again (default: another each time)
  --help        this text

The last lines are \`name: value unit\`. Exit codes: 0 all is right, 1 a document is lost or different, a letter was sent, a
worker ended by itself, or memory grows beyond its bound, 2 unknown option, 130 Ctrl-C.
`

/** @param usualSeed where none is given @returns the options, or `help` if that was asked for. @throws UsageError */
export function readSoakOptions(argv: string[], usualSeed: number): SoakOptions | 'help' {
  const given = parsed(argv)
  if (given.help) return 'help'
  const one = (name: 'minutes' | 'rate' | 'seed', usual: number, max: number): number =>
    given[name] === undefined ? usual : wholeNumber(`--${name}`, given[name], max)
  return {
    minutes: one('minutes', MINUTES, 1_440),
    perSecond: one('rate', PER_SECOND, 100_000),
    seed: one('seed', usualSeed, 2 ** 31),
  }
}

function parsed(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      options: {
        minutes: { type: 'string' },
        rate: { type: 'string' },
        seed: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values
  } catch (cause) {
    throw new UsageError(`${(cause as Error).message.split('. ')[0]}. See npm run soak -- --help`, { cause })
  }
}
