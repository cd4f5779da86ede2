/** SIGTERM at awkward moments: while an answer never comes, a second time, while starting. */
import { expect, onTestFinished, test } from 'vitest'
import { openScene, type Scene } from '../e2e/harness.ts'
import { covers } from '../e2e/leases.ts'
import { createLoad, type Load } from '../e2e/load.ts'
import type { Worker } from '../e2e/workers.ts'
import { type HoldingProxy, startProxy } from './proxy.ts'

const DRAIN_MS = 2_000
/** From the end of the drain to the end of the process, as `run` has it, and a second for a busy machine. */
const GRACE_MS = 4_000
const AT_ONCE_MS = 3_000
/** So long that nothing can be got by waiting for its end. */
const LONG_LEASE_MS = 20_000

async function hangingWorker(
  scene: Scene,
  drainMs: number,
): Promise<{ worker: Worker; load: Load; proxy: HoldingProxy }> {
  const load = createLoad(scene)
  const proxy = await startProxy(scene.parts.endpoints.opensearchUrl)
  onTestFinished(() => proxy.close())
  const worker = await scene.startWorker('worker', {
    OPENSEARCH_URL: proxy.url,
    DRAIN_MS: String(drainMs),
  })
  await load.put(5)
  await scene.quiet()
  const held = proxy.holdAnswers()
  await load.put(2)
  await held
  return { worker, load, proxy }
}

/** It left nothing checkpointed that is unsettled, and whoever comes next finds everything. */
async function expectNothingLost(scene: Scene, load: Load): Promise<void> {
  const last = load.lastPut()
  const leases = [...(await scene.leases.all()).values()]
  // One answer at least was withheld; that shard's last record cannot be settled.
  expect(leases.some(({ leaseKey, checkpoint }) => !covers(checkpoint, last.get(leaseKey)!))).toBe(true)
  const next = await scene.startWorker('next')
  await scene.quiet()
  await load.expectMirrored()
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled([next])
}

test('SIGTERM while OpenSearch never answers: gone by the drain deadline with exit code 0, the rest not checkpointed', async () => {
  const scene = await openScene('hang')
  const { worker, load } = await hangingWorker(scene, DRAIN_MS)
  const sentAtMs = performance.now()
  worker.child.kill('SIGTERM')
  await worker.said('draining')
  expect(await worker.ready()).toMatchObject({ status: 503, wrong: ['draining'] })
  expect(await worker.child.exited).toEqual({ code: 0, signal: null })
  const tookMs = performance.now() - sentAtMs
  expect(tookMs, 'ms from SIGTERM to the end').toBeGreaterThanOrEqual(DRAIN_MS - 100)
  expect(tookMs, 'ms from SIGTERM to the end').toBeLessThan(DRAIN_MS + GRACE_MS)
  const left = [...(await scene.leases.all()).values()]
  expect(left.map(({ leaseOwner }) => leaseOwner)).toEqual([undefined, undefined, undefined, undefined])
  await expectNothingLost(scene, load)
})

test('a second SIGTERM ends the drain at once, with exit code 0', async () => {
  const scene = await openScene('twice')
  const { worker, load } = await hangingWorker(scene, 60_000)
  worker.child.kill('SIGTERM')
  await worker.said('draining')
  const sentAtMs = performance.now()
  worker.child.kill('SIGTERM')
  expect(await worker.child.exited).toEqual({ code: 0, signal: null })
  expect(performance.now() - sentAtMs, 'ms from the second SIGTERM').toBeLessThan(AT_ONCE_MS)
  await expectNothingLost(scene, load)
})

test('SIGTERM of a worker at the moment leases are handed to it: they are free at once, not when they expire', async () => {
  const scene = await openScene('withdraw')
  const load = createLoad(scene)
  const env = { LEASE_MS: String(LONG_LEASE_MS) }
  const stayer = await scene.startWorker('stayer', env)
  await scene.untilShares([stayer], [4])
  const leaving = await scene.startWorker('leaving', env)
  await leaving.said('asked for the lease, its owner drains')
  // It stands still while the owner finishes, and finds the signal before it can begin.
  leaving.child.kill('SIGSTOP')
  await scene.until('leases to be handed over', async () =>
    [...(await scene.leases.all()).values()].some(
      ({ leaseOwner, checkpointOwner }) => leaseOwner === 'leaving' && checkpointOwner === undefined,
    ),
  )
  leaving.child.kill('SIGTERM')
  leaving.child.kill('SIGCONT')
  const leftAtMs = performance.now()
  expect(await leaving.child.exited).toEqual({ code: 0, signal: null })
  await scene.untilShares([stayer], [4])
  expect(performance.now() - leftAtMs, 'ms until the other worker reads every shard').toBeLessThan(AT_ONCE_MS)
  await load.put(3)
  await scene.quiet()
  await load.expectMirrored()
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled([stayer])
})

test('a worker waits at its start for an OpenSearch that does not answer, and ends with 0 on SIGTERM meanwhile', async () => {
  const scene = await openScene('early')
  const load = createLoad(scene)
  const proxy = await startProxy(scene.parts.endpoints.opensearchUrl)
  onTestFinished(() => proxy.close())
  await proxy.refuse()
  const env = { OPENSEARCH_URL: proxy.url }
  const [first, second] = [await scene.startWorker('first', env), await scene.startWorker('second', env)]
  for (const worker of [first, second]) {
    await worker.said('OpenSearch does not answer yet, trying again')
    expect(await worker.liveStatus()).toBe(200)
    expect((await worker.ready()).status).toBe(503)
  }
  const sentAtMs = performance.now()
  first.child.kill('SIGTERM')
  expect(await first.child.exited).toEqual({ code: 0, signal: null })
  expect(performance.now() - sentAtMs, 'ms from SIGTERM').toBeLessThan(AT_ONCE_MS)

  await load.put(3)
  await proxy.accept()
  await second.said('started')
  await scene.quiet()
  await load.expectMirrored()
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled([second])
})
