/** Lease items as other workers or a lost table leave them: without hash keys, or below shards that are not read yet. */
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Lease } from '../../src/core/lease.ts'
import { fakeWorld, row } from '../fakes/service.ts'

const FIRST = 'shardId-000000000000'
const SECOND = 'shardId-000000000001'

/** As a KCL worker makes it that knows nothing of hash keys. */
function bareLease(leaseKey: string, parentShardId: string[] = []): Lease {
  return {
    leaseKey,
    leaseCounter: 0,
    checkpoint: 'TRIM_HORIZON',
    ownerSwitchesSinceCheckpoint: 0,
    parentShardId,
    childShardIds: [],
  }
}

test('children in the table before the shards above them, their parent missing: read behind these', async () => {
  const world = fakeWorld({ shards: 2 })
  const merged = world.stream.merge(FIRST, SECOND)
  const children = world.stream.split(merged)
  for (const [at, shard] of [FIRST, merged, children[0]!].entries())
    world.stream.put(shard, row('update', `{"id":1,"v":${at}}`))
  for (const shard of [FIRST, SECOND]) world.table.items.set(shard, bareLease(shard))
  for (const child of children) world.table.items.set(child, bareLease(child, [merged]))
  world.startWorker('w1')
  await world.time.advance(20_000)
  expect(world.search.found().get('public_t/1')).toBe('{"id":1,"v":2}')
  const takes = world.table.writes.filter(write => write.startsWith('take'))
  expect(takes.slice(2)).toEqual([merged, ...children].map(shard => `take ${shard} by w1`))
})

describe('a lease item without hash keys', () => {
  const hashOf = (key: string) => BigInt(`0x${createHash('md5').update(key).digest('hex')}`)
  const ids = Array.from({ length: 20 }, (_, at) => String(at))
  const [atFirst, atSecond] = [0n, 1n].map(half => ids.find(id => hashOf(id) >> 127n === half)!)
  const moved = row('update', `{"id":"${atSecond}","v":2}`, { before: `{"id":"${atFirst}"}`, table: 'k' })
  const text = moved.replace('schema-table', 'primary-key')
  const tables = 'tables: { public.k: { partition: key } }'
  const lettersOf = ({ letters }: ReturnType<typeof fakeWorld>) =>
    letters.map(({ letter: { reason, id } }) => `${reason} ${id}`)

  test("gets the stream's: the foreign half of a key change is not written by version", async () => {
    const world = fakeWorld({ shards: 2 })
    const worker = world.startWorker('w1', { tables })
    await world.time.advance(1500)
    world.table.items.set(SECOND, bareLease(SECOND))
    await world.time.advance(6000)
    expect(worker.counts.endings).toEqual(['lost'])
    expect(world.table.items.get(SECOND)).toMatchObject({ leaseOwner: 'w1' })
    world.stream.put(SECOND, text, atSecond)
    await world.time.advance(500)
    expect(world.search.found().get(`public_k/${atSecond}`)).toBe(`{"id":"${atSecond}","v":2}`)
    expect(lettersOf(world)).toEqual([`key-moved ${atFirst}`])
  })

  test('of a shard newer than the last listing is not begun before the next one, which does not wait', async () => {
    const world = fakeWorld({ shards: 2 })
    const { listShards } = world.stream
    world.stream.listShards = async () => (await listShards()).slice(0, 1)
    world.startWorker('w1', { tables })
    await world.time.advance(1500)
    world.stream.listShards = () => Promise.reject(new Error('Kinesis is away'))
    world.table.items.set(SECOND, bareLease(SECOND))
    world.stream.put(SECOND, text, atSecond)
    await world.time.advance(3000)
    expect(world.table.items.get(SECOND)).toEqual(bareLease(SECOND))
    world.stream.listShards = listShards
    await world.time.advance(5000)
    expect(world.table.items.get(SECOND)).toMatchObject({
      leaseOwner: 'w1',
      startingHashKey: String(2n ** 127n),
    })
    expect(lettersOf(world)).toEqual([`key-moved ${atFirst}`])
  })
})
