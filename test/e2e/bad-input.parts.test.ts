/** Records that can never become a document, among good ones. */
import { expect, test } from 'vitest'
import { markerIds } from '../../docker/demo/marker.ts'
import { total } from '../../docker/demo/scrape.ts'
import { openScene } from './harness.ts'
import { createLoad } from './load.ts'
import { controlRecord, dmsRecord } from './records.ts'
import { booksOf } from './workers.ts'

test('malformed records among good ones: each is a dead letter with its payload and reason, and its shard goes on', async () => {
  const scene = await openScene('malformed')
  const [keyed, ...others] = scene.tables
  const { schema } = scene
  const load = createLoad(scene)
  const row = (table: string, more: object = {}): string =>
    dmsRecord({ operation: 'insert', schema, table, row: '{"id":1,"name":"a"}', ...more })

  /** Each goes to every shard, so that none depends on what else its shard carries. */
  const bad: { reason: string; data: Buffer }[] = [
    { reason: 'not-json', data: Buffer.from('{"data":{"id":1},"metadata":') },
    { reason: 'not-json', data: Buffer.from('neither this') },
    // Latin-1: the byte e9 begins a character of three bytes that never comes.
    { reason: 'not-utf8', data: Buffer.from(row(keyed!).replace('"a"', '"caf\u00e9"'), 'latin1') },
    { reason: 'not-a-dms-record', data: Buffer.from('{"id":1,"name":"a row alone"}') },
    { reason: 'not-a-dms-record', data: Buffer.from('[1,2,3]') },
    { reason: 'unknown-operation', data: Buffer.from(row(keyed!, { operation: 'truncate' })) },
    { reason: 'no-key', data: Buffer.from(row(keyed!, { row: '{"name":"nobody"}' })) },
    { reason: 'no-key', data: Buffer.from(row(keyed!, { row: '{"id":null,"name":"nobody"}' })) },
    // 9007199254740993 as a double wrote it: the last digit is gone at the source.
    { reason: 'damaged-key', data: Buffer.from(row(keyed!, { row: '{"id":9.007199254740992E15}' })) },
  ]
  const worker = await scene.startWorker('worker', {
    TABLE_FILE: scene.tableFile('keyed', `  ${schema}.${keyed}: { key: [id] }\n`),
  })
  await load.put(5)
  const put: { reason: string; data: Buffer; shardId: string; sequenceNumber: string }[] = []
  for (const table of scene.tables) {
    const partitionKey = `${schema}.${table}`
    const records = await scene.stream.put(bad.map(({ data }) => ({ partitionKey, data })))
    for (const [at, record] of records.entries()) put.push({ ...bad[at]!, ...record })
    await scene.stream.put([{ partitionKey, data: controlRecord('drop-table', schema, others[0]!) }])
  }
  await load.put(5)
  await scene.quiet()

  const letters = await scene.queue.letters()
  const told = letters
    .map(({ reason, shardId, sequenceNumber, bytes }) => ({ reason, shardId, sequenceNumber, data: bytes }))
    .sort((a, b) => a.sequenceNumber.localeCompare(b.sequenceNumber))
  expect(told).toEqual(put.sort((a, b) => a.sequenceNumber.localeCompare(b.sequenceNumber)))
  for (const letter of letters) {
    expect(letter).toMatchObject({
      format: 1,
      stream: scene.name,
      part: 1,
      parts: 1,
      encoding: 'gzip+base64',
    })
    expect(scene.tables.map(table => `${schema}.${table}`)).toContain(letter.partitionKey)
    for (const at of [letter.arrivedAt, letter.at]) expect(Date.parse(at)).not.toBeNaN()
    expect(letter.service).not.toBe('')
  }

  await load.expectMirrored()
  const samples = await worker.samples()
  for (const reason of new Set(bad.map(each => each.reason)))
    expect(total(samples, 'cdc_dead_letters_total', { reason }), reason).toBe(
      put.filter(each => each.reason === reason).length,
    )
  expect(total(samples, 'cdc_records_settled_total', { outcome: 'dead_lettered' })).toBe(put.length)
  expect(total(samples, 'cdc_records_skipped_total', { reason: 'control' })).toBe(scene.tables.length)
  expect(booksOf(samples)).toHaveLength(4)
  await scene.expectDataInShards()
  await scene.expectSettled([worker])
})

