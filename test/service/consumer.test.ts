/** The promises of the consumer, on models and by hand-moved time: what is settled, in which order, and what is not. */
import { describe, expect, test } from 'vitest'
import { fenceOf } from '../../src/core/version.ts'
import { fakeWorld, row } from '../fakes/service.ts'
import { versionsOf } from '../fakes/version.ts'

const SHARD = 'shardId-000000000000'

function withheld() {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { promise, release: resolve }
}

describe('settled before checkpoint (P2)', () => {
  test('a checkpoint waits for the answer to the write it covers', async () => {
    const world = fakeWorld()
    const held = withheld()
    world.faults.holdAnswers = held.promise
    const last = [1, 2, 3].map(id => world.stream.put(SHARD, row('insert', `{"id":${id}}`))).at(-1)
    world.startWorker('w1')
    await world.time.advance(5000)
    expect(world.search.found().size).toBe(3)
    expect(world.table.items.get(SHARD)!.checkpoint).toBe('TRIM_HORIZON')
    held.release()
    await world.time.advance(500)
    expect(world.table.items.get(SHARD)!.checkpoint).toBe(last)
  })

  test('the memory of a page is given back once its records are settled, and not before: an answer and a letter', async () => {
    const world = fakeWorld()
    const held = withheld()
    world.faults.holdAnswers = held.promise
    world.faults.queueAway = true
    world.stream.put(SHARD, 'not json')
    world.stream.put(SHARD, row('insert', '{"id":1}'))
    world.startWorker('w1')
    await world.time.advance(5000)
    const before = world.stream.recycled()
    held.release()
    await world.time.advance(5000)
    expect(world.stream.recycled()).toBe(before)
    world.faults.queueAway = false
    await world.time.advance(10_000)
    expect(world.stream.recycled()).toBeGreaterThan(before)
    expect([...world.search.found().values()]).toEqual(['{"id":1}'])
    expect(new TextDecoder().decode(world.letters[0]!.data)).toBe('not json')
  })

  test('the memory of a page that is left unsettled is not given back: its letters may yet be on their way', async () => {
    const world = fakeWorld()
    const held = withheld()
    world.faults.holdAnswers = held.promise
    world.stream.put(SHARD, row('insert', '{"id":1}'))
    const worker = world.startWorker('w1')
    await world.time.advance(5000)
    const before = world.stream.recycled()
    worker.drain()
    worker.abandon()
    await world.time.advance(5000)
    expect(worker.isDone()).toBe(true)
    expect(world.stream.recycled()).toBe(before)
  })

  test('a letter is confirmed before the checkpoint passes its record', async () => {
    const world = fakeWorld()
    world.faults.queueAway = true
    world.stream.put(SHARD, 'not json')
    const last = world.stream.put(SHARD, row('insert', '{"id":1}'))
    const worker = world.startWorker('w1')
    await world.time.advance(60_000)
    expect(world.search.found().size).toBe(1)
    expect(world.table.items.get(SHARD)!.checkpoint).toBe('TRIM_HORIZON')
    world.faults.queueAway = false
    await world.time.advance(10_000)
    expect(world.letters.map(({ letter }) => letter.reason)).toEqual(['not-json'])
    expect(world.table.items.get(SHARD)!.checkpoint).toBe(last)
    expect(Object.fromEntries(worker.counts.settled)).toEqual({ dead_lettered: 1, indexed: 1 })
  })

  test('received = settled + in flight while an answer is withheld, and after', async () => {
    const world = fakeWorld()
    const held = withheld()
    world.faults.holdAnswers = held.promise
    for (const id of [1, 2, 3]) world.stream.put(SHARD, row('insert', `{"id":${id}}`))
    const worker = world.startWorker('w1')
    await world.time.advance(3000)
    expect([worker.counts.received, worker.settledCount(), worker.inFlight()]).toEqual([3, 0, 3])
    expect(worker.checkpointAge(SHARD)).toBeGreaterThan(2)
    held.release()
    await world.time.advance(1000)
    expect([worker.counts.received, worker.settledCount(), worker.inFlight()]).toEqual([3, 3, 0])
    expect(worker.checkpointAge(SHARD)).toBe(0)
  })

  test('a shard ends only when all its records are settled; its children come first and are read after (85, 104)', async () => {
    const world = fakeWorld()
    world.stream.put(SHARD, row('insert', '{"id":1,"v":1}'))
    const [left, right] = world.stream.split(SHARD)
    world.stream.put(left!, row('update', '{"id":1,"v":2}'))
    const held = withheld()
    world.faults.holdAnswers = held.promise
    world.startWorker('w1')
    await world.time.advance(5000)
    expect(world.table.items.size).toBe(1)
    held.release()
    await world.time.advance(5000)
    const writes = world.table.writes.filter(write => !write.startsWith('checkpoint'))
    const at = (write: string) => writes.indexOf(write)
    expect(at(`shard-end ${SHARD} SHARD_END`)).toBeGreaterThan(at(`create ${left} TRIM_HORIZON`))
    expect(at(`shard-end ${SHARD} SHARD_END`)).toBeGreaterThan(at(`create ${right} TRIM_HORIZON`))
    expect(at(`take ${left} by w1`)).toBeGreaterThan(at(`shard-end ${SHARD} SHARD_END`))
    expect(world.search.found().get('public_t/1')).toBe('{"id":1,"v":2}')
    expect(world.table.items.get(SHARD)!.childShardIds).toEqual([left, right])
  })
})

