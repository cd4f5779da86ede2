/** The lines CloudWatch makes metrics of, held to its Embedded Metric Format: it drops a line that breaks a rule without a word. */
import { expect, test } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { emfLine } from '../../src/http/emf.ts'
import { emfLines } from '../../src/http/emf-lines.ts'
import { serviceMetrics } from '../../src/http/metrics.ts'
import { fakeClock } from '../fakes/clock.ts'

const SOURCE = { namespace: 'Mirror/production', stream: 'changes', worker: 'host-1f' }
const SHARD = 'shardId-000000000000'
/** Of CloudWatch's units, those of the lines. */
const UNITS = ['Seconds', 'Count']
const COUNTS = { DeadLetters: 0, BulkFailures: 0, RecordsSettled: 0, FenceJumps: 0 }

type Document = Record<string, unknown> & {
  _aws: {
    Timestamp: number
    CloudWatchMetrics: {
      Namespace: string
      Dimensions: string[][]
      Metrics: { Name: string; Unit: string }[]
    }[]
  }
}

/** Reads a line by the rules of the format, as CloudWatch would. */
function metricsOf(line: string): Record<string, number> {
  expect(line).not.toContain('\n')
  expect(line.length).toBeLessThan(1_000_000)
  const document = JSON.parse(line) as Document
  const { Timestamp: timestamp, CloudWatchMetrics: directives } = document._aws
  expect(Object.keys(document._aws).sort()).toEqual(['CloudWatchMetrics', 'Timestamp'])
  expect(Number.isInteger(timestamp)).toBe(true)
  // Seconds would be in 1970, microseconds in the far future.
  expect(new Date(timestamp).getUTCFullYear()).toBeGreaterThan(2020)
  expect(new Date(timestamp).getUTCFullYear()).toBeLessThan(2100)
  expect(directives).toHaveLength(1)
  const [directive] = directives
  expect(Object.keys(directive!).sort()).toEqual(['Dimensions', 'Metrics', 'Namespace'])
  expect(directive!.Namespace).toMatch(/^[^:].{0,254}$/)
  expect(directive!.Dimensions).toEqual([['Stream'], ['Stream', 'Worker']])
  for (const dimension of directive!.Dimensions.flat()) {
    expect(typeof document[dimension]).toBe('string')
    expect(String(document[dimension]).trim().length).toBeGreaterThan(0)
    expect(String(document[dimension]).length).toBeLessThanOrEqual(1024)
  }
  const names = directive!.Metrics.map(({ Name }) => Name)
  expect(names.length).toBeGreaterThan(0)
  expect(names.length).toBeLessThanOrEqual(100)
  expect(new Set(names).size).toBe(names.length)
  for (const metric of directive!.Metrics) {
    expect(Object.keys(metric).sort()).toEqual(['Name', 'Unit'])
    expect(UNITS).toContain(metric.Unit)
    expect(metric.Unit === 'Seconds').toBe(/Seconds/.test(metric.Name))
    expect(Number.isFinite(document[metric.Name])).toBe(true)
  }
  expect(Object.keys(document).sort()).toEqual(['Stream', 'Worker', '_aws', ...names].sort())
  return Object.fromEntries(names.map(name => [name, document[name] as number]))
}

/** @param offBy by how many ms a timer wakes too late, in turn; below 0 too early */
function printing(namespace = SOURCE.namespace, offBy = [0]) {
  const time = fakeClock()
  const metrics = serviceMetrics({ version: '0', workerId: SOURCE.worker, stream: SOURCE.stream })
  const lines: string[] = []
  const ended = new AbortController()
  const print = (line: string): void => void lines.push(line)
  let sleeps = 0
  const sleep = (ms: number, signal?: AbortSignal) =>
    time.clock.sleep(ms + offBy[sleeps++ % offBy.length]!, signal)
  const parts = { registry: metrics.registry, clock: { ...time.clock, sleep }, print }
  const done = emfLines(parts, { ...SOURCE, namespace }, ended.signal)
  return { time, metrics, lines, ended, done }
}

test('a line keeps the rules of the format, with all values and with few', () => {
  const values = {
    LagSecondsMax: 1.25,
    CheckpointAgeSecondsMax: 0,
    ShardsHeld: 1,
    LeasesHeld: 4,
    LeasesUnread: 1,
    RecordsUnaccounted: 0,
    BulkSecondsP99: 0.25,
    DeadLetters: 2,
    BulkFailures: 3,
    RecordsSettled: 12_345,
    FenceJumps: 0,
  }
  expect(metricsOf(emfLine(SOURCE, 1_800_000_000_000.7, values))).toEqual(values)
  expect(metricsOf(emfLine(SOURCE, 1_800_000_000_000, COUNTS))).toEqual(COUNTS)
})

test('a value that is no number is left out, and the line stays', () => {
  const values = { ...COUNTS, LagSecondsMax: Number.NaN, ShardsHeld: Number.POSITIVE_INFINITY }
  expect(metricsOf(emfLine(SOURCE, 1_800_000_000_000, values))).toEqual(COUNTS)
})

test('off, as it comes: nothing is printed', async () => {
  const required = {
    STREAM_NAME: 'changes',
    LEASE_TABLE: 'leases',
    DEAD_LETTER_QUEUE_URL: 'http://127.0.0.1:9324/000000000000/letters',
    OPENSEARCH_URL: 'https://search.example.com',
  }
  const { EMF_NAMESPACE: namespace } = readConfig(required)
  const { time, lines, ended, done } = printing(namespace)
  await time.advance(600_000)
  ended.abort()
  await done
  expect(lines).toEqual([])
  for (const refused of ['AWS/Kinesis', ':mirror', 'a\nb', 'x'.repeat(256)])
    expect(() => readConfig({ ...required, EMF_NAMESPACE: refused })).toThrow(/EMF_NAMESPACE is .* expected/)
})

