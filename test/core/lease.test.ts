import { describe, expect, test } from 'vitest'
import {
  deletableLeases,
  type Lease,
  lookIntervalMs,
  type Observation,
  observe,
  parentFences,
  planLeases,
  SHARD_END,
} from '../../src/core/lease.ts'
import { readiness, type Shard } from '../../src/core/shard.ts'

const leaseMs = 10_000

function lease(leaseKey: string, given: Partial<Lease> = {}): Lease {
  return {
    leaseKey,
    leaseCounter: 1,
    checkpoint: '100',
    ownerSwitchesSinceCheckpoint: 0,
    parentShardId: [],
    childShardIds: [],
    ...given,
  }
}

function shard(shardId: string, parents: string[] = []): Shard {
  const range = { startingHashKey: '0', endingHashKey: '9' }
  return { shardId, parents, ...range, startingSequenceNumber: '1', isOpen: true }
}

function plan(
  leases: Lease[],
  given: {
    shards?: Shard[]
    gone?: string[]
    held?: string[]
    observed?: Map<string, Observation>
    at?: number
    maxLeases?: number
    awaitedSinceMs?: Record<string, number>
    contested?: string[]
  } = {},
) {
  const leaseOf = new Map(leases.map(one => [one.leaseKey, one]))
  const shards = given.shards ?? leases.map(({ leaseKey, parentShardId }) => shard(leaseKey, parentShardId))
  const listing = {
    shards: new Map(shards.map(one => [one.shardId, one])),
    gone: new Set(given.gone ?? []),
  }
  return planLeases({
    leases,
    readiness: one => readiness(one, leaseOf, listing),
    observed: given.observed ?? observe(new Map(), leases, 0),
    me: 'me',
    held: new Set(given.held ?? []),
    contested: new Set(given.contested ?? []),
    awaitedSinceMs: new Map(Object.entries(given.awaitedSinceMs ?? {})),
    monotonicMs: given.at ?? 0,
    leaseMs,
    handoffMs: 30_000,
    maxLeases: given.maxLeases ?? 1000,
    random: () => 0,
  })
}

const keys = (leases: Lease[]) => leases.map(({ leaseKey }) => leaseKey)

describe('expiry by observation', () => {
  test('an owned lease seen for the first time is not expired, however old it is (41)', () => {
    expect(keys(plan([lease('a', { leaseOwner: 'w2' })], { at: 0 }).take)).toEqual([])
  })

  test('a lease whose counter did not change for the lease time is taken (41)', () => {
    const leases = [lease('a', { leaseOwner: 'w2' })]
    const observed = observe(new Map(), leases, 0)
    expect(keys(plan(leases, { observed, at: leaseMs }).take)).toEqual([])
    expect(keys(plan(leases, { observed, at: leaseMs + 1 }).take)).toEqual(['a'])
  })

  test('a lease renewed between two looks is not taken although the lease time passed (39)', () => {
    const observed = observe(new Map(), [lease('a', { leaseOwner: 'w2', leaseCounter: 1 })], 0)
    const renewed = [lease('a', { leaseOwner: 'w2', leaseCounter: 2 })]
    const again = observe(observed, renewed, leaseMs + 500)
    expect(keys(plan(renewed, { observed: again, at: leaseMs + 500 }).take)).toEqual([])
  })

  test('the next look is set for the moment the oldest unchanged counter expires', () => {
    const first = observe(new Map(), [lease('a', { leaseOwner: 'w2' })], 100)
    const both = [lease('a', { leaseOwner: 'w2' }), lease('b', { leaseOwner: 'w2' })]
    const observed = observe(first, both, 900)
    expect(plan(both, { observed, at: 900 }).nextExpiryMs).toBe(100 + leaseMs)
  })

  test('a handoff that was asked of a dead owner does not make its lease look alive again', () => {
    const before = observe(new Map(), [lease('a', { leaseOwner: 'dead' })], 0)
    const asked = [lease('a', { leaseOwner: 'me', checkpointOwner: 'dead' })]
    const observed = observe(before, asked, 5000)
    expect(keys(plan(asked, { observed, at: leaseMs + 1, awaitedSinceMs: { a: 5000 } }).force)).toEqual(['a'])
  })

  test('a lease that vanished is forgotten', () => {
    expect(observe(observe(new Map(), [lease('a')], 0), [], 10).size).toBe(0)
  })
})

