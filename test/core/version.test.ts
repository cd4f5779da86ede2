import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  BELOW_CHANGES,
  currentVersion,
  FENCE_EPOCH_MS,
  fenceAt,
  fenceOf,
  fenceWaitMs,
  isBelow,
  judgeConflict,
  jumpFence,
  LOAD_BELOW_CHANGES,
  nextFence,
  ORDINAL_MAX,
  VERSION_BYTES_MAX,
  versionText,
  writeVersion,
} from '../../src/core/version.ts'
import { versionsOf } from '../fakes/version.ts'

describe('layout (document-version rule 1.1)', () => {
  test('a version is fence * 2^28 + ordinal * 2^4, digit for digit', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 35 - 1 }),
        fc.integer({ min: 0, max: ORDINAL_MAX }),
        (fence, ordinal) => {
          expect(versionsOf(fence)(ordinal)).toBe(
            ((BigInt(fence) << 28n) + (BigInt(ordinal) << 4n)).toString(),
          )
        },
      ),
      { numRuns: 10_000 },
    )
  })

  test('its digits are written as its text has them, and nothing beside them', () => {
    // Around the carry from the last nine digits to those before, and where zeros stand between.
    const fence = fc.oneof(fc.integer({ min: 0, max: 2 ** 35 - 1 }), fc.integer({ min: 0, max: 40 }))
    fc.assert(
      fc.property(fence, fc.integer({ min: 0, max: ORDINAL_MAX }), fc.nat({ max: 9 }), (of, ordinal, at) => {
        const written = Buffer.alloc(at + VERSION_BYTES_MAX + 1, '.')
        const end = writeVersion({ fence: of, ordinal }, written, at)
        const text = ((BigInt(of) << 28n) + (BigInt(ordinal) << 4n)).toString()
        expect(end).toBe(at + text.length)
        expect(written.toString()).toBe('.'.repeat(at) + text.padEnd(VERSION_BYTES_MAX + 1, '.'))
      }),
      { numRuns: 20_000 },
    )
  })

  test('of every fence the two parts are exact at the carry', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 35 - 1 }), fc.integer({ min: -2, max: 2 }), (fence, by) => {
        const left = 1_000_000_000n - ((BigInt(fence) << 28n) % 1_000_000_000n)
        const ordinal = Math.min(ORDINAL_MAX, Math.max(0, Number(left / 16n) + by))
        expect(versionText({ fence, ordinal })).toBe(
          ((BigInt(fence) << 28n) + (BigInt(ordinal) << 4n)).toString(),
        )
      }),
      { numRuns: 20_000 },
    )
  })

  test('numbers are in the order of what they stand for', () => {
    const version = fc.record({
      fence: fc.oneof(fc.integer({ min: 0, max: 2 ** 35 - 1 }), fc.integer({ min: 0, max: 2 })),
      ordinal: fc.oneof(fc.integer({ min: 0, max: ORDINAL_MAX }), fc.integer({ min: 0, max: 2 })),
    })
    fc.assert(
      fc.property(version, version, (one, other) => {
        expect(isBelow(one, other)).toBe(BigInt(versionText(one)) < BigInt(versionText(other)))
      }),
      { numRuns: 10_000 },
    )
    expect(versionText(BELOW_CHANGES)).toBe(LOAD_BELOW_CHANGES)
  })

  test('the highest version fits a signed 64-bit number', () => {
    expect(BigInt(versionsOf(2 ** 35 - 1)(ORDINAL_MAX))).toBeLessThan(2n ** 63n)
  })

  test('the fence of time lasts until 2095', () => {
    expect(fenceAt(Date.UTC(2095, 0, 1))).toBeLessThan(2 ** 35)
  })

  test('the last four bits of a stream write are 0, so a load below changes and a compare-and-set fit between', () => {
    expect(BigInt(versionsOf(421_000_000)(7)) % 16n).toBe(0n)
    expect(BigInt(LOAD_BELOW_CHANGES)).toBeLessThan(BigInt(versionsOf(1)(0)))
  })
})

describe('fence (rule 1.2)', () => {
  const now = FENCE_EPOCH_MS + 64 * 1000

  test('a new fence is above the own one, above the parents, and never behind the clock', () => {
    expect(nextFence({ own: 0, parents: [], nowMs: now })).toBe(1000)
    expect(nextFence({ own: 1000, parents: [], nowMs: now })).toBe(1001)
    expect(nextFence({ own: 3, parents: [2000, 5], nowMs: now })).toBe(2001)
  })

  test('a fence a little ahead of the clock is waited for, one far ahead is not', () => {
    expect(fenceWaitMs(1000, now)).toBe(0)
    expect(fenceWaitMs(1005, now)).toBe(320)
    expect(fenceWaitMs(1006, now)).toBe(0)
  })
})

describe('jump (rule 1.4)', () => {
  const nowMs = FENCE_EPOCH_MS + 64 * 1000

  test('above a fence behind the clock it is the clock', () => {
    expect(jumpFence({ own: 900, above: 950, nowMs })).toBe(1000)
  })

  test('above one ahead of the clock it has the low bits of the clock, so that a later jump over the same one is higher', () => {
    const period = 2 ** 24
    const above = 5 * period + 500
    expect(jumpFence({ own: 900, above, nowMs })).toBe(5 * period + 1000)
    expect(jumpFence({ own: 900, above: 5 * period + 1000, nowMs: nowMs + 64 })).toBe(5 * period + 1001)
    expect(jumpFence({ own: 900, above, nowMs: nowMs + 6400 })).toBe(5 * period + 1100)
    expect(jumpFence({ own: 900, above: 5 * period + 1000, nowMs })).toBe(6 * period + 1000)
  })
})

describe('conflict (rule 1.4)', () => {
  const sent = versionsOf(500)(10)
  const version = (fence: number, ordinal: number) => BigInt(versionsOf(fence)(ordinal))

  test('the current version is read from the reason', () => {
    const reason =
      '[7]: version conflict, current version [134217728160] is higher or equal to the one provided [16]'
    expect(currentVersion(reason)).toBe(134_217_728_160n)
    expect(fenceOf(version(500, 10))).toBe(500)
    expect(currentVersion('something else')).toBeUndefined()
  })

  test('the same version is our own write only when an earlier copy may have landed', () => {
    expect(judgeConflict({ sent, current: version(500, 10), earlierCopy: true })).toBe('own')
    expect(judgeConflict({ sent, current: version(500, 10), earlierCopy: false })).toBe('shared-fence')
  })

  test('a higher version under the same fence is superseded', () => {
    expect(judgeConflict({ sent, current: version(500, 11), earlierCopy: false })).toBe('superseded')
  })

  test('a higher fence, or a reason that cannot be read, is never superseded without a look', () => {
    expect(judgeConflict({ sent, current: version(501, 1), earlierCopy: true })).toBe('higher-fence')
    expect(judgeConflict({ sent, current: undefined, earlierCopy: false })).toBe('higher-fence')
  })

  test('a load below changes is superseded by whatever is there', () => {
    expect(judgeConflict({ sent: LOAD_BELOW_CHANGES, current: version(900, 1), earlierCopy: false })).toBe(
      'superseded',
    )
  })
})
