/** Every way a tenure can begin: each by a write that raises the fence (rule 1.2.3), before any record is read. */
import { describe, expect, test } from 'vitest'
import { fakeWorld, row } from '../fakes/service.ts'

const SHARD = 'shardId-000000000000'

type World = ReturnType<typeof fakeWorld>

const fenceOf = (world: World, shard = SHARD) => world.table.items.get(shard)!.fence!

async function heldByFirst(shards = 1): Promise<{ world: World; first: ReturnType<World['startWorker']> }> {
  const world = fakeWorld({ shards })
  const first = world.startWorker('w1')
  await world.time.advance(2000)
  return { world, first }
}

describe('a tenure begins with a raised fence', () => {
  test('when a free lease is taken', async () => {
    const { world, first } = await heldByFirst()
    first.drain()
    await world.time.advance(500)
    const before = fenceOf(world)
    world.startWorker('w2')
    await world.time.advance(2000)
    expect(fenceOf(world)).toBeGreaterThan(before)
    expect(world.table.writes).toContain(`take ${SHARD} by w2`)
  })

  test('when an expired lease is stolen', async () => {
    const { world } = await heldByFirst()
    const item = world.table.items.get(SHARD)!
    Object.assign(item, { leaseOwner: 'dead', leaseCounter: item.leaseCounter + 1, fence: item.fence! + 1 })
    const before = fenceOf(world)
    await world.time.advance(12_000)
    expect(item.leaseOwner).toBe('w1')
    expect(fenceOf(world)).toBeGreaterThan(before)
  })

  test('when a handoff is received', async () => {
    const { world } = await heldByFirst(2)
    const before = new Map([...world.table.items].map(([key, { fence }]) => [key, fence!]))
    const second = world.startWorker('w2')
    await world.time.advance(3000)
    const [received] = second.heldShards()
    expect(fenceOf(world, received)).toBeGreaterThan(before.get(received!)!)
  })

  test('when a handoff that hangs is forced', async () => {
    const { world } = await heldByFirst(2)
    world.faults.bulk.push('never', 'never')
    for (const shard of world.table.items.keys()) world.stream.put(shard, row('insert', `{"id":"${shard}"}`))
    await world.time.advance(1000)
    const before = new Map([...world.table.items].map(([key, { fence }]) => [key, fence!]))
    const second = world.startWorker('w2')
    await world.time.advance(35_000)
    const [forced] = second.heldShards()
    expect(world.table.writes).toContain(`force ${forced} by w2`)
    expect(fenceOf(world, forced)).toBeGreaterThan(before.get(forced!)!)
  })

  test('when a KCL leader assigns a lease to us', async () => {
    const world = fakeWorld()
    const theirs = {
      leaseKey: SHARD,
      leaseOwner: 'kcl',
      leaseCounter: 5,
      checkpoint: 'TRIM_HORIZON',
      ownerSwitchesSinceCheckpoint: 0,
    }
    world.table.items.set(SHARD, { ...theirs, parentShardId: [], childShardIds: [], fence: 7 })
    world.startWorker('w1')
    await world.time.advance(500)
    Object.assign(world.table.items.get(SHARD)!, { leaseOwner: 'w1', leaseCounter: 6 })
    await world.time.advance(2000)
    expect(world.table.writes).toContain(`adopt ${SHARD} by w1`)
    expect(fenceOf(world)).toBeGreaterThan(7)
  })

  test('when a process starts again under the id it had (trace T3)', async () => {
    const { world } = await heldByFirst()
    const before = fenceOf(world)
    const again = world.startWorker('w1')
    await world.time.advance(2000)
    expect(again.heldShards()).toEqual([SHARD])
    expect(fenceOf(world)).toBeGreaterThan(before)
  })

  test('when a consumer begins again in the same process', async () => {
    const { world, first } = await heldByFirst()
    const before = fenceOf(world)
    world.faults.tableAway = true
    await world.time.advance(11_000)
    expect(first.counts.endings).toEqual(['lost'])
    world.faults.tableAway = false
    await world.time.advance(3000)
    expect(first.heldShards()).toEqual([SHARD])
    expect(fenceOf(world)).toBeGreaterThan(before)
  })
})
