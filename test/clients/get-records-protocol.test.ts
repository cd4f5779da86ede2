/** Both decoders, asked the same over HTTP: one page, or an error of one name. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { kinesisStream } from '../../src/clients/kinesis.ts'
import type { PageRecord, StreamPage } from '../../src/core/stream.ts'

let answer: (response: ServerResponse) => void | Promise<void>
let requests = 0
/** Whether the last answer read by `bytes` came to the SDK after all. */
let isDecodedBySdk = false
const server = createServer((request, response) => {
  request.resume()
  request.on('end', () => {
    requests++
    void answer(response)
  })
})

beforeAll(async () => {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  vi.stubEnv('AWS_ENDPOINT_URL', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  vi.stubEnv('AWS_REGION', 'eu-west-1')
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test')
})
afterAll(() => {
  vi.unstubAllEnvs()
  server.closeAllConnections()
  server.close()
})

/** The page with its data as text, so that kinds of byte arrays do not count; or the error's name. */
async function readBy(decoder: 'bytes' | 'sdk') {
  const onDecodedBySdk = () => {
    if (decoder === 'bytes') isDecodedBySdk = true
  }
  const stream = kinesisStream('s', { decoder, onDecodedBySdk })
  try {
    const page: StreamPage = await stream.read('iterator', 100)
    if (page.kind !== 'records') return page
    const records = page.records.map(({ sequenceNumber, partitionKey, arrivedAtMs, data }) => ({
      sequenceNumber,
      partitionKey,
      arrivedAtMs,
      data: Buffer.from(data).toString('base64'),
    }))
    return { ...page, records, bytes: undefined, recycle: undefined }
  } catch (error) {
    return { error: (error as Error).name }
  } finally {
    stream.close()
  }
}

/** @returns what both found, which has to be the same */
async function readByBoth(reply: typeof answer) {
  answer = reply
  requests = 0
  isDecodedBySdk = false
  const [bytes, sdk] = [await readBy('bytes'), await readBy('sdk')]
  expect(bytes).toEqual(sdk)
  // No try of its own: the reading loop owns pace and backoff.
  expect(requests).toBe(2)
  return bytes
}

function reply(body: string | Buffer, status = 200, headers: Record<string, string> = {}): typeof answer {
  return response => {
    response.writeHead(status, {
      'content-type': 'application/x-amz-json-1.1',
      'x-amzn-requestid': 'r',
      ...headers,
    })
    response.end(body)
  }
}

const record = (number: number, members: object = {}) => ({
  ApproximateArrivalTimestamp: 1_441_215_410.867,
  Data: Buffer.from(`row ${number}`).toString('base64'),
  PartitionKey: `public.t${number}`,
  SequenceNumber: String(number),
  ...members,
})
const page = (members: object) => ({
  MillisBehindLatest: 0,
  NextShardIterator: 'next',
  Records: [],
  ...members,
})
const child = (shardId: string, parents: string[]) => ({
  ShardId: shardId,
  ParentShards: parents,
  HashKeyRange: { StartingHashKey: '0', EndingHashKey: '340282366920938463463374607431768211455' },
})

/** What JSON allows a writer: white space, all in ASCII, members the other way round. */
const forms: Record<string, (value: object) => string> = {
  compact: JSON.stringify,
  spaced: value => JSON.stringify(value, null, 2),
  escaped: value =>
    JSON.stringify(value).replace(
      /[^ -~]/g,
      unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
  reversed: value =>
    JSON.stringify(value, (_, inner) =>
      inner && typeof inner === 'object' && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).reverse())
        : inner,
    ),
}

