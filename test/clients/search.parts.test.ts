import { randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { openSearch } from '../../src/clients/opensearch.ts'
import { judge } from '../../src/core/outcome.ts'
import { actionText } from '../fakes/action-text.ts'
import { versionsOf } from '../fakes/version.ts'
import { searchContract } from './search.contract.ts'

const { opensearchUrl } = inject('parts').endpoints
const plain = { authentication: { kind: 'none' }, compression: 'none' } as const
const search = openSearch({ url: opensearchUrl, ...plain })
const versionOf = versionsOf(442_000_000)
const prefix = `contract_${randomUUID().slice(0, 8)}`
const bulk = (body: string) => search.bulk(body, 30_000)

async function request(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
  const answer = await fetch(`${opensearchUrl}${path}`, {
    method,
    ...(body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {}),
  })
  return (await answer.json()) as Record<string, unknown>
}

let made = 0
async function newIndex(body: object = {}): Promise<string> {
  const index = `${prefix}_${made++}`
  await request('PUT', `/${index}`, body)
  return index
}

afterAll(async () => {
  await request('DELETE', `/${prefix}_*`)
  search.close()
})

describe('OpenSearch answers as the model does', () => {
  searchContract(async () => ({
    bulk,
    documents: places => search.documents(places, 30_000),
    index: await newIndex({
      settings: { 'index.number_of_shards': 4 },
      mappings: { properties: { n: { type: 'long' }, j: { type: 'flat_object' } } },
    }),
  }))
})

describe('status contract, each answer provoked', () => {
  async function judged(
    index: string,
    given: { kind?: 'index' | 'delete'; id?: string; document?: string } = {},
  ) {
    const { kind = 'index', id = '1', document = '{"a":1}' } = given
    const answer = await bulk(actionText({ kind, index, id, document }, versionOf(1)))
    if (answer.kind === 'done') return judge(kind, { kind: 'done' })
    if (answer.kind !== 'items') return answer
    return judge(kind, { kind: 'item', item: answer.items[0]! })
  }

  test('a document written comes back digit for digit', async () => {
    const index = await newIndex()
    const document = '{"id":9007199254740993,"n":12345678901234567890.0123456789,"s":"ž 😀"}'
    expect(await judged(index, { document })).toEqual({ kind: 'done', outcome: 'indexed' })
    const text = await (await fetch(`${opensearchUrl}/${index}/_doc/1`)).text()
    expect(text).toContain(`"_source":${document}`)
  })

  test('a delete that found nothing is done', async () => {
    expect(await judged(await newIndex(), { kind: 'delete' })).toEqual({ kind: 'done', outcome: 'deleted' })
  })

  test('a value the mapping refuses is dead, and the detail quotes no value', async () => {
    const index = await newIndex({ mappings: { properties: { a: { type: 'long' } } } })
    const found = await judged(index, { document: '{"a":"secret"}' })
    expect(found).toMatchObject({ kind: 'dead', detail: expect.stringContaining('mapper_parsing_exception') })
    expect(JSON.stringify(found)).not.toContain('secret')
  })

  test('duplicate members are refused per item', async () => {
    expect(await judged(await newIndex(), { document: '{"a":1,"a":2}' })).toMatchObject({ kind: 'dead' })
  })

  test('a field that two requests map at once as two types: one of them is refused, and taken when sent again', async () => {
    const values = { whole: '55', fraction: '61.5' }
    for (let pair = 0; pair < 20; pair++) {
      const index = await newIndex()
      const write = (id: string, x: string, ordinal: number) =>
        bulk(actionText({ kind: 'index', index, id, document: `{"x":${x}}` }, versionOf(ordinal)))
      const answers = await Promise.all(Object.entries(values).map(([id, x]) => write(id, x, 1)))
      const refused = answers.flatMap(answer => (answer.kind === 'items' ? answer.items : []))
      const error = refused.find(({ status }) => status === 400)?.error
      if (!error) continue
      expect(error).toMatchObject({
        type: 'illegal_argument_exception',
        reason: expect.stringMatching(/^mapper \[x\] cannot be changed from type /),
      })
      for (const [id, x] of Object.entries(values))
        expect(await write(id, x, 2)).toEqual({ kind: 'done', count: 1 })
      return
    }
    expect.fail('20 pairs of requests at once never met')
  })

  test('a new field with elements of two types in one document: refused each time, until another row has mapped it', async () => {
    const index = await newIndex()
    const write = (id: string, x: string, ordinal: number) =>
      bulk(actionText({ kind: 'index', index, id, document: `{"x":${x}}` }, versionOf(ordinal)))
    for (const ordinal of [1, 2])
      expect(await write('1', '[55,61.5]', ordinal)).toMatchObject({
        items: [{ status: 400, error: { type: 'illegal_argument_exception' } }],
      })
    expect(await write('2', '[61.5]', 3)).toEqual({ kind: 'done', count: 1 })
    expect(await write('1', '[55,61.5]', 4)).toEqual({ kind: 'done', count: 1 })
  })

  test('a blocked index is retried', async () => {
    const index = await newIndex({ settings: { 'index.blocks.write': true } })
    expect(await judged(index)).toEqual({ kind: 'retry', reason: 'cluster_block_exception', scope: 'index' })
  })

  test('a flood-stage block is retried, deletes too', async () => {
    const index = await newIndex({ settings: { 'index.blocks.read_only_allow_delete': true } })
    expect(await judged(index)).toEqual({ kind: 'retry', reason: 'cluster_block_exception', scope: 'index' })
    expect(await judged(index, { kind: 'delete' })).toEqual({
      kind: 'retry',
      reason: 'cluster_block_exception',
      scope: 'index',
    })
  })

  test('a closed index is retried although it says 400', async () => {
    const index = await newIndex()
    await request('POST', `/${index}/_close`)
    expect(await judged(index)).toEqual({ kind: 'retry', reason: 'index_closed_exception', scope: 'index' })
  })

  test('an id over 512 bytes fails the whole request, which is why it is never sent', async () => {
    expect(await judged(await newIndex(), { id: 'x'.repeat(513) })).toMatchObject({
      kind: 'status',
      status: 400,
    })
  })
})

describe('no usable answer', () => {
  let server: Server
  let url: string
  let reply: 'never' | 'cut' | 'not-json' | 'half'

  beforeAll(async () => {
    server = createServer((incoming, response) => {
      incoming.resume()
      if (reply === 'never') return
      if (reply === 'half')
        return void response.writeHead(200, { 'content-type': 'application/json' }).write('{"items":')
      if (reply === 'cut') return void incoming.socket.destroy()
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"items":')
    }).listen(0, '127.0.0.1')
    await new Promise(resolve => server.once('listening', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })

  test.each([
    ['never', 'timeout'],
    ['half', 'timeout'],
    ['cut', 'connection'],
    ['not-json', 'malformed-answer'],
  ] as const)('an answer that is %s may have landed: %s', async (kind, reason) => {
    reply = kind
    const client = openSearch({ url, ...plain })
    expect(await client.bulk('{}\n', 300)).toEqual({ kind: 'failed', reason, mayHaveLanded: true })
    client.close()
  })

  test('a refused connection cannot have landed', async () => {
    const client = openSearch({ url: 'http://127.0.0.1:1', ...plain })
    expect(await client.bulk('{}\n', 300)).toEqual({
      kind: 'failed',
      reason: 'connection',
      mayHaveLanded: false,
    })
    expect(await client.ping(300)).toBe(false)
    client.close()
  })
})

describe('bootstrap', () => {
  const options = { patterns: [`${prefix}_tpl_*`], shards: 1, replicas: 0 }

  test('what was put is as bootstrapped; an index made by it mirrors dates, numbers and text', async () => {
    await search.putTemplate(options)
    const index = `${prefix}_tpl_1`
    const document =
      '{"id":7,"created_at":"2024-12-01T10:30:00.123456Z","paid_at":"infinity","note":"2024-12-01","amount":99.99,"count":5}'
    expect(await bulk(actionText({ kind: 'index', index, id: '7', document }, versionOf(1)))).toEqual({
      kind: 'done',
      count: 1,
    })
    expect(await search.faults(options)).toEqual([])
    const mapping = (await request('GET', `/${index}/_mapping`))[index] as {
      mappings: { properties: Record<string, { type: string }> }
    }
    const types = Object.fromEntries(
      Object.entries(mapping.mappings.properties).map(([name, { type }]) => [name, type]),
    )
    expect(types).toMatchObject({
      id: 'keyword',
      created_at: 'date',
      paid_at: 'date',
      note: 'keyword',
      amount: 'double',
      count: 'long',
    })
  })

  test('JSON values of any object shape fall into one field: none is refused, none grows the mapping', async () => {
    const index = `${prefix}_tpl_json`
    const shapes = ['{"x":1}', '{"x":{"y":"s"}}', '{"x":[1,{"z":null}]}', '{}', 'null', '[{"x":1},{"x":"s"}]']
    const body = shapes.map((shape, at) =>
      actionText(
        { kind: 'index', index, id: String(at), document: `{"id":${at},"j":${shape}}` },
        versionOf(at + 1),
      ),
    )
    expect(await bulk(body.join(''))).toEqual({ kind: 'done', count: shapes.length })
    const mapping = JSON.stringify(await request('GET', `/${index}/_mapping`))
    expect(mapping).toContain('"j":{"type":"flat_object"}')
  })

  test('a template somebody changed is named by what differs', async () => {
    expect(await search.faults({ ...options, shards: 2 })).toEqual([
      expect.stringContaining('number_of_shards'),
    ])
  })

  test('an index without the settings the promises need is named, and mended by bootstrap', async () => {
    const index = `${prefix}_tpl_async`
    await request('PUT', `/${index}`, {
      settings: { 'index.gc_deletes': '60s', 'index.translog.durability': 'async' },
    })
    expect(await search.faults(options)).toEqual([
      expect.stringContaining('index.gc_deletes = 60s, expected 15m'),
      expect.stringContaining('index.translog.durability = async, expected request'),
    ])
    await search.mendIndices(options.patterns)
    expect(await search.faults(options)).toEqual([])
  })
})