test('a row that OpenSearch refuses is a dead letter, and the other rows of its bulk request are indexed', async () => {
  const scene = await openScene('rejected')
  const { schema, tables } = scene
  const table = tables[0]!
  const record = (operation: string, row: string): { partitionKey: string; data: string } => ({
    partitionKey: `${schema}.${table}`,
    data: dmsRecord({ operation, schema, table, row }),
  })
  // The first row makes `size` an object; a text can then never be indexed there.
  await scene.stream.put([record('insert', '{"id":1,"size":{"w":1}}')])
  const worker = await scene.startWorker('worker')
  await scene.quiet()
  const refused = record('insert', '{"id":2,"size":"large"}')
  const [, second] = await scene.stream.put([
    record('insert', '{"id":3,"size":{"w":3}}'),
    refused,
    record('insert', '{"id":4,"size":{"w":4}}'),
  ])
  await scene.quiet()

  const letters = await scene.queue.letters()
  expect(letters).toMatchObject([
    {
      reason: 'rejected',
      sequenceNumber: second!.sequenceNumber,
      table: `${schema}.${table}`,
      index: scene.indexOf(table),
      id: '2',
    },
  ])
  expect(letters[0]!.bytes.toString()).toBe(refused.data)
  expect(letters[0]!.detail).not.toContain('large')
  await scene.expectDocuments(table, {
    1: '{"id":1,"size":{"w":1}}',
    3: '{"id":3,"size":{"w":3}}',
    4: '{"id":4,"size":{"w":4}}',
  })
  await scene.expectSettled([worker])
})

test('a key change of a table partitioned by key: the half that is at home in another shard is a dead letter', async () => {
  const scene = await openScene('key-moved')
  const { schema } = scene
  const load = createLoad(scene)
  const table = 'bykey'
  const shards = await scene.stream.openShards()
  const idIn = markerIds(shards)
  const [oldId, newId] = shards.slice(0, 2).map(({ shardId }) => idIn.get(shardId)!) as [number, number]
  const put = async (id: number, record: { operation: string; row: string; before?: string }) => {
    const data = dmsRecord({ schema, table, partitionKeyType: 'primary-key', ...record })
    const [where] = await scene.stream.put([{ partitionKey: String(id), data }])
    return { data, ...where! }
  }
  const worker = await scene.startWorker('worker', {
    TABLE_FILE: scene.tableFile('bykey', `  ${schema}.${table}: { partition: key }\n`),
  })
  await load.put(2)
  await put(oldId, { operation: 'insert', row: `{"id":${oldId},"name":"old"}` })
  await scene.quiet()
  const moved = await put(newId, {
    operation: 'update',
    row: `{"id":${newId},"name":"moved"}`,
    before: `{"id":${oldId}}`,
  })
  await scene.quiet()

  // Only the source can tell whether the old key has a row again, so its document stays until the letter is settled.
  await scene.expectDocuments(table, {
    [oldId]: `{"id":${oldId},"name":"old"}`,
    [newId]: `{"id":${newId},"name":"moved"}`,
  })
  const letters = await scene.queue.letters()
  expect(letters).toMatchObject([
    {
      reason: 'key-moved',
      table: `${schema}.${table}`,
      index: scene.indexOf(table),
      id: String(oldId),
      shardId: moved.shardId,
      sequenceNumber: moved.sequenceNumber,
    },
  ])
  expect(letters[0]!.bytes.toString()).toBe(moved.data)
  await load.expectMirrored()
  await scene.expectDataInShards()
  await scene.expectSettled([worker])
})
