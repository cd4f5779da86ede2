import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openSearch } from '../../src/clients/opensearch.ts'
import { type BulkProxy, startBulkProxy } from './bulk-proxy.ts'

let target: Server
let proxy: BulkProxy
/** Bodies of the bulk requests that reached OpenSearch's place. */
let applied: string[]

const line = (id: string) =>
  `{"index":{"_index":"i","_id":"${id}","version":"16","version_type":"external"}}\n{}\n`
const gone = (id: string) =>
  `{"delete":{"_index":"i","_id":"${id}","version":"32","version_type":"external"}}\n`

beforeEach(async () => {
  applied = []
  target = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    if (!request.url!.startsWith('/_bulk')) {
      response.end('{"other":true}')
      return
    }
    applied.push(body)
    const items = body
      .split('\n')
      .filter(text => text.includes('_index'))
      .map(text => (text.includes('delete') ? { delete: { status: 404 } } : { index: { status: 201 } }))
    response.end(JSON.stringify({ errors: false, items }))
  })
  await new Promise<void>(resolve => target.listen(0, '127.0.0.1', resolve))
  proxy = await startBulkProxy(`http://127.0.0.1:${(target.address() as AddressInfo).port}`)
})

afterEach(async () => {
  await proxy.close()
  target.closeAllConnections()
  target.close()
})

const bulk = (body: string, signal: AbortSignal | null = null): Promise<Response> =>
  fetch(`${proxy.url}/_bulk?filter_path=errors,items`, {
    method: 'POST',
    body,
    headers: { 'accept-encoding': 'identity' },
    signal,
  })

test('without a fault a request and its answer pass unchanged, and what OpenSearch said is noted', async () => {
  expect(await (await bulk(line('a') + gone('b'))).text()).toBe(
    '{"errors":false,"items":[{"index":{"status":201}},{"delete":{"status":404}}]}',
  )
  expect(applied).toEqual([line('a') + gone('b')])
  expect(proxy.seen()[0]!.actions).toMatchObject([
    { kind: 'index', index: 'i', id: 'a', version: 16n, document: '{}', status: 201 },
    { kind: 'delete', index: 'i', id: 'b', version: 32n, document: undefined, status: 404 },
  ])
})

test('refused items stay here, the others are passed on, and the answers are joined in the order of the actions', async () => {
  proxy.inject(() => ({
    kind: 'items',
    refuse: ({ id }) =>
      id === 'a' || id === 'c'
        ? { status: 429, type: 'rejected' }
        : id === 'd'
          ? { status: 503, type: 'away', isApplied: true }
          : undefined,
  }))
  const answer = await (await bulk(line('a') + gone('b') + line('c') + line('d') + line('e'))).json()
  expect(answer).toMatchObject({
    errors: true,
    items: [
      { index: { status: 429, error: { type: 'rejected' } } },
      { delete: { status: 404 } },
      { index: { status: 429 } },
      { index: { status: 503, error: { type: 'away' } } },
      { index: { status: 201 } },
    ],
  })
  expect(applied).toEqual([gone('b') + line('d') + line('e')])
  expect(proxy.seen()[0]!.actions.map(({ status }) => status)).toEqual([undefined, 404, undefined, 201, 201])
})

test('a request of which every item is refused does not reach OpenSearch', async () => {
  proxy.inject(() => ({ kind: 'items', refuse: () => ({ status: 429, type: 'rejected' }) }))
  expect(await (await bulk(line('a'))).json()).toMatchObject({
    errors: true,
    items: [{ index: { status: 429 } }],
  })
  expect(applied).toEqual([])
})

test('a compressed request is understood, passed on as text, and answered compressed', async () => {
  const answer = await fetch(`${proxy.url}/_bulk`, {
    method: 'POST',
    body: gzipSync(line('a')),
    headers: { 'content-encoding': 'gzip', 'accept-encoding': 'gzip' },
  })
  expect(answer.headers.get('content-encoding')).toBe('gzip')
  expect(await answer.json()).toEqual({ errors: false, items: [{ index: { status: 201 } }] })
  expect(applied).toEqual([line('a')])
})

