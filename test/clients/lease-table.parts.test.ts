import { randomUUID } from 'node:crypto'
import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb'
import { afterAll, describe, expect, inject, test } from 'vitest'
import { leaseTable } from '../../src/clients/lease-table.ts'
import { leaseTableContract, newLease } from './lease-table.contract.ts'

Object.assign(process.env, inject('parts').env)
const raw = new DynamoDBClient({})
const documents = DynamoDBDocumentClient.from(raw)
const open: { close(): void }[] = []

async function createTable(key = 'leaseKey'): Promise<string> {
  const tableName = `leases-${randomUUID()}`
  await raw.send(
    new CreateTableCommand({
      TableName: tableName,
      AttributeDefinitions: [{ AttributeName: key, AttributeType: 'S' }],
      KeySchema: [{ AttributeName: key, KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    }),
  )
  return tableName
}

function tableOf(tableName: string) {
  const table = leaseTable({ tableName, requestTimeoutMs: 5000, now: Date.now })
  open.push(table)
  return table
}

afterAll(() => {
  for (const client of [...open, { close: () => raw.destroy() }]) client.close()
})

describe('DynamoDB answers as the model does', () => {
  leaseTableContract(async () => tableOf(await createTable()))
})

describe('wire format', () => {
  test('a new item is what KCL 2.x writes plus entityType and fence; no empty sets, no empty owner', async () => {
    const tableName = await createTable()
    await tableOf(tableName).create(
      newLease('shardId-000000000001', { parentShardId: ['shardId-000000000000'] }),
    )
    const { Item } = await documents.send(
      new GetCommand({ TableName: tableName, Key: { leaseKey: 'shardId-000000000001' } }),
    )
    expect(Item).toEqual({
      leaseKey: 'shardId-000000000001',
      leaseCounter: 0,
      checkpoint: 'TRIM_HORIZON',
      checkpointSubSequenceNumber: 0,
      ownerSwitchesSinceCheckpoint: 0,
      startingHashKey: '0',
      endingHashKey: '170141183460469231731687303715884105727',
      parentShardId: new Set(['shardId-000000000000']),
      entityType: 'LEASE',
      fence: 10,
    })
  })

  test('what others wrote into an item stays through take, checkpoint and evict (G3)', async () => {
    const tableName = await createTable()
    const table = tableOf(tableName)
    const theirs = {
      leaseKey: 'a',
      leaseCounter: 4,
      checkpoint: '7',
      checkpointSubSequenceNumber: 0,
      ownerSwitchesSinceCheckpoint: 0,
      throughputKBps: 0.000941,
      note: 'kept',
    }
    await documents.send(new PutCommand({ TableName: tableName, Item: theirs }))
    const lease = await table.take((await table.get('a'))!, { owner: 'w1', fence: 20, mode: 'take' })
    const counter = lease!.leaseCounter
    const hold = { leaseKey: 'a', owner: 'w1', counter, fence: 20, isLeaving: false }
    await table.write(hold, { kind: 'checkpoint', checkpoint: '8' }, false)
    await table.write({ ...hold, counter: counter + 1 }, { kind: 'evict', checkpoint: undefined }, false)
    const { Item } = await documents.send(new GetCommand({ TableName: tableName, Key: { leaseKey: 'a' } }))
    expect(Item).toEqual({ ...theirs, leaseCounter: 7, checkpoint: '8', fence: 20, leftBy: 'w1' })
  })

  test('items that are not leases are left alone, corrupt ones are counted (32, 140, G1)', async () => {
    const tableName = await createTable()
    await documents.send(
      new PutCommand({
        TableName: tableName,
        Item: { leaseKey: 'Leader', ownerName: 'w1', entityType: 'LEADER' },
      }),
    )
    await documents.send(
      new PutCommand({
        TableName: tableName,
        Item: { leaseKey: 'broken', leaseCounter: 'four', checkpoint: '1' },
      }),
    )
    await tableOf(tableName).create(newLease('a'))
    expect(await tableOf(tableName).list()).toMatchObject({ leases: [{ leaseKey: 'a' }], corrupt: 1 })
  })

  test('more leases than one page of a scan holds are all listed (2)', async () => {
    const tableName = await createTable()
    const padding = 'x'.repeat(350_000)
    for (const leaseKey of ['a', 'b', 'c', 'd']) {
      await documents.send(
        new PutCommand({
          TableName: tableName,
          Item: { leaseKey, leaseCounter: 0, checkpoint: '1', padding },
        }),
      )
    }
    expect((await tableOf(tableName).list()).leases).toHaveLength(4)
  })

  test('the clock of the table is read off its answers', async () => {
    const table = tableOf(await createTable())
    expect(table.clockOffsetMs()).toBeUndefined()
    await table.list()
    expect(Math.abs(table.clockOffsetMs()!)).toBeLessThan(2000)
  })
})

describe('check', () => {
  test('a missing table is named, with what to do', async () => {
    await expect(tableOf('not-there').check()).rejects.toThrow(/no table not-there .*LEASE_TABLE/)
  })

  test('a table of another shape is refused with what was found', async () => {
    await expect(tableOf(await createTable('id')).check()).rejects.toThrow(
      /key id HASH .*expected the hash key leaseKey/,
    )
  })

  test('a table as it should be passes', async () => {
    await expect(tableOf(await createTable()).check()).resolves.toBeUndefined()
  })
})
