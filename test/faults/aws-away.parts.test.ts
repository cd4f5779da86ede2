/** The lease table or the stream cannot be reached for a while. */
import { expect, onTestFinished, test } from 'vitest'
import { total } from '../../docker/demo/scrape.ts'
import { LEASE_MS, openScene } from '../e2e/harness.ts'
import { createLoad } from '../e2e/load.ts'
import { startProxy } from './proxy.ts'

test('the lease table away for longer than a lease: nothing is written once the lease may be over, nothing is lost', async () => {
  const scene = await openScene('no-leases')
  const load = createLoad(scene)
  const search = await startProxy(scene.parts.endpoints.opensearchUrl)
  const table = await startProxy(scene.parts.endpoints.dynamodbUrl)
  onTestFinished(async () => {
    await search.close()
    await table.close()
  })
  const worker = await scene.startWorker('worker', {
    OPENSEARCH_URL: search.url,
    AWS_ENDPOINT_URL_DYNAMODB: table.url,
  })
  await load.put(5)
  await scene.quiet()
  const fences = async () => [...(await scene.leases.all()).values()].map(({ fence }) => fence)
  const before = await fences()
  const running = load.start()

  await table.refuse()
  const refusedAtMs = performance.now()
  await scene.until('the last lease to be over', () => performance.now() - refusedAtMs > LEASE_MS)
  const written = search.bulkRequests()
  await scene.until(
    'the worker to hold no lease',
    async () => total(await worker.samples(), 'cdc_lease_events_total', { event: 'lost' }) === 4,
  )
  await load.put(5)
  expect(await worker.liveStatus()).toBe(200)
  expect(search.bulkRequests(), 'bulk requests after the lease time').toBe(written)

  await table.accept()
  await running.stop()
  await scene.quiet()
  const after = await fences()
  expect(Math.min(...after), 'fences of the new tenures').toBeGreaterThan(Math.max(...before))
  await load.expectMirrored()
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled([worker])
})

test('the lease table away for less than a lease: the worker keeps its leases and goes on', async () => {
  const scene = await openScene('blink')
  const load = createLoad(scene)
  const table = await startProxy(scene.parts.endpoints.dynamodbUrl)
  onTestFinished(() => table.close())
  const worker = await scene.startWorker('worker', {
    AWS_ENDPOINT_URL_DYNAMODB: table.url,
    LEASE_MS: '10000',
  })
  await load.put(5)
  await scene.quiet()
  const fences = async () =>
    [...(await scene.leases.all()).values()].map(({ leaseKey, fence }) => `${leaseKey} ${fence}`)
  const before = await fences()
  const running = load.start()
  await table.refuse()
  await worker.said('lease table did not take a write, trying again')
  await table.accept()
  await running.stop()
  await scene.quiet()
  expect(await fences()).toEqual(before)
  await load.expectMirrored()
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled([worker])
})

test('the stream away under load: reading goes on where it was, the leases are kept, nothing is lost', async () => {
  const scene = await openScene('no-stream')
  const load = createLoad(scene)
  const stream = await startProxy(scene.parts.endpoints.kinesisUrl)
  onTestFinished(() => stream.close())
  const worker = await scene.startWorker('worker', { AWS_ENDPOINT_URL_KINESIS: stream.url })
  await load.put(5)
  await scene.quiet()
  const fences = async () =>
    [...(await scene.leases.all()).values()].map(({ leaseKey, fence }) => `${leaseKey} ${fence}`)
  const before = await fences()
  const running = load.start()
  await stream.refuse()
  await scene.until(
    'reads of every shard to have failed',
    async () => total(await worker.samples(), 'cdc_getrecords_total', { outcome: 'failed' }) >= 8,
  )
  expect(await worker.liveStatus()).toBe(200)
  await stream.accept()
  await running.stop()
  await scene.quiet()
  expect(await fences()).toEqual(before)
  await load.expectMirrored()
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled([worker])
})
