import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Write } from '../../src/core/document.ts'
import {
  addLetter,
  addWrites,
  bury as buryInto,
  buryLetter as buryLetterInto,
  emptyPage,
  type Op,
  type Page,
  sendable,
  settle as settleInto,
  skip,
  unsettledWrites,
} from '../../src/core/page.ts'
import { BELOW_CHANGES } from '../../src/core/version.ts'
import { writeOf } from '../fakes/write.ts'

const at = (ordinal: number) => ({ fence: 500, ordinal })
const index = (id: string): Write => writeOf({ kind: 'index', index: 'i', id, document: '{}' })
const remove = (id: string): Write => writeOf({ kind: 'delete', index: 'i', id })

function pageOf(...records: Write[][]): Page {
  const page = emptyPage(records.length)
  for (const [record, writes] of records.entries()) addWrites(page, record, writes, at(record + 1))
  return page
}

/** The records settled by it. */
function settle(page: Page, op: Op, outcome: 'indexed' | 'deleted'): number[] {
  const settled: number[] = []
  settleInto(page, op, outcome, settled)
  return settled.sort((a, b) => a - b)
}
function bury(page: Page, op: Op): number[] {
  const settled: number[] = []
  buryInto(page, op, settled)
  return settled
}
function buryLetter(page: Page, record: number): number[] {
  const settled: number[] = []
  buryLetterInto(page, record, settled)
  return settled
}

const shown = (ops: Op[]) => ops.map(({ write, record }) => `${write.kind} ${write.id} of ${record}`)

describe('coalescing', () => {
  test('of several writes of one document only the newest is sent, and it settles the others', () => {
    const page = pageOf([index('a')], [index('b')], [index('a')], [remove('a')])
    expect(shown(sendable(page))).toEqual(['delete a of 3', 'index b of 1'])
    expect(settle(page, sendable(page)[0]!, 'deleted')).toEqual([0, 2, 3])
    expect(page.outcomes).toEqual(['superseded', undefined, 'superseded', 'deleted'])
    expect(page.unsettled).toBe(1)
  })

  test('when the newest is refused for good the one before it is tried (S25)', () => {
    const page = pageOf([index('a')], [index('a')])
    expect(bury(page, sendable(page)[0]!)).toEqual([1])
    expect(shown(sendable(page))).toEqual(['index a of 0'])
    settle(page, sendable(page)[0]!, 'indexed')
    expect(page.outcomes).toEqual(['indexed', 'dead_lettered'])
  })

  test('a load below changes is the oldest of its document wherever it stands', () => {
    const page = emptyPage(2)
    addWrites(page, 0, [index('a')], at(1))
    addWrites(page, 1, [index('a')], BELOW_CHANGES)
    expect(shown(sendable(page))).toEqual(['index a of 0'])
  })
})

describe('key change', () => {
  test('the delete waits until the new document is settled', () => {
    const page = pageOf([index('old')], [index('new'), remove('old')])
    expect(shown(sendable(page))).toEqual(['index new of 1'])
    settle(page, sendable(page)[0]!, 'indexed')
    expect(page.open[1]).toBe(1)
    expect(shown(sendable(page))).toEqual(['delete old of 1'])
    expect(settle(page, sendable(page)[0]!, 'deleted')).toEqual([0, 1])
    expect(page.outcomes).toEqual(['superseded', 'indexed'])
  })

  test('the delete follows also when the new document went to the dead-letter queue', () => {
    const page = pageOf([index('new'), remove('old')])
    bury(page, sendable(page)[0]!)
    expect(shown(sendable(page))).toEqual(['delete old of 0'])
    settle(page, sendable(page)[0]!, 'deleted')
    expect(page.outcomes).toEqual(['dead_lettered'])
  })

  test('a re-insert of the old key later in the page wins over the delete', () => {
    const page = pageOf([index('new'), remove('old')], [index('old')])
    expect(shown(sendable(page))).toEqual(['index new of 0', 'index old of 1'])
  })
})

test('a record with a letter and a write is settled when both are', () => {
  const page = emptyPage(2)
  addWrites(page, 0, [index('a')], at(1))
  addLetter(page, 0)
  skip(page, 1)
  expect(settle(page, sendable(page)[0]!, 'indexed')).toEqual([])
  expect(buryLetter(page, 0)).toEqual([0])
  expect(page.outcomes).toEqual(['dead_lettered', 'skipped'])
  expect(page.unsettled).toBe(0)
})

test('any page with any refusals ends: something can always be sent, and every record is settled once', () => {
  const ids = fc.constantFrom('a', 'b', 'c')
  const recordOf = fc.oneof(
    ids.map(id => [index(id)]),
    ids.map(id => [remove(id)]),
    fc
      .tuple(ids, ids)
      .filter(([a, b]) => a !== b)
      .map(([a, b]) => [index(a), remove(b)]),
  )
  fc.assert(
    fc.property(
      fc.array(recordOf, { minLength: 1, maxLength: 12 }),
      fc.infiniteStream(fc.boolean()),
      (records, dies) => {
        const page = pageOf(...records)
        const settled: number[] = []
        for (let round = 0; unsettledWrites(page).length > 0; round++) {
          expect(round).toBeLessThan(100)
          const ops = sendable(page)
          expect(ops.length).toBeGreaterThan(0)
          for (const op of ops) {
            const isDead = op.write.kind === 'index' && dies.next().value === true
            settled.push(
              ...(isDead
                ? bury(page, op)
                : settle(page, op, op.write.kind === 'index' ? 'indexed' : 'deleted')),
            )
          }
        }
        expect(settled.sort((a, b) => a - b)).toEqual(records.map((_, at) => at))
        expect(page.unsettled).toBe(0)
      },
    ),
    { numRuns: 10_000 },
  )
})
