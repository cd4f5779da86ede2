/**
 * The workers of the demo: started, watched twice a second, one of them killed.
 *
 * What is known of a worker is what it says at /metrics; who holds a shard is what the lease table says. The counters of
 * a killed worker are gone with it, and those of a shard when it is left, so growth is added up from scrape to scrape. At every scrape the books must balance: read =
 * settled + in flight, shard by shard.
 */
import { ScanCommand } from '@aws-sdk/client-dynamodb'
import { dynamodbClient } from '../local/aws-clients.ts'
import type { Child, Parts } from '../local/parts.ts'
import { callMs, leaseTable } from './pipeline.ts'
import {
  growth,
  type Histogram,
  histogram,
  parseMetrics,
  type Sample,
  sum,
  total,
  totalsBy,
} from './scrape.ts'
import { DemoError, heard, pause } from './wait.ts'

export type Worker = {
  name: string
  url: string
  child: Child
  samples: Sample[]
  isAlive: boolean
}

export type ShardView = {
  shardId: string
  owner: string | undefined
  /** The owner is a worker that lives. */
  isAlive: boolean
  lagSeconds: number
  settled: number
  inFlight: number
}

/** What a scrape must have for the demo to show it; a metric without samples yet is looked for again at the end. */
const promised = [
  'cdc_records_received_total',
  'cdc_records_settled_total',
  'cdc_shard_lag_seconds',
  'cdc_commit_to_indexed_seconds_bucket',
]

const scrapeEveryMs = 500
const scrapeMs = 3000
const startMs = 20_000