describe.each(Object.keys(forms))('pages, %s', form => {
  test.each<[string, object]>([
    ['records', page({ Records: [record(1), record(2)], MillisBehindLatest: 5000 })],
    ['no records', page({})],
    ['no next iterator', { Records: [record(1)], MillisBehindLatest: 0 }],
    [
      'null for what is not there',
      page({ Records: [record(1)], NextShardIterator: null, ChildShards: null, MillisBehindLatest: null }),
    ],
    [
      'quotes, backslashes and controls in a partition key',
      page({ Records: [record(1, { PartitionKey: '"\\"\n\u0001\u007f' })] }),
    ],
    ['unicode in a partition key', page({ Records: [record(1, { PartitionKey: 'žluť 漢字 😀 \ud800' })] })],
    [
      'a partition key that looks like members',
      page({ Records: [record(1, { PartitionKey: '","Data":"AAAA"},{"' })] }),
    ],
    ['no data in a record', page({ Records: [record(1, { Data: '' })] })],
    [
      'much data in a record',
      page({ Records: [record(1, { Data: Buffer.alloc(1_000_000, 'row').toString('base64') })] }),
    ],
    ['many records', page({ Records: Array.from({ length: 2000 }, (_, at) => record(at)) })],
    [
      'the encryption',
      page({ Records: [record(1, { EncryptionType: 'KMS' }), record(2, { EncryptionType: 'NONE' })] }),
    ],
    ['no arrival time', page({ Records: [record(1, { ApproximateArrivalTimestamp: undefined })] })],
    ['texts of a later day', page({ Records: [record(1, { Later: 'x' })], Later: [1], __type: 'x' })],
  ])('%s: by bytes, as the SDK does', async (_, members) => {
    expect(await readByBoth(reply(forms[form]!(members)))).toHaveProperty('kind', 'records')
    expect(isDecodedBySdk).toBe(false)
  })

  test.each<[string, object]>([
    ['one child', { Records: [], ChildShards: [child('shardId-2', ['shardId-0', 'shardId-1'])] }],
    [
      'two children',
      {
        Records: [record(1)],
        ChildShards: [child('shardId-1', ['shardId-0']), child('shardId-2', ['shardId-0'])],
      },
    ],
    [
      'a child without parents',
      { Records: [], ChildShards: [{ ...child('shardId-1', []), ParentShards: null }] },
    ],
    ['null for arrival time', page({ Records: [record(1, { ApproximateArrivalTimestamp: null })] })],
    [
      'a text for arrival time',
      page({ Records: [record(1, { ApproximateArrivalTimestamp: '1441215410.867' })] }),
    ],
    ['an arrival time before 1970', page({ Records: [record(1, { ApproximateArrivalTimestamp: -1.5 })] })],
    [
      'an arrival time beyond all dates',
      page({ Records: [record(1, { ApproximateArrivalTimestamp: 8.64e15 })] }),
    ],
    ['no partition key', page({ Records: [record(1, { PartitionKey: undefined })] })],
    ['objects of a later day', page({ Records: [record(1, { Later: { Data: 'x' } })] })],
    ['nothing at all', {}],
  ])('%s: left to the SDK', async (_, members) => {
    expect(await readByBoth(reply(forms[form]!(members)))).toHaveProperty('kind', 'records')
    expect(isDecodedBySdk).toBe(true)
  })
})

describe('pages', () => {
  test.each([
    '1.441215410867E9',
    '1.7e9',
    '1.7E+9',
    '1441215410',
    '1441215410.8675',
    '14412154108.67e-1',
    '0',
  ])('arrival time %s', async time => {
    const body = JSON.stringify(page({ Records: [record(1, { ApproximateArrivalTimestamp: 7 })] }))
    expect(await readByBoth(reply(body.replace(':7,', `:${time},`)))).toHaveProperty('kind', 'records')
  })

  test('members and records in another order', async () => {
    const { Data, PartitionKey, SequenceNumber } = record(1)
    const body = { Records: [{ SequenceNumber, Data, PartitionKey }], NextShardIterator: 'next' }
    expect(await readByBoth(reply(JSON.stringify(body)))).toMatchObject({
      next: 'next',
      records: [{ data: Data }],
    })
  })

  test('an escaped slash in data', async () => {
    const body = JSON.stringify(page({ Records: [record(1, { Data: '////' })] })).replaceAll('/', '\\/')
    expect(await readByBoth(reply(body))).toMatchObject({ records: [{ data: '////' }] })
  })

  test('an empty body is an end without children, which the reader refuses', async () => {
    expect(await readByBoth(reply(''))).toMatchObject({ next: undefined, children: [] })
  })

  test('a body in many small chunks', async () => {
    const body = Buffer.from(
      JSON.stringify(page({ Records: [record(1, { PartitionKey: 'ž😀' }), record(2)] })),
    )
    const found = await readByBoth(async response => {
      response.writeHead(200)
      for (let at = 0; at < body.length; at += 3) {
        response.write(body.subarray(at, at + 3))
        if (at % 60 === 0) await sleep(1)
      }
      response.end()
    })
    expect(found).toMatchObject({ records: [{ partitionKey: 'ž😀' }, { sequenceNumber: '2' }] })
  })

  test('two reads under way at once do not share bytes', async () => {
    let call = 0
    answer = async response => {
      const body = JSON.stringify(
        page({ Records: Array.from({ length: 500 }, () => record(++call > 500 ? 2 : 1)) }),
      )
      response.writeHead(200)
      response.write(body.slice(0, body.length / 2))
      await sleep(5)
      response.end(body.slice(body.length / 2))
    }
    const stream = kinesisStream('s', { decoder: 'bytes' })
    const pages = await Promise.all([stream.read('a', 500), stream.read('b', 500)])
    stream.close()
    const numbers = pages.map(
      found =>
        found.kind === 'records' && new Set(found.records.map(({ data }) => String(Buffer.from(data)))),
    )
    expect(new Set(numbers)).toEqual(new Set([new Set(['row 1']), new Set(['row 2'])]))
  })
})

