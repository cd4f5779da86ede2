/** The options of `npm run bench`, read by hand-written rules so that a mistake is told before anything is started. */
import { parseArgs } from 'node:util'
import { UsageError } from '../options.ts'

export type CostOptions = {
  mode: 'cost'
  pages: number[]
  shards: number[]
  records: number
  repeat: number
  hasReference: boolean
  /** Where a CPU profile of our process goes; then it runs once and alone. */
  profileDir: string | undefined
}
export type GrowOptions = { mode: 'grow'; pages: number[]; shards: number[]; records: number; repeat: number }
export type LatencyOptions = {
  mode: 'latency'
  against: Target[]
  perSecond: number
  seconds: number
  repeat: number
}
export type CatchUpOptions = { mode: 'catch-up'; perSecond: number; waiting: number; repeat: number }
export type RecordsOptions = CostOptions | GrowOptions | LatencyOptions | CatchUpOptions

/** What a latency is measured against. */
export const TARGETS = ['stub', 'stub-50ms', 'opensearch'] as const
export type Target = (typeof TARGETS)[number]

const COST = { pages: [5_000, 860], shards: [4], records: 2_000_000, repeat: 3 }
const GROW = { pages: [100, 1_000, 5_000], shards: [1, 4, 16, 64], records: 2_000_000, repeat: 1 }
const PER_SECOND = 1_000
const SECONDS = 60
/** Of ten minutes. */
const WAITING = 600_000

export const HELP = `npm run bench [-- MODE] [options]

Measures our \`run\` command as it is delivered: leases, versions, order, dead letters and metrics on. What it meets are stubs
in processes of their own, but for OpenSearch where that is said. No network but 127.0.0.1; Linux only (/proc). Every run
ends with a check of all documents. The last lines are \`name: value unit\`.

MODE
  cost (default)  what a record costs, against a loop of the AWS SDK that parses, stringifies and sends and does nothing else;
                  in turn, over the same prebuilt stream. CPU is of the consumer's whole process tree while three quarters of
                  the actions are answered; the first quarter is not counted. Bounds: half the loop's CPU, 384 MiB up to 4
                  shards, 512 MiB beyond
  grow            ours alone over shards and sizes of answers. Bounds: the dearest number of shards costs at most 1.25 of
                  the cheapest at the largest answers, by the medians of the runs; the same memory. Runs that
                  Kinesis's 5 reads a second a shard would make long are cut to 20 s
  latency         from a record's arrival in the stream, 4 shards, to its document acknowledged by a stub of OpenSearch, by
                  one that answers 50 ms later, and by a real OpenSearch (the local parts). Bound: 99 of 100 within 1 s, no
                  read beyond what Kinesis allows. The first quarter is not counted
  catch-up        a real OpenSearch, 4 shards, records waiting as after an outage while more arrive: documents a second over
                  the last three quarters (bound: at least 5,000) and the time until none waits for more than a second. What the
                  same OpenSearch takes from a plain loop just before is told as \`alone\`, here and in latency: Java warms up
                  with it, and a bound that does not hold on a busy machine shows there

Options
  --page N             cost, grow: records an answer, may be given several times (${COST.pages.join(' and ')}; ${GROW.pages.join(', ')})
  --shards N           cost, grow: shards, may be given several times (${COST.shards.join(' and ')}; ${GROW.shards.join(', ')})
  --records N          cost, grow: records of a run, rounded up to whole answers (${COST.records})
  --without-reference  cost: only ours: its costs, no ratio
  --profile DIR        cost: ours once, alone, with a CPU profile of its process written to DIR, and the 25 functions with the
                       most time of their own; its cost is then higher
  --against NAME       latency: only this, may be given several times: ${TARGETS.join(', ')}
  --rate N             latency, catch-up: records that arrive a second (${PER_SECOND})
  --seconds N          latency: how long records arrive (${SECONDS})
  --waiting N          catch-up: records that wait at the start (${WAITING}: 10 minutes at ${PER_SECOND} a second)
  --repeat N           how often each is run (cost ${COST.repeat}, else 1)
  --help               this text

Exit codes: 0 every bound holds, 1 one does not (named at the end) or a run failed, 2 unknown option, 130 Ctrl-C.
`

