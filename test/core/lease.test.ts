import { describe, expect, test } from 'vitest'
import {
  type Lease,
  type Observation,
  observe,
  parentFences,
  planLeases,
  SHARD_END,
} from '../../src/core/lease.ts'

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

function plan(
  leases: Lease[],
  given: { held?: string[]; observed?: Map<string, Observation>; at?: number; maxLeases?: number } = {},
) {
  return planLeases({
    leases,
    observed: given.observed ?? observe(new Map(), leases, 0),
    me: 'me',
    held: new Set(given.held ?? []),
    monotonicMs: given.at ?? 0,
    leaseMs,
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

  test('a lease with our own id and no tenure is begun anew, not renewed (31, overruled)', () => {
    expect(keys(plan([lease('a', { leaseOwner: 'me' })]).adopt)).toEqual(['a'])
    expect(keys(plan([lease('a', { leaseOwner: 'me' })], { held: ['a'] }).adopt)).toEqual([])
    expect(keys(plan([lease('a', { leaseOwner: 'me', checkpointOwner: 'w2' })]).adopt)).toEqual([])
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
