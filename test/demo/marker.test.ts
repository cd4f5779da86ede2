/** Which shard a key falls into, and one marker for each. */
import { describe, expect, test } from 'vitest'
import { hashKeyOf, markerIds, type ShardRange, shardOf } from '../../docker/demo/marker.ts'
import { markerTable, shopTables } from '../../docker/demo/shop.ts'

/** As CreateStream cuts the 128-bit range into equal parts. */
function evenShards(count: number): ShardRange[] {
  const edge = (i: number) => (BigInt(i) << 128n) / BigInt(count)
  return Array.from({ length: count }, (_, i) => ({
    shardId: `shardId-00000000000${i}`,
    startingHashKey: String(edge(i)),
    endingHashKey: String(edge(i + 1) - 1n),
  }))
}

test('the hash key is the MD5 of the partition key as a number', () => {
  // MD5 of the empty text is the one everybody knows.
  expect(hashKeyOf('')).toBe(0xd41d8cd98f00b204e9800998ecf8427en)
})

test('the tables of the shop reach all four shards', () => {
  const shards = evenShards(4)
  const placed = Object.fromEntries(
    shopTables.map(table => [table, Number(shardOf(`public.${table}`, shards).at(-1))]),
  )
  expect(placed).toEqual({ customers: 3, order_items: 3, products: 0, orders: 0, ledger: 1, payments: 2 })
})

describe('markerIds', () => {
  test('gives each shard one id that falls into it', () => {
    const shards = evenShards(7)
    const ids = markerIds(shards)
    expect(ids.size).toBe(7)
    for (const [shardId, id] of ids) expect(shardOf(String(id), shards)).toBe(shardId)
  })

  test('starts where it is told, so that a second round writes new rows', () => {
    const first = markerIds(evenShards(4))
    const second = markerIds(evenShards(4), { from: Math.max(...first.values()) + 1 })
    expect(Math.min(...second.values())).toBeGreaterThan(Math.max(...first.values()))
  })

  test('follows the way the partition key is written', () => {
    const shards = evenShards(4)
    const partitionKeyOf = (id: number) => `public.${markerTable}.${id}`
    for (const [shardId, id] of markerIds(shards, { partitionKeyOf }))
      expect(shardOf(partitionKeyOf(id), shards)).toBe(shardId)
  })

  test('says which shards no id was found for', () => {
    // MD5 of "1" begins with c: the last quarter.
    expect(() => markerIds(evenShards(4), { idsMax: 1 })).toThrow(
      'none of 1 ids from 1 falls into shardId-000000000000, shardId-000000000001, shardId-000000000002',
    )
  })

  test('a hash key that no shard takes is an error', () => {
    expect(() => shardOf('x', [])).toThrow('no open shard')
  })
})