export function createFleet({
  parts,
  shardIds,
  settings,
  signal,
  onFault,
}: {
  parts: Parts
  shardIds: string[]
  settings: Record<string, string>
  signal: AbortSignal
  /** A worker ended without being asked to, or cannot be asked. */
  onFault: (error: Error) => void
}) {
  const leases = dynamodbClient(parts.endpoints.dynamodbUrl, callMs)
  const workers: Worker[] = []
  const books = { scrapes: 0, unbalanced: [] as { scrape: number; books: string }[] }
  const settled = new Map<string, Sample>()
  let owners = new Map<string, string>()
  let looking: Promise<void> = Promise.resolve()

  async function start(name: string): Promise<Worker> {
    const child = parts.spawn(name, [process.execPath, 'src/main.ts'], { ...settings, WORKER_ID: name })
    const url = await heard(child, listeningUrl, { what: 'where it listens', deadlineMs: startMs, signal })
    const worker: Worker = { name, url, child, samples: [], isAlive: true }
    void child.exited.then(({ code, signal: by }) => {
      if (!worker.isAlive) return
      worker.isAlive = false
      if (!signal.aborted) onFault(new DemoError(`${name} ended with ${code ?? by}. See ${child.logFile}`))
    })
    workers.push(worker)
    return worker
  }

  /** SIGKILL. Its last scrape stays as it was. */
  async function kill(worker: Worker): Promise<void> {
    worker.isAlive = false
    worker.child.kill('SIGKILL')
    await worker.child.exited
  }

  /** Looks at everything once; a call while one is under way waits for a look of its own. */
  function look(): Promise<void> {
    looking = looking.then(lookOnce)
    return looking
  }

  async function lookOnce(): Promise<void> {
    const { Items = [] } = await leases.send(
      new ScanCommand({ TableName: leaseTable, ConsistentRead: true }),
      { abortSignal: signal },
    )
    owners = new Map(
      Items.flatMap(({ leaseKey, leaseOwner }) =>
        leaseKey?.S && leaseOwner?.S ? [[leaseKey.S, leaseOwner.S]] : [],
      ),
    )
    await Promise.all(workers.filter(worker => worker.isAlive).map(scrape))
  }

  async function scrape(worker: Worker): Promise<void> {
    try {
      const response = await fetch(`${worker.url}/metrics`, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(scrapeMs)]),
      })
      const samples = parseMetrics(await response.text())
      for (const grown of growth(samples, worker.samples, 'cdc_records_settled_total')) {
        const key = JSON.stringify(grown.labels)
        settled.set(key, { ...grown, value: grown.value + (settled.get(key)?.value ?? 0) })
      }
      worker.samples = samples
    } catch (cause) {
      // It was killed between the question and the answer: the scrape before this one stays.
      if (!worker.isAlive) return
      throw new DemoError(
        `${worker.name} did not answer GET ${worker.url}/metrics. See ${worker.child.logFile}`,
        { cause },
      )
    }
    books.scrapes++
    for (const found of unbalanced(worker)) books.unbalanced.push({ scrape: books.scrapes, books: found })
  }

  async function watch(): Promise<void> {
    while (!signal.aborted) {
      await look()
      await pause(scrapeEveryMs, signal)
    }
  }

  function shards(): ShardView[] {
    return shardIds.map(shardId => {
      const owner = owners.get(shardId)
      const holder = workers.find(worker => worker.name === owner && worker.isAlive)
      const lag = holder?.samples.find(
        sample => sample.name === 'cdc_shard_lag_seconds' && sample.labels.shard === shardId,
      )
      return {
        shardId,
        owner,
        isAlive: holder !== undefined,
        lagSeconds: lag?.value ?? Number.NaN,
        settled: total([...settled.values()], 'cdc_records_settled_total', { shard: shardId }),
        inFlight: holder ? total(holder.samples, 'cdc_records_in_flight', { shard: shardId }) : 0,
      }
    })
  }

  return {
    books,
    start,
    kill,
    look,
    /** Never ends but by the signal; what goes wrong goes to `onFault`. */
    watch: () => void watch().catch(error => signal.aborted || onFault(error)),
    shards,
    workers: () => workers.filter(worker => worker.isAlive),
    holdings: (worker: Worker) => shards().filter(shard => shard.owner === worker.name).length,
    settled: (outcome: string) => total([...settled.values()], 'cdc_records_settled_total', { outcome }),
    inFlight: () => shards().reduce((all, shard) => all + shard.inFlight, 0),
    /** Of all workers since their start, the killed one included: two of these can be subtracted. */
    latency: (): Histogram =>
      workers
        .map(worker => histogram(worker.samples, 'cdc_commit_to_indexed_seconds'))
        .reduce(sum, { bounds: [], counts: [] }),
    /** Promised metrics that no scrape has shown so far. */
    missingMetrics: () =>
      promised.filter(name => !workers.some(worker => worker.samples.some(sample => sample.name === name))),
  }
}

export type Fleet = ReturnType<typeof createFleet>

/** The largest lag of all shards; NaN while a shard is held by nobody alive, or its holder says nothing of it. */
export function lagSeconds(shards: ShardView[]): number {
  return Math.max(...shards.map(shard => shard.lagSeconds))
}

function unbalanced(worker: Worker): string[] {
  const received = totalsBy(worker.samples, 'cdc_records_received_total', 'shard')
  const settled = totalsBy(worker.samples, 'cdc_records_settled_total', 'shard')
  const inFlight = totalsBy(worker.samples, 'cdc_records_in_flight', 'shard')
  return [...received]
    .map(([shard, read]) => ({
      shard,
      read,
      settled: settled.get(shard) ?? 0,
      inFlight: inFlight.get(shard) ?? 0,
    }))
    .filter(books => books.read !== books.settled + books.inFlight)
    .map(
      books =>
        `${worker.name} ${books.shard}: read ${books.read}, settled ${books.settled}, in flight ${books.inFlight}`,
    )
}

/** One of the service's log lines says where it listens: `{"msg":"listening","url":"http://127.0.0.1:40123"}`. */
function listeningUrl(line: string): string | undefined {
  if (!line.includes('"listening"')) return undefined
  const { msg, url } = JSON.parse(line) as { msg?: string; url?: string }
  return msg === 'listening' ? url : undefined
}
