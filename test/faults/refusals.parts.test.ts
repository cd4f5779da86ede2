/** OpenSearch answers, and refuses: some items, whole requests, or us. */
import { expect, inject, onTestFinished, test } from 'vitest'
import { total } from '../../docker/demo/scrape.ts'
import { ask } from '../e2e/documents.ts'
import { dmsRecord } from '../e2e/records.ts'
import { seededChance } from '../simulation/chance.ts'
import type { ItemRefusal } from './bulk-proxy.ts'
import { faultMs, type Looks, openFaultScene, PAGE_RECORDS } from './fault-scene.ts'
import { startProxy } from './proxy.ts'

const ITEM_STORM_MS = faultMs(8)
const STORM_MS = faultMs(2)
const STRANGERS_MS = faultMs(1)

test('30 % of items refused with 429 for a while: only those are sent again, in order, and none is dead-lettered', async () => {
  const faults = await openFaultScene('items-429')
  const { proxy } = faults
  const chance = seededChance(429)
  let refused = 0
  proxy.inject(() => ({
    kind: 'items',
    refuse: () => {
      if (!chance.isHit(0.3)) return undefined
      refused++
      return { status: 429, type: 'rejected_execution_exception' }
    },
  }))
  await faults.lookFor(ITEM_STORM_MS, () => refused > 100)
  proxy.heal()
  await faults.expectWhole()

  const samples = await faults.worker.samples()
  expect(total(samples, 'cdc_bulk_retries_total', { reason: 'status-429' }), 'actions sent again').toBe(
    refused,
  )
  expect(
    proxy.seen().flatMap(({ actions }) => actions.filter(({ status }) => status === 409)),
    'actions sent again although OpenSearch had taken them',
  ).toEqual([])
})

test('whole requests refused, first by 503, 502, 504 and 429, then by 401 and 403 as with expired credentials: reading stops at two pages a shard, the worker stays and says so, nothing is lost or dead-lettered', async () => {
  const faults = await openFaultScene('storm')
  const { proxy, worker } = faults
  const chance = seededChance(503)
  const haveBeenMet = (statuses: readonly number[], { last }: Looks) =>
    statuses.every(status => total(last, 'cdc_bulk_requests_total', { outcome: `status-${status}` }) > 0)

  const overloaded = [503, 502, 504, 429]
  proxy.inject(() => ({ kind: 'whole', status: chance.pick(overloaded), type: 'told_by_a_proxy' }))
  // More than a page in one shard: it was full, and had to stop reading.
  await faults.lookFor(STORM_MS, looks => haveBeenMet(overloaded, looks) && looks.inFlightMost > PAGE_RECORDS)
  expect(await worker.ready()).toEqual({ status: 200, wrong: [] })

  const strangers = [401, 403]
  proxy.inject(() => ({ kind: 'whole', status: chance.pick(strangers), type: 'security_exception' }))
  proxy.refuseOthers({ status: 403, type: 'security_exception' })
  await faults.lookFor(STRANGERS_MS, looks => haveBeenMet(strangers, looks))
  expect(await worker.liveStatus()).toBe(200)
  expect(await worker.ready()).toEqual({ status: 503, wrong: ['OpenSearch does not answer'] })
  proxy.heal()
  await faults.expectWhole()
})

/** What one bulk request meets; each refusal told by the proxy once. The others are OpenSearch's own. */
const refusals: Record<string, ItemRefusal> = {
  overloaded: { status: 429, type: 'rejected_execution_exception' },
  breaker: { status: 429, type: 'circuit_breaking_exception' },
  'red but applied': { status: 503, type: 'unavailable_shards_exception', isApplied: true },
  'failed but applied': { status: 500, type: 'null_pointer_exception', isApplied: true },
  failed: { status: 500, type: 'null_pointer_exception' },
  'no right': { status: 403, type: 'security_exception' },
  'never heard of': { status: 418, type: 'never_heard_of' },
  'delete overloaded': { status: 429, type: 'rejected_execution_exception' },
  'delete red but applied': { status: 503, type: 'unavailable_shards_exception', isApplied: true },
}

