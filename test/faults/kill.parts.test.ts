/** A worker ends in the middle of its work: killed, asked to go, or stopped for so long that another has taken over. */
import { expect, onTestFinished, test } from 'vitest'
import { LEASE_MS, openScene } from '../e2e/harness.ts'
import { covers } from '../e2e/leases.ts'
import { createLoad } from '../e2e/load.ts'
import { dmsRecord } from '../e2e/records.ts'
import { startProxy } from './proxy.ts'

const READ_ON_MS = 2_000
const ZOMBIE_ENDS_MS = 10_000

test('kill -9 of a worker under load, a bulk request applied and its answer held back: another goes on, nothing is lost', async () => {
  const scene = await openScene('kill')
  const load = createLoad(scene)
  const proxy = await startProxy(scene.parts.endpoints.opensearchUrl)
  onTestFinished(() => proxy.close())
  const other = await scene.startWorker('other')
  const victim = await scene.startWorker('victim', { OPENSEARCH_URL: proxy.url })
  await scene.untilShares([other, victim], [2, 2])
  await load.put(10)
  const running = load.start()
  await scene.until('the victim to have written', () => proxy.bulkRequests() > 2)

  const held = await proxy.holdAnswers()
  expect(held.statusLine).toBe('HTTP/1.1 200 OK')
  expect(proxy.withheld().length).toBeGreaterThan(0)
  await victim.kill()

  await scene.until(
    'the other worker to own every shard',
    async () => [...(await scene.leases.all()).values()].every(({ leaseOwner }) => leaseOwner === 'other'),
    { deadlineMs: 3 * LEASE_MS },
  )
  await running.stop()
  await scene.quiet()
  await load.expectMirrored()
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled([other])
})

test('SIGTERM under load: what is in hand is settled and checkpointed, the leases are left, exit code 0', async () => {
  const scene = await openScene('sigterm')
  const load = createLoad(scene)
  const leaving = await scene.startWorker('leaving')
  await load.put(10)
  const running = load.start()
  await scene.until('each shard to have a checkpoint', async () => {
    const leases = [...(await scene.leases.all()).values()]
    return leases.length === 4 && leases.every(({ checkpoint }) => /^\d+$/.test(checkpoint))
  })

  leaving.child.kill('SIGTERM')
  expect(await leaving.child.exited).toEqual({ code: 0, signal: null })
  await leaving.said('drained')
  const left = [...(await scene.leases.all()).values()]
  expect(left.map(({ leaseOwner, leftBy }) => ({ leaseOwner, leftBy }))).toEqual(
    left.map(() => ({ leaseOwner: undefined, leftBy: 'leaving' })),
  )
  await running.stop()
  // A drain leaves nothing written beyond the checkpoint, and nothing unwritten before it.
  await load.expectMirroredUpTo(new Map(left.map(({ leaseKey, checkpoint }) => [leaseKey, checkpoint])))

  const next = await scene.startWorker('next')
  await scene.quiet()
  await load.expectMirrored()
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled([next])
})

