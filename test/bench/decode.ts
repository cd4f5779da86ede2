/**
 * What it costs to turn a record into an action: decode, decide, document, action line; beside a loop that does the same
 * with JSON.parse and JSON.stringify and checks nothing (and so loses digits).
 *
 * Both run in turn in one process on the same records, so that what else the machine does falls on both. CPU time of the
 * process, after the first rounds, in which the compiler works.
 */
import { parseArgs } from 'node:util'
import { actionLine } from '../../src/core/batch.ts'
import { decide } from '../../src/core/document.ts'
import { decoder } from '../../src/decoder.ts'
import { noTableFile, parseTableFile, type TableFile } from '../../src/table-file.ts'
import { decideContext } from '../../src/tables.ts'
import { versionsOf } from '../fakes/version.ts'
import { medianOf } from './figures.ts'

const HELP = `npm run bench:decode [-- options]

CPU time of decode + document + action line for records of 1 KB, and of the same by JSON.parse and JSON.stringify without
any check, in turn in one process. The last lines are \`name: value unit\`.

  --rounds N   how often each is measured (default 30)
  --help       this text

Exit codes: 0 the ratio without types is at most 0.7, 1 it is not, 2 unknown option.
`
const RATIO_MAX = 0.7
const RECORDS = 4000
const TIMES = 5
const WARM_ROUNDS = 6

/** Rows of 22 columns as DMS writes them, one of them jsonb; in ASCII, or with a name beyond it. */
function records(name: string): Buffer[] {
  return Array.from({ length: RECORDS }, (_, n) => {
    const row = {
      id: 1_000_000 + n,
      customer_id: 456_000 + n,
      order_number: `ORD-${n}-2026`,
      status: 'pending',
      currency: 'EUR',
      amount: 99.99 + n,
      tax: 12.5,
      discount: 0,
      email: `customer${n}@example.com`,
      name: `${name} ${n}`,
      street: '12 Long Street Name',
      city: 'Springfield',
      country: 'US',
      zip: '12345-678',
      note: 'Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore.',
      attributes: JSON.stringify({ color: 'red', sizes: [1, 2, 3], dim: { w: 1.5 } }),
      is_active: true,
      is_paid: 't',
      created_at: '2026-03-02T09:15:01.204518Z',
      updated_at: '2026-03-02T09:15:01.204518Z',
      deleted_at: null,
      version: n,
    }
    const second = String(n % 60).padStart(2, '0')
    const metadata = {
      timestamp: `2026-03-02T09:15:${second}.204518Z`,
      'record-type': 'data',
      operation: n % 5 < 2 ? 'insert' : 'update',
      'partition-key-type': 'schema-table',
      'schema-name': 'public',
      'table-name': 'orders',
      'transaction-id': 364_547 + n,
      'transaction-record-id': 1,
      'prev-transaction-id': 364_546 + n,
      'prev-transaction-record-id': 1,
      'commit-timestamp': `2026-03-02T09:15:${second}.104518Z`,
      'stream-position': '00000002/7C007178.3.00000002/7C007178',
    }
    return Buffer.from(`${JSON.stringify({ data: row, metadata })}\n`)
  })
}

const decode = decoder('before-image')
const versionOf = versionsOf(442_000_000)

function ours(file: TableFile): (record: Buffer, ordinal: number) => number {
  const context = {
    ...decideContext({
      file,
      indexPatterns: ['*'],
      onUnknownTable: 'hold',
      beforeImage: 'before-image',
      beforeImagePrefix: 'BI_',
    }),
    range: { start: 0n, end: 2n ** 128n - 1n },
  }
  return (record, ordinal) => {
    const decoded = decode(record)
    const decision = decide(decoded, 'public.orders', context)
    if (decision.kind !== 'write' || decoded.kind !== 'change')
      throw new Error(`expected a write, found ${decision.kind}`)
    const [write] = decision.writes
    // As the bulk writer has it: the row's own bytes, or its text where a column changed.
    const bytes = write!.end - write!.start + (write!.document?.length ?? 0)
    return actionLine(write!, versionOf(ordinal)).length + bytes + decoded.committedAtMs!
  }
}

