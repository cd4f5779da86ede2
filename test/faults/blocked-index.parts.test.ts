/** One index takes no writes: its records wait, and nothing else does, not even the other tables of the same shard. */
import { expect, test } from 'vitest'
import { type Sample, total, totalsBy } from '../../docker/demo/scrape.ts'
import { ask } from '../e2e/documents.ts'
import { covers } from '../e2e/leases.ts'
import { dmsRecord } from '../e2e/records.ts'
import type { PutRecord } from '../e2e/stream.ts'
import { openFaultScene } from './fault-scene.ts'

const GOES_ON_MS = 10_000
const ROWS = 6
const IDS = Array.from({ length: ROWS }, (_, id) => id)
/** Of each index: its updates and a delete. */
const PARKED_EACH = ROWS + 1
const parkedIn = (samples: Sample[]): number => total(samples, 'cdc_parked_records')

test('an index blocked for writes and one that is closed: the other tables of their shard go on, no checkpoint passes what waits, and all of it is there once they take writes again', async () => {
  const faults = await openFaultScene('blocked')
  const { scene, load } = faults
  const call = (method: string, path: string, body?: unknown) =>
    ask(scene.parts.endpoints.opensearchUrl, method, path, { body, accepted: [] })
  // Both in the shard of the load's first table.
  const [blocked, closed] = [scene.tableIn(0, 'blocked'), scene.tableIn(0, 'closed')]
  const put = (table: string, operation: string, ids: readonly number[], note: string) =>
    scene.stream.put(
      ids.map(id => ({
        partitionKey: `${scene.schema}.${table}`,
        data: dmsRecord({ operation, schema: scene.schema, table, row: `{"id":${id},"note":"${note}"}` }),
      })),
    )
  for (const table of [blocked, closed]) await put(table, 'insert', [0, 1], 'before')
  await scene.quiet()

  await call('PUT', `/${scene.indexOf(blocked)}/_settings`, { 'index.blocks.write': true })
  await call('POST', `/${scene.indexOf(closed)}/_close`)
  const [firstOfClosed] = await put(closed, 'update', IDS, 'meanwhile')
  const [firstOfBlocked] = await put(blocked, 'update', IDS, 'meanwhile')
  for (const table of [blocked, closed]) await put(table, 'delete', [1], 'meanwhile')

  /** Everything else is mirrored, and checkpointed in the other shards; in this one not beyond the record. */
  async function expectOthersGoOn(waiting: PutRecord): Promise<void> {
    // Twice, so that what goes on is no page that was under way already.
    for (let round = 0; round < 2; round++) {
      await load.put(5)
      const last = load.lastPut()
      const areMirrored = () =>
        load.expectMirrored().then(
          () => true,
          () => false,
        )
      await scene.until('every other table to be mirrored, that of the same shard too', areMirrored, {
        deadlineMs: GOES_ON_MS,
      })
      await scene.until('the other shards to be checkpointed', async () => {
        const leases = [...(await scene.leases.all()).values()]
        return leases.every(
          ({ leaseKey, checkpoint }) =>
            leaseKey === waiting.shardId || covers(checkpoint, last.get(leaseKey)!),
        )
      })
      const { checkpoint } = (await scene.leases.all()).get(waiting.shardId)!
      expect(covers(checkpoint, waiting.sequenceNumber), 'checkpoint beyond what waits').toBe(false)
    }
  }

  await faults.lookUntil(({ count, last }) => count > 5 && parkedIn(last) === 2 * PARKED_EACH)
  const reasons = totalsBy(await faults.worker.samples(), 'cdc_index_blocked', 'reason')
  expect(Object.fromEntries(reasons)).toEqual({ index_closed_exception: 1, cluster_block_exception: 1 })
  await expectOthersGoOn(firstOfClosed!)

  await call('POST', `/${scene.indexOf(closed)}/_open`)
  const expected = Object.fromEntries(
    IDS.filter(id => id !== 1).map(id => [id, `{"id":${id},"note":"meanwhile"}`]),
  )
  const isThere = () =>
    scene.expectDocuments(closed, expected).then(
      () => true,
      () => false,
    )
  await scene.until('the index that is open again to be mirrored', isThere, { deadlineMs: GOES_ON_MS })
  await expectOthersGoOn(firstOfBlocked!)
  expect(parkedIn(await faults.worker.samples()), 'records parked').toBe(PARKED_EACH)
  await scene.expectNoLetters()

  await call('PUT', `/${scene.indexOf(blocked)}/_settings`, { 'index.blocks.write': null })
  await faults.expectWhole()
  await scene.expectDocuments(blocked, expected)
  const samples = await faults.worker.samples()
  expect([parkedIn(samples), total(samples, 'cdc_index_blocked')]).toEqual([0, 0])
})
