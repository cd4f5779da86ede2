/** What waiting after failures is counted as: by what failed, when it is over, with the time it really took. */
import { expect, test } from 'vitest'
import { backOff } from '../../src/back-off.ts'
import { fakeClock } from '../fakes/clock.ts'
import { fakeWorld, row } from '../fakes/service.ts'

const SHARD = 'shardId-000000000000'

function waits() {
  const time = fakeClock()
  const counted: [string, number][] = []
  const stop = new AbortController()
  const parts = {
    clock: time.clock,
    random: () => 0.5,
    metrics: { backoff: (where: string, seconds: number) => void counted.push([where, seconds]) },
  }
  const failed = { where: 'bulk', attempt: 3, firstMs: 1000, maxMs: 60_000 } as const
  return { time, counted, stop, done: backOff(parts, failed, stop.signal) }
}

test('a wait is counted when it is over', async () => {
  const { time, counted, done } = waits()
  await time.advance(3999)
  expect(counted).toEqual([])
  await time.advance(1)
  await done
  expect(counted).toEqual([['bulk', 4]])
})

test('a wait that a signal ends counts as far as it went', async () => {
  const { time, counted, stop, done } = waits()
  await time.advance(1500)
  stop.abort()
  await done
  expect(counted).toEqual([['bulk', 1.5]])
})

test('nothing failed: nothing is counted', async () => {
  const world = fakeWorld()
  world.stream.put(SHARD, row('insert', '{"id":1}'))
  const worker = world.startWorker('w1')
  await world.time.advance(30_000)
  expect(worker.counts.backoff.size).toBe(0)
})

test('OpenSearch refuses once', async () => {
  const world = fakeWorld()
  world.faults.bulk.push({ kind: 'items', items: [{ status: 429, error: { type: 'rejected' } }] })
  world.stream.put(SHARD, row('insert', '{"id":1}'))
  const worker = world.startWorker('w1')
  await world.time.advance(3000)
  expect(Object.fromEntries(worker.counts.backoff)).toEqual({ bulk: 0.05 })
})

test('a read of Kinesis fails once: its wait has the spacing of reads in it', async () => {
  const world = fakeWorld()
  const { read } = world.stream
  let calls = 0
  world.stream.read = async (...call) => {
    if (++calls === 2) throw new Error('reset')
    return read(...call)
  }
  const worker = world.startWorker('w1')
  await world.time.advance(5000)
  expect(Object.fromEntries(worker.counts.backoff)).toEqual({ kinesis: 0.25 })
})

test('the dead-letter queue is away, then the lease table', async () => {
  const world = fakeWorld()
  world.faults.queueAway = true
  world.stream.put(SHARD, 'not json')
  const worker = world.startWorker('w1')
  await world.time.advance(5000)
  world.faults.queueAway = false
  await world.time.advance(5000)
  expect([...worker.counts.backoff.keys()]).toEqual(['queue'])
  world.faults.tableAway = true
  await world.time.advance(6000)
  world.faults.tableAway = false
  await world.time.advance(5000)
  expect([...worker.counts.backoff.keys()]).toEqual(['queue', 'lease'])
  for (const seconds of worker.counts.backoff.values()) {
    expect(seconds).toBeGreaterThan(1)
    expect(seconds).toBeLessThan(10)
  }
})