describe('what to take', () => {
  test('an unowned lease is taken (38)', () => {
    expect(keys(plan([lease('a')]).take)).toEqual(['a'])
  })

  test('three free and one of another worker: two are taken (42, 44)', () => {
    expect(plan([lease('a'), lease('b'), lease('c'), lease('d', { leaseOwner: 'w2' })]).take).toHaveLength(2)
  })

  test('a worker whose leases have all expired does not count, we always do (49)', () => {
    const leases = [lease('a', { leaseOwner: 'w2' }), lease('b'), lease('c'), lease('d')]
    const observed = observe(new Map(), leases, 0)
    expect(plan(leases, { observed, at: 0 }).take).toHaveLength(2)
    expect(plan(leases, { observed, at: leaseMs + 1 }).take).toHaveLength(4)
  })

  test('the maximum caps the share (50)', () => {
    expect(plan([lease('a'), lease('b'), lease('c')], { maxLeases: 1 }).take).toHaveLength(1)
  })

  test('an ended lease is not taken and does not count', () => {
    const leases = [
      lease('a', { checkpoint: SHARD_END }),
      lease('b', { checkpoint: SHARD_END, leaseOwner: 'w2' }),
      lease('c'),
    ]
    expect(keys(plan(leases).take)).toEqual(['c'])
  })

  test('a child waits until each parent that has a lease is at SHARD_END (90, 91)', () => {
    const child = lease('c', { parentShardId: ['a', 'b'] })
    expect(keys(plan([lease('a', { leaseOwner: 'w2' }), child]).take)).toEqual([])
    expect(keys(plan([lease('a', { checkpoint: SHARD_END }), child]).take)).toEqual(['c'])
    expect(keys(plan([child]).take)).toEqual(['c'])
  })

  test('a child waits for what is above a parent that has no lease: its table was lost, and is filled again from there', () => {
    const shards = [
      shard('0'),
      shard('1'),
      shard('2', ['0', '1']),
      shard('3', ['2']),
      shard('4', ['3']),
      shard('5'),
    ]
    const children = [lease('3', { parentShardId: ['2'] }), lease('4', { parentShardId: ['3'] })]
    const of = (...others: Lease[]) => keys(plan([...others, ...children], { shards }).take)
    expect(of(lease('0', { leaseOwner: 'w2' }), lease('1', { leaseOwner: 'w2' }))).toEqual([])
    expect(of(lease('0', { checkpoint: SHARD_END }), lease('1', { leaseOwner: 'w2' }))).toEqual([])
    expect(of(lease('0', { checkpoint: SHARD_END }), lease('5', { leaseOwner: 'w2' }))).toEqual(['3'])
    expect(of(lease('2', { checkpoint: SHARD_END }), lease('1', { leaseOwner: 'w2' }))).toEqual(['3'])
    const grandchild = lease('4', { parentShardId: ['3'] })
    expect(keys(plan([lease('0'), grandchild], { shards }).take)).toEqual(['0'])
  })

  test('what the table does not tell of a shard newer than the listing is waited for, whoever gave us its lease', () => {
    const range = { startingHashKey: '0', endingHashKey: '9' }
    const child = lease('c', { parentShardId: ['p'], ...range })
    const seen = (leases: Lease[], given: { shards: Shard[]; gone?: string[] }) => {
      const { take, adopt, force, unlisted } = plan(leases, given)
      return { begun: keys([...take, ...adopt, ...force]), unlisted: keys(unlisted) }
    }
    expect(seen([child], { shards: [] })).toEqual({ begun: [], unlisted: ['c'] })
    expect(seen([child], { shards: [shard('c', ['p'])] })).toEqual({ begun: ['c'], unlisted: [] })
    expect(seen([child], { shards: [], gone: ['c'] })).toEqual({ begun: ['c'], unlisted: [] })
    const ended = lease('p', { checkpoint: SHARD_END })
    expect(seen([child, ended], { shards: [] })).toEqual({ begun: ['c'], unlisted: [] })
    for (const given of [{}, { leaseOwner: 'me' }]) {
      const bare = lease('a', given)
      expect(seen([bare], { shards: [] })).toEqual({ begun: [], unlisted: ['a'] })
      expect(seen([bare], { shards: [shard('a')] })).toEqual({ begun: ['a'], unlisted: [] })
    }
  })

  test('a worker that has said it leaves does not count, so its leases are taken before it is gone', () => {
    const leases = [
      lease('a', { leaseOwner: 'w2' }),
      lease('b', { leftBy: 'w2' }),
      lease('c', { leftBy: 'w2' }),
    ]
    expect(plan(leases).take).toHaveLength(2)
    expect(plan(leases.map(({ leftBy: _, ...rest }) => rest)).take).toHaveLength(2)
    const five = [
      lease('a', { leaseOwner: 'w2' }),
      ...['b', 'c', 'd', 'e'].map(key => lease(key, { leftBy: 'w2' })),
    ]
    expect(plan(five).take).toHaveLength(4)
    expect(plan(five.map(({ leftBy: _, ...rest }) => rest)).take).toHaveLength(3)
  })

  test('a lease with our own id and no tenure is begun anew, not renewed; not while another still checkpoints (31, 35)', () => {
    expect(keys(plan([lease('a', { leaseOwner: 'me' })]).adopt)).toEqual(['a'])
    expect(keys(plan([lease('a', { leaseOwner: 'me' })], { held: ['a'] }).adopt)).toEqual([])
    expect(keys(plan([lease('a', { leaseOwner: 'me', checkpointOwner: 'w2' })]).adopt)).toEqual([])
  })

  test('a lease under our own id that we lost is another process, and left until it expires (F21)', () => {
    const leases = [lease('a', { leaseOwner: 'me' })]
    const observed = observe(new Map(), leases, 0)
    const early = plan(leases, { observed, contested: ['a'] })
    expect([keys(early.adopt), keys(early.twins)]).toEqual([[], ['a']])
    const late = plan(leases, { observed, contested: ['a'], at: leaseMs + 1 })
    expect([keys(late.adopt), keys(late.twins)]).toEqual([['a'], []])
  })

  test('the parents of a child give their fences as far as they are in the table', () => {
    expect(
      parentFences(lease('c', { parentShardId: ['a', 'gone'] }), [
        lease('a', { fence: 7 }),
        lease('b', { fence: 9 }),
      ]),
    ).toEqual([7])
  })
})

