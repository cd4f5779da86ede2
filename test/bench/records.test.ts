import { expect, test } from 'vitest'
import { decode } from '../../src/core/change.ts'
import { UsageError } from './options.ts'
import { answerPages, emptyPage, pageOf } from './records/answer-pages.ts'
import { changesOf, cycleLength, digestOf, rowsAfter } from './records/changes.ts'
import { finalRows, settledOf, unwritten } from './records/final-rows.ts'
import { recordsOf } from './records/grow.ts'
import { readRecordsOptions } from './records/options.ts'
import { statOf } from './records/process-cost.ts'
import { selfTimes } from './records/profile.ts'
import { recordText } from './records/record-text.ts'
import { figuresOf } from './records/steady-state.ts'
import { bulkIndex } from './stubs/bulk-index.ts'
import { conditionHolds, updated } from './stubs/expressions.ts'

test('options of the bench of records: defaults, several settings, a profile runs once and alone, help', () => {
  expect(readRecordsOptions([])).toEqual({
    mode: 'cost',
    pages: [5_000, 860],
    shards: [4],
    records: 2_000_000,
    repeat: 3,
    hasReference: true,
    profileDir: undefined,
  })
  const given = ['--page', '100', '--page', '1000', '--shards', '64', '--records', '9', '--without-reference']
  expect(readRecordsOptions(given)).toMatchObject({
    pages: [100, 1_000],
    shards: [64],
    records: 9,
    hasReference: false,
  })
  expect(readRecordsOptions(['cost', '--profile', 'dir'])).toMatchObject({
    repeat: 1,
    hasReference: false,
    profileDir: 'dir',
  })
  expect(readRecordsOptions(['--help'])).toBe('help')
  expect(readRecordsOptions(['grow', '--help'])).toBe('help')
})

test('each other mode of the bench of records has its own defaults', () => {
  expect(readRecordsOptions(['grow'])).toEqual({
    mode: 'grow',
    pages: [100, 1_000, 5_000],
    shards: [1, 4, 16, 64],
    records: 2_000_000,
    repeat: 1,
  })
  expect(readRecordsOptions(['latency'])).toEqual({
    mode: 'latency',
    against: ['stub', 'stub-50ms', 'opensearch'],
    perSecond: 1_000,
    seconds: 60,
    repeat: 1,
  })
  expect(readRecordsOptions(['catch-up'])).toEqual({
    mode: 'catch-up',
    perSecond: 1_000,
    waiting: 600_000,
    repeat: 1,
  })
  const given = ['latency', '--against', 'stub', '--rate', '50', '--seconds', '9', '--repeat', '2']
  expect(readRecordsOptions(given)).toMatchObject({ against: ['stub'], perSecond: 50, seconds: 9, repeat: 2 })
})

test.each([
  [['--page', '0']],
  [['--page', '10001']],
  [['--shards', '65']],
  [['--records', 'many']],
  [['--fast']],
  [['5000']],
  [['grow', 'latency']],
  [['toString']],
  [['grow', '--profile', 'dir']],
  [['latency', '--page', '100']],
  [['latency', '--against', 'elasticsearch']],
  [['catch-up', '--seconds', '9']],
])('a mistake in the options of the bench of records is told: %j', argv => {
  expect(() => readRecordsOptions(argv)).toThrow(UsageError)
})

test('a run of growth is cut where five reads a second a shard would make it long', () => {
  expect(recordsOf({ shards: 1, page: 100 }, 2_000_000)).toBe(10_000)
  expect(recordsOf({ shards: 64, page: 5_000 }, 2_000_000)).toBe(2_000_000)
})

test('a cycle is whole pages and the same whenever it is asked for: about 40 inserts, 50 updates, 10 deletes of 100', () => {
  expect([cycleLength(4, 5_000), cycleLength(64, 5_000), cycleLength(4, 860)]).toEqual([
    50_000, 5_000, 49_880,
  ])
  const changes = changesOf(2, 50_000)
  expect(changesOf(2, 50_000)).toEqual(changes)
  const share = (kind: string) => changes.filter(change => change.kind === kind).length / changes.length
  expect(share('insert')).toBeCloseTo(0.4, 1)
  expect(share('update')).toBeCloseTo(0.5, 1)
  expect(share('delete')).toBeCloseTo(0.1, 1)
})

test('the rows after several cycles are those of a replay of every change', () => {
  const changes = changesOf(0, 40)
  for (const count of [1, 40, 41, 125, 160]) {
    const replayed = new Map<number, number>()
    for (let at = 0; at < count; at++) {
      const { kind, id, revision } = changes[at % 40]!
      if (kind === 'delete') replayed.delete(id)
      else replayed.set(id, revision)
    }
    expect(rowsAfter(changes, count)).toEqual(replayed)
  }
})

