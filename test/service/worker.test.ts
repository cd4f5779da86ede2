/** Leases taken, lost and handed over, on models and by hand-moved time. */
import { describe, expect, test } from 'vitest'
import { fenceOf } from '../../src/core/version.ts'
import { fakeWorld, row } from '../fakes/service.ts'

const SHARD = 'shardId-000000000000'

describe('leases', () => {
  test('a worker creates the leases of a new stream, takes them and renews them (22)', async () => {
    const world = fakeWorld({ shards: 4 })
    const worker = world.startWorker('w1')
    await world.time.advance(60_000)
    expect(worker.heldShards()).toHaveLength(4)
    expect(
      [...world.table.items.values()].every(
        ({ leaseOwner, leaseCounter }) => leaseOwner === 'w1' && leaseCounter > 15,
      ),
    ).toBe(true)
    expect(worker.isTurning()).toBe(true)
  })

  test('the number of leases held is told as it is, before the next look sees them in the table', async () => {
    const world = fakeWorld({ shards: 4 })
    const worker = world.startWorker('w1')
    // The first look has taken them all; the next one is at least 800 ms after it.
    await world.time.advance(500)
    expect(worker.heldShards()).toHaveLength(4)
    expect(worker.counts.leasesHeld).toBe(4)
    worker.drain()
    await world.time.advance(10)
    expect(worker.counts.leasesHeld).toBe(0)
  })

  test('a drained worker leaves every lease unowned at once, with its last checkpoint (138)', async () => {
    const world = fakeWorld({ shards: 2 })
    const last = world.stream.put(SHARD, row('insert', '{"id":1}'))
    const worker = world.startWorker('w1')
    await world.time.advance(3000)
    worker.drain()
    await world.time.advance(10)
    expect(worker.isDone()).toBe(true)
    expect(worker.counts.endings).toEqual(['left', 'left'])
    for (const lease of world.table.items.values())
      expect([lease.leaseOwner, lease.leftBy]).toEqual([undefined, 'w1'])
    expect(world.table.items.get(SHARD)!.checkpoint).toBe(last)
  })

  test('a lease of a shard that drained is free while another shard of the leaving worker still hangs (P8)', async () => {
    const world = fakeWorld({ shards: 2 })
    const worker = world.startWorker('w1')
    await world.time.advance(3000)
    world.faults.bulk.push('never')
    world.stream.put(SHARD, row('insert', '{"id":1}'))
    await world.time.advance(1000)
    worker.drain()
    const second = world.startWorker('w2')
    await world.time.advance(2000)
    expect(second.heldShards()).toEqual(['shardId-000000000001'])
    expect(world.table.items.get(SHARD)!.leaseOwner).toBe('w1')
    worker.abandon()
    await world.time.advance(2000)
    expect(worker.isDone()).toBe(true)
    expect(second.heldShards()).toHaveLength(2)
    expect([...world.search.found().keys()]).toEqual(['public_t/1'])
  })

  test('every tenure begins with a higher fence: taken, taken over, and restarted under the same id', async () => {
    const world = fakeWorld()
    const fences: number[] = []
    const noteFence = () => fences.push(world.table.items.get(SHARD)!.fence!)
    const first = world.startWorker('same')
    await world.time.advance(2000)
    noteFence()
    first.abandon()
    first.drain()
    await world.time.advance(1000)
    world.startWorker('same')
    await world.time.advance(3000)
    noteFence()
    expect(fences[1]).toBeGreaterThan(fences[0]!)
  })

  test('a lease that carries our id when we start is begun anew, not renewed', async () => {
    const world = fakeWorld()
    const before = {
      leaseKey: SHARD,
      leaseOwner: 'w1',
      leaseCounter: 7,
      checkpoint: 'TRIM_HORIZON',
      ownerSwitchesSinceCheckpoint: 0,
      parentShardId: [],
      childShardIds: [],
      fence: 5,
    }
    world.table.items.set(SHARD, before)
    world.startWorker('w1')
    await world.time.advance(100)
    expect(world.table.writes).toEqual([`adopt ${SHARD} by w1`])
    expect(world.table.items.get(SHARD)!.fence).toBeGreaterThan(5)
  })

  test('a worker whose item was taken by another stops, settles nothing more and does not write it back (28, 89)', async () => {
    const world = fakeWorld()
    const worker = world.startWorker('w1')
    await world.time.advance(3000)
    const item = world.table.items.get(SHARD)!
    Object.assign(item, { leaseOwner: 'w2', leaseCounter: item.leaseCounter + 1, fence: item.fence! + 1 })
    await world.time.advance(4000)
    expect(worker.counts.endings).toEqual(['lost'])
    expect(world.table.items.get(SHARD)!.leaseOwner).toBe('w2')
  })

  test('of two processes under one worker id one fences the other out, once (F21)', async () => {
    const world = fakeWorld({ shards: 2 })
    const first = world.startWorker('same')
    await world.time.advance(3000)
    const second = world.startWorker('same')
    await world.time.advance(60_000)
    expect(first.counts.endings).toEqual(['lost', 'lost'])
    expect(second.counts.endings).toEqual([])
    expect(second.heldShards()).toHaveLength(2)
    expect(first.logs.some(({ text }) => text.includes('same WORKER_ID'))).toBe(true)
  })

  test('of two leases one is taken away: the other stays and goes on (23)', async () => {
    const world = fakeWorld({ shards: 2 })
    const worker = world.startWorker('w1')
    await world.time.advance(3000)
    const item = world.table.items.get(SHARD)!
    Object.assign(item, { leaseOwner: 'w2', leaseCounter: item.leaseCounter + 1, fence: item.fence! + 1 })
    world.stream.put('shardId-000000000001', row('insert', '{"id":1}'))
    await world.time.advance(4000)
    expect(worker.heldShards()).toEqual(['shardId-000000000001'])
    expect(world.search.found().size).toBe(1)
  })

  test('a renewal that fails is tried again with the counter as it was, and the lease is kept (33)', async () => {
    const world = fakeWorld()
    const worker = world.startWorker('w1')
    await world.time.advance(3000)
    world.faults.tableAway = true
    await world.time.advance(5000)
    world.faults.tableAway = false
    await world.time.advance(20_000)
    expect(worker.counts.endings).toEqual([])
    expect(worker.heldShards()).toEqual([SHARD])
  })

  test('an error half-way through the first sync: the next try creates only what is missing (70)', async () => {
    const world = fakeWorld({ shards: 3 })
    const { create } = world.table
    let calls = 0
    world.table.create = async lease => {
      if (++calls === 2) throw new Error('throttled')
      return create(lease)
    }
    world.startWorker('w1')
    await world.time.advance(5000)
    expect(world.table.writes.filter(write => write.startsWith('create'))).toHaveLength(3)
    expect(calls).toBe(4)
  })

  test('items that cannot be read as leases do not keep the shards behind them from getting one', async () => {
    const world = fakeWorld({ shards: 14 })
    const { create } = world.table
    const unreadable = new Set((await world.stream.listShards()).slice(0, 12).map(({ shardId }) => shardId))
    world.table.create = async lease => (unreadable.has(lease.leaseKey) ? false : create(lease))
    const worker = world.startWorker('w1')
    await world.time.advance(15_000)
    expect(worker.heldShards()).toEqual(['shardId-000000000012', 'shardId-000000000013'])
  })

  test('an item that vanished is created again only after one lease time, so its old owner has stopped (139)', async () => {
    const world = fakeWorld()
    const worker = world.startWorker('w1')
    await world.time.advance(3000)
    world.table.items.delete(SHARD)
    world.table.writes.length = 0
    await world.time.advance(9000)
    expect(world.table.items.has(SHARD)).toBe(false)
    await world.time.advance(25_000)
    expect(world.table.writes.slice(0, 2)).toEqual([`create ${SHARD} TRIM_HORIZON`, `take ${SHARD} by w1`])
    expect(worker.heldShards()).toEqual([SHARD])
  })

  test('without a successful renewal for the lease time nothing more is written, to OpenSearch or the table (30, 106)', async () => {
    const world = fakeWorld()
    const worker = world.startWorker('w1')
    await world.time.advance(3000)
    world.faults.tableAway = true
    await world.time.advance(10_500)
    world.stream.put(SHARD, row('insert', '{"id":1}'))
    await world.time.advance(500)
    expect(worker.counts.endings).toContain('lost')
    expect(world.search.found().size).toBe(0)
  })

  test('the writes of a new owner are above those of the old one (P3)', async () => {
    const world = fakeWorld()
    const bodies: string[] = []
    const bulk = world.search.bulk
    world.search.bulk = async body => {
      bodies.push(String(body))
      return bulk(body)
    }
    world.stream.put(SHARD, row('insert', '{"id":1,"v":1}'))
    const first = world.startWorker('w1')
    await world.time.advance(2000)
    first.drain()
    await world.time.advance(100)
    world.stream.put(SHARD, row('update', '{"id":1,"v":2}'))
    world.startWorker('w2')
    await world.time.advance(2000)
    const fences = bodies.map(body => fenceOf(BigInt(/"version":"(\d+)"/.exec(body)![1]!)))
    expect(fences).toHaveLength(2)
    expect(fences[1]).toBeGreaterThan(fences[0]!)
  })

  test('a process that stood still for longer than a lease destroys its sockets and gives every shard up (141)', async () => {
    const world = fakeWorld()
    const worker = world.startWorker('w1')
    await world.time.advance(3000)
    const { now } = world.time.clock
    world.time.clock.now = () => now() + 3_600_000
    await world.time.advance(1500)
    expect(worker.socketsDestroyed()).toBe(1)
    expect(worker.counts.endings).toEqual(['lost'])
  })
})

