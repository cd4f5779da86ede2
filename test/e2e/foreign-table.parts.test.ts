/**
 * A lease table that the Kinesis Client Library left behind.
 *
 * The items are as KCL 2.7.2, 3.0.3 and 3.5.1 wrote them, attribute for attribute; only the checkpoints of owned leases
 * are numbers of the test's own stream, since reading goes on there.
 */
import { type AttributeValue, DynamoDBClient, PutItemCommand, ScanCommand } from '@aws-sdk/client-dynamodb'
import { expect, onTestFinished, test } from 'vitest'
import { total } from '../../docker/demo/scrape.ts'
import { CREDENTIALS, REGION } from '../../docker/local/aws-clients.ts'
import { createFeed } from './feed.ts'
import { LEASE_MS, openScene } from './harness.ts'

type Item = Record<string, AttributeValue>

/** Leases of the test's stream of four shards. @param checkpoint by shard id */
const leases = (checkpoint: (shardId: string) => string): Item[] => [
  // KCL 3.5.1 at work.
  {
    leaseKey: { S: 'shardId-000000000000' },
    leaseOwner: { S: 'node1' },
    leaseCounter: { N: '115' },
    checkpoint: { S: checkpoint('shardId-000000000000') },
    checkpointSubSequenceNumber: { N: '0' },
    ownerSwitchesSinceCheckpoint: { N: '0' },
    throughputKBps: { N: '0.556804' },
    entityType: { S: 'LEASE' },
    startingHashKey: { S: '0' },
    endingHashKey: { S: '85070591730234615865843651857942052862' },
  },
  // KCL 2.7.2 right after creation: nobody has read it.
  {
    leaseKey: { S: 'shardId-000000000001' },
    leaseCounter: { N: '0' },
    checkpoint: { S: 'TRIM_HORIZON' },
    checkpointSubSequenceNumber: { N: '0' },
    ownerSwitchesSinceCheckpoint: { N: '0' },
    startingHashKey: { S: '85070591730234615865843651857942052863' },
    endingHashKey: { S: '170141183460469231731687303715884105725' },
  },
  // KCL 3.0.3 at work.
  {
    leaseKey: { S: 'shardId-000000000002' },
    leaseOwner: { S: 'w1' },
    leaseCounter: { N: '63' },
    checkpoint: { S: checkpoint('shardId-000000000002') },
    checkpointSubSequenceNumber: { N: '0' },
    ownerSwitchesSinceCheckpoint: { N: '0' },
    throughputKBps: { N: '0.0' },
    startingHashKey: { S: '170141183460469231731687303715884105726' },
    endingHashKey: { S: '255211775190703847597530955573826158588' },
  },
  // KCL 2.7.2 at work.
  {
    leaseKey: { S: 'shardId-000000000003' },
    leaseOwner: { S: 'w2' },
    leaseCounter: { N: '41' },
    checkpoint: { S: checkpoint('shardId-000000000003') },
    checkpointSubSequenceNumber: { N: '0' },
    ownerSwitchesSinceCheckpoint: { N: '1' },
    startingHashKey: { S: '255211775190703847597530955573826158589' },
    endingHashKey: { S: '340282366920938463463374607431768211455' },
  },
]

/** Nobody's but KCL's: not one byte of them may change. */
const FOREIGN: Item[] = [
  {
    leaseKey: { S: 'Leader' },
    ownerName: { S: 'w1' },
    recordVersionNumber: { S: 'eb406571-404f-4721-9caa-ea146118a7c9' },
    leaseDuration: { S: '120000' },
    entityType: { S: 'LEADER' },
  },
  {
    leaseKey: { S: 'Migration3.0' },
    cv: { S: 'CLIENT_VERSION_3X' },
    mb: { S: 'w1' },
    mts: { N: '1795502880340' },
    h: {
      L: [{ M: { cv: { S: 'CLIENT_VERSION_INIT' }, mb: { S: 'w1' }, mts: { N: '1795502880337' } } }],
    },
    entityType: { S: 'CLIENT_VERSION_MIGRATION' },
  },
  {
    leaseKey: { S: 'w1' },
    lut: { N: '1795502922' },
    slu: { N: '1795502922' },
    sup: { N: '1' },
    sts: { M: {} },
    opr: { M: {} },
    entityType: { S: 'WORKER_METRIC_STATS' },
  },
  // KCL 3.5.1 in multi-stream mode, and the same of 2.x: leases of another application's streams.
  {
    leaseKey: { S: '000000000000:interop:1795503350:shardId-000000000002' },
    streamName: { S: '000000000000:interop:1795503350' },
    shardId: { S: 'shardId-000000000002' },
    leaseOwner: { S: 'mm1' },
    leaseCounter: { N: '34' },
    checkpoint: { S: '49680514139866652216000418892512495035491889615455911970' },
    checkpointSubSequenceNumber: { N: '0' },
    ownerSwitchesSinceCheckpoint: { N: '0' },
    throughputKBps: { N: '2.0E-6' },
    entityType: { S: 'LEASE' },
    startingHashKey: { S: '170141183460469231731687303715884105726' },
    endingHashKey: { S: '255211775190703847597530955573826158588' },
  },
  {
    leaseKey: { S: '000000000000:interop:1795503350:shardId-000000000003' },
    streamName: { S: '000000000000:interop:1795503350' },
    shardId: { S: 'shardId-000000000003' },
    leaseCounter: { N: '0' },
    checkpoint: { S: 'TRIM_HORIZON' },
    checkpointSubSequenceNumber: { N: '0' },
    ownerSwitchesSinceCheckpoint: { N: '0' },
    startingHashKey: { S: '255211775190703847597530955573826158589' },
    endingHashKey: { S: '340282366920938463463374607431768211455' },
  },
]

