/** An index that OpenSearch cannot write to: its records wait, everything else goes on, and no checkpoint passes them. */
import { describe, expect, test } from 'vitest'
import type { Item } from '../../src/core/outcome.ts'
import { fakeWorld, row } from '../fakes/service.ts'

const SHARD = 'shardId-000000000000'
const OTHER_SHARD = 'shardId-000000000001'
const BLOCK: Item = { status: 403, error: { type: 'cluster_block_exception' } }
const CLOSED: Item = { status: 400, error: { type: 'index_closed_exception' } }

const insert = (id: number, table: string) => row('insert', `{"id":${id}}`, { table })
const ids = (world: ReturnType<typeof fakeWorld>) => [...world.search.found().keys()].toSorted()

describe('one blocked index', () => {
  test('the other tables of its shard go on, the checkpoint stays before its oldest record, and all is in the books', async () => {
    const world = fakeWorld()
    world.search.blocked.set('public_a', BLOCK)
    const before = world.stream.put(SHARD, insert(1, 'b'))
    world.stream.put(SHARD, insert(1, 'a'))
    world.stream.put(SHARD, insert(2, 'b'))
    const worker = world.startWorker('w1')
    await world.time.advance(5000)
    for (const id of [2, 3, 4]) {
      world.stream.put(SHARD, insert(id, 'a'))
      world.stream.put(SHARD, insert(10 + id, 'b'))
      await world.time.advance(2000)
    }
    expect(ids(world)).toEqual(['public_b/1', 'public_b/12', 'public_b/13', 'public_b/14', 'public_b/2'])
    expect(world.table.items.get(SHARD)!.checkpoint).toBe(before)
    expect([worker.counts.received, worker.settledCount(), worker.inFlight()]).toEqual([9, 5, 4])
    expect(worker.parked(SHARD)).toBe(4)
    expect([...worker.blocked()]).toEqual([['public_a', 'cluster_block_exception']])
    expect(worker.checkpointAge(SHARD)).toBeGreaterThan(5)
    expect([worker.counts.held.size, world.letters.length]).toEqual([0, 0])

    world.search.blocked.clear()
    const last = world.stream.put(SHARD, insert(5, 'b'))
    await world.time.advance(5000)
    expect(ids(world)).toHaveLength(10)
    expect(world.table.items.get(SHARD)!.checkpoint).toBe(last)
    expect([worker.settledCount(), worker.inFlight(), worker.parked(SHARD)]).toEqual([10, 0, 0])
    expect([worker.parkedBytes(), worker.blocked().size]).toEqual([0, 0])
    expect(worker.checkpointAge(SHARD)).toBe(0)
  })

  test('is asked by one shard at a time, with a few writes and alone', async () => {
    const world = fakeWorld({ shards: 2 })
    world.search.blocked.set('public_a', BLOCK)
    for (const shard of [SHARD, OTHER_SHARD])
      for (let id = 1; id <= 40; id++)
        world.stream.put(shard, insert(shard === SHARD ? id : 100 + id, 'a'), 'public.a')
    world.startWorker('w1')
    await world.time.advance(3000)
    world.search.requests.length = 0
    world.stream.put(SHARD, insert(1, 'b'))
    await world.time.advance(20_000)
    const probes = world.search.requests.filter(request =>
      request.some(action => action.includes('public_a')),
    )
    expect(probes.length).toBeGreaterThan(10)
    // 1 s at most between two, half of it on average with this random: two shards would ask twice as often.
    expect(probes.length).toBeLessThan(45)
    for (const probe of probes) {
      expect(probe.length).toBeLessThanOrEqual(10)
      expect(probe.every(action => action.includes('public_a'))).toBe(true)
    }
    world.search.blocked.clear()
    await world.time.advance(3000)
    expect(world.search.found().size).toBe(81)
  })

  test('of one row the later state wins, also when it came while the index was blocked and the former was parked', async () => {
    const world = fakeWorld()
    world.search.blocked.set('public_a', BLOCK)
    world.stream.put(SHARD, row('insert', '{"id":1,"v":1}', { table: 'a' }))
    world.startWorker('w1')
    await world.time.advance(3000)
    world.stream.put(SHARD, row('update', '{"id":1,"v":2}', { table: 'a' }))
    world.stream.put(SHARD, row('insert', '{"id":2,"n":"x"}', { table: 'a' }))
    await world.time.advance(3000)
    world.search.blocked.clear()
    await world.time.advance(3000)
    expect(world.search.found().get('public_a/1')).toBe('{"id":1,"v":2}')
    expect(world.letters.map(({ letter }) => [letter.reason, letter.id])).toEqual([['rejected', '2']])
    // A letter of a parked record has its payload, although the page it came in is long gone.
    expect(new TextDecoder().decode(world.letters[0]!.data)).toBe(
      row('insert', '{"id":2,"n":"x"}', { table: 'a' }),
    )
  })

  test('a parked state that is refused for good makes way for the one before it, of its own row', async () => {
    const world = fakeWorld()
    world.search.blocked.set('public_a', BLOCK)
    for (const id of [1, 2, 3]) world.stream.put(SHARD, insert(id, 'b'))
    world.stream.put(SHARD, row('insert', '{"id":5,"v":1}', { table: 'a' }))
    world.stream.put(SHARD, row('insert', '{"id":6,"v":1}', { table: 'a' }))
    world.stream.put(SHARD, row('update', '{"id":6,"n":"x"}', { table: 'a' }))
    const worker = world.startWorker('w1')
    await world.time.advance(3000)
    expect([ids(world), worker.parked(SHARD)]).toEqual([['public_b/1', 'public_b/2', 'public_b/3'], 3])
    world.search.blocked.clear()
    await world.time.advance(3000)
    expect(world.search.found().get('public_a/5')).toBe('{"id":5,"v":1}')
    expect(world.search.found().get('public_a/6')).toBe('{"id":6,"v":1}')
    expect(world.letters.map(({ letter }) => [letter.reason, letter.id])).toEqual([['rejected', '6']])
    expect(worker.parked(SHARD)).toBe(0)
  })

  test('what updates keep is read once the index is open again, after what was parked before them', async () => {
    const world = fakeWorld()
    const tables = 'tables: { public.a: { keepOnNull: [toast] } }'
    world.stream.put(SHARD, row('insert', '{"id":1,"toast":5}', { table: 'a' }))
    world.startWorker('w1', { tables })
    await world.time.advance(2000)
    world.search.blocked.set('public_a', CLOSED)
    world.stream.put(SHARD, row('insert', '{"id":1,"toast":6}', { table: 'a' }))
    await world.time.advance(2000)
    world.stream.put(SHARD, row('update', '{"id":1,"v":2,"toast":null}', { table: 'a' }))
    world.stream.put(SHARD, insert(1, 'b'))
    await world.time.advance(2000)
    expect(ids(world)).toEqual(['public_a/1', 'public_b/1'])
    world.search.blocked.clear()
    await world.time.advance(3000)
    expect(world.search.found().get('public_a/1')).toBe('{"id":1,"v":2,"toast":6}')
    expect(world.letters).toEqual([])
  })

  test('an index that cannot be read parks the updates that need a reading, before any write has met it', async () => {
    const world = fakeWorld()
    world.search.blocked.set('public_a', CLOSED)
    world.stream.put(SHARD, row('update', '{"id":1,"toast":null}', { table: 'a' }))
    world.stream.put(SHARD, insert(1, 'b'))
    const worker = world.startWorker('w1', { tables: 'tables: { public.a: { keepOnNull: [toast] } }' })
    await world.time.advance(3000)
    expect(ids(world)).toEqual(['public_b/1'])
    expect([...worker.blocked()]).toEqual([['public_a', 'index_closed_exception']])
    world.search.blocked.clear()
    await world.time.advance(3000)
    expect(world.letters.map(({ letter }) => letter.reason)).toEqual(['kept-columns-unknown'])
    expect([worker.settledCount(), worker.inFlight()]).toEqual([2, 0])
  })
})

