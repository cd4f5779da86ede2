/**
 * `npm run soak`: our `run` command for a long time under a steady load, with a random fault every 20 s.
 *
 * The proof is in the end: what the documents must be follows from the number of records alone, and every document is
 * compared, text for text.
 */
import { randomInt } from 'node:crypto'
import { stopWhenLauncherDies } from '../../docker/local/launcher.ts'
import { startParts } from '../../docker/local/parts.ts'
import { covers, openLeases } from '../e2e/leases.ts'
import { until } from '../e2e/until.ts'
import { createFigures, type Figures } from './figures.ts'
import { UsageError } from './options.ts'
import { compareDocuments } from './paced/compare-documents.ts'
import { ledger } from './paced/ledger.ts'
import { startPacedStream, untilAcknowledged } from './paced/paced-run.ts'
import { sequenceNumberOf } from './paced/sequence-number.ts'
import { type OpenSearchSink, openSearchSink } from './paced/sinks.ts'
import type { Mix } from './records/changes.ts'
import { isMeasurable } from './records/process-cost.ts'
import { startSinkProxy } from './sink-proxy.ts'
import { disturb, FAULT_EVERY_S } from './soak/faults.ts'
import { startFleet } from './soak/fleet.ts'
import { memoryGrowth } from './soak/judge.ts'
import { HELP, readSoakOptions, type SoakOptions } from './soak/options.ts'
import { createWatch } from './soak/watch.ts'
import { shardIdOf } from './stubs/kinesis-answers.ts'

const SHARDS = 4
/** As many rows come as go: the indices stay as they are, so what grows is not they. */
const STEADY: Mix = { rows: 10_000, insertsPer100: 20, deletesPer100: 20 }
/** Both workers have their shares by then. */
const HEAD_START_MS = 15_000
const CHECKPOINTED_MS = 60_000
const ERRORS_SHOWN = 10

const log = (line: string): void => console.error(line)

process.exitCode = await main(process.argv.slice(2))

async function main(argv: string[]): Promise<number> {
  try {
    const options = readSoakOptions(argv, randomInt(1, 1_000_000))
    if (options === 'help') {
      console.log(HELP)
      return 0
    }
    if (isMeasurable()) return await run(options)
    log('this soak reads /proc, which this system does not have: run it on Linux')
    return 1
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    log(error.message)
    return 2
  }
}

async function run(options: SoakOptions): Promise<number> {
  const abort = (): never => process.exit(130)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, abort)
  stopWhenLauncherDies(abort)
  const figures = createFigures(log)
  let failure: unknown
  try {
    await soak(options, figures)
  } catch (error) {
    failure = error
  }
  console.log(figures.lines().join('\n'))
  const beyond = figures.beyondBounds()
  if (beyond.length > 0) log(`not within their bounds: ${beyond.join(', ')}`)
  if (failure === undefined) return beyond.length === 0 ? 0 : 1
  log(`the soak with --seed ${options.seed} failed: ${failure instanceof Error ? failure.stack : failure}`)
  return 1
}

async function soak({ minutes, perSecond, seed }: SoakOptions, figures: Figures): Promise<void> {
  const over = new AbortController()
  const closings: (() => unknown)[] = []
  const faults: string[] = []
  try {
    const parts = await startParts({ instance: 'soak', log })
    closings.push(parts.stop)
    const sink = await openSearchSink(parts)
    closings.push(sink.close)
    const pace = { shards: SHARDS, perSecond, startMs: Date.now() + HEAD_START_MS }
    const stream = await startPacedStream(pace, fault => faults.push(fault), STEADY)
    closings.push(stream.stop)
    const watch = createWatch(log)
    const book = ledger(pace, stream.logs, watch.addLatency)
    const proxy = await startSinkProxy(sink.world.opensearchUrl, book.acknowledge)
    closings.push(proxy.close)
    const fleet = await startFleet(parts, {
      ...sink.world.settings,
      AWS_ENDPOINT_URL_KINESIS: stream.url,
      STREAM_NAME: 'bench',
      DEAD_LETTER_QUEUE_URL: sink.queueUrl,
      OPENSEARCH_URL: proxy.url,
      INDEX_PATTERNS: 'bench_*',
      HTTP_PORT: '0',
    })
    log(`${minutes} min at ${perSecond} records/s, a fault every ${FAULT_EVERY_S} s, --seed ${seed}`)

    let faultCount = 0
    const onFault = (kind: string, atS: number): void => {
      faultCount++
      log(`  ${atS} s: ${kind}`)
    }
    const watched = {
      pid: fleet.residentPid,
      acknowledged: book.acknowledged,
      faults: () => faultCount,
      errors: () => countOf(fleet.errors()),
    }
    const targets = { proxy, tellStream: stream.tell, worker: fleet.guest }
    const span = { fromMs: pace.startMs, minutes, seed }
    const ended = Promise.all([
      watch.go(watched, span, over.signal),
      disturb(targets, span, onFault, over.signal),
    ])
    await Promise.race([fleet.failed, ended])
    const { counts, refused } = await stream.tell({ stop: true })
    await Promise.race([fleet.failed, untilAcknowledged(book, counts, over.signal)])
    const { slope, slopeMax } = memoryGrowth(watch.memory)
    figures.add('soak_records', book.acknowledged(), 'records')
    figures.add('soak_faults', faultCount, 'faults')
    figures.add('soak_lag_p99', watch.ofAll.quantile(0.99), 'ms')
    figures.add('soak_lag_longest', watch.ofAll.max(), 'ms')
    figures.add('soak_rss_slope', slope, 'MiB/hour', slopeMax)
    figures.add('soak_rss_peak', Math.max(...watch.memory.map(({ value }) => value)), 'MiB')
    figures.add('soak_reads_beyond_limit', refused, 'reads')
    await Promise.race([fleet.failed, untilCheckpointed(sink, counts)])
    await fleet.stop()
    figures.add('soak_errors_logged', countOf(fleet.errors()), 'lines')
    for (const [message, times] of [...fleet.errors()].slice(0, ERRORS_SHOWN))
      log(`  ${times} times: ${message}`)
    const found = await compareDocuments(sink.world.opensearchUrl, stream.logs, counts)
    figures.add('soak_documents', found.documents, 'documents')
    for (const kind of ['missing', 'extra', 'different'] as const)
      figures.add(`soak_documents_${kind}`, found[kind], 'documents', 0)
    for (const line of found.examples) log(`  ${line}`)
    figures.add('soak_letters', await sink.letters(), 'letters', 0)
    if (faults.length > 0)
      throw new Error(`the stream met what it does not know: ${[...new Set(faults)].join('; ')}`)
  } finally {
    over.abort()
    for (const close of closings.reverse()) await close()
  }
}

function countOf(errors: ReadonlyMap<string, number>): number {
  return [...errors.values()].reduce((sum, times) => sum + times, 0)
}

/** All that is acknowledged must come to be checkpointed as well. */
async function untilCheckpointed(
  { world, leaseTable }: OpenSearchSink,
  counts: readonly number[],
): Promise<void> {
  const leases = openLeases(world.dynamodbUrl, leaseTable)
  await until(
    'the checkpoints to cover every record',
    async () => {
      const all = await leases.all()
      return counts.every((count, shard) =>
        covers(all.get(shardIdOf(shard))?.checkpoint ?? '', sequenceNumberOf(count - 1)),
      )
    },
    { deadlineMs: CHECKPOINTED_MS },
  )
}