test('a digest tells a missing row, another revision and another table, but not the order', () => {
  const digest = digestOf([
    [
      0,
      new Map([
        [1, 5],
        [2, 6],
      ]),
    ],
  ])
  expect(
    digestOf([
      [
        0,
        new Map([
          [2, 6],
          [1, 5],
        ]),
      ],
    ]),
  ).toBe(digest)
  expect(digestOf([[0, new Map([[1, 5]])]])).not.toBe(digest)
  expect(
    digestOf([
      [
        0,
        new Map([
          [1, 5],
          [2, 7],
        ]),
      ],
    ]),
  ).not.toBe(digest)
  expect(
    digestOf([
      [
        1,
        new Map([
          [1, 5],
          [2, 6],
        ]),
      ],
    ]),
  ).not.toBe(digest)
})

test('every record is one our decoder takes, about 950 bytes on average', () => {
  const changes = changesOf(1, 2_000)
  const records = changes.map(change => Buffer.from(recordText(change, 1)))
  for (const [at, record] of records.entries())
    expect(decode(record)).toMatchObject({
      kind: 'change',
      operation: changes[at]!.kind,
      schema: 'bench',
      table: 'orders_1',
      partitionKeyType: 'schema-table',
      committedAtMs: expect.any(Number),
    })
  const bytes = records.reduce((sum, record) => sum + record.length, 0) / records.length
  expect(bytes).toBeGreaterThan(920)
  expect(bytes).toBeLessThan(980)
})

test('answers are JSON with the records in order, and sequence numbers rise through the cycles', () => {
  const pages = answerPages({ shard: 3, shards: 64, page: 1_000 })
  const numbers: string[] = []
  for (let number = 0; number < 8; number++) {
    const answer = JSON.parse(pages.at(number).toString())
    expect(answer.Records).toHaveLength(1_000)
    expect(pageOf(answer.NextShardIterator)).toEqual({ shard: 3, number: number + 1 })
    for (const record of answer.Records) numbers.push(record.SequenceNumber)
    const { id } = changesOf(3, 3_000)[(number % 3) * 1_000]!
    expect(JSON.parse(Buffer.from(answer.Records[0].Data, 'base64').toString()).data.id).toBe(id)
    expect(answer.Records[0]).toMatchObject({
      PartitionKey: 'bench.orders_3',
      ApproximateArrivalTimestamp: 1_771_609_381,
    })
  }
  expect(numbers.every(number => number.length === 56)).toBe(true)
  expect(numbers).toEqual([...new Set(numbers)].sort())
  expect(JSON.parse(emptyPage(3, 8).toString())).toMatchObject({ MillisBehindLatest: 0, Records: [] })
})

const index = (id: number, revision: number, version?: string) =>
  `{"index":{"_index":"bench_orders_0","_id":"${id}"${version ? `,"version":"${version}","version_type":"external"` : ''}}}\n{"id":${id},"revision":${revision},"x":"ä"}\n`
const remove = (id: number, version: string) =>
  `{"delete":{"_index":"bench_orders_0","_id":"${id}","version":"${version}","version_type":"external"}}\n`

test('the bulk stub answers each action as OpenSearch would, by version, and keeps what is there', () => {
  const stub = bulkIndex()
  const body = [
    index(1, 1, '9'),
    index(1, 2, '10'),
    index(1, 1, '9'),
    remove(2, '11'),
    remove(1, '12'),
    index(3, 7),
  ]
  const items = stub.apply(Buffer.from(body.join('')), 'short').map(item => JSON.parse(item))
  expect(items.map(item => Object.values(item as Record<string, { status: number }>)[0]!.status)).toEqual([
    201, 200, 409, 404, 200, 201,
  ])
  expect(items[2].index.error.reason).toContain('current version [10] is higher or equal')
  expect(stub.tables.get(0)!.rows).toEqual(new Map([[3, 7]]))
  expect(stub.conflicts()).toBe(1)
  expect(JSON.parse(stub.apply(Buffer.from(index(4, 1)), 'full')[0]!).index).toMatchObject({
    _id: '4',
    result: 'created',
  })
})

test.each([['{"create":{}}\n{}\n'], [index(1, 1).replace('{"id":1', '{"id":2')], [index(1, 1).trimEnd()]])(
  'a body that is none of the bench fails the run: %j',
  body => {
    expect(() => bulkIndex().apply(Buffer.from(body), 'short')).toThrow()
  },
)

