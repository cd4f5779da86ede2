/**
 * Records no table ever gave, put straight into the stream among good ones: so deep, so long or so large that a reader
 * without limits dies of them. Each is written or refused by rule, in bounded memory, and OpenSearch answers on.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { KinesisClient, PutRecordCommand, UpdateMaxRecordSizeCommand } from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { expect, onTestFinished, test } from 'vitest'
import { canonical } from '../../docker/demo/raw-json.ts'
import { CREDENTIALS, REGION } from '../../docker/local/aws-clients.ts'
import { ask, documentOf } from './documents.ts'
import { openScene, type Scene } from './harness.ts'
import { dmsRecord } from './records.ts'
import { residentBytes, type Worker } from './workers.ts'

/** The most a stream can be set to take. */
const STREAM_RECORD_KIB = 10_240
/** The emulator adds partition key, sequence number and time to what a page may hold, and answers 500 to a record beyond it. */
const ROOM_BYTES = 512
/** It takes seconds for such a record, in which it answers nobody. */
const LARGE_MS = 60_000
/** Nothing to do but read 10 MB as bytes, as text and as a bulk request costs less; a copy for each level would not. */
const GROWTH_BYTES_MAX = 250 * 1024 * 1024
const SAMPLE_EVERY_MS = 50

/** Puts a record as large as a stream can be set to take. */
async function putLarge({ parts, name }: Scene, partitionKey: string, data: Buffer): Promise<void> {
  const kinesis = new KinesisClient({
    endpoint: parts.endpoints.kinesisUrl,
    region: REGION,
    credentials: CREDENTIALS,
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler({ requestTimeout: LARGE_MS, throwOnRequestTimeout: true }),
  })
  const StreamARN = `arn:aws:kinesis:${REGION}:000000000000:stream/${name}`
  await kinesis.send(new UpdateMaxRecordSizeCommand({ StreamARN, MaxRecordSizeInKiB: STREAM_RECORD_KIB }))
  await kinesis.send(new PutRecordCommand({ StreamName: name, PartitionKey: partitionKey, Data: data }))
  kinesis.destroy()
}

/** The highest resident memory of a worker until asked, by its own metric. */
function watchMemory(worker: Worker): { peakBytes(): Promise<number> } {
  let isDone = false
  let peak = 0
  const watching = (async () => {
    while (!isDone) {
      peak = Math.max(peak, residentBytes(await worker.samples()))
      await pause(SAMPLE_EVERY_MS)
    }
  })()
  // A sample that fails is told when the peak is asked for.
  watching.catch(() => {})
  return {
    async peakBytes() {
      isDone = true
      await watching
      return peak
    },
  }
}

const nested = (open: string, close: string, depth: number, inside = '1'): string =>
  open.repeat(depth) + inside + close.repeat(depth)
const arrays = (depth: number): string => nested('[', ']', depth)
const objects = (depth: number): string => nested('{"a":', '}', depth)
const asText = (json: string): string => JSON.stringify(json)

/** Rows whose document is the row, but for what the table file says of the column `doc`. */
const PASSED: Record<string, { row: string; document?: string }> = {
  good: { row: '{"id":"good","n":1}' },
  'arrays to depth 20': { row: `{"id":"arrays to depth 20","deep":${arrays(19)}}` },
  'objects to depth 20': { row: `{"id":"objects to depth 20","object":${objects(19)}}` },
  'JSON text to depth 20': {
    row: `{"id":"JSON text to depth 20","doc":${asText(objects(19))}}`,
    document: `{"id":"JSON text to depth 20","doc":${objects(19)}}`,
  },
  'depth as text': { row: `{"id":"depth as text","body":${asText(arrays(5000))}}` },
  'a number of 1,000 digits': { row: `{"id":"a number of 1,000 digits","long":${'1234567890'.repeat(100)}}` },
  'the same behind the point': {
    row: `{"id":"the same behind the point","fraction":0.${'1234567890'.repeat(100).slice(2)}}`,
  },
  'names of prototypes': {
    row: '{"id":"names of prototypes","__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"toString":"x","hasOwnProperty":null}',
  },
  'the same in JSON text': {
    row: `{"id":"the same in JSON text","doc":${asText('{"__proto__":{"polluted":true},"constructor":{"prototype":1}}')}}`,
    document:
      '{"id":"the same in JSON text","doc":{"__proto__":{"polluted":true},"constructor":{"prototype":1}}}',
  },
  'good again': { row: '{"id":"good again","n":2}' },
}

