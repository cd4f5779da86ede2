/** Shards are split and merged while records keep coming. */
import { expect, onTestFinished, test } from 'vitest'
import type { ShardRange } from '../../docker/demo/marker.ts'
import { startProxy } from '../faults/proxy.ts'
import { createFeed } from './feed.ts'
import { openScene, type Scene } from './harness.ts'
import type { LeaseItem, Leases } from './leases.ts'
import { createLoad } from './load.ts'

const RESHARDED_MS = 40_000

/**
 * Fails where a child has an owner before each of its parents was seen at SHARD_END: it would be read too early. An ended
 * parent may be deleted later, so what was seen is kept.
 */
function createLineage(): { look(leases: Awaited<ReturnType<Leases['all']>>): void } {
  const ended = new Set<string>()
  return {
    look(leases) {
      for (const { leaseKey, checkpoint } of leases.values())
        if (checkpoint === 'SHARD_END') ended.add(leaseKey)
      for (const { leaseKey, leaseOwner, parentShardId } of leases.values()) {
        if (leaseOwner === undefined) continue
        const open = [...(parentShardId ?? [])].filter(parent => !ended.has(parent))
        expect(open, `parents of ${leaseKey}, which has an owner, that are not at SHARD_END`).toEqual([])
      }
    },
  }
}

async function inHashOrder(scene: Scene): Promise<ShardRange[]> {
  const open = await scene.stream.openShards()
  return open.sort((a, b) => (BigInt(a.startingHashKey) < BigInt(b.startingHashKey) ? -1 : 1))
}

test('a shard split under load: each parent ends before its children are read, and nothing is lost or out of order', async () => {
  const scene = await openScene('split')
  const load = createLoad(scene)
  const workers = [await scene.startWorker('worker-1'), await scene.startWorker('worker-2')]
  await load.put(5)
  await scene.quiet()
  const running = load.start()
  const lineage = createLineage()
  const parents = (await scene.stream.openShards()).slice(0, 2)
  for (const parent of parents) await scene.stream.split(parent)
  const children = (await scene.stream.openShards()).filter(
    ({ shardId }) => !(shardId in Object.fromEntries(parents.map(parent => [parent.shardId, parent]))),
  )
  await scene.until('the leases of the children to be taken', async () => {
    const leases = await scene.leases.all()
    lineage.look(leases)
    return children.every(({ shardId }) => leases.get(shardId)?.leaseOwner !== undefined)
  })
  await load.put(5)
  await running.stop()
  await scene.quiet()
  await load.expectMirrored()

  const leases = await scene.leases.all()
  for (const { shardId } of parents) {
    const own = [...leases.values()].filter(lease => lease.parentShardId?.has(shardId))
    expect(own).toHaveLength(2)
    const parent = leases.get(shardId)!
    expect(parent.checkpoint).toBe('SHARD_END')
    expect([...(parent.childShardIds ?? [])].sort()).toEqual(own.map(lease => lease.leaseKey).sort())
    for (const child of own) expect(child.fence).toBeGreaterThan(parent.fence)
  }
  const written = new Set((await scene.stream.readAll()).map(({ shardId }) => shardId))
  expect(children.filter(({ shardId }) => written.has(shardId)).length).toBeGreaterThanOrEqual(2)
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled(workers)
})