test('conditions and updates of the lease table, as its client writes them', () => {
  const item = { leaseKey: { S: 'a' }, leaseOwner: { S: 'me' }, leaseCounter: { N: '4' }, fence: { N: '9' } }
  const values = { ':seen': { N: '4' }, ':me': { S: 'me' }, ':fence': { N: '10' }, ':one': { N: '1' } }
  const holds = (condition: string) => conditionHolds(condition, item, values)
  expect(holds('leaseCounter = :seen AND leaseOwner = :me AND attribute_not_exists(checkpointOwner)')).toBe(
    true,
  )
  expect(holds('leaseCounter = :seen AND (attribute_not_exists(fence) OR fence < :fence)')).toBe(true)
  expect(holds('leaseOwner <> :me AND leaseCounter = :seen')).toBe(false)
  expect(conditionHolds('attribute_not_exists(leaseKey)', undefined, {})).toBe(true)
  expect(() => holds('size(leaseKey) > :one')).toThrow()
  expect(updated('SET fence = :fence REMOVE leaseOwner, leftBy ADD leaseCounter :one', item, values)).toEqual(
    {
      leaseKey: { S: 'a' },
      leaseCounter: { N: '5' },
      fence: { N: '10' },
    },
  )
})

test('the steady state begins where a quarter of the actions is answered', () => {
  const samples = [
    { atMs: 0, actions: 10, cpuSeconds: 5, peakBytes: 2 ** 20 },
    { atMs: 500, actions: 50, cpuSeconds: 6, peakBytes: 2 ** 21 },
    { atMs: 2_500, actions: 100, cpuSeconds: 9, peakBytes: 3 * 2 ** 20 },
  ]
  // Of 200,000 records a half is left out, as of the 100 actions they became.
  expect(figuresOf(samples, 200_000)).toEqual({ cpuPerMillion: 30, recordsPerSecond: 50_000, peakMiB: 3 })
  expect(() => figuresOf(samples.slice(0, 1), 10)).toThrow('too few')
})

test('CPU of a process counts its ended children; its name may hold brackets', () => {
  const stat = '12 (node (x) y) S 7 12 12 0 -1 4194560 1 2 3 4 100 50 25 25 20 0 11 0 9'
  expect(statOf(stat)).toEqual({ parent: 7, cpuSeconds: 2 })
})

test('the check at the end tells missing documents, conflicts, and records that were not written', () => {
  const stream = { shards: 64, page: 10, pagesEach: 1 }
  const rows = Array.from(
    { length: 64 },
    (_, shard) => [shard, rowsAfter(changesOf(shard, cycleLength(64, 10)), 10)] as const,
  )
  const documents = rows.reduce((sum, [, table]) => sum + table.size, 0)
  const right = { documents, digest: digestOf(rows), conflicts: 0 }
  const wrongIn = finalRows(stream)
  expect(wrongIn(right)).toEqual([])
  expect(wrongIn({ ...right, documents: 1 })).toHaveLength(1)
  expect(wrongIn({ ...right, digest: 1, conflicts: 1 })).toHaveLength(2)
  const metrics = [
    'cdc_records_settled_total{shard="a",outcome="indexed"} 600',
    'cdc_records_settled_total{shard="b",outcome="indexed"} 20',
    'cdc_records_settled_total{shard="a",outcome="skipped"} 20',
  ].join('\n')
  expect(settledOf(metrics)).toEqual(
    new Map([
      ['indexed', 620],
      ['skipped', 20],
    ]),
  )
  expect(unwritten(metrics, 620)).toEqual([])
  expect(unwritten(metrics, 640)).toHaveLength(1)
  expect(unwritten(undefined, 640)).toEqual([])
})

test('a profile tells the time a function took by itself, without the time in which nothing ran', () => {
  const frame = (functionName: string, url = '') => ({ functionName, url, lineNumber: 6 })
  const nodes = [
    { id: 1, callFrame: frame('(idle)') },
    { id: 2, callFrame: frame('decode', 'file:///home/me/project/src/core/change.ts') },
    { id: 3, callFrame: frame('(garbage collector)') },
    { id: 4, callFrame: frame('decode', 'file:///home/me/project/src/core/change.ts') },
  ]
  expect(selfTimes({ nodes, samples: [1, 2, 3, 4], timeDeltas: [900, 20, 25, 55] })).toEqual([
    { name: 'decode', place: 'src/core/change.ts:7', share: 0.75 },
    { name: '(garbage collector)', place: '', share: 0.25 },
  ])
})