test('a storm does not reach OpenSearch; other requests pass, or are refused on their own', async () => {
  proxy.inject(() => ({ kind: 'whole', status: 503, type: 'away' }))
  const answer = await bulk(line('a'))
  expect(answer.status).toBe(503)
  expect(await answer.json()).toMatchObject({ error: { type: 'away' }, status: 503 })
  expect(applied).toEqual([])
  expect(await (await fetch(`${proxy.url}/`)).json()).toEqual({ other: true })
  proxy.refuseOthers({ status: 403, type: 'security_exception' })
  expect((await fetch(`${proxy.url}/`)).status).toBe(403)
  proxy.heal()
  expect((await fetch(`${proxy.url}/`)).status).toBe(200)
  expect((await bulk(line('a'))).status).toBe(200)
})

test('a late answer comes after OpenSearch has applied the request, and is noted as abandoned if nobody waits', async () => {
  proxy.inject(() => ({ kind: 'late', ms: 100 }))
  await expect(bulk(line('a'), AbortSignal.timeout(50))).rejects.toThrow()
  expect(applied).toEqual([line('a')])
  await expect.poll(() => proxy.seen()[0]!.endedAtMs).toBeDefined()
  expect(proxy.seen()[0]).toMatchObject({ isAbandoned: true, fault: 'late', actions: [{ status: 201 }] })
  expect((await bulk(line('a'))).status).toBe(200)
  expect(proxy.seen()[1]!.isAbandoned).toBe(false)
})

test('spoiled answers: broken off, cut in half, a page for people, one item more or fewer; each after the request is applied', async () => {
  const kinds = [
    { kind: 'broken-off' },
    { kind: 'truncated' },
    { kind: 'not-json' },
    { kind: 'other-count', by: 1 },
    { kind: 'other-count', by: -1 },
  ] as const
  const told: string[] = []
  for (const fault of kinds) {
    proxy.inject(() => fault)
    told.push(
      await bulk(line('a') + line('b'))
        .then(answer => answer.text())
        .catch(() => 'no answer'),
    )
  }
  const item = '{"index":{"status":201}}'
  const whole = `{"errors":false,"items":[${item},${item}]}`
  expect(told).toEqual([
    'no answer',
    whole.slice(0, whole.length / 2),
    '<html><body><h1>Sorry</h1></body></html>',
    `{"errors":false,"items":[${item},${item},${item}]}`,
    `{"errors":false,"items":[${item}]}`,
  ])
  expect(applied).toHaveLength(5)
})

test('a compressed answer that is cut in half is none to the service', async () => {
  proxy.inject(() => ({ kind: 'truncated' }))
  const search = openSearch({ url: proxy.url, authentication: { kind: 'none' }, compression: 'gzip' })
  expect(await search.bulk(line('a'), 5000)).toEqual({
    kind: 'failed',
    reason: 'malformed-answer',
    mayHaveLanded: true,
  })
  search.close()
  expect(applied).toEqual([line('a')])
})

test('a request that hangs and one that is reset do not reach OpenSearch', async () => {
  proxy.inject(() => ({ kind: 'hang' }))
  await expect(bulk(line('a'), AbortSignal.timeout(50))).rejects.toThrow()
  proxy.inject(() => ({ kind: 'reset' }))
  await expect(bulk(line('a'))).rejects.toThrow()
  expect(applied).toEqual([])
})

test('a body over the limit is answered with 413 and the end of the connection, or reset, and smaller ones pass', async () => {
  const large = line('a').repeat(3)
  proxy.limitBodies(line('a').length)
  const answer = await bulk(large)
  expect(answer.status).toBe(413)
  expect(answer.headers.get('connection')).toBe('close')
  expect((await bulk(line('b'))).status).toBe(200)
  proxy.limitBodies(line('a').length, () => 'reset')
  await expect(bulk(large)).rejects.toThrow()
  expect(applied).toEqual([line('b')])
})
