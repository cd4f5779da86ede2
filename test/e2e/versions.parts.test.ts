/** Settled before checkpoint, and no stale write wins: what the lease items and the documents' versions must show. */
import { expect, onTestFinished, test } from 'vitest'
import { startProxy } from '../faults/proxy.ts'
import { documentOf } from './documents.ts'
import { openScene, type Scene } from './harness.ts'
import { covers } from './leases.ts'
import { createLoad } from './load.ts'
import { type DmsRecord, dmsRecord } from './records.ts'
import type { PutRecord } from './stream.ts'

/** Versions of one tenure lie within this of each other; the fence is what stands above. */
const FENCE_UNIT = 2n ** 28n

async function putOne(
  scene: Scene,
  record: Omit<DmsRecord, 'schema'>,
  partitionKey: string,
): Promise<PutRecord> {
  const [put] = await scene.stream.put([
    { partitionKey, data: dmsRecord({ schema: scene.schema, ...record }) },
  ])
  return put!
}

test('while the answer to a bulk request is withheld no checkpoint passes its records; once it is there, they do', async () => {
  const scene = await openScene('withheld')
  const load = createLoad(scene)
  const proxy = await startProxy(scene.parts.endpoints.opensearchUrl)
  onTestFinished(() => proxy.close())
  const worker = await scene.startWorker('worker', { OPENSEARCH_URL: proxy.url })
  await load.put(5)
  await scene.quiet()

  const held = proxy.holdAnswers()
  await load.put(1)
  const last = load.lastPut()
  await held
  // Every shard has one change of a table of its own: wait until each of them is applied, and none acknowledged.
  await scene.until('OpenSearch to have applied all of it', () =>
    load.expectMirrored().then(
      () => true,
      () => false,
    ),
  )
  const leases = async () => [...(await scene.leases.all()).values()]
  const before = await leases()
  await scene.until('each lease to be renewed twice', async () => {
    const now = await leases()
    for (const { leaseKey, checkpoint } of now)
      expect(covers(checkpoint, last.get(leaseKey)!), `${leaseKey} has passed a withheld record`).toBe(false)
    return now.every(
      ({ leaseKey, leaseCounter }) =>
        leaseCounter >= before.find(lease => lease.leaseKey === leaseKey)!.leaseCounter + 2,
    )
  })
  expect(proxy.withheld().map(({ statusLine }) => statusLine)).toContain('HTTP/1.1 200 OK')

  proxy.release()
  await scene.until('each checkpoint to cover the last record', async () =>
    (await leases()).every(({ leaseKey, checkpoint }) => covers(checkpoint, last.get(leaseKey)!)),
  )
  await scene.quiet()
  await load.expectMirrored()
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled([worker])
})

test('a checkpoint does not pass a dead letter that the queue has not confirmed', async () => {
  const scene = await openScene('unconfirmed')
  const load = createLoad(scene)
  const proxy = await startProxy(scene.parts.endpoints.sqsUrl)
  onTestFinished(() => proxy.close())
  const queueUrl = new URL(scene.queueUrl)
  const worker = await scene.startWorker('worker', {
    DEAD_LETTER_QUEUE_URL: `${proxy.url}${queueUrl.pathname}`,
  })
  await load.put(2)
  await scene.quiet()

  await proxy.refuse()
  const [bad] = await scene.stream.put([
    { partitionKey: `${scene.schema}.${scene.tables[0]}`, data: 'not JSON' },
  ])
  await load.put(2)
  await worker.said('dead-letter queue did not confirm, trying again; the shard waits')
  const lease = async () => (await scene.leases.all()).get(bad!.shardId)!
  const { leaseCounter } = await lease()
  await scene.until('the lease to be renewed twice', async () => {
    const now = await lease()
    expect(covers(now.checkpoint, bad!.sequenceNumber), 'checkpoint covers the unconfirmed letter').toBe(
      false,
    )
    return now.leaseCounter >= leaseCounter + 2
  })

  await proxy.accept()
  await scene.quiet()
  await load.expectMirrored()
  expect(
    (await scene.queue.letters()).map(({ reason, sequenceNumber }) => ({ reason, sequenceNumber })),
  ).toEqual([{ reason: 'not-json', sequenceNumber: bad!.sequenceNumber }])
  await scene.expectDataInShards()
  await scene.expectSettled([worker])
})