describe('handoff', () => {
  const owned = (owner: string, ...keys: string[]) => keys.map(key => lease(key, { leaseOwner: owner }))

  test('a worker without leases asks each owner for at most what it has above the share', () => {
    const leases = [
      ...owned('a', '1', '2', '3', '4', '5', '6'),
      ...owned('b', '7', '8', '9', '10', '11', '12'),
    ]
    const { handoff, take } = plan(leases)
    expect(take).toEqual([])
    expect(handoff.map(({ leaseOwner }) => leaseOwner).toSorted()).toEqual(['a', 'a', 'b', 'b'])
  })

  test('nothing moves when short by one and nobody is above the share (45)', () => {
    expect(
      plan([...owned('a', '1', '2'), ...owned('b', '3', '4'), ...owned('me', '5')], { held: ['5'] }).handoff,
    ).toEqual([])
  })

  test('one of the most loaded moves when short by two and nobody is above the share', () => {
    expect(plan([...owned('a', '1', '2'), ...owned('b', '3', '4')]).handoff).toHaveLength(1)
  })

  test('none are asked for while free ones are there (47)', () => {
    const leases = [lease('0'), ...owned('a', '1', '2', '3', '4', '5')]
    expect(keys(plan(leases).take)).toEqual(['0'])
    expect(plan(leases).handoff).toEqual([])
  })

  test('the one most loaded is asked, not the one at the share (46)', () => {
    const leases = [...owned('bar', '1'), ...owned('baz', '2', '3', '4', '5', '6')]
    expect(plan(leases).handoff.map(({ leaseOwner }) => leaseOwner)).toEqual(
      ['baz', 'baz', 'baz'].slice(0, plan(leases).handoff.length),
    )
    expect(plan(leases).handoff.length).toBeGreaterThan(0)
  })

  test('a child whose parents are still read is not asked for, awaited or forced, whoever owns it', () => {
    const child = (leaseKey: string, given: Partial<Lease>) =>
      lease(leaseKey, { checkpoint: 'TRIM_HORIZON', parentShardId: ['p'], ...given })
    const parent = lease('p', { leaseOwner: 'kcl' })
    const found = plan(
      [
        parent,
        child('1', { leaseOwner: 'kcl' }),
        child('2', { leaseOwner: 'kcl' }),
        child('3', { leaseOwner: 'me', checkpointOwner: 'kcl' }),
      ],
      { awaitedSinceMs: { 3: 0 }, at: leaseMs / 2 },
    )
    expect(keys(found.handoff)).not.toContain('1')
    expect(keys(found.handoff)).not.toContain('2')
    expect([found.awaited, found.force]).toEqual([[], []])
  })

  test('workers that look at once see the same leases as the surplus of an owner', () => {
    const leases = owned('a', '1', '2', '3', '4', '5', '6')
    const asked = [leases, leases.toReversed()].map(seen => keys(plan(seen).handoff).toSorted())
    expect(asked[0]).toHaveLength(3)
    expect(asked[1]).toEqual(asked[0])
  })

  test('a lease that is being handed over counts for the next owner and is not asked for again', () => {
    const moving = lease('1', { leaseOwner: 'b', checkpointOwner: 'a' })
    expect(plan([moving, ...owned('a', '2')]).handoff).toEqual([])
  })

  test('a handoff to us is awaited, forced after its time, and taken at once when its holder has died', () => {
    const leases = [lease('1', { leaseOwner: 'me', checkpointOwner: 'a' })]
    const observed = observe(new Map(), leases, 0)
    expect(keys(plan(leases, { observed, at: 5000, awaitedSinceMs: { 1: 0 } }).awaited)).toEqual(['1'])
    expect(keys(plan(leases, { observed, at: leaseMs + 1, awaitedSinceMs: { 1: 0 } }).force)).toEqual(['1'])
    const renewed = observe(observed, [{ ...leases[0]!, leaseCounter: 9 }], 30_000)
    expect(keys(plan(leases, { observed: renewed, at: 30_001, awaitedSinceMs: { 1: 0 } }).force)).toEqual([
      '1',
    ])
  })

  test('a lease handed to another is left alone until it expires (G11)', () => {
    const leases = [lease('1', { leaseOwner: 'b', checkpointOwner: 'a' })]
    const observed = observe(new Map(), leases, 0)
    const early = plan(leases, { observed, at: 5000 })
    expect([early.take, early.handoff, early.force]).toEqual([[], [], []])
    expect(keys(plan(leases, { observed, at: leaseMs + 1 }).take)).toEqual(['1'])
  })

  test('a handoff whose next owner died before forcing it counts for its holder and is asked for again (beside KCL 2.x)', () => {
    const stuck = ['1', '2'].map(key => lease(key, { leaseOwner: 'dead', checkpointOwner: 'kcl' }))
    const leases = [...stuck, ...owned('kcl', '3', '4')]
    const observed = observe(new Map(), leases, 0)
    // KCL 2.x does not know handoffs and renews all the while, so nothing expires.
    const renewed = leases.map(item => ({ ...item, leaseCounter: 9 }))
    const later = observe(observed, renewed, 60_001)
    expect(plan(renewed, { observed: later, at: 60_001 }).handoff).toHaveLength(2)
    const earlier = observe(observed, renewed, 59_999)
    expect(keys(plan(renewed, { observed: earlier, at: 59_999 }).handoff)).toEqual(['3'])
  })

  test('what we hold and another is to own is left', () => {
    expect(
      keys(plan([lease('1', { leaseOwner: 'b', checkpointOwner: 'me' })], { held: ['1'] }).leave),
    ).toEqual(['1'])
  })
})

