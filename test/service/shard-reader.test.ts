import { expect, test } from 'vitest'
import { readBudget } from '../../src/read-budget.ts'
import { type ReadPage, shardReader } from '../../src/shard-reader.ts'
import { fakeClock } from '../fakes/clock.ts'

test('a page is charged with the memory it holds, not with its data alone, until it is released', async () => {
  const time = fakeClock()
  const budget = readBudget(100_000_000)
  const data = new Uint8Array(1000)
  const held = 700_000
  const reservedWhileReading: number[] = []
  const record = { sequenceNumber: '1', partitionKey: 'k', arrivedAtMs: undefined, data }
  const reader = shardReader(
    {
      open: async () => 'iterator',
      async read() {
        reservedWhileReading.push(budget.reservedBytes())
        return { kind: 'records', records: [record], next: 'next', behindMs: 0, children: [], bytes: held }
      },
      budget,
      clock: time.clock,
      random: () => 0,
      log: { warn: () => {} },
      onRead: () => {},
      metrics: { backoff: () => {} },
    },
    'shard',
    'TRIM_HORIZON',
    { stallMs: 1000, pollMs: 250, limit: 10, retry: { firstMs: 1, maxMs: 1 } },
  )
  const coming = reader.next(new AbortController().signal)
  await time.advance(0)
  const page = (await coming) as ReadPage
  expect(page.bytes).toBe(1000)
  expect(budget.reservedBytes()).toBe(held)
  page.release()
  expect(budget.reservedBytes()).toBe(0)
  // Of small records an answer is mostly what stands around their data: the next one is expected to hold as much.
  const next = reader.next(new AbortController().signal)
  await time.advance(250)
  expect(((await next) as ReadPage).heldBytes).toBe(held)
  expect(reservedWhileReading).toEqual([10_000_000, held])
})
