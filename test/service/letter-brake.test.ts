/** Too many dead letters hold the shard: a mistake must not empty the stream into the queue. */
import { expect, test } from 'vitest'
import { actionsOf } from '../fakes/search.ts'
import { fakeWorld, row } from '../fakes/service.ts'

const SHARD = 'shardId-000000000000'

test('once there are 100, more than 5 % of a minute hold the shard: what came before is settled, nothing more is sent', async () => {
  const world = fakeWorld()
  for (const id of [1, 2, 3]) world.stream.put(SHARD, row('insert', `{"id":${id}}`))
  for (let n = 0; n < 150; n++) world.stream.put(SHARD, 'not json')
  const worker = world.startWorker('w1')
  await world.time.advance(60_000)
  expect(worker.counts.held.get(SHARD)).toBe('too-many-letters')
  const sent = world.letters.length
  expect(sent).toBeLessThan(100)
  expect(world.search.found().size).toBe(3)
  const { sequenceNumber } = world.letters.at(-1)!.context
  expect(world.table.items.get(SHARD)!.checkpoint).toBe(sequenceNumber)
  await world.time.advance(120_000)
  expect(world.letters).toHaveLength(sent)
  expect(worker.logs.filter(({ text }) => text === 'shard held')).toHaveLength(1)
})

test('few letters among many records go to the queue', async () => {
  const world = fakeWorld()
  for (let n = 0; n < 400; n++)
    world.stream.put(SHARD, n % 40 === 0 ? 'not json' : row('insert', `{"id":${n}}`))
  const worker = world.startWorker('w1')
  await world.time.advance(60_000)
  expect(world.letters).toHaveLength(10)
  expect(worker.counts.held.size).toBe(0)
})

test('documents that OpenSearch refuses in numbers wait without a letter, and go on by themselves once it takes them', async () => {
  const world = fakeWorld()
  let isMended = false
  const bulk = world.search.bulk
  world.search.bulk = async body => {
    if (isMended) return bulk(body)
    const refused = { status: 400, error: { type: 'mapper_parsing_exception' } }
    return { kind: 'items', items: actionsOf(String(body)).map(() => refused) }
  }
  for (let n = 0; n < 150; n++) world.stream.put(SHARD, row('insert', `{"id":${n}}`))
  const worker = world.startWorker('w1')
  await world.time.advance(60_000)
  expect(worker.counts.held.get(SHARD)).toBe('too-many-letters')
  expect(world.letters).toHaveLength(0)
  isMended = true
  await world.time.advance(120_000)
  expect(worker.counts.held.size).toBe(0)
  expect(worker.settledCount()).toBe(150)
})

test('a shard held by refusals leaves at once when told to: what is in hand stays unsettled, and is read again', async () => {
  const world = fakeWorld()
  const refused = { status: 400, error: { type: 'mapper_parsing_exception' } }
  world.search.bulk = async body => ({
    kind: 'items',
    items: actionsOf(String(body)).map(() => refused),
  })
  for (let n = 0; n < 150; n++) world.stream.put(SHARD, row('insert', `{"id":${n}}`))
  const worker = world.startWorker('w1')
  await world.time.advance(60_000)
  expect(worker.counts.held.get(SHARD)).toBe('too-many-letters')
  worker.drain()
  await world.time.advance(2000)
  expect(worker.counts.endings).toEqual(['left'])
  expect(world.table.items.get(SHARD)).toMatchObject({ checkpoint: 'TRIM_HORIZON' })
  expect(world.table.items.get(SHARD)!.leaseOwner).toBeUndefined()
})