test('memory given back serves the next page, and what was kept of the one before stays as it was', async () => {
  const stream = kinesisStream('s', { decoder: 'bytes' })
  const read = async (row: string) => {
    const body = JSON.stringify(
      page({ Records: [record(1, { Data: Buffer.alloc(600_000, row).toString('base64') })] }),
    )
    answer = reply(body)
    const found = await stream.read('iterator', 100)
    if (found.kind !== 'records') throw new Error(found.kind)
    const first = found.records[0] as PageRecord
    // What it keeps from others, which a budget has to know.
    expect(found.bytes).toBe(first.page.bytes.length)
    return { memory: first.page.bytes, data: first.data, recycle: () => found.recycle!() }
  }
  const [one, two] = [await read('one '), await read('two ')]
  expect(two.memory).not.toBe(one.memory)
  one.recycle()
  one.recycle()
  const [three, four] = [await read('three '), await read('four ')]
  expect(three.memory).toBe(one.memory)
  expect(four.memory).not.toBe(one.memory)
  expect([one, two, three, four].map(({ data }) => String(Buffer.from(data).subarray(0, 4)))).toEqual([
    'one ',
    'two ',
    'thre',
    'four',
  ])
  stream.close()
})

describe('errors', () => {
  const good = JSON.stringify(page({ Records: [record(1), record(2)] }))
  const fault = (type: string, status = 400) =>
    reply(JSON.stringify({ __type: type, message: 'why' }), status)

  test.each<[string, typeof answer, object]>([
    ['an expired iterator', fault('ExpiredIteratorException'), { kind: 'expired' }],
    ['a shard that is gone', fault('ResourceNotFoundException'), { kind: 'gone' }],
    [
      'too many reads',
      fault('ProvisionedThroughputExceededException'),
      { error: 'ProvisionedThroughputExceededException' },
    ],
    ['a fault of theirs', fault('InternalFailure', 500), { error: 'InternalFailure' }],
    ['a fault without a body', reply('', 503), {}],
    ['a body cut short that says it is whole', reply(good.slice(0, -20)), { error: 'SyntaxError' }],
    ['a body cut inside the data', reply(good.slice(0, good.indexOf('Data') + 9)), { error: 'SyntaxError' }],
    ['something that is not JSON', reply('no'), { error: 'SyntaxError' }],
    ['a page of HTML', reply('<html><body>gateway</body></html>'), { error: 'SyntaxError' }],
    [
      'a gzip nobody asked for',
      reply(gzipSync(good), 200, { 'content-encoding': 'gzip' }),
      { error: 'SyntaxError' },
    ],
    ['base64 that is none', reply(good.replace('cm93', 'c-_3')), { error: 'TypeError' }],
    ['base64 without its padding', reply(good.replace('cm93ID', 'cm93I')), { error: 'TypeError' }],
    [
      'a record without a sequence number',
      reply(good.replace('SequenceNumber', 'Number')),
      { error: 'Error' },
    ],
    ['a record without data', reply(good.replace('Data', 'Date')), { error: 'Error' }],
  ])('%s', async (_, replied, found) => {
    expect(await readByBoth(replied)).toMatchObject(found)
  })

  test.each([{ 'content-length': String(good.length) }, {}])(
    'a connection that ends inside the body is never a short page: %j',
    async headers => {
      const found = await readByBoth(async response => {
        response.writeHead(200, headers)
        response.write(good.slice(0, good.length / 2))
        await sleep(5)
        response.destroy()
      })
      expect(found).toEqual({ error: 'Error' })
    },
  )

  test.each(['bytes', 'sdk'] as const)('a body that stalls is an error, by %s', async decoder => {
    answer = response => {
      response.writeHead(200)
      response.write(good.slice(0, good.length / 2))
    }
    const stream = kinesisStream('s', { decoder, requestTimeoutMs: 100 })
    await expect(stream.read('iterator', 100)).rejects.toThrow(/timed out after 100 ms/)
    stream.close()
  })

  test('other operations are the SDK’s own', async () => {
    answer = reply('{"ShardIterator":"Records"}')
    const stream = kinesisStream('s', { decoder: 'bytes' })
    expect(await stream.open('shardId-0', 'LATEST')).toBe('Records')
    stream.close()
  })
})