const REFUSED: { reason: string; row: string }[] = [
  { reason: 'too-deep', row: `{"id":"x","deep":${arrays(20)}}` },
  { reason: 'too-deep', row: `{"id":"x","deep":${arrays(5000)}}` },
  { reason: 'too-deep', row: `{"id":"x","deep":${objects(5000)}}` },
  { reason: 'too-deep', row: `{"id":"x","deep":${'['.repeat(5000)}` },
  { reason: 'number-too-long', row: `{"id":"x","long":${'1'.repeat(1001)}}` },
  { reason: 'number-too-long', row: `{"id":"x","long":-0.${'1'.repeat(100_000)}}` },
  { reason: 'number-too-long', row: `{"id":${'1'.repeat(1001)}}` },
  { reason: 'column-unreadable', row: `{"id":"x","doc":${asText(objects(20))}}` },
  { reason: 'column-unreadable', row: `{"id":"x","doc":${asText(arrays(5000))}}` },
  { reason: 'column-unreadable', row: `{"id":"x","doc":${asText(`{"n":${'1'.repeat(1001)}}`)}}` },
  { reason: 'column-unreadable', row: `{"id":"x","list":${asText(nested('{', '}', 5000))}}` },
  { reason: 'rejected', row: '{"id":"x","n":1,"n":2}' },
  { reason: 'rejected', row: '{"id":"x","object":{"a":[{"b":1,"b":1}]}}' },
]

test('depth, digits and names without end: written or refused by rule, and memory and OpenSearch unharmed', async () => {
  const scene = await openScene('odd', { shards: 1 })
  const { schema, stream } = scene
  const { opensearchUrl } = scene.parts.endpoints
  const partitionKey = `${schema}.odd`
  const record = (table: string, row: string): Buffer =>
    Buffer.from(dmsRecord({ operation: 'insert', schema, table, row }))
  const frame = '{"id":1,"body":""}'
  const largeBytes = STREAM_RECORD_KIB * 1024 - ROOM_BYTES - record('large', frame).length
  const largeRow = frame.replace('""', `"${'ten bytes '.repeat(largeBytes / 10)}"`)
  await putLarge(scene, partitionKey, record('large', largeRow))
  const worker = await scene.startWorker('worker', {
    TABLE_FILE: scene.tableFile('odd', `  ${schema}.odd: { columns: { doc: jsonb, list: "text[]" } }\n`),
  })
  const beforeBytes = residentBytes(await worker.samples())
  const memory = watchMemory(worker)
  onTestFinished(async () => void (await memory.peakBytes()))

  const passed = Object.values(PASSED)
  const put = async (records: { reason: string; data: Buffer }[]) =>
    (await stream.put(records.map(({ data }) => ({ partitionKey, data })))).map(({ sequenceNumber }, at) => ({
      sequenceNumber,
      reason: records[at]!.reason,
    }))
  await stream.put(passed.slice(0, -1).map(({ row }) => ({ partitionKey, data: record('odd', row) })))
  const refused = await put(REFUSED.map(({ reason, row }) => ({ reason, data: record('odd', row) })))
  refused.push(
    ...(await put([
      {
        reason: 'too-deep',
        data: Buffer.from(
          record('odd', '{"id":"x"}')
            .toString()
            .replace('"metadata":{', `"metadata":{"deep":${arrays(5000)},`),
        ),
      },
    ])),
  )
  await stream.put([{ partitionKey, data: record('odd', passed.at(-1)!.row) }])
  await scene.quiet(LARGE_MS)

  const letters = await scene.queue.letters()
  const bySequence = (a: { sequenceNumber: string }, b: { sequenceNumber: string }): number =>
    a.sequenceNumber < b.sequenceNumber ? -1 : 1
  expect(letters.map(({ reason, sequenceNumber }) => ({ sequenceNumber, reason })).sort(bySequence)).toEqual(
    refused.sort(bySequence),
  )
  await scene.expectDocuments(
    'odd',
    Object.fromEntries(Object.entries(PASSED).map(([id, { row, document = row }]) => [id, document])),
  )
  const found = await documentOf(opensearchUrl, scene.indexOf('large'), '1')
  // Not toEqual: nobody wants to read 10 MB of difference.
  expect(found?.text === canonical(largeRow), 'the document of 10 MB is the row').toBe(true)
  expect((await scene.documents('large')).size).toBe(1)

  expect((await memory.peakBytes()) - beforeBytes, 'growth of resident memory').toBeLessThan(GROWTH_BYTES_MAX)
  expect(JSON.parse(await ask(opensearchUrl, 'GET', '/_cluster/health'))).toMatchObject({ timed_out: false })
  await scene.expectSettled([worker])
})