test('one line in each minute of the clock, although timers wake early and late', async () => {
  const { time, lines, ended, done } = printing(SOURCE.namespace, [0, -1, 40, 2000, -1, -1])
  await time.advance(12_345)
  await time.advance(600_000)
  const minutes = lines.map(line => Math.floor((JSON.parse(line) as Document)._aws.Timestamp / 60_000))
  expect(minutes).toHaveLength(10)
  for (const [at, minute] of minutes.entries()) expect(minute).toBe(minutes[0]! + at)
  ended.abort()
  await done
})

test('states as they are, counters since the last line; a last line at the end, of counters only', async () => {
  const { time, metrics, lines, ended, done } = printing()
  metrics.worker.leasesHeld(2)
  metrics.worker.leases({ known: 2, unowned: 0, corrupt: 0 })
  await time.advance(60_000)
  expect(metricsOf(lines[0]!), 'nothing is known of lag before a shard is read').toEqual({
    ...COUNTS,
    ShardsHeld: 0,
    LeasesHeld: 2,
    LeasesUnread: 0,
    RecordsUnaccounted: 0,
  })

  const unwatch = metrics.shard.watch(
    SHARD,
    { inFlight: () => 0, parked: () => 0, checkpointAgeSeconds: () => 7 },
    1,
  )
  metrics.shard.behind(SHARD, 3)
  metrics.shard.behind('shardId-000000000001', 5.5)
  metrics.shard.held(SHARD, 'unknown-table')
  metrics.shard.deadLetters('not-json', 2)
  metrics.shard.fenceJumped(SHARD, 2)
  for (const outcome of ['ok', 'partial', 'timeout', 'status-429'])
    metrics.bulkRequest({ outcome, seconds: 1, actions: 1, bytes: 1 })
  const settled = { table: 'public.t', operation: 'insert', outcome: 'indexed', records: 40, latencies: [] }
  metrics.shard.tableSettled(settled)
  await time.advance(60_000)
  expect(metricsOf(lines[1]!)).toEqual({
    LagSecondsMax: 5.5,
    CheckpointAgeSecondsMax: 7,
    ShardsHeld: 1,
    LeasesHeld: 2,
    LeasesUnread: 0,
    RecordsUnaccounted: 0,
    // Four requests of a second each, in the bucket that ends there.
    BulkSecondsP99: 0.5 + 0.5 * 0.99,
    DeadLetters: 2,
    BulkFailures: 2,
    RecordsSettled: 40,
    FenceJumps: 1,
  })

  await time.advance(60_000)
  expect(metricsOf(lines[2]!)).toMatchObject({ ...COUNTS, ShardsHeld: 1 })
  metrics.shard.tableSettled(settled)
  // What a shard has settled is told although its tenure ends before the line.
  unwatch()
  await time.advance(1000)
  ended.abort()
  await done
  expect(lines).toHaveLength(4)
  expect(metricsOf(lines[3]!)).toEqual({ ...COUNTS, RecordsSettled: 40 })
})

test('leases nobody owns and leases nobody renews are both read by nobody', async () => {
  const { time, metrics, lines } = printing()
  metrics.worker.leases({ known: 5, unowned: 2, corrupt: 0 })
  metrics.worker.expired(1)
  await time.advance(60_000)
  expect(metricsOf(lines[0]!)).toMatchObject({ LeasesUnread: 3 })
})

test('what is read and neither settled nor in flight is told, whichever way the books are off', async () => {
  const { time, metrics, lines } = printing()
  const other = 'shardId-000000000001'
  let inFlight = 4
  metrics.shard.watch(SHARD, { inFlight: () => inFlight, parked: () => 0, checkpointAgeSeconds: () => 0 }, 1)
  metrics.shard.watch(other, { inFlight: () => 0, parked: () => 0, checkpointAgeSeconds: () => 0 }, 1)
  metrics.shard.received(SHARD, 10, 100)
  metrics.shard.settled(SHARD, 'indexed', 5)
  metrics.shard.settled(SHARD, 'skipped', 1)
  await time.advance(60_000)
  expect(metricsOf(lines[0]!)).toMatchObject({ RecordsUnaccounted: 0 })
  inFlight = 2
  metrics.shard.settled(other, 'indexed', 2)
  await time.advance(60_000)
  expect(metricsOf(lines[1]!), 'two lost in one shard, two too many in another').toMatchObject({
    RecordsUnaccounted: 4,
  })
})

test('the slowest bulk request in a hundred, of the last minute alone', async () => {
  const { time, metrics, lines } = printing()
  const request = (seconds: number) => metrics.bulkRequest({ outcome: 'ok', seconds, actions: 1, bytes: 1 })
  for (let at = 0; at < 98; at++) request(0.06)
  request(7)
  request(8)
  await time.advance(60_000)
  expect(metricsOf(lines[0]!).BulkSecondsP99).toBeCloseTo(7.5)
  request(0.06)
  await time.advance(60_000)
  expect(metricsOf(lines[1]!).BulkSecondsP99).toBeCloseTo(0.0995)
  request(45)
  await time.advance(60_000)
  expect(metricsOf(lines[2]!).BulkSecondsP99, 'beyond the last bound: at it').toBe(30)
  await time.advance(60_000)
  expect(metricsOf(lines[3]!)).not.toHaveProperty('BulkSecondsP99')
})