/** What an owner writes; all other attributes of an item stay as they were. */
const OWNERS = ['leaseOwner', 'leaseCounter', 'checkpoint', 'ownerSwitchesSinceCheckpoint', 'fence']

test('a table filled with items of KCL 2.7, 3.0, 3.5 and multi-stream mode is read without error and nothing foreign is changed', async () => {
  const scene = await openScene('kcl-table')
  const { dynamodbUrl, opensearchUrl } = scene.parts.endpoints
  const TableName = scene.env.LEASE_TABLE!
  const client = new DynamoDBClient({ endpoint: dynamodbUrl, region: REGION, credentials: CREDENTIALS })
  onTestFinished(() => client.destroy())
  const feed = createFeed({ ...scene, opensearchUrl })
  onTestFinished(() => feed.close())
  const items = async (): Promise<Map<string, Item>> => {
    const { Items = [] } = await client.send(new ScanCommand({ TableName, ConsistentRead: true }))
    return new Map(Items.map(item => [item.leaseKey!.S!, item]))
  }

  const read = [await feed.put(), await feed.put(), await feed.put()]
  const settled = new Map([...(await lastOf(scene.stream.readAll()))])
  const unread = [await feed.put(), await feed.put()]
  for (const Item of [...leases(shardId => settled.get(shardId)!), ...FOREIGN])
    await client.send(new PutItemCommand({ TableName, Item }))
  const before = await items()
  expect((await scene.stream.openShards()).map(({ shardId }) => shardId)).toEqual(
    leases(() => '').map(({ leaseKey }) => leaseKey!.S),
  )

  const worker = await scene.startWorker('worker')
  // Unowned: at once, from the beginning. Owned: once its owner has been silent for the lease time, from its checkpoint.
  const [first, second, third] = read.map(records => records[1]!)
  await feed.untilSeen([first!, second!, third!])
  const startedAtMs = performance.now()
  await feed.untilSeen(unread.flat())
  expect(performance.now() - startedAtMs, 'ms until silent owners were replaced').toBeGreaterThan(
    LEASE_MS / 2,
  )
  await scene.quiet()
  for (const [at, table] of scene.tables.entries()) {
    const documents = await scene.documents(table)
    const isFromBeginning = at === 1
    expect([...documents.keys()].sort(), `documents of ${table}`).toEqual(
      isFromBeginning ? ['0', '2', '4', 'counter'] : ['4', 'counter'],
    )
  }

  const after = await items()
  for (const foreign of FOREIGN) {
    const key = foreign.leaseKey!.S!
    expect(after.get(key), key).toEqual(before.get(key))
  }
  expect([...after.keys()].sort()).toEqual([...before.keys()].sort())
  for (const { leaseKey } of leases(() => '')) {
    const key = leaseKey!.S!
    expect(withoutOwners(after.get(key)!), key).toEqual(withoutOwners(before.get(key)!))
    expect(after.get(key)!.leaseOwner).toEqual({ S: 'worker' })
  }
  const samples = await worker.samples()
  expect(total(samples, 'cdc_leases_corrupt')).toBe(0)
  expect(total(samples, 'cdc_lease_events_total', { event: 'stolen' })).toBe(3)
  expect(total(samples, 'cdc_lease_events_total', { event: 'taken' })).toBe(1)
  expect(total(samples, 'cdc_lease_events_total', { event: 'lost' })).toBe(0)
  await scene.expectNoLetters()
  await scene.expectSettled([worker])
})

async function lastOf(reading: Promise<{ shardId: string; sequenceNumber: string }[]>) {
  return new Map((await reading).map(({ shardId, sequenceNumber }) => [shardId, sequenceNumber]))
}

function withoutOwners(item: Item): Item {
  return Object.fromEntries(Object.entries(item).filter(([name]) => !OWNERS.includes(name)))
}