describe('limits and endings', () => {
  test('parking full: the shard stops reading, and goes on when the index is open again', async () => {
    const world = fakeWorld()
    world.search.blocked.set('public_a', BLOCK)
    const worker = world.startWorker('w1', { parkedBytesMax: 30_000 })
    for (let id = 1; id <= 200; id++) {
      world.stream.put(SHARD, insert(id, 'a'))
      if (id % 5 === 0) await world.time.advance(300)
    }
    await world.time.advance(5000)
    expect(worker.parkedBytes()).toBeLessThanOrEqual(30_000)
    expect(worker.parked(SHARD)).toBeGreaterThan(10)
    expect(worker.counts.received).toBeLessThan(130)
    const { received } = worker.counts
    await world.time.advance(60_000)
    expect(worker.counts.received).toBe(received)
    expect(worker.inFlight()).toBe(received)

    world.search.blocked.clear()
    await world.time.advance(10_000)
    expect(world.search.found().size).toBe(200)
    expect([worker.settledCount(), worker.inFlight(), worker.parkedBytes()]).toEqual([200, 0, 0])
  })

  test('a worker that leaves waits for nothing parked: the next one reads on from before it', async () => {
    const world = fakeWorld()
    world.search.blocked.set('public_a', BLOCK)
    const before = world.stream.put(SHARD, insert(1, 'b'))
    world.stream.put(SHARD, insert(1, 'a'))
    const worker = world.startWorker('w1')
    await world.time.advance(3000)
    world.stream.put(SHARD, insert(2, 'b'))
    await world.time.advance(3000)
    worker.drain()
    await world.time.advance(100)
    expect(worker.isDone()).toBe(true)
    expect(worker.parkedBytes()).toBe(0)
    expect(world.table.items.get(SHARD)).toMatchObject({ checkpoint: before, leftBy: 'w1' })
    world.search.blocked.clear()
    world.startWorker('w2')
    await world.time.advance(5000)
    expect(ids(world)).toEqual(['public_a/1', 'public_b/1', 'public_b/2'])
  })

  test('a shard ends only when what is parked of it is settled; its children are read after', async () => {
    const world = fakeWorld()
    world.search.blocked.set('public_a', BLOCK)
    world.stream.put(SHARD, row('insert', '{"id":1,"v":1}', { table: 'a' }))
    const [left] = world.stream.split(SHARD)
    world.stream.put(left!, insert(1, 'b'))
    const worker = world.startWorker('w1')
    await world.time.advance(30_000)
    expect(world.table.items.size).toBe(1)
    expect(worker.counts.endings).toEqual([])
    world.search.blocked.clear()
    await world.time.advance(5000)
    expect(ids(world)).toEqual(['public_a/1', 'public_b/1'])
    expect(worker.counts.endings).toEqual(['shard-end'])
  })

  test('a tenure that ends because its reads fail asks no more; the next one writes what was parked', async () => {
    const world = fakeWorld()
    const { read } = world.stream
    world.search.blocked.set('public_a', BLOCK)
    world.stream.put(SHARD, insert(1, 'a'))
    const worker = world.startWorker('w1')
    await world.time.advance(3000)
    expect(worker.parked(SHARD)).toBe(1)
    world.stream.read = async () => {
      throw new Error('no route')
    }
    await world.time.advance(305_000)
    expect(worker.counts.endings).toEqual(['stalled'])
    expect(worker.parkedBytes()).toBe(0)
    world.search.blocked.clear()
    world.search.requests.length = 0
    const backedOff = worker.counts.backoff.get('bulk')
    await world.time.advance(60_000)
    expect(world.search.requests).toEqual([])
    expect(worker.counts.backoff.get('bulk')).toBe(backedOff)
    world.stream.read = read
    await world.time.advance(5000)
    expect(ids(world)).toEqual(['public_a/1'])
    expect(world.search.requests).toHaveLength(1)
  })

  test('a lease lost while records are parked gives their room back', async () => {
    const world = fakeWorld()
    world.search.blocked.set('public_a', BLOCK)
    world.stream.put(SHARD, insert(1, 'a'))
    const worker = world.startWorker('w1')
    await world.time.advance(3000)
    const bytes = worker.parkedBytes()
    expect(bytes).toBeGreaterThan(0)
    world.table.items.get(SHARD)!.fence!++
    await world.time.advance(10_000)
    expect(worker.counts.endings[0]).toBe('lost')
    // Those of the next tenure, which has read the record again.
    expect(worker.parkedBytes()).toBe(bytes)
  })
})