describe('writes', () => {
  test('a rejected item is sent again, alone, until it is taken', async () => {
    const world = fakeWorld()
    world.faults.bulk.push({
      kind: 'items',
      items: [{ status: 429, error: { type: 'es_rejected_execution_exception' } }, { status: 201 }],
    })
    world.stream.put(SHARD, row('insert', '{"id":1}'))
    world.stream.put(SHARD, row('insert', '{"id":2}'))
    world.startWorker('w1')
    await world.time.advance(3000)
    expect(world.search.requests).toEqual([['index public_t/1']])
  })

  test('an unanswered request is sent again, and its own earlier copy is no conflict', async () => {
    const world = fakeWorld()
    world.stream.put(SHARD, row('insert', '{"id":1}'))
    const bulk = world.search.bulk
    world.search.bulk = async body => {
      world.search.bulk = bulk
      await bulk(body)
      return { kind: 'failed', reason: 'timeout', mayHaveLanded: true }
    }
    const worker = world.startWorker('w1')
    await world.time.advance(3000)
    expect(Object.fromEntries(worker.counts.settled)).toEqual({ indexed: 1 })
  })

  test('a request refused as a whole is cut until the one at fault stands alone in the queue', async () => {
    const world = fakeWorld()
    const bulk = world.search.bulk
    world.search.bulk = async body =>
      body.includes('"_id":"3"')
        ? { kind: 'status', status: 400, type: 'illegal_argument_exception' }
        : bulk(body)
    for (const id of [1, 2, 3, 4, 5]) world.stream.put(SHARD, row('insert', `{"id":${id}}`))
    world.startWorker('w1')
    await world.time.advance(3000)
    expect([...world.search.found().keys()].toSorted()).toEqual([
      'public_t/1',
      'public_t/2',
      'public_t/4',
      'public_t/5',
    ])
    expect(world.letters.map(({ letter }) => [letter.reason, letter.id])).toEqual([['rejected', '3']])
  })

  test('a row that cannot be indexed leaves the acceptable state before it (S25)', async () => {
    const world = fakeWorld()
    world.stream.put(SHARD, row('insert', '{"id":1,"n":1}'))
    world.stream.put(SHARD, row('update', '{"id":1,"n":"x"}'))
    world.startWorker('w1')
    await world.time.advance(3000)
    expect(world.search.found().get('public_t/1')).toBe('{"id":1,"n":1}')
    expect(world.letters).toHaveLength(1)
    expect(world.letters[0]!.context.version).toBeDefined()
  })
})