test('partial failure of all kinds in one bulk request: each action by its own rule, and only what may pass is sent again', async () => {
  const stream = await startProxy(inject('parts').endpoints.kinesisUrl)
  onTestFinished(() => stream.close())
  const faults = await openFaultScene('partial', { AWS_ENDPOINT_URL_KINESIS: stream.url })
  const { proxy, scene, worker } = faults
  const { schema, parts } = scene
  const table = scene.tableIn(0, 'partial')
  const index = scene.indexOf(table)
  const put = (changes: readonly (readonly [operation: string, id: string, more?: string])[]) =>
    scene.stream.put(
      changes.map(([operation, id, more = '']) => ({
        partitionKey: `${schema}.${table}`,
        data: dmsRecord({ operation, schema, table, row: `{"id":"${id}"${more}}` }),
      })),
    )
  // The first row makes `size` an object; a text can then never be indexed there.
  await put([
    ['insert', 'object', ',"size":{"w":1}'],
    ['insert', 'gone'],
    ['insert', 'delete overloaded'],
    ['insert', 'delete red but applied'],
  ])
  await scene.quiet()
  // A later write of the same tenure, as if this worker had sent it and forgotten.
  const { shardId } = (await scene.stream.openShards())[0]!
  const { fence } = (await scene.leases.all()).get(shardId)!
  const later = (BigInt(fence) << 28n) + ((2n ** 20n) << 4n)
  await ask(
    parts.endpoints.opensearchUrl,
    'PUT',
    `/${index}/_doc/newer?version=${later}&version_type=external`,
    { body: { id: 'newer', by: 'a later write' } },
  )
  const outcomes = async () => {
    const samples = await worker.samples()
    return Object.fromEntries(
      ['indexed', 'deleted', 'superseded', 'dead_lettered'].map(outcome => [
        outcome,
        total(samples, 'cdc_records_settled_total', { shard: shardId, outcome }),
      ]),
    )
  }
  const before = await outcomes()

  // All of it in the stream before any of it is read, so that it comes as one page and leaves as one request.
  await stream.refuse()
  const told = Object.keys(refusals)
  const changes = [
    ['insert', 'good'],
    ['delete', 'gone'],
    ['delete', 'never there'],
    ['insert', 'poison', ',"size":"large"'],
    ['update', 'newer'],
    ...told.map(id => [id.startsWith('delete') ? 'delete' : 'insert', id] as const),
  ] as const
  await put(changes)
  const untold = new Set(told)
  const firstAt = proxy.seen().length
  proxy.inject(() => ({
    kind: 'items',
    refuse: ({ id }) => (untold.delete(id) ? refusals[id] : undefined),
  }))
  await stream.accept()
  await scene.quiet()

  const requests = proxy
    .seen()
    .slice(firstAt)
    .map(({ actions }) => actions.filter(action => action.index === index).map(({ id }) => id))
    .filter(ids => ids.length > 0)
  expect(requests[0], 'actions of the first request').toEqual(changes.map(([, id]) => id))
  expect(requests.slice(1).flat().sort(), 'actions sent again').toEqual(told.toSorted())
  expect(await scene.queue.letters()).toMatchObject([{ reason: 'rejected', index, id: 'poison' }])
  const deletes = told.filter(id => id.startsWith('delete')).length
  const after = await outcomes()
  expect(
    Object.fromEntries(Object.entries(after).map(([outcome, n]) => [outcome, n - before[outcome]!])),
  ).toEqual({
    // One more: the marker of `quiet`.
    indexed: 1 + told.length - deletes + 1,
    deleted: 2 + deletes,
    superseded: 1,
    dead_lettered: 1,
  })
  await scene.expectDocuments(table, {
    object: '{"id":"object","size":{"w":1}}',
    good: '{"id":"good"}',
    newer: '{"id":"newer","by":"a later write"}',
    ...Object.fromEntries(told.filter(id => !id.startsWith('delete')).map(id => [id, `{"id":"${id}"}`])),
  })
  await scene.expectSettled([worker])
})