describe('handoff', () => {
  const owners = (world: ReturnType<typeof fakeWorld>) => {
    const counts: Record<string, number> = {}
    for (const { leaseOwner = 'nobody', checkpointOwner } of world.table.items.values()) {
      if (checkpointOwner === undefined) counts[leaseOwner] = (counts[leaseOwner] ?? 0) + 1
    }
    return counts
  }

  test('a second worker gets its share from the first, which drains, checkpoints and hands over', async () => {
    const world = fakeWorld({ shards: 4 })
    const last = world.stream.put(SHARD, row('insert', '{"id":1}'))
    const first = world.startWorker('w1')
    await world.time.advance(3000)
    const second = world.startWorker('w2')
    await world.time.advance(3000)
    expect(owners(world)).toEqual({ w1: 2, w2: 2 })
    expect([first.heldShards().length, second.heldShards().length]).toEqual([2, 2])
    expect(first.counts.endings).toEqual(['handed-over', 'handed-over'])
    expect(world.table.items.get(SHARD)!.checkpoint).toBe(last)
    expect(first.counts.endings).not.toContain('lost')
  })

  test('three workers on twelve shards: four each, every move by handoff (Shows 4, on models)', async () => {
    const world = fakeWorld({ shards: 12 })
    world.startWorker('w1')
    await world.time.advance(2000)
    world.startWorker('w2')
    await world.time.advance(5000)
    expect(owners(world)).toEqual({ w1: 6, w2: 6 })
    world.startWorker('w3')
    await world.time.advance(5000)
    expect(owners(world)).toEqual({ w1: 4, w2: 4, w3: 4 })
    await world.time.advance(60_000)
    expect(owners(world)).toEqual({ w1: 4, w2: 4, w3: 4 })
  })

  test('records written during a handoff are each applied, in order', async () => {
    const world = fakeWorld({ shards: 2 })
    world.startWorker('w1')
    await world.time.advance(2000)
    world.startWorker('w2')
    for (let v = 1; v <= 40; v++) {
      for (const shard of [SHARD, 'shardId-000000000001'])
        world.stream.put(shard, row('update', `{"id":"${shard}","v":${v}}`))
      await world.time.advance(100)
    }
    await world.time.advance(2000)
    expect(owners(world)).toEqual({ w1: 1, w2: 1 })
    expect([...world.search.found().values()].map(text => JSON.parse(text).v)).toEqual([40, 40])
  })

  test('a handoff whose owner hangs on OpenSearch is forced after its time, and the late write of the old owner is below', async () => {
    const world = fakeWorld({ shards: 2 })
    const first = world.startWorker('w1')
    await world.time.advance(2000)
    world.faults.bulk.push('never', 'never')
    for (const shard of [SHARD, 'shardId-000000000001'])
      world.stream.put(shard, row('insert', `{"id":"${shard}"}`))
    await world.time.advance(1000)
    const second = world.startWorker('w2')
    await world.time.advance(10_000)
    expect(second.heldShards()).toEqual([])
    await world.time.advance(25_000)
    expect(second.heldShards()).toHaveLength(1)
    expect(first.counts.endings).toEqual(['lost'])
    expect(world.search.found().size).toBeGreaterThan(0)
  })

  test('a worker that leaves while a lease is being handed to it withdraws; the lease is free when it is drained', async () => {
    const world = fakeWorld({ shards: 2 })
    world.startWorker('w1')
    await world.time.advance(2000)
    world.faults.bulk.push('never', 'never')
    for (const shard of [SHARD, 'shardId-000000000001'])
      world.stream.put(shard, row('insert', `{"id":"${shard}"}`))
    await world.time.advance(1000)
    const second = world.startWorker('w2')
    await world.time.advance(2000)
    expect([...world.table.items.values()].some(({ checkpointOwner }) => checkpointOwner === 'w1')).toBe(true)
    second.drain()
    await world.time.advance(100)
    expect(second.isDone()).toBe(true)
    expect([...world.table.items.values()].every(({ leaseOwner }) => leaseOwner !== 'w2')).toBe(true)
  })

  test('assigned by a KCL 3.x leader: a lease handed to us is honoured, one handed away is left (G11)', async () => {
    const world = fakeWorld({ shards: 1 })
    const worker = world.startWorker('w1')
    await world.time.advance(2000)
    Object.assign(world.table.items.get(SHARD)!, { leaseOwner: 'kcl', checkpointOwner: 'w1' })
    await world.time.advance(2000)
    expect(worker.counts.endings).toEqual(['handed-over'])
    expect(world.table.items.get(SHARD)).toMatchObject({ leaseOwner: 'kcl' })
    expect(world.table.items.get(SHARD)!.checkpointOwner).toBeUndefined()
    const item = world.table.items.get(SHARD)!
    Object.assign(item, { leaseOwner: 'w1', leaseCounter: item.leaseCounter + 1 })
    const fence = item.fence!
    await world.time.advance(2000)
    expect(worker.heldShards()).toEqual([SHARD])
    expect(item.fence!).toBeGreaterThan(fence)
  })
})

