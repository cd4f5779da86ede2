/** OpenSearch goes away and comes back. */
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { total } from '../../docker/demo/scrape.ts'
import { openScene } from '../e2e/harness.ts'
import { createLoad } from '../e2e/load.ts'
import { booksOf, residentBytes } from '../e2e/workers.ts'
import { startProxy } from './proxy.ts'

const AWAY_MS = 30_000
const PAGE_RECORDS = 40
/** A page being written and one read ahead. */
const IN_FLIGHT_MAX = 2 * PAGE_RECORDS
/**
 * What a worker may grow while it waits: garbage not yet collected, half of what it needs idle. The records of this test
 * are less than that, so the sharp bound here is the one on records in flight.
 */
const GROWTH_BYTES_MAX = 64 * 1024 * 1024

test('OpenSearch stopped and started under load, away for 30 s: reading stops, memory is flat, nothing is lost or dead-lettered', async () => {
  const scene = await openScene('away')
  const load = createLoad(scene)
  const worker = await scene.startWorker('worker', { GET_RECORDS_LIMIT: String(PAGE_RECORDS) })
  await load.put(10)
  await scene.quiet()
  const before = residentBytes(await worker.samples())

  await scene.parts.stopPart('opensearch')
  onTestFinished(() => scene.parts.startPart('opensearch'))
  const backAtMs = performance.now() + AWAY_MS
  // More for each shard than the worker may have in flight.
  while (load.recordsPut() < 4 * 4 * PAGE_RECORDS) await load.put(5)
  await scene.until('the worker to be full', async () =>
    booksOf(await worker.samples()).some(({ inFlight }) => inFlight > PAGE_RECORDS),
  )
  const checkpoints = async (): Promise<string[]> =>
    [...(await scene.leases.all()).values()]
      .map(({ leaseKey, checkpoint }) => `${leaseKey} ${checkpoint}`)
      .sort()
  const checkpointsAway = await checkpoints()
  let highest = before
  while (performance.now() < backAtMs) {
    const samples = await worker.samples()
    highest = Math.max(highest, residentBytes(samples))
    for (const { shard, read, settled, inFlight } of booksOf(samples)) {
      expect(inFlight, `records in flight of ${shard}`).toBeLessThanOrEqual(IN_FLIGHT_MAX)
      expect(settled + inFlight, `settled + in flight of ${shard}`).toBe(read)
    }
    expect(total(samples, 'cdc_leases_held'), 'leases held while OpenSearch is away').toBe(4)
    await pause(250)
  }
  expect(await checkpoints()).toEqual(checkpointsAway)
  expect(await worker.liveStatus()).toBe(200)
  expect(await worker.ready()).toEqual({ status: 503, wrong: ['OpenSearch does not answer'] })
  expect(highest - before, 'growth of resident memory in bytes').toBeLessThan(GROWTH_BYTES_MAX)

  const running = load.start()
  await scene.parts.startPart('opensearch')
  await running.stop()
  await scene.quiet()
  await load.expectMirrored()
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled([worker])
})

test('connections to OpenSearch break and are refused under load: the worker comes back by itself, nothing is lost', async () => {
  const scene = await openScene('refused')
  const load = createLoad(scene)
  const proxy = await startProxy(scene.parts.endpoints.opensearchUrl)
  onTestFinished(() => proxy.close())
  const worker = await scene.startWorker('worker', { OPENSEARCH_URL: proxy.url })
  await load.put(10)
  const running = load.start()
  await scene.until('the worker to have written', () => proxy.bulkRequests() > 2)

  // With an answer held back the break comes at the worst moment: the request is applied and the worker cannot know.
  await proxy.holdAnswers()
  await proxy.refuse()
  await scene.until(
    'the worker to have been refused',
    async () => total(await worker.samples(), 'cdc_bulk_requests_total', { outcome: 'connection' }) > 2,
  )
  proxy.release()
  await proxy.accept()

  await running.stop()
  await scene.quiet()
  await load.expectMirrored()
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled([worker])
})