const OPTIONS = {
  page: { type: 'string', multiple: true },
  shards: { type: 'string', multiple: true },
  records: { type: 'string' },
  repeat: { type: 'string' },
  'without-reference': { type: 'boolean' },
  profile: { type: 'string' },
  against: { type: 'string', multiple: true },
  rate: { type: 'string' },
  seconds: { type: 'string' },
  waiting: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const

const OPTIONS_OF: Record<RecordsOptions['mode'], readonly (keyof typeof OPTIONS)[]> = {
  cost: ['page', 'shards', 'records', 'repeat', 'without-reference', 'profile'],
  grow: ['page', 'shards', 'records', 'repeat'],
  latency: ['against', 'rate', 'seconds', 'repeat'],
  'catch-up': ['rate', 'waiting', 'repeat'],
}

const RECORDS_MAX = 100_000_000
const RATE_MAX = 100_000

/** @returns the options, or `help` if that was asked for. @throws UsageError */
export function readRecordsOptions(argv: string[]): RecordsOptions | 'help' {
  const { values: given, positionals } = parsed(argv)
  if (given.help) return 'help'
  const mode = modeOf(positionals)
  for (const name of Object.keys(given))
    if (!(OPTIONS_OF[mode] as readonly string[]).includes(name))
      throw new UsageError(`--${name} is no option of ${mode}. See npm run bench -- --help`)
  const repeat = (usual: number): number => one('--repeat', given.repeat, usual, 100)
  const perSecond = (): number => one('--rate', given.rate, PER_SECOND, RATE_MAX)
  const sizes = (usual: Omit<GrowOptions, 'mode'>) => ({
    pages: all('--page', given.page, usual.pages, 10_000),
    shards: all('--shards', given.shards, usual.shards, 64),
    records: one('--records', given.records, usual.records, RECORDS_MAX),
    repeat: repeat(usual.repeat),
  })
  switch (mode) {
    case 'cost': {
      const isProfile = given.profile !== undefined
      const hasReference = !given['without-reference'] && !isProfile
      const { repeat: times, ...rest } = sizes(COST)
      return { mode, ...rest, repeat: isProfile ? 1 : times, hasReference, profileDir: given.profile }
    }
    case 'grow':
      return { mode, ...sizes(GROW) }
    case 'latency':
      return {
        mode,
        against: given.against?.map(targetOf) ?? [...TARGETS],
        perSecond: perSecond(),
        seconds: one('--seconds', given.seconds, SECONDS, 3_600),
        repeat: repeat(1),
      }
    case 'catch-up':
      return {
        mode,
        perSecond: perSecond(),
        waiting: one('--waiting', given.waiting, WAITING, RECORDS_MAX),
        repeat: repeat(1),
      }
  }
}

function modeOf(positionals: readonly string[]): RecordsOptions['mode'] {
  const [mode = 'cost', ...more] = positionals
  if (more.length > 0 || !Object.hasOwn(OPTIONS_OF, mode))
    throw new UsageError(
      `"${positionals.join(' ')}" is no mode: one of ${Object.keys(OPTIONS_OF).join(', ')} is expected`,
    )
  return mode as RecordsOptions['mode']
}

function targetOf(name: string): Target {
  const found = TARGETS.find(target => target === name)
  if (found) return found
  throw new UsageError(`--against is "${name}": one of ${TARGETS.join(', ')} is expected`)
}

function all(name: string, texts: string[] | undefined, usual: number[], max: number): number[] {
  return texts?.map(text => wholeNumber(name, text, max)) ?? usual
}

function one(name: string, text: string | undefined, usual: number, max: number): number {
  return text === undefined ? usual : wholeNumber(name, text, max)
}

/** @throws UsageError */
export function wholeNumber(name: string, text: string, max: number): number {
  if (!/^\d+$/.test(text) || Number(text) < 1 || Number(text) > max)
    throw new UsageError(`${name} is "${text}": a whole number from 1 to ${max} is expected`)
  return Number(text)
}

function parsed(argv: string[]) {
  try {
    return parseArgs({ args: argv, options: OPTIONS, allowPositionals: true })
  } catch (cause) {
    throw new UsageError(`${(cause as Error).message.split('. ')[0]}. See npm run bench -- --help`, { cause })
  }
}
