/** One request over real sockets: what is told of every way in which an answer can fail, and that the socket is gone. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { deflateSync, gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type OpenSearchOptions, openSearch } from '../../src/clients/opensearch.ts'
import type { RequestFailure } from '../../src/clients/opensearch-exchange.ts'

const BULK = '{"delete":{"_index":"i","_id":"1"}}\n'
const GOOD = '{"items":[{"index":{"status":201}}]}'
const json = { 'content-type': 'application/json' }

let server: Server
let url: string
let answer: (response: ServerResponse, request: IncomingMessage) => void
/** Resolves once the socket of the request is closed, as the server sees it. */
let closed: Promise<unknown>
let body: Buffer
const failures: RequestFailure[] = []

beforeAll(async () => {
  server = createServer((request, response) => {
    closed = once(request.socket, 'close')
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', () => {
      body = Buffer.concat(chunks)
      answer(response, request)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})
beforeEach(() => {
  failures.length = 0
})

function client(given: Partial<OpenSearchOptions> = {}) {
  const search = openSearch({
    url,
    authentication: { kind: 'none' },
    compression: 'none',
    opaqueId: 'worker ž',
    onFailure: failure => failures.push(failure),
    ...given,
  })
  onTestFinished(() => search.close())
  return search
}

const reply =
  (text: string | Buffer, status = 200, headers: Record<string, string> = json) =>
  (response: ServerResponse) =>
    void response.writeHead(status, headers).end(text)

describe('no whole answer in time: the socket is closed, and it may have landed', () => {
  const failed = { kind: 'failed', reason: 'timeout', mayHaveLanded: true }

  test.each<[string, (response: ServerResponse) => void]>([
    ['nothing', () => {}],
    ['headers alone', response => response.writeHead(200, json).flushHeaders()],
    ['half a body', response => void response.writeHead(200, json).write(GOOD.slice(0, 9))],
    [
      'a byte now and then',
      response => {
        response.writeHead(200, json)
        const timer = setInterval(() => response.write(' '), 20)
        response.on('close', () => clearInterval(timer))
      },
    ],
  ])('%s', async (_, answers) => {
    answer = answers
    const startedAtMs = performance.now()
    expect(await client().bulk(BULK, 150)).toEqual(failed)
    expect(performance.now() - startedAtMs).toBeLessThan(1000)
    await closed
    expect(failures).toMatchObject([{ reason: 'timeout', detail: 'no answer within 150 ms' }])
  })

  test('documents and ping as well', async () => {
    answer = response => void response.writeHead(200, json).write('{')
    const search = client()
    await expect(search.documents([{ index: 'i', id: '1' } as never], 100)).rejects.toThrow('within 100 ms')
    expect(await search.ping(100)).toBe(false)
  })

  test('the next request has a connection of its own', async () => {
    answer = () => {}
    const search = client()
    expect(await search.bulk(BULK, 50)).toEqual(failed)
    answer = reply(GOOD)
    expect(await search.bulk(BULK, 5000)).toMatchObject({ kind: 'items' })
  })
})

describe('no connection: nothing has landed', () => {
  const failed = { kind: 'failed', reason: 'connection', mayHaveLanded: false }

  test.each([
    ['refused', 'http://127.0.0.1:1', 'ECONNREFUSED'],
    ['refused on every address of a name', 'http://localhost:1', 'ECONNREFUSED'],
    ['a name that does not resolve', 'http://nowhere.invalid:9200', /ENOTFOUND|EAI_AGAIN/],
  ])('%s', async (_, to, code) => {
    expect(await client({ url: to }).bulk(BULK, 10_000)).toEqual(failed)
    expect(failures[0]!.detail).toMatch(code)
  })

  test('time up while it is still being made: TCP stands, TLS does not', async () => {
    const mute = createTcpServer().listen(0, '127.0.0.1')
    await once(mute, 'listening')
    onTestFinished(() => void mute.close())
    const search = client({ url: `https://127.0.0.1:${(mute.address() as AddressInfo).port}` })
    expect(await search.bulk(BULK, 100)).toEqual({ ...failed, reason: 'timeout' })
  })
})

describe('a connection that breaks: it may have landed', () => {
  const failed = { kind: 'failed', reason: 'connection', mayHaveLanded: true }

  test.each<[string, (response: ServerResponse, request: IncomingMessage) => void]>([
    ['before the answer', (_, request) => void request.socket.destroy()],
    ['by a reset', (_, request) => void request.socket.resetAndDestroy()],
    [
      'inside an answer of known length',
      response => {
        response.writeHead(200, { ...json, 'content-length': 500 }).write(GOOD)
        setTimeout(() => response.destroy(), 10)
      },
    ],
    [
      'inside an answer in chunks',
      response => {
        response.writeHead(200, json).write(GOOD)
        setTimeout(() => response.destroy(), 10)
      },
    ],
    ['in another language', (_, request) => void request.socket.end('+OK ready\r\n')],
  ])('%s', async (_, answers) => {
    answer = answers
    expect(await client().bulk(BULK, 5000)).toEqual(failed)
  })

  test('while a body of 8 MB is sent', async () => {
    const cutting = createTcpServer((socket: Socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.resetAndDestroy())
    }).listen(0, '127.0.0.1')
    await once(cutting, 'listening')
    onTestFinished(() => void cutting.close())
    const search = client({ url: `http://127.0.0.1:${(cutting.address() as AddressInfo).port}` })
    expect(await search.bulk(BULK.padEnd(8_000_000), 5000)).toEqual(failed)
    expect(failures[0]!.detail).toMatch(/ECONNRESET|EPIPE/)
  })

  test('a 413 that comes while the body is still sent is told as 413', async () => {
    const refusing = createTcpServer((socket: Socket) => {
      socket.on('error', () => {})
      socket.once('data', () => {
        socket.write(
          'HTTP/1.1 413 Request Entity Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n',
        )
        setTimeout(() => socket.destroy(), 200)
      })
    }).listen(0, '127.0.0.1')
    await once(refusing, 'listening')
    onTestFinished(() => void refusing.close())
    const search = client({ url: `http://127.0.0.1:${(refusing.address() as AddressInfo).port}` })
    expect(await search.bulk(BULK.padEnd(50_000_000), 5000)).toMatchObject({ kind: 'status', status: 413 })
  })

  test('ended by ourselves: what is under way, and what is not sent yet', async () => {
    answer = () => {}
    const search = client()
    const sent = search.bulk(BULK, 5000)
    await sleep(50)
    search.destroySockets()
    expect(await sent).toEqual(failed)
    const signing = client({
      authentication: {
        kind: 'sigv4',
        service: 'es',
        region: 'eu-west-1',
        credentials: () => new Promise(() => {}),
      },
    })
    const unsent = signing.bulk(BULK, 5000)
    await sleep(10)
    signing.destroySockets()
    expect(await unsent).toEqual({ ...failed, mayHaveLanded: false })
    answer = reply(GOOD)
    expect(await search.bulk(BULK, 5000)).toMatchObject({ kind: 'items' })
  })
})

describe('answers of other forms', () => {
  const malformed = { kind: 'failed', reason: 'malformed-answer', mayHaveLanded: true }
  const status = (code: number, type = 'no error type') => ({ kind: 'status', status: code, type })
  const html = '<html><body><h1>502 Bad Gateway</h1></body></html>'
  const asHtml = { 'content-type': 'text/html' }

  test.each<[string, (response: ServerResponse) => void, object]>([
    ['JSON cut short that says it is whole', reply(GOOD.slice(0, -5)), malformed],
    ['JSON without items', reply('{"took":1}'), malformed],
    ['items that are none', reply('{"items":[{}]}'), malformed],
    ['null', reply('null'), malformed],
    ['nothing', reply(''), malformed],
    ['HTML with 200', reply(html, 200, asHtml), malformed],
    ['gzip that is none', reply(GOOD, 200, { ...json, 'content-encoding': 'gzip' }), malformed],
    [
      'gzip cut short',
      reply(gzipSync(GOOD).subarray(0, -12), 200, { ...json, 'content-encoding': 'gzip' }),
      malformed,
    ],
    ['HTML with 502', reply(html, 502, asHtml), status(502)],
    ['503 with a type', reply('{"error":{"type":"busy"},"status":503}', 503), status(503, 'busy')],
    ['429 with a text', reply('slow down', 429, {}), status(429)],
    ['an error that is a text', reply('{"error":"no handler","status":400}', 400), status(400)],
    ['a redirect', reply('', 302, { location: '/elsewhere' }), status(302)],
  ])('%s', async (_, answers, found) => {
    answer = answers
    expect(await client().bulk(BULK, 5000)).toEqual(found)
  })

  test('a failure is told with the id OpenSearch has seen, and without what was in it', async () => {
    let seen: unknown
    answer = (response, request) => {
      seen = request.headers['x-opaque-id']
      reply('{"error":{"type":"some_exception","reason":"secret value"}}', 500)(response)
    }
    const search = client()
    await search.bulk(BULK, 5000)
    expect(failures).toEqual([
      {
        requestId: 'worker%20%C5%BE-1',
        method: 'POST',
        path: '/_bulk',
        reason: 'status-500',
        detail: 'some_exception',
        seconds: expect.any(Number),
      },
    ])
    expect(seen).toBe(failures[0]!.requestId)
    await search.bulk(BULK, 5000)
    expect(seen).toBe('worker%20%C5%BE-2')
  })
})

describe('compression', () => {
  test.each(['gzip', 'deflate'])('of both: the request by gzip, the answer by %s', async encoding => {
    let asked: unknown
    answer = (response, request) => {
      asked = [request.headers['content-encoding'], request.headers['accept-encoding']]
      const packed = encoding === 'gzip' ? gzipSync(GOOD) : deflateSync(GOOD)
      reply(packed, 200, { ...json, 'content-encoding': encoding })(response)
    }
    expect(await client({ compression: 'gzip' }).bulk(BULK, 5000)).toMatchObject({ kind: 'items' })
    expect(asked).toEqual(['gzip', 'gzip, deflate'])
    expect(gunzipSync(body).toString()).toBe(BULK)
  })

  test('none', async () => {
    let asked: unknown
    answer = (response, request) => {
      asked = [request.headers['content-encoding'], request.headers['accept-encoding']]
      reply(GOOD)(response)
    }
    expect(await client().bulk(Buffer.from(BULK), 5000)).toMatchObject({ kind: 'items' })
    expect(asked).toEqual([undefined, undefined])
    expect(body.toString()).toBe(BULK)
  })
})
