/** Shards are split while records keep coming. */
import { expect, onTestFinished, test } from 'vitest'
import { startProxy } from '../faults/proxy.ts'
import { openScene } from './harness.ts'
import type { LeaseItem } from './leases.ts'
import { createLoad } from './load.ts'

test('a shard split under load: each parent ends before its children are read, and nothing is lost or out of order', async () => {
  const scene = await openScene('split')
  const load = createLoad(scene)
  const workers = [await scene.startWorker('worker-1'), await scene.startWorker('worker-2')]
  await load.put(5)
  await scene.quiet()
  const running = load.start()
  const parents = (await scene.stream.openShards()).slice(0, 2)
  for (const parent of parents) await scene.stream.split(parent)
  const children = (await scene.stream.openShards()).filter(
    ({ shardId }) => !(shardId in Object.fromEntries(parents.map(parent => [parent.shardId, parent]))),
  )
  await scene.until('the leases of the children to be taken', async () => {
    const leases = await scene.leases.all()
    // A child that has an owner while its parent is not done would be read too early.
    for (const lease of leases.values()) {
      if (lease.leaseOwner === undefined) continue
      for (const parent of lease.parentShardId ?? [])
        expect(leases.get(parent)?.checkpoint, `checkpoint of ${parent}, parent of ${lease.leaseKey}`).toBe(
          'SHARD_END',
        )
    }
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
  const owners = new Set([...leases.values()].map(({ leaseOwner }) => leaseOwner))
  await scene.expectSettled(workers.filter(({ id }) => owners.has(id)))
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
