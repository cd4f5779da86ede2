import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type InitialPosition, type Lease, SHARD_END } from '../../src/core/lease.ts'
import {
  childrenToCreate,
  descendants,
  firstHole,
  isAfter,
  isInRange,
  LAST_HASH_KEY,
  missingLeases,
  rangeOf,
  type Shard,
} from '../../src/core/shard.ts'

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
  test('an empty table gets the oldest level of the stream, in order of sequence numbers, closed shards too (59, 64, 71, 73)', () => {
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

  test('a child of an open parent waits for it, the others are created (65, 66)', () => {
    expect(created([shard('1'), shard('2', ['1']), shard('3')], [])).toEqual([
      '1 TRIM_HORIZON',
      '3 TRIM_HORIZON',
    ])
  })

  test('the child of a merge is created by the last parent to end, not while the other has no lease or is read (86)', () => {
    const child = { shardId: '4', parents: ['0', '2'] }
    expect(childrenToCreate('0', [child], [lease('0')])).toEqual([])
    expect(childrenToCreate('0', [child], [lease('0'), lease('2')])).toEqual([])
    expect(childrenToCreate('2', [child], [lease('0', { checkpoint: SHARD_END }), lease('2')])).toEqual([
      child,
    ])
  })

  test('no shards: none (63)', () => {
    expect(created([], [])).toEqual([])
  })
})

describe('from LATEST (the table of the shard sync cases)', () => {
  const graphB = [
    shard('0', [], false),
    shard('1', [], false),
    shard('2', ['0', '1'], false),
    shard('3', ['2'], false),
    shard('4', ['2'], false),
    shard('5', ['3', '4'], false),
    shard('6', ['5'], false),
    shard('7', ['5'], false),
    shard('8', ['6', '7'], false),
    shard('9', ['8']),
    shard('10', ['8']),
  ]
  const graphC = [
    shard('0', [], false),
    shard('1'),
    shard('2', [], false),
    shard('3', [], false),
    shard('4', ['0'], false),
    shard('5', ['0'], false),
    shard('6', ['2', '3']),
    shard('7', ['4']),
    shard('8', ['4']),
    shard('9', ['5']),
    shard('10', ['5']),
  ]
  const leased = (graph: Shard[], ids: string) =>
    ids === ''
      ? []
      : ids
          .split(',')
          .map(id => lease(id, { parentShardId: graph.find(({ shardId }) => shardId === id)!.parents }))
  const ids = (graph: Shard[], leases: string, initial: InitialPosition) =>
    missingLeases(graph, leased(graph, leases), initial)
      .map(({ shard: { shardId } }) => shardId)
      .join(',')

  test.each([
    ['51', graphA, '3,4,5', '2,6', '0,1,2'],
    ['52', graphA, '4,5,7', '6', '0,1'],
    ['53', graphA, '2,6', '3,4,9,10', '3,4,5'],
    ['54', graphA, '4,9,10', '8', '0,1,2,3'],
    ['55', graphC, '9,10', '1,6,7,8', undefined],
    ['56', graphA, '4,5,6,7', '', ''],
    ['57', graphA, '0,1,2,3,4,5,6,7', '', ''],
    ['58', graphA, '0,1,4,7,9,10', '', ''],
    ['59', graphA, '', '4,8,9,10', '0,1,2,3,4,5'],
    ['60', graphB, '6', '7', undefined],
    ['61', graphB, '5', '', ''],
    ['61', graphB, '0,1,2,3,4,5', '', ''],
    ['62', graphB, '', '9,10', '0,1'],
  ] as const)('case %s of the table (51-62)', (_, graph, leases, latest, trimHorizon) => {
    expect(ids(graph, leases, 'LATEST')).toBe(latest)
    if (trimHorizon !== undefined) expect(ids(graph, leases, 'TRIM_HORIZON')).toBe(trimHorizon)
  })
})

describe('hash ranges (auditor)', () => {
  const range = (leaseKey: string, start: bigint, end: bigint, checkpoint = '5') =>
    lease(leaseKey, { startingHashKey: String(start), endingHashKey: String(end), checkpoint })
  const top = LAST_HASH_KEY

  test('a gap between ranges, or at an end, is a hole (74)', () => {
    expect(firstHole([range('a', 0n, 9n), range('b', 11n, top)])).toBe('10')
    expect(firstHole([range('a', 1n, top)])).toBe('0')
    expect(firstHole([range('a', 0n, top - 1n)])).toBe(String(top))
    expect(firstHole([])).toBe('0')
  })

  test('complete, unsorted and overlapping ranges are none (75)', () => {
    expect(firstHole([range('b', 5n, top), range('a', 0n, 7n), range('c', 2n, 3n)])).toBeUndefined()
  })

  test('a hole that ended leases leave counts (80)', () => {
    expect(firstHole([range('a', 0n, top, SHARD_END)])).toBe('0')
  })

  test('the ended parent of a merge covers its range until the other parent has ended too, not longer', () => {
    const half = top / 2n
    const left = { ...range('a', 0n, half, SHARD_END), childShardIds: ['c'] }
    const right = range('b', half + 1n, top)
    expect(firstHole([left, right])).toBeUndefined()
    const both = [left, { ...right, checkpoint: SHARD_END, childShardIds: ['c'] }]
    expect(firstHole(both)).toBe('0')
    expect(firstHole([...both, { ...range('c', 0n, top), parentShardId: ['a', 'b'] }])).toBeUndefined()
  })

  test("a lease's range is its item's, else the stream's; of a shard that is gone it is empty, else unknown", () => {
    const listing = { shards: new Map([['a', shard('a')]]), gone: new Set(['b']) }
    expect(rangeOf(range('a', 3n, 5n), listing)).toEqual({ start: 3n, end: 5n })
    expect(rangeOf(lease('a'), listing)).toEqual({ start: 0n, end: 9n })
    expect(rangeOf(lease('a', { startingHashKey: '3' }), listing)).toEqual({ start: 0n, end: 9n })
    const empty = rangeOf(lease('b'), listing)!
    expect([0n, 1n, LAST_HASH_KEY].filter(hash => isInRange(hash, empty))).toEqual([])
    expect(rangeOf(lease('c'), listing)).toBeUndefined()
  })

  test('leases without hash keys say nothing (81)', () => {
    expect(firstHole([lease('a')])).toBeUndefined()
  })

  test('a thousand random histories of splits and merges, parents in progress too: never a hole (82)', () => {
    const step = fc.record({ pick: fc.nat(), isMerge: fc.boolean(), isEnded: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), steps => {
        let open = [{ start: 0n, end: top }]
        const ended: Lease[] = []
        for (const { pick, isMerge, isEnded } of steps) {
          const at = pick % open.length
          const first = open[at]!
          const second = open[at + 1]
          if (isMerge && second) {
            ended.push(
              range('x', first.start, first.end, isEnded ? SHARD_END : '1'),
              range('y', second.start, second.end, SHARD_END),
            )
            open = open.toSpliced(at, 2, { start: first.start, end: second.end })
          } else if (first.end > first.start) {
            const middle = (first.start + first.end) / 2n
            ended.push(range('x', first.start, first.end, isEnded ? SHARD_END : '1'))
            open = open.toSpliced(
              at,
              1,
              { start: first.start, end: middle },
              { start: middle + 1n, end: first.end },
            )
          }
        }
        expect(firstHole([...ended, ...open.map(({ start, end }) => range('o', start, end))])).toBeUndefined()
      }),
      { numRuns: 1000 },
    )
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