describe('held', () => {
  test('the shard stops before the record, what came before is settled and checkpointed, the lease stays', async () => {
    const world = fakeWorld({ shards: 2 })
    const before = world.stream.put(SHARD, row('insert', '{"id":1}'))
    world.stream.put(SHARD, row('insert', '{"code":"B"}', { table: 'films' }))
    world.stream.put(SHARD, row('insert', '{"id":2}'))
    world.stream.put('shardId-000000000001', row('insert', '{"id":3}', { table: 'u' }))
    const worker = world.startWorker('w1')
    await world.time.advance(120_000)
    expect([...world.search.found().keys()].toSorted()).toEqual(['public_t/1', 'public_u/3'])
    expect(world.table.items.get(SHARD)).toMatchObject({ checkpoint: before, leaseOwner: 'w1' })
    expect([...worker.counts.held]).toEqual([[SHARD, 'unknown-table']])
    expect(worker.logs.filter(({ text }) => text === 'shard held').map(({ fields }) => fields.table)).toEqual(
      ['public.films'],
    )
    expect(world.letters).toEqual([])
    worker.drain()
    await world.time.advance(1000)
    expect(worker.isDone()).toBe(true)
    const next = world.startWorker('w2', { tables: 'tables: { public.films: { key: [code] } }' })
    await world.time.advance(3000)
    expect([...world.search.found().keys()].toSorted()).toEqual([
      'public_films/B',
      'public_t/1',
      'public_t/2',
      'public_u/3',
    ])
    expect(next.counts.held.size).toBe(0)
  })
})

describe('a fence from the future (scenario 06b, trace T1)', () => {
  test('the tenure jumps above it: the write is not called superseded and no later one is refused', async () => {
    const world = fakeWorld()
    const future =
      '{"index":{"_index":"public_t","_id":"1","version":"900000000000000000","version_type":"external"}}'
    await world.search.bulk(`${future}\n{"id":1,"v":"future"}\n`)
    for (const v of [1, 2]) world.stream.put(SHARD, row('update', `{"id":1,"v":${v}}`))
    world.stream.put(SHARD, row('insert', '{"id":2}'))
    const worker = world.startWorker('w1')
    await world.time.advance(3000)
    expect(world.search.found().get('public_t/1')).toBe('{"id":1,"v":2}')
    expect(worker.counts.jumps).toBe(1)
    const last = world.stream.put(SHARD, row('update', '{"id":1,"v":3}'))
    await world.time.advance(3000)
    expect(world.search.found().get('public_t/1')).toBe('{"id":1,"v":3}')
    expect(worker.counts.jumps).toBe(1)
    expect(world.table.items.get(SHARD)).toMatchObject({ checkpoint: last, leaseOwner: 'w1' })
    expect(world.table.items.get(SHARD)!.fence!).toBeGreaterThan(fenceOf(900_000_000_000_000_000n))
  })

  test('a descendant of that fence explains it: superseded, no jump (1.4)', async () => {
    const world = fakeWorld()
    const worker = world.startWorker('w1')
    await world.time.advance(2000)
    const fence = world.table.items.get(SHARD)!.fence! + 1000
    const child = {
      leaseKey: 'shardId-000000000009',
      leaseOwner: 'w2',
      leaseCounter: 1,
      checkpoint: '900',
      ownerSwitchesSinceCheckpoint: 0,
      childShardIds: [],
    }
    world.table.items.set(child.leaseKey, { ...child, parentShardId: [SHARD], fence })
    await world.search.bulk(
      `{"index":{"_index":"public_t","_id":"1","version":"${versionsOf(fence)(1)}","version_type":"external"}}\n{"id":1,"v":2}\n`,
    )
    world.stream.put(SHARD, row('update', '{"id":1,"v":1}'))
    await world.time.advance(2000)
    expect(worker.counts.jumps).toBe(0)
    expect(Object.fromEntries(worker.counts.settled)).toEqual({ superseded: 1 })
    expect(world.search.found().get('public_t/1')).toBe('{"id":1,"v":2}')
  })
})