test('a worker that leaves frees each shard as it drains: another reads on within two seconds, though one shard still hangs', async () => {
  const scene = await openScene('handover', { shards: 8 })
  const load = createLoad(scene)
  const proxy = await startProxy(scene.parts.endpoints.opensearchUrl)
  onTestFinished(() => proxy.close())
  const leaving = await scene.startWorker('leaving', { OPENSEARCH_URL: proxy.url })
  const other = await scene.startWorker('other')
  await scene.untilShares([leaving, other], [4, 4])
  await load.put(5)
  await scene.quiet()

  const held = proxy.holdAnswers()
  const shards = await scene.stream.openShards()
  const before = await scene.leases.all()
  const hanging = scene.tableIn(
    shards.findIndex(({ shardId }) => before.get(shardId)!.leaseOwner === 'leaving'),
    'hanging',
  )
  const [put] = await scene.stream.put([
    {
      partitionKey: `${scene.schema}.${hanging}`,
      data: dmsRecord({ operation: 'insert', schema: scene.schema, table: hanging, row: '{"id":1}' }),
    },
  ])
  await held
  const leftAtMs = performance.now()
  leaving.child.kill('SIGTERM')
  await load.put(1)
  const last = load.lastPut()
  // Its own four, and three of the four that are left to it.
  await scene.until('the other worker to have read on in seven shards', async () => {
    const leases = [...(await scene.leases.all()).values()]
    return (
      leases.filter(
        ({ leaseKey, leaseOwner, checkpoint }) =>
          leaseOwner === 'other' && covers(checkpoint, last.get(leaseKey)!),
      ).length === 7
    )
  })
  expect(performance.now() - leftAtMs, 'ms from SIGTERM to the checkpoint of the other').toBeLessThan(
    READ_ON_MS,
  )
  const lease = (await scene.leases.all()).get(put!.shardId)!
  expect(lease.leaseOwner, 'owner of the shard that hangs').toBe('leaving')
  expect(covers(lease.checkpoint, put!.sequenceNumber)).toBe(false)

  proxy.release()
  expect(await leaving.child.exited).toEqual({ code: 0, signal: null })
  await scene.quiet()
  await load.expectMirrored()
  await scene.expectDocuments(hanging, { 1: '{"id":1}' })
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled([other])
})

test('a worker that stood still longer than its lease writes nothing more, and what its successor wrote stays; then it has its share again', async () => {
  const scene = await openScene('zombie')
  const load = createLoad(scene)
  const proxy = await startProxy(scene.parts.endpoints.opensearchUrl)
  const table = await startProxy(scene.parts.endpoints.dynamodbUrl)
  onTestFinished(async () => {
    await proxy.close()
    await table.close()
  })
  const zombie = await scene.startWorker('zombie', {
    OPENSEARCH_URL: proxy.url,
    AWS_ENDPOINT_URL_DYNAMODB: table.url,
  })
  const other = await scene.startWorker('other')
  await scene.untilShares([zombie, other], [2, 2])
  await load.put(5)
  await scene.quiet()
  const shardsOfZombie = [...(await scene.leases.all()).values()]
    .filter(({ leaseOwner }) => leaseOwner === 'zombie')
    .map(({ leaseKey }) => leaseKey)
  const running = load.start()

  await proxy.holdAnswers()
  zombie.child.kill('SIGSTOP')
  await scene.until(
    'the other worker to own every shard',
    async () => [...(await scene.leases.all()).values()].every(({ leaseOwner }) => leaseOwner === 'other'),
    { deadlineMs: 4 * LEASE_MS },
  )
  await running.stop()
  await scene.quiet()
  const leases = await scene.leases.all()

  // Else it would soon have its share again, by a handoff, and write with good reason.
  await table.refuse()
  const requests = proxy.bulkRequests()
  proxy.release()
  zombie.child.kill('SIGCONT')
  await zombie.said(
    'this process stood still, or its clock jumped, for longer than a lease: giving up every shard',
  )
  for (const shardId of shardsOfZombie)
    await zombie.child.line(
      line => line.includes('"shard given up"') && line.includes('"lost"') && line.includes(shardId),
      ZOMBIE_ENDS_MS,
    )
  await load.put(2)
  await scene.quiet()
  expect(proxy.bulkRequests(), 'bulk requests of the zombie').toBe(requests)
  for (const [shardId, { fence, leaseOwner }] of await scene.leases.all())
    expect({ fence, leaseOwner }).toEqual({ fence: leases.get(shardId)!.fence, leaseOwner: 'other' })
  await load.expectMirrored()

  await table.accept()
  await scene.untilShares([zombie, other], [2, 2])
  for (const { leaseKey, fence, leaseOwner } of (await scene.leases.all()).values())
    if (leaseOwner === 'zombie') expect(fence).toBeGreaterThan(leases.get(leaseKey)!.fence)
  await load.put(2)
  await scene.quiet()
  await load.expectMirrored()
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled([zombie, other])
})
