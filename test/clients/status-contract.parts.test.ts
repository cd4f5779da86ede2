/** The rows of the status contract that OpenSearch itself gives. Each puts back what it changed, and is then taken. */
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { openSearch } from '../../src/clients/opensearch.ts'
import { judge } from '../../src/core/outcome.ts'
import { judgeConflict } from '../../src/core/version.ts'
import { actionText } from '../fakes/action-text.ts'
import { type Culprit, done, expectContract, retry, tryOut, versionOf, whole } from './status-contract.ts'
import { type ProvokedRow, provokedRows, type Scene } from './status-contract-provoked.ts'

const { opensearchUrl } = inject('parts').endpoints
const search = openSearch({
  url: opensearchUrl,
  authentication: { kind: 'none' },
  compression: 'none',
})
const prefix = `status_${randomUUID().slice(0, 8)}`
/** Far over what any row takes, and far below the minute for which OpenSearch waits for a shard. */
const TIMEOUT_MS = 10_000
const bulk = (body: string | Buffer) => search.bulk(body, TIMEOUT_MS)

let neighbours: string
let made = 0

const scene: Scene = {
  async request(method, path, body) {
    const answer = await fetch(`${opensearchUrl}${path}`, {
      method,
      ...(body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {}),
    })
    const found = await answer.json()
    // A row that was not set up, or not put back, would prove nothing here and spoil others.
    if (!answer.ok) throw new Error(`${method} ${path}: ${JSON.stringify(found)}`)
    return found
  },
  newName: () => `${prefix}_${made++}`,
  async newIndex({ settings, ...others }: { settings?: object } = {}) {
    const index = scene.newName()
    // A shard that has no place is what one row is about: nothing is waited for.
    await scene.request('PUT', `/${index}?wait_for_active_shards=0`, {
      settings: { 'index.number_of_replicas': 0, ...settings },
      ...others,
    })
    return index
  },
  async write({ kind = 'index', index, id = 'culprit', version = versionOf(1), document = '{"a":1}' }) {
    expect(await bulk(actionText({ kind, index, id, document }, version))).toEqual({ kind: 'done', count: 1 })
  },
}

beforeAll(async () => {
  neighbours = await scene.newIndex()
})
afterEach(async () => {
  // Whatever a failed row left behind ends with its indices.
  await scene.request('DELETE', `/${prefix}_*,-${neighbours}`)
})
afterAll(async () => {
  await scene.request('DELETE', `/${prefix}_*`)
  search.close()
})

const tried = (culprit: Culprit) => tryOut(bulk, culprit, neighbours)

async function holds(row: ProvokedRow): Promise<void> {
  const { culprit, mend } = await row.provoke(scene)
  try {
    expectContract(row, await tried(culprit))
  } finally {
    await mend?.()
  }
  if (!mend) return
  const { judgements } = await tried(culprit)
  expect(judgements).toEqual([done(), done(culprit.kind === 'delete' ? 'deleted' : 'indexed'), done()])
}

describe('an action between two good ones', () => {
  test.each(provokedRows)('$name', holds)
})

describe('what a conflict means', () => {
  const [older, same, newer] = [versionOf(1), versionOf(2), versionOf(3)]

  test.each([
    ['an equal version, sent for the first time', same, same, false, 'shared-fence'],
    ['an equal version, sent before without an answer', same, same, true, 'own'],
    ['a newer one of the same tenure', older, newer, false, 'superseded'],
    ['a load below changes', '16', older, false, 'superseded'],
    ['a fence above', '17', older, false, 'higher-fence'],
  ] as const)('%s', async (_, sent, stored, earlierCopy, meaning) => {
    const index = await scene.newIndex()
    await scene.write({ index, version: stored })
    const { judgements } = await tried({ index, version: sent })
    const found = judgements[1]!
    if (found.kind !== 'conflict') return expect.fail(`expected a conflict, found ${JSON.stringify(found)}`)
    expect(judgeConflict({ sent, current: found.current, earlierCopy })).toBe(meaning)
  })
})

describe('requests as we never send them', () => {
  const line = (kind: string, index: string, more = '') =>
    `{"${kind}":{"_index":"${index}","_id":"1"${more}}}\n${kind === 'delete' ? '' : '{"a":1}\n'}`
  const external = (version: string, type = 'external') => `,"version":"${version}","version_type":"${type}"`

  test('one document three times: applied in the order of the lines', async () => {
    const index = await scene.newIndex()
    const body = ['1', '3', '2'].map(version => line('index', index, external(version))).join('')
    const { items } = (await bulk(body)) as { items: { status: number }[] }
    expect(items.map(({ status }) => status)).toEqual([201, 200, 409])
  })

  test('external_gte takes an equal version', async () => {
    const index = await scene.newIndex()
    const body = line('index', index, external('5', 'external_gte'))
    expect(await bulk(body)).toEqual({ kind: 'done', count: 1 })
    expect(await bulk(body)).toEqual({ kind: 'done', count: 1 })
  })

  test('a delete without a version does not make the index', async () => {
    expect(await bulk(line('delete', scene.newName()))).toMatchObject({
      kind: 'items',
      items: [{ status: 404, error: { type: 'index_not_found_exception' } }],
    })
  })

  test.each([
    ['an unknown action', (index: string) => line('upsert', index), 'illegal_argument_exception'],
    ['an unknown parameter', (index: string) => line('index', index, ',"x":1'), 'illegal_argument_exception'],
    [
      'no end of the last line',
      (index: string) => line('index', index).trimEnd(),
      'illegal_argument_exception',
    ],
    ['no action', () => '\n', 'action_request_validation_exception'],
    ['nothing', () => '', 'parse_exception'],
  ])('%s: 400 of all', async (_, body, type) => {
    expect(await bulk(body(await scene.newIndex()))).toEqual(whole(400, type))
  })

  test('a body over http.max_content_length (100 MiB): 413 of all, without a type', async () => {
    expect(await bulk(Buffer.alloc(100 * 1024 * 1024 + 1, '\n'))).toEqual(whole(413))
  })
})

test('done, conflict, dead and retry in one request: each by its own rule', async () => {
  const [good, blocked, numbers] = [
    await scene.newIndex(),
    await scene.newIndex({ settings: { 'index.blocks.write': true } }),
    await scene.newIndex({ mappings: { properties: { a: { type: 'long' } } } }),
  ]
  await scene.write({ index: good, id: 'newer', version: versionOf(9) })
  const actions: [index: string, kind: 'index' | 'delete', id: string, document: string][] = [
    [good, 'index', 'new', '{}'],
    [good, 'index', 'newer', '{}'],
    [numbers, 'index', '1', '{"a":"x"}'],
    [blocked, 'index', '1', '{}'],
    [good, 'delete', 'missing', '{}'],
    [numbers, 'index', '2', '{"a":2}'],
  ]
  const texts = actions.map(([index, kind, id, document]) =>
    actionText({ index, kind, id, document }, versionOf(1)),
  )
  const answer = await bulk(texts.join(''))
  if (answer.kind !== 'items') return expect.fail(`expected items, found ${JSON.stringify(answer)}`)
  expect(answer.items.map((found, at) => judge(actions[at]![1], { kind: 'item', item: found }))).toEqual([
    done(),
    { kind: 'conflict', current: BigInt(versionOf(9)) },
    expect.objectContaining({ kind: 'dead' }),
    retry('cluster_block_exception'),
    done('deleted'),
    done(),
  ])
})
