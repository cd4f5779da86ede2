/** A worker ends in the middle of its work: killed, or asked to go. */
import { expect, onTestFinished, test } from 'vitest'
import { LEASE_MS, openScene } from '../e2e/harness.ts'
import { createLoad } from '../e2e/load.ts'
import { startProxy } from './proxy.ts'

test('a worker killed with a bulk request applied and unanswered: another goes on, nothing is lost', async () => {
  const scene = await openScene('kill')
  const load = createLoad(scene)
  const proxy = await startProxy(scene.parts.endpoints.opensearchUrl)
  onTestFinished(() => proxy.close())
  const victim = await scene.startWorker('victim', { OPENSEARCH_URL: proxy.url })
  await scene.until(
    'the victim to own every shard',
    async () =>
      [...(await scene.leases.all()).values()].filter(({ leaseOwner }) => leaseOwner === 'victim').length ===
      4,
  )
  const other = await scene.startWorker('other')
  await other.said('started')
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
