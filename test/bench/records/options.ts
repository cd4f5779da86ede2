/** The options of `npm run bench`, read by hand-written rules so that a mistake is told before anything is started. */
import { parseArgs } from 'node:util'
import { UsageError } from '../options.ts'

export type RecordsOptions = {
  pages: number[]
  shards: number[]
  records: number
  repeat: number
  hasReference: boolean
  /** Where a CPU profile of our process goes; then it runs once and alone. */
  profileDir: string | undefined
}

const DEFAULT_PAGES = [5_000, 860]
const DEFAULT_SHARDS = [4]
const DEFAULT_RECORDS = 2_000_000
const DEFAULT_REPEAT = 3

export const HELP = `npm run bench [-- options]

Measures what a record costs: our \`run\` command with leases, versions, order, dead letters and metrics on, against a loop
of the AWS SDK that parses, stringifies and sends and does nothing else; in turn, over the same prebuilt stream, each with
stubs of Kinesis, DynamoDB, SQS and OpenSearch in processes of their own. No network but 127.0.0.1; Linux only (/proc).
CPU is of the consumer's whole process tree while three quarters of the actions are answered; the first quarter is not
counted. The documents are checked after every run. The last lines are \`name: value unit\`.

  --page N             records an answer, may be given several times (default ${DEFAULT_PAGES.join(' and ')})
  --shards N           shards, may be given several times (default ${DEFAULT_SHARDS.join(' and ')})
  --records N          records of a run, rounded up to whole answers (default ${DEFAULT_RECORDS})
  --repeat N           how often each is run (default ${DEFAULT_REPEAT})
  --without-reference  only ours: its costs, no ratio
  --profile DIR        ours once, alone, with a CPU profile of its process written to DIR, and the 25 functions with the
                       most time of their own; its cost is then higher
  --help               this text

Exit codes: 0 every bound holds, 1 one does not or a run failed, 2 unknown option, 130 Ctrl-C.
`

/** @returns the options, or `help` if that was asked for. @throws UsageError */
export function readRecordsOptions(argv: string[]): RecordsOptions | 'help' {
  const given = parsed(argv)
  if (given.help) return 'help'
  const profileDir = given.profile
  const all = (name: string, texts: string[] | undefined, defaults: number[], max: number): number[] =>
    texts?.map(text => whole(name, text, max)) ?? defaults
  return {
    pages: all('--page', given.page, DEFAULT_PAGES, 10_000),
    shards: all('--shards', given.shards, DEFAULT_SHARDS, 64),
    records: given.records === undefined ? DEFAULT_RECORDS : whole('--records', given.records, 100_000_000),
    repeat:
      profileDir !== undefined
        ? 1
        : given.repeat === undefined
          ? DEFAULT_REPEAT
          : whole('--repeat', given.repeat, 100),
    hasReference: !given['without-reference'] && profileDir === undefined,
    profileDir,
  }
}

function whole(name: string, text: string, max: number): number {
  if (!/^\d+$/.test(text) || Number(text) < 1 || Number(text) > max)
    throw new UsageError(`${name} is "${text}": a whole number from 1 to ${max} is expected`)
  return Number(text)
}

function parsed(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      options: {
        page: { type: 'string', multiple: true },
        shards: { type: 'string', multiple: true },
        records: { type: 'string' },
        repeat: { type: 'string' },
        'without-reference': { type: 'boolean' },
        profile: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values
  } catch (cause) {
    throw new UsageError(`${(cause as Error).message.split('. ')[0]}. See npm run bench -- --help`, { cause })
  }
}