/** The same result by the shortest way there is. */
function unchecked(record: Buffer, ordinal: number): number {
  const { data, metadata } = JSON.parse(record.toString()) as {
    data: Record<string, unknown>
    metadata: Record<string, string>
  }
  const committedAtMs = Date.parse(metadata['commit-timestamp']!)
  const action = {
    _index: `${metadata['schema-name']}_${metadata['table-name']}`,
    _id: String(data.id),
    version: versionOf(ordinal),
    version_type: 'external',
  }
  return `${JSON.stringify({ index: action })}\n${JSON.stringify(data)}\n`.length + committedAtMs
}

/** @returns CPU-seconds per million records */
function cost(all: readonly Buffer[], turn: (record: Buffer, ordinal: number) => number): number {
  const before = process.cpuUsage()
  let sum = 0
  for (let time = 0; time < TIMES; time++) for (const [n, record] of all.entries()) sum += turn(record, n + 1)
  const { user, system } = process.cpuUsage(before)
  if (!(sum > 0)) throw new Error('expected a result')
  return (user + system) / (all.length * TIMES)
}

function run(rounds: number): boolean {
  const ascii = records('Jane Doe')
  const beyond = records('Žofie Müllerová')
  const typedFile = parseTableFile(
    'tables: { public.orders: { columns: { attributes: jsonb, is_paid: boolean, created_at: timestamptz } } }',
    'the table file of the bench',
  )
  const untyped = ours(noTableFile)
  const typed = ours(typedFile)
  const turns = {
    unchecked: () => cost(ascii, unchecked),
    untyped: () => cost(ascii, untyped),
    typed: () => cost(ascii, typed),
    unchecked_unicode: () => cost(beyond, unchecked),
    untyped_unicode: () => cost(beyond, untyped),
  }
  const names = Object.keys(turns) as (keyof typeof turns)[]
  const costs = Object.fromEntries(names.map(name => [name, [] as number[]])) as Record<
    keyof typeof turns,
    number[]
  >
  for (let round = 0; round < WARM_ROUNDS + rounds; round++) {
    if (process.stderr.isTTY) process.stderr.write(`\rround ${round + 1} of ${WARM_ROUNDS + rounds}`)
    for (const name of names) {
      const value = turns[name]()
      if (round >= WARM_ROUNDS) costs[name].push(value)
    }
  }
  if (process.stderr.isTTY) process.stderr.write('\n')
  const ratio = (name: keyof typeof turns, to: keyof typeof turns) =>
    medianOf(costs[name].map((value, round) => value / costs[to][round]!))
  const untypedRatio = ratio('untyped', 'unchecked')
  const bytes = ascii.reduce((sum, record) => sum + record.length, 0) / ascii.length
  const lines: [string, number, string][] = [
    ['decode_record_bytes', bytes, 'bytes'],
    ...names.map((name): [string, number, string] => [
      `decode_${name}`,
      medianOf(costs[name]),
      'cpu-s/million',
    ]),
    ['decode_untyped_ratio', untypedRatio, `ratio (at most ${RATIO_MAX})`],
    ['decode_typed_ratio', ratio('typed', 'unchecked'), 'ratio'],
    ['decode_untyped_unicode_ratio', ratio('untyped_unicode', 'unchecked_unicode'), 'ratio'],
  ]
  for (const [name, value, unit] of lines) console.log(`${name}: ${value.toFixed(2)} ${unit}`)
  return untypedRatio <= RATIO_MAX
}

function main(argv: string[]): number {
  let options: { rounds?: string | undefined; help?: boolean | undefined }
  try {
    options = parseArgs({
      args: argv,
      options: { rounds: { type: 'string' }, help: { type: 'boolean' } },
    }).values
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`)
    return 2
  }
  if (options.help) {
    console.log(HELP)
    return 0
  }
  const rounds = Number(options.rounds ?? '30')
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000) {
    console.error(`--rounds is "${options.rounds}": a whole number from 1 to 1000 is expected`)
    return 2
  }
  return run(rounds) ? 0 : 1
}

process.exitCode = main(process.argv.slice(2))
