import { describe, expect, test } from 'vitest'
import { type InitialPosition, type Lease, SHARD_END } from '../../src/core/lease.ts'
import { descendants, isAfter, isInRange, missingLeases, type Shard } from '../../src/core/shard.ts'

function shard(shardId: string, parents: string[] = [], isOpen = true): Shard {
  return {
    shardId,
    parents,
    isOpen,
    startingHashKey: '0',
    endingHashKey: '9',
    startingSequenceNumber: shardId.padStart(3, '0'),
  }
}

function lease(leaseKey: string, given: Partial<Lease> = {}): Lease {
  return {
    leaseKey,
    leaseCounter: 0,
    checkpoint: 'TRIM_HORIZON',
    ownerSwitchesSinceCheckpoint: 0,
    parentShardId: [],
    childShardIds: [],
    ...given,
  }
}

const created = (shards: Shard[], leases: Lease[], initial: InitialPosition = 'TRIM_HORIZON') =>
  missingLeases(shards, leases, initial).map(
    ({ shard: { shardId }, checkpoint }) => `${shardId} ${checkpoint}`,
  )

// 0..5 until 102; 6 = (0,1), 7 = (2,3), 4, 5 until 205; 8 = (6,7), 4, 9 and 10 from 5, open.
const graphA = [
  ...['0', '1', '2', '3'].map(id => shard(id, [], false)),
  shard('4'),
  shard('5', [], false),
  shard('6', ['0', '1'], false),
  shard('7', ['2', '3'], false),
  shard('8', ['6', '7']),
  shard('9', ['5']),
  shard('10', ['5']),
]
const withLeases = (...ids: string[]) =>
  ids.map(id => lease(id, { parentShardId: graphA.find(({ shardId }) => shardId === id)?.parents ?? [] }))

describe('which leases must exist', () => {
  test('an empty table gets the oldest level of the stream, in order of sequence numbers (59, 64, 73)', () => {
    expect(created(graphA, [])).toEqual(['0', '1', '2', '3', '4', '5'].map(id => `${id} TRIM_HORIZON`))
  })

  test('from LATEST an empty table gets the open shards (59)', () => {
    expect(created(graphA, [], 'LATEST')).toEqual(['4', '8', '9', '10'].map(id => `${id} LATEST`))
  })

  test('shards above a leased one never get a lease again (51, 52, 54)', () => {
    expect(created(graphA, withLeases('3', '4', '5'))).toEqual(
      ['0', '1', '2'].map(id => `${id} TRIM_HORIZON`),
    )
    expect(created(graphA, withLeases('4', '5', '7'))).toEqual(['0', '1'].map(id => `${id} TRIM_HORIZON`))
    expect(created(graphA, withLeases('4', '9', '10'))).toEqual(
      ['0', '1', '2', '3'].map(id => `${id} TRIM_HORIZON`),
    )
  })

  test('children of a shard that is being read are left to its reader (56, 57, 61)', () => {
    expect(created(graphA, withLeases('4', '5', '6', '7'))).toEqual([])
    expect(created(graphA, withLeases('0', '1', '2', '3', '4', '5', '6', '7'))).toEqual([])
  })

  test('a child whose item was deleted after its parent ended is created again at TRIM_HORIZON (139)', () => {
    const ended = lease('5', { checkpoint: SHARD_END })
    expect(
      created(
        [shard('5', [], false), shard('9', ['5']), shard('10', ['5'])],
        [ended, lease('9', { parentShardId: ['5'] })],
      ),
    ).toEqual(['10 TRIM_HORIZON'])
  })

  test('a missing parent whose other child has a lease counts as done (60)', () => {
    const shards = [shard('5', [], false), shard('6', ['5']), shard('7', ['5'])]
    expect(created(shards, [lease('6', { parentShardId: ['5'] })])).toEqual(['7 TRIM_HORIZON'])
  })

  test('a parent that has left the stream is not waited for (72)', () => {
    expect(created([shard('7', ['5'])], [])).toEqual(['7 TRIM_HORIZON'])
  })

  test('no shards: none (63)', () => {
    expect(created([], [])).toEqual([])
  })
})

test('descendants are found at any depth', () => {
  const leases = [
    lease('a'),
    lease('b', { parentShardId: ['a'] }),
    lease('c', { parentShardId: ['b', 'x'] }),
    lease('d'),
  ]
  expect(descendants('a', leases).map(({ leaseKey }) => leaseKey)).toEqual(['b', 'c'])
})

test('sequence numbers compare as numbers, not as text', () => {
  expect(isAfter('100', '99')).toBe(true)
  expect(isAfter('99', '100')).toBe(false)
  expect(isAfter('100', '100')).toBe(false)
})

test('a hash is at home within its range, both ends included', () => {
  const range = { start: 5n, end: 9n }
  expect([4n, 5n, 9n, 10n].map(hash => isInRange(hash, range))).toEqual([false, true, true, false])
})