describe('reading', () => {
  test('a checkpoint that retention has passed holds the shard loudly, and goes on only when told (F27)', async () => {
    const world = fakeWorld()
    const first = world.stream.put(SHARD, row('insert', '{"id":1}'))
    world.startWorker('w1').drain()
    await world.time.advance(1000)
    const gone = String(Number(first) - 1)
    const worker = world.startWorker('w2')
    await world.time.advance(2000)
    worker.drain()
    await world.time.advance(1000)
    Object.assign(world.table.items.get(SHARD)!, { checkpoint: gone })
    const held = world.startWorker('w3')
    await world.time.advance(60_000)
    expect(held.counts.held.get(SHARD)).toBe('trimmed')
    expect(held.logs.filter(({ text }) => text === 'shard held')).toHaveLength(1)
    expect(world.table.items.get(SHARD)).toMatchObject({ checkpoint: gone, leaseOwner: 'w3' })
  })

  test('a record at or before the checkpoint is dropped, the next one is not (107, 118)', async () => {
    const world = fakeWorld()
    const first = world.stream.put(SHARD, row('insert', '{"id":1}'))
    world.stream.put(SHARD, row('insert', '{"id":2}'))
    world.table.items.set(SHARD, {
      leaseKey: SHARD,
      leaseCounter: 0,
      checkpoint: first,
      ownerSwitchesSinceCheckpoint: 0,
      parentShardId: [],
      childShardIds: [],
    })
    world.startWorker('w1')
    await world.time.advance(2000)
    expect([...world.search.found().keys()]).toEqual(['public_t/2'])
  })

  test('a lease that a KCL worker began at a time is read from the oldest record (107)', async () => {
    const world = fakeWorld()
    world.stream.put(SHARD, row('insert', '{"id":1}'))
    const theirs = {
      leaseKey: SHARD,
      leaseCounter: 0,
      checkpoint: 'AT_TIMESTAMP',
      ownerSwitchesSinceCheckpoint: 0,
    }
    world.table.items.set(SHARD, { ...theirs, parentShardId: [], childShardIds: [] })
    world.startWorker('w1')
    await world.time.advance(2000)
    expect(world.search.found().size).toBe(1)
  })

  test('a shard whose reads fail for the stall time is left to another worker', async () => {
    const world = fakeWorld()
    const { read } = world.stream
    const worker = world.startWorker('w1')
    await world.time.advance(1000)
    world.stream.read = async () => {
      throw new Error('no route')
    }
    await world.time.advance(290_000)
    expect(worker.counts.endings).toEqual([])
    await world.time.advance(15_000)
    expect(worker.counts.endings).toContain('stalled')
    world.stream.read = read
    world.stream.put(SHARD, row('insert', '{"id":1}'))
    await world.time.advance(5000)
    expect(world.search.found().size).toBe(1)
  })

  test('an expired iterator is opened anew after the last record read (113, F22)', async () => {
    const world = fakeWorld()
    const { read } = world.stream
    world.stream.put(SHARD, row('insert', '{"id":1}'))
    const worker = world.startWorker('w1')
    await world.time.advance(2000)
    let isExpired = true
    world.stream.read = async (iterator, limit) => {
      if (!isExpired) return read(iterator, limit)
      isExpired = false
      return { kind: 'expired' }
    }
    world.stream.put(SHARD, row('insert', '{"id":2}'))
    await world.time.advance(2000)
    expect(Object.fromEntries(worker.counts.settled)).toEqual({ indexed: 2 })
  })

  test('an end without children is not believed: the same call is made again (111)', async () => {
    const world = fakeWorld()
    const { read } = world.stream
    let lies = 2
    world.stream.read = async (iterator, limit) => {
      const page = await read(iterator, limit)
      return lies-- > 0 && page.kind === 'records' ? { ...page, next: undefined, children: [] } : page
    }
    world.stream.put(SHARD, row('insert', '{"id":1}'))
    const worker = world.startWorker('w1')
    await world.time.advance(5000)
    expect(Object.fromEntries(worker.counts.settled)).toEqual({ indexed: 1 })
    expect(worker.counts.endings).toEqual([])
  })

  test('a shard that is gone from the stream ends without children (88, 109)', async () => {
    const world = fakeWorld()
    world.stream.read = async () => ({ kind: 'gone' })
    const worker = world.startWorker('w1')
    await world.time.advance(1000)
    expect(worker.counts.endings).toEqual(['shard-end'])
    expect(world.table.items.get(SHARD)!.checkpoint).toBe('SHARD_END')
  })
})