test('versions of a document strictly rise, also over a takeover, whose fence is higher', async () => {
  const scene = await openScene('versions')
  const load = createLoad(scene)
  const table = scene.tableIn(0, 'versioned')
  const versionOf = async (name: string): Promise<bigint> => {
    const row = `{"id":1,"name":"${name}"}`
    await putOne(scene, { operation: 'update', table, row }, `${scene.schema}.${table}`)
    const found = await scene.until(`the document to be ${name}`, async () => {
      const document = await documentOf(scene.parts.endpoints.opensearchUrl, scene.indexOf(table), '1')
      return document?.text === row && document
    })
    return found.version
  }
  const fenceOfShard = async (shardId: string): Promise<number> =>
    (await scene.leases.all()).get(shardId)!.fence
  const shardId = (await scene.stream.openShards())[0]!.shardId
  const first = await scene.startWorker('first')
  await load.put(3)
  const before = [await versionOf('a'), await versionOf('b')]
  const fenceBefore = await fenceOfShard(shardId)
  await first.kill()
  const second = await scene.startWorker('second')
  const after = [await versionOf('c'), await versionOf('d')]
  const fenceAfter = await fenceOfShard(shardId)

  const versions = [...before, ...after]
  expect(versions.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(versions)
  expect(new Set(versions).size).toBe(versions.length)
  expect(fenceAfter).toBeGreaterThan(fenceBefore)
  expect(before.map(version => Number(version / FENCE_UNIT))).toEqual([fenceBefore, fenceBefore])
  expect(after.map(version => Number(version / FENCE_UNIT))).toEqual([fenceAfter, fenceAfter])
  await scene.quiet()
  await load.expectMirrored()
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled([second])
})

test('a load partitioned by key never overwrites a change of its table, in whatever order the two shards are read', async () => {
  const scene = await openScene('loads')
  const load = createLoad(scene)
  const table = scene.tableIn(0, 'loaded')
  const shards = await scene.stream.openShards()
  /** Ids whose loads fall into another shard than the changes of the table. */
  const ids: number[] = []
  const probes = await scene.stream.put(
    Array.from({ length: 12 }, (_, id) => ({
      partitionKey: String(id),
      data: dmsRecord({
        operation: 'load',
        schema: scene.schema,
        table,
        row: `{"id":${id},"name":"loaded"}`,
        partitionKeyType: 'primary-key',
      }),
    })),
  )
  for (const [id, { shardId }] of probes.entries()) if (shardId !== shards[0]!.shardId) ids.push(id)
  expect(ids.length).toBeGreaterThanOrEqual(4)
  const [changedAfter, deletedAfter, changedBefore, deletedBefore] = ids as [number, number, number, number]
  const change = (operation: 'update' | 'delete', id: number): Promise<PutRecord> =>
    putOne(scene, { operation, table, row: `{"id":${id},"name":"changed"}` }, `${scene.schema}.${table}`)
  const worker = await scene.startWorker('worker')
  await load.put(1)
  await scene.quiet()
  await change('update', changedAfter)
  await change('delete', deletedAfter)
  await change('update', changedBefore)
  await change('delete', deletedBefore)
  await scene.quiet()
  // The same loads once more: a reload, or a shard that is read late.
  for (const id of [changedBefore, deletedBefore]) {
    await putOne(
      scene,
      {
        operation: 'load',
        table,
        row: `{"id":${id},"name":"loaded late"}`,
        partitionKeyType: 'primary-key',
      },
      String(id),
    )
  }
  await scene.quiet()

  const expected: Record<string, string> = {}
  for (const id of probes.keys()) expected[id] = `{"id":${id},"name":"loaded"}`
  for (const id of [changedAfter, changedBefore]) expected[id] = `{"id":${id},"name":"changed"}`
  for (const id of [deletedAfter, deletedBefore]) delete expected[id]
  await scene.expectDocuments(table, expected)
  await load.expectMirrored()
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled([worker])
})