describe('which ended leases are deleted', () => {
  const ended = (key: string, given: Partial<Lease> = {}) => lease(key, { checkpoint: SHARD_END, ...given })
  const all = new Set(['p', 'q', 'c', 'd'])

  test('a split parent when both children have begun (93)', () => {
    const parent = ended('p', { childShardIds: ['c', 'd'] })
    expect(keys(deletableLeases([parent, lease('c'), lease('d')], all))).toEqual(['p'])
  })

  test('both merged parents when their child has begun (94)', () => {
    const parents = ['p', 'q'].map(key => ended(key, { childShardIds: ['c'] }))
    expect(keys(deletableLeases([...parents, lease('c', { parentShardId: ['p', 'q'] })], all))).toEqual([
      'p',
      'q',
    ])
  })

  test('kept while a child is missing or has not begun (95, 96)', () => {
    const parent = ended('p', { childShardIds: ['c', 'd'] })
    expect(deletableLeases([parent, lease('c')], all)).toEqual([])
    for (const checkpoint of ['TRIM_HORIZON', 'AT_TIMESTAMP']) {
      expect(deletableLeases([parent, lease('c'), lease('d', { checkpoint })], all)).toEqual([])
    }
  })

  test('kept while its own parent is there (97)', () => {
    const leases = [
      ended('p', { childShardIds: ['c'] }),
      ended('c', { parentShardId: ['p'], childShardIds: ['d'] }),
      lease('d', { checkpoint: 'TRIM_HORIZON' }),
    ]
    expect(keys(deletableLeases(leases, all))).toEqual(['p'])
  })

  test('an ended lease whose shard has left the stream (99)', () => {
    expect(keys(deletableLeases([ended('gone')], all))).toEqual(['gone'])
    expect(deletableLeases([ended('p')], all)).toEqual([])
  })

  test('never one that has not ended', () => {
    expect(deletableLeases([lease('gone')], new Set())).toEqual([])
  })
})

test('looks are a second apart, and further where the fleet would pass the read budget', () => {
  expect(lookIntervalMs({ units: 1, workers: 2, unitsMax: 500, random: 0.5 })).toBe(1000)
  expect(lookIntervalMs({ units: 100, workers: 50, unitsMax: 500, random: 0.5 })).toBe(10_000)
  expect(lookIntervalMs({ units: 1, workers: 1, unitsMax: 500, random: 0 })).toBe(800)
})
