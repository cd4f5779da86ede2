/** Tables against indices: what counts as equal, and what a difference is called. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Client } from 'pg'
import { afterEach, expect, test } from 'vitest'
import { compareAll, isEqual } from '../../docker/demo/compare.ts'

const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** Answers a scroll over these `_source` texts, two a page, as OpenSearch does: the texts are copied, not written anew. */
async function opensearchWith(sources: Record<string, string>) {
  const hits = Object.entries(sources).map(
    ([id, source]) => `{"_id":${JSON.stringify(id)},"_source":${source}}`,
  )
  const requests: string[] = []
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    const isSearch = request.method === 'POST' && request.url?.includes('_search')
    response.end(
      isSearch ? `{"_scroll_id":"abc==","hits":{"total":9,"hits":[${hits.splice(0, 2).join()}]}}` : '{}',
    )
  })
  servers.push(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

function databaseWith(rows: Record<string, string>): Client {
  const found = Object.entries(rows).map(([id, document]) => ({ id, document }))
  return { query: async () => ({ rows: found }) } as unknown as Client
}

async function compare(rows: Record<string, string>, sources: Record<string, string>) {
  const opensearch = await opensearchWith(sources)
  const world = { database: databaseWith(rows), opensearchUrl: opensearch.url }
  const comparison = { table: 'public.t', index: 'public_t', expectationSql: 'select' }
  const [outcome] = await compareAll([comparison], world)
  return { outcome: outcome!, requests: opensearch.requests }
}

test('documents of several pages that say the same as the rows are equal', async () => {
  const rows = Object.fromEntries(
    ['1', '2', '3|1', '4', 'ü "5"'].map(id => [id, `{"id":${JSON.stringify(id)}}`]),
  )
  const { outcome } = await compare(rows, rows)
  expect(outcome).toMatchObject({ rows: 5, documents: 5 })
  expect(isEqual(outcome)).toBe(true)
})

test('a digit that a double would not tell apart is a difference', async () => {
  const { outcome } = await compare({ '1': '{"n":9007199254740993}' }, { '1': '{"n":9007199254740992}' })
  expect(outcome.different).toEqual(['1'])
})

test('a document too few is missing, one too many is extra', async () => {
  const { outcome } = await compare({ '1': '{}', '2': '{}' }, { '2': '{}', '3': '{}' })
  expect(outcome).toMatchObject({ missing: ['1'], extra: ['3'], different: [] })
  expect(isEqual(outcome)).toBe(false)
})

test('the index is refreshed first and the scroll closed last', async () => {
  const { requests } = await compare({}, {})
  expect(requests.at(0)).toBe('POST /public_t/_refresh?ignore_unavailable=true')
  expect(requests.at(-1)).toBe('DELETE /_search/scroll')
})

test('an expectation with two rows of one id is a mistake in its SQL', async () => {
  const opensearch = await opensearchWith({})
  const rows = [
    { id: '1', document: '{}' },
    { id: '1', document: '{}' },
  ]
  const database = { query: async () => ({ rows }) } as unknown as Client
  const comparison = { table: 'public.t', index: 'public_t', expectationSql: 'select' }
  await expect(compareAll([comparison], { database, opensearchUrl: opensearch.url })).rejects.toThrow(
    'public.t',
  )
})
