/** A worker joins a fleet under load: leases move to it while every shard goes on being read. */
import { expect, onTestFinished, test } from 'vitest'
import { createFeed, waitOf } from './feed.ts'
import { openScene } from './harness.ts'
import { leaseEvents } from './workers.ts'

const BALANCED_MS = 15_000
const GAP_MS_MAX = 2_000
const AFTER_MS = 1_000

test('a third worker joining two on 12 shards is balanced by handoff, no gap over two seconds, no record lost', async () => {
  const scene = await openScene('join', { shards: 12 })
  const { opensearchUrl } = scene.parts.endpoints
  const feed = createFeed({ ...scene, opensearchUrl })
  onTestFinished(() => feed.close())
  const residents = [await scene.startWorker('first'), await scene.startWorker('second')]
  await scene.untilShares(residents, [6, 6])
  feed.start()
  await feed.untilSeen(await feed.put())
  const before = await Promise.all(residents.map(leaseEvents))
  const firstRecord = feed.records().length

  const third = await scene.startWorker('third')
  await scene.untilShares([...residents, third], [4, 4, 4], BALANCED_MS)
  const balancedAtMs = performance.now()
  await scene.until('records to be put after that', () => performance.now() > balancedAtMs + AFTER_MS)
  await feed.stop()
  await feed.untilSeen()

  const during = feed.records().slice(firstRecord)
  expect(Math.max(...during.map(waitOf)), 'longest wait of a record in ms').toBeLessThan(GAP_MS_MAX)
  expect(feed.disorder()).toEqual([])
  for (const table of scene.tables) {
    const numbers = feed
      .records()
      .filter(record => record.table === table)
      .map(({ number }) => number)
    const rows = numbers.filter(number => number % 2 === 0)
    const expected = Object.fromEntries(rows.map(number => [number, `{"id":"${number}","number":${number}}`]))
    const counter = numbers.filter(number => number % 2 === 1).at(-1)
    await scene.expectDocuments(table, { ...expected, counter: `{"id":"counter","number":${counter}}` })
  }

  const joined = await leaseEvents(third)
  expect(Object.fromEntries(joined), 'how the third worker came by its leases').toEqual({ received: 4 })
  const after = await Promise.all(residents.map(leaseEvents))
  const grown = (event: string) =>
    after.map((events, at) => (events.get(event) ?? 0) - (before[at]!.get(event) ?? 0))
  expect(grown('handed-over'), 'handed over by each of the other two').toEqual([2, 2])
  for (const event of ['lost', 'stolen', 'forced', 'left'])
    expect(grown(event), `${event}, of each of the other two`).toEqual([0, 0])

  await scene.quiet()
  await scene.expectNoLetters()
  await scene.expectSettled([...residents, third])
})