describe('ended shards', () => {
  test('the lease of a parent is deleted once its children have begun, and does not come back', async () => {
    const world = fakeWorld()
    world.stream.put(SHARD, row('insert', '{"id":1}'))
    const [left, right] = world.stream.split(SHARD)
    for (const child of [left!, right!]) world.stream.put(child, row('insert', `{"id":"${child}"}`))
    world.startWorker('w1')
    await world.time.advance(60_000)
    expect([...world.table.items.keys()].toSorted()).toEqual([left, right])
    expect(world.table.writes.filter(write => write.startsWith('create'))).toHaveLength(3)
  })

  test('both parents of a merge end before their child is read; it gets one lease (87)', async () => {
    const world = fakeWorld({ shards: 2 })
    for (const shard of [SHARD, 'shardId-000000000001'])
      world.stream.put(shard, row('update', '{"id":1,"v":1}'))
    const child = world.stream.merge(SHARD, 'shardId-000000000001')
    world.stream.put(child, row('update', '{"id":1,"v":2}'))
    world.startWorker('w1')
    await world.time.advance(10_000)
    const at = (write: string) => world.table.writes.indexOf(write)
    expect(world.table.writes.filter(write => write === `create ${child} TRIM_HORIZON`)).toHaveLength(1)
    for (const shard of [SHARD, 'shardId-000000000001']) {
      expect(at(`take ${child} by w1`)).toBeGreaterThan(at(`shard-end ${shard} SHARD_END`))
    }
    expect(world.search.found().get('public_t/1')).toBe('{"id":1,"v":2}')
  })

  test('a hole is mended when it was seen in three looks in a row, not before (77, 78, 79)', async () => {
    const world = fakeWorld({ shards: 2 })
    let listings = 0
    const { listShards } = world.stream
    world.stream.listShards = () => {
      listings++
      return listShards()
    }
    world.startWorker('w1')
    await world.time.advance(3000)
    const before = listings
    const item = world.table.items.get(SHARD)!
    world.table.items.delete(SHARD)
    await world.time.advance(2000)
    world.table.items.set(SHARD, item)
    await world.time.advance(1500)
    expect(listings).toBe(before)
    world.table.items.delete(SHARD)
    await world.time.advance(3500)
    expect(listings).toBeGreaterThan(before)
  })

  test('a lease that was deleted under a running worker is created by the audit, not only by the next sync (76)', async () => {
    const world = fakeWorld({ shards: 2 })
    world.startWorker('w1')
    await world.time.advance(3000)
    world.table.items.delete(SHARD)
    await world.time.advance(30_000)
    expect(world.table.items.get(SHARD)).toMatchObject({ leaseOwner: 'w1' })
  })
})