describe('an answer nobody foresaw', () => {
  const NEVER_HEARD_OF: Item = { status: 418, error: { type: 'never_heard_of' } }

  test('is met by trying again, then holds the shard, and lets it go once it is understood', async () => {
    const world = fakeWorld()
    world.search.blocked.set('public_a', NEVER_HEARD_OF)
    world.stream.put(SHARD, insert(1, 'a'))
    const worker = world.startWorker('w1')
    await world.time.advance(30_000)
    expect(worker.counts.held.size).toBe(0)
    await world.time.advance(60_000)
    expect([...worker.counts.held]).toEqual([[SHARD, 'unknown-answer']])
    expect(world.letters).toEqual([])
    world.search.blocked.clear()
    await world.time.advance(31_000)
    expect(worker.counts.held.size).toBe(0)
    expect(ids(world)).toEqual(['public_a/1'])
  })

  test('is a dead letter after that time where it is set so', async () => {
    const world = fakeWorld()
    world.search.blocked.set('public_a', NEVER_HEARD_OF)
    world.stream.put(SHARD, insert(1, 'a'))
    const last = world.stream.put(SHARD, insert(1, 'b'))
    world.startWorker('w1', { onUnknownAnswer: 'dead-letter' })
    await world.time.advance(30_000)
    expect(world.letters).toEqual([])
    await world.time.advance(60_000)
    expect(world.letters.map(({ letter }) => [letter.reason, letter.detail])).toEqual([
      ['rejected', 'unknown answer, status-418'],
    ])
    expect(world.table.items.get(SHARD)!.checkpoint).toBe(last)
  })

  test('to the request as a whole never becomes letters', async () => {
    const world = fakeWorld()
    world.stream.put(SHARD, insert(1, 'a'))
    world.search.bulk = async () => ({ kind: 'status', status: 404, type: 'no error type' })
    const worker = world.startWorker('w1', { onUnknownAnswer: 'dead-letter' })
    await world.time.advance(120_000)
    expect(world.letters).toEqual([])
    expect([...worker.counts.held]).toEqual([[SHARD, 'unknown-answer']])
  })
})