test('split and merge under load, two reshards in a row: parents end before children start, per-row order kept, final documents equal', async () => {
  const scene = await openScene('reshard')
  const load = createLoad(scene)
  // Its tables lie in the same shards as those of the load.
  const feed = createFeed({
    ...scene,
    tables: scene.tables.map((_, shard) => scene.tableIn(shard, 'fed')),
    opensearchUrl: scene.parts.endpoints.opensearchUrl,
  })
  onTestFinished(() => feed.close())
  const workers = [await scene.startWorker('worker-1'), await scene.startWorker('worker-2')]
  await load.put(5)
  await feed.put()
  await scene.quiet()
  const running = load.start()
  feed.start()
  const lineage = createLineage()

  const [first, second, , fourth] = await inHashOrder(scene)
  await scene.stream.split(first!)
  await scene.stream.split(second!)
  // Now in hash order: two children of the first, two of the second, the third and the fourth.
  const [oldest, left, right] = await inHashOrder(scene)
  await scene.stream.merge(left!, right!)
  await scene.stream.split(oldest!)
  await scene.stream.split(fourth!)

  const open = await inHashOrder(scene)
  expect(open).toHaveLength(7)
  await scene.until(
    'every open shard to have an owner',
    async () => {
      const leases = await scene.leases.all()
      lineage.look(leases)
      return open.every(({ shardId }) => {
        const lease = leases.get(shardId)
        return lease?.leaseOwner !== undefined && lease.checkpointOwner === undefined
      })
    },
    { deadlineMs: RESHARDED_MS },
  )
  await load.put(5)
  await running.stop()
  await feed.stop()
  await feed.untilSeen()
  await scene.quiet()
  await load.expectMirrored()
  expect(feed.disorder(), 'rows that were seen to go back').toEqual([])

  const leases = await scene.leases.all()
  const merged = [...leases.values()].filter(lease => lease.parentShardId?.size === 2)
  expect(merged.map(lease => [...lease.parentShardId!].sort())).toEqual([
    [left!.shardId, right!.shardId].sort(),
  ])
  for (const lease of leases.values()) {
    for (const parent of lease.parentShardId ?? []) {
      const fence = leases.get(parent)?.fence
      if (fence !== undefined) expect(lease.fence, `fence of ${lease.leaseKey}`).toBeGreaterThan(fence)
    }
  }
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled(workers)
})

test('a parent whose last bulk request is unanswered does not end, and its children are not read meanwhile', async () => {
  const scene = await openScene('split-held')
  const load = createLoad(scene)
  const proxy = await startProxy(scene.parts.endpoints.opensearchUrl)
  onTestFinished(() => proxy.close())
  const worker = await scene.startWorker('worker', { OPENSEARCH_URL: proxy.url })
  await load.put(5)
  await scene.quiet()
  const parents = await scene.stream.openShards()
  const ownLeases = async (): Promise<LeaseItem[]> => {
    const leases = await scene.leases.all()
    return parents.map(({ shardId }) => leases.get(shardId)!)
  }
  const untilRenewed = async (): Promise<void> => {
    const before = await ownLeases()
    await scene.until('the leases of the parents to be renewed twice', async () => {
      const leases = await scene.leases.all()
      for (const { leaseKey, checkpoint, leaseOwner } of leases.values()) {
        if (parents.some(({ shardId }) => shardId === leaseKey)) expect(checkpoint).not.toBe('SHARD_END')
        else expect(leaseOwner, `owner of ${leaseKey}, whose parent is not done`).toBeUndefined()
      }
      const now = await ownLeases()
      return now.every(({ leaseCounter }, at) => leaseCounter >= before[at]!.leaseCounter + 2)
    })
  }
  const oneWithheldInEachShard = (): boolean => proxy.withheld().length === parents.length

  void proxy.holdAnswers()
  await load.put(1)
  await scene.until('an answer to be withheld for each shard', oneWithheldInEachShard)
  // By then the next page is read ahead, and empty. What is put now comes in one page with the end of the shard.
  await untilRenewed()
  await load.put(2)
  for (const parent of parents) await scene.stream.split(parent)
  await load.put(5)
  proxy.release()
  void proxy.holdAnswers()
  await scene.until('an answer to be withheld for the last page of each shard', oneWithheldInEachShard)
  await untilRenewed()

  proxy.release()
  await scene.quiet()
  await load.expectMirrored()
  expect((await ownLeases()).map(({ checkpoint }) => checkpoint)).toEqual(parents.map(() => 'SHARD_END'))
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled([worker])
})
