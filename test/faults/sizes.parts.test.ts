/** Requests that are refused for their size, and one row among thousands that can never be indexed. */
import { expect, onTestFinished, test } from 'vitest'
import { total } from '../../docker/demo/scrape.ts'
import { openScene } from '../e2e/harness.ts'
import { dmsRecord } from '../e2e/records.ts'
import { seededChance } from '../simulation/chance.ts'
import { type Fault, type SeenRequest, startBulkProxy } from './bulk-proxy.ts'
import { faultMs, openFaultScene } from './fault-scene.ts'
import { expectStreamOrder } from './stream-order.ts'

const FAULT_MS = faultMs(1)
const BODY_BYTES_MAX = 1500
const ROWS = 5000
const PUT_RECORDS = 500
const PAGE_RECORDS_MAX = 1000
/** Refused as an item. */
const REFUSED = 1500
/** Every request with it is refused. */
const REFUSING = 3500
const WHOLE: Fault = { kind: 'whole', status: 400, type: 'illegal_argument_exception' }
const DELAY_MS_MAX = 1000

test('large requests refused with 413, half of them by a reset: cut until they pass; a row too large by itself is a dead letter', async () => {
  const faults = await openFaultScene('large')
  const { proxy, scene } = faults
  const chance = seededChance(413)
  proxy.limitBodies(BODY_BYTES_MAX, () => chance.pick(['413', 'reset']))
  await faults.lookFor(FAULT_MS, ({ last }) =>
    ['status-413', 'connection'].every(outcome => total(last, 'cdc_bulk_requests_total', { outcome }) > 2),
  )
  const table = scene.tableIn(0, 'large')
  const row = (id: string, note: string) => ({
    partitionKey: `${scene.schema}.${table}`,
    data: dmsRecord({
      operation: 'insert',
      schema: scene.schema,
      table,
      row: `{"id":"${id}","note":"${note}"}`,
    }),
  })
  await scene.stream.put([row('small', 'x'), row('large', 'x'.repeat(BODY_BYTES_MAX)), row('next', 'x')])
  await scene.quiet()
  expect(await scene.queue.letters()).toMatchObject([{ reason: 'rejected', id: 'large', detail: /413/ }])
  await scene.expectDocuments(table, { small: '{"id":"small","note":"x"}', next: '{"id":"next","note":"x"}' })
  proxy.heal()
  await faults.expectWhole([`${scene.indexOf(table)}/large`])
})

test('two rows in 5,000, one that OpenSearch refuses and one for which whole requests are: a letter each, and each delays its shard by less than a second', async () => {
  const scene = await openScene('poison')
  const proxy = await startBulkProxy(scene.parts.endpoints.opensearchUrl)
  onTestFinished(() => proxy.close())
  const { schema } = scene
  const table = scene.tableIn(0, 'many')
  const index = scene.indexOf(table)
  const rows = Array.from({ length: ROWS }, (_, id) => ({
    partitionKey: `${schema}.${table}`,
    data: dmsRecord({
      operation: 'insert',
      schema,
      table,
      // The first row makes `size` an object; a text can then never be indexed there.
      row: `{"id":${id},"size":${id === REFUSED ? '"large"' : `{"w":${id}}`}}`,
    }),
  }))
  for (let at = 0; at < ROWS; at += PUT_RECORDS) await scene.stream.put(rows.slice(at, at + PUT_RECORDS))
  const idsOf = ({ actions }: SeenRequest) =>
    actions.filter(action => action.index === index).map(({ id }) => Number(id))
  proxy.inject(request => (idsOf(request).includes(REFUSING) ? WHOLE : undefined))
  // All of it is in the stream before it is read: what is late is late for the poison, not for want of records.
  const worker = await scene.startWorker('worker', { OPENSEARCH_URL: proxy.url })
  await scene.quiet()

  const letters = (await scene.queue.letters()).map(({ reason, id }) => `${reason} ${id}`)
  expect(letters.sort()).toEqual([`rejected ${REFUSED}`, `rejected ${REFUSING}`])
  const documents = await scene.documents(table)
  expect(documents.size).toBe(ROWS - 2)
  for (const poison of [REFUSED, REFUSING]) expect(documents.has(String(poison))).toBe(false)
  const pages = pagesOf(proxy.seen(), idsOf)
  expect(pages.length, 'pages').toBeGreaterThanOrEqual(ROWS / PAGE_RECORDS_MAX)
  const isPoisoned = ({ ids }: { ids: Set<number> }) => ids.has(REFUSED) || ids.has(REFUSING)
  const usualMs = median(pages.filter(page => !isPoisoned(page)).map(({ tookMs }) => tookMs))
  for (const poison of [REFUSED, REFUSING]) {
    const { tookMs } = pages.find(({ ids }) => ids.has(poison))!
    expect(tookMs - usualMs, `ms by which row ${poison} delays its shard`).toBeLessThan(DELAY_MS_MAX)
  }
  await scene.expectSettled([worker])
  await expectStreamOrder(
    scene,
    proxy.seen(),
    [REFUSED, REFUSING].map(id => `${index}/${id}`),
  )
})

/** The pages of the shard: a page begins with a request of rows never sent before, and takes until the next one begins. */
function pagesOf(
  requests: readonly SeenRequest[],
  idsOf: (request: SeenRequest) => number[],
): { ids: Set<number>; tookMs: number }[] {
  const pages: { ids: Set<number>; atMs: number; endedAtMs: number }[] = []
  let newest = -1
  for (const request of requests) {
    const ids = idsOf(request)
    if (ids.length === 0) continue
    if (Math.max(...ids) > newest) pages.push({ ids: new Set(), atMs: request.atMs, endedAtMs: 0 })
    newest = Math.max(newest, ...ids)
    const page = pages.at(-1)!
    for (const id of ids) page.ids.add(id)
    page.endedAtMs = request.endedAtMs!
  }
  return pages.map(({ ids, atMs, endedAtMs }, at) => ({
    ids,
    tookMs: (pages[at + 1]?.atMs ?? endedAtMs) - atMs,
  }))
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
