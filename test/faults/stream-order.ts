/**
 * What the stream says each write must be, worked out without the code under test.
 *
 * A record's version is the fence of its shard's tenure and its place in that tenure, counted from 1 and shifted by four
 * bits. Where one tenure reads a shard from its beginning, that is its place in the shard. So every write that was
 * ever sent can be held to the record it stands for, and every document to the newest change of its row.
 */
import { expect } from 'vitest'
import { canonical, membersOf } from '../../docker/demo/raw-json.ts'
import { ask } from '../e2e/documents.ts'
import type { Scene } from '../e2e/harness.ts'
import type { SeenAction, SeenRequest } from './bulk-proxy.ts'

/** What one record does to one document. */
type Write = { key: string; kind: 'index' | 'delete'; version: bigint; text: string | undefined }

const FENCE_SHIFT = 28n
const ORDINAL_SHIFT = 4n
/** Two ends seen in one turn of a busy event loop. */
const OVERLAP_MS_MAX = 50

const keyOf = (index: string, id: string): string => `${index}/${id}`

/** All writes the stream implies, shard by shard in their order. */
async function writesOf(scene: Scene): Promise<Write[]> {
  const leases = await scene.leases.all()
  const places = new Map<string, bigint>()
  return (await scene.stream.readAll()).flatMap(({ shardId, data }) => {
    const place = (places.get(shardId) ?? 0n) + 1n
    places.set(shardId, place)
    const version = (BigInt(leases.get(shardId)!.fence) << FENCE_SHIFT) + (place << ORDINAL_SHIFT)
    const record = membersOf(Buffer.from(data).toString().trim())
    const metadata = JSON.parse(record.get('metadata')!) as Record<string, string>
    const index = scene.indexOf(metadata['table-name']!)
    const row = record.get('data')!
    const id = keyColumn(row)!
    const oldId = keyColumn(record.get('before-image') ?? '{}')
    const key = keyOf(index, id)
    if (metadata.operation === 'delete') return [{ key, kind: 'delete' as const, version, text: undefined }]
    const written: Write = { key, kind: 'index', version, text: canonical(row) }
    if (oldId === undefined || oldId === id) return [written]
    return [written, { key: keyOf(index, oldId), kind: 'delete', version, text: undefined }]
  })
}

function keyColumn(row: string): string | undefined {
  const text = membersOf(row).get('id')
  return text === undefined ? undefined : String(JSON.parse(text))
}

const identityOf = (key: string, kind: string, version: bigint, text: string | undefined): string =>
  `${kind} ${key} at ${version}: ${text}`

/**
 * Every action sent is that of a record, under its own version. Of each document one write is under way at a time, and
 * what OpenSearch took of it rises. At the end it has the version of its row's newest change, or is gone.
 *
 * @param refused documents whose newest change OpenSearch refuses for good, by `index/id`
 */
export async function expectStreamOrder(
  scene: Scene,
  seen: readonly SeenRequest[],
  refused: readonly string[] = [],
): Promise<void> {
  const writes = await writesOf(scene)
  const known = new Set(writes.map(({ key, kind, version, text }) => identityOf(key, kind, version, text)))
  const strange: string[] = []
  const taken = new Map<string, SeenAction[]>()
  const underWay = new Map<string, SeenRequest>()
  const together: string[] = []
  for (const request of seen) {
    for (const action of request.actions) {
      const key = keyOf(action.index, action.id)
      const text = action.document === undefined ? undefined : canonical(action.document)
      const identity = identityOf(key, action.kind, action.version, text)
      if (!known.has(identity)) strange.push(identity)
      const before = underWay.get(key)
      if (before && (before.endedAtMs ?? Number.POSITIVE_INFINITY) - request.atMs > OVERLAP_MS_MAX)
        together.push(identity)
      underWay.set(key, request)
      if (isTaken(action)) taken.set(key, [...(taken.get(key) ?? []), action])
    }
  }
  expect(strange.slice(0, 3), 'actions that no record of the stream stands for').toEqual([])
  expect(together.slice(0, 3), 'actions sent while one of the same document was under way').toEqual([])

  const newest = new Map(writes.map(write => [write.key, write]))
  const disorder: string[] = []
  for (const [key, actions] of taken) {
    actions.sort((a, b) => a.answeredAtMs! - b.answeredAtMs!)
    for (const [at, { version }] of actions.entries()) {
      if (at > 0 && version <= actions[at - 1]!.version) disorder.push(`${key}: ${version}`)
    }
    if (!refused.includes(key) && actions.at(-1)!.version !== newest.get(key)!.version)
      disorder.push(`${key}: the last one taken is not its newest change`)
  }
  expect(disorder.slice(0, 3), 'writes that OpenSearch took out of order').toEqual([])

  const expected = [...newest.values()]
    .filter(({ kind, key }) => kind === 'index' && !refused.includes(key))
    .map(({ key, version }) => `${key} at ${version}`)
  const found = [...(await versionsNow(scene))].map(([key, version]) => `${key} at ${version}`)
  expect(found.sort(), 'documents and their versions').toEqual(expected.sort())
}

const isTaken = ({ kind, status }: SeenAction): boolean =>
  status !== undefined && (status < 300 || (kind === 'delete' && status === 404))

/** The version of every document of the scene. */
async function versionsNow(scene: Scene): Promise<Map<string, bigint>> {
  const { opensearchUrl } = scene.parts.endpoints
  await ask(opensearchUrl, 'POST', `/${scene.schema}_*/_refresh`)
  const answer = await ask(opensearchUrl, 'POST', `/${scene.schema}_*/_search?filter_path=hits.hits`, {
    body: { size: 10_000, version: true, _source: false },
  })
  // As text: a version does not fit a double.
  const hits = answer.matchAll(/"_index":"([^"]*)","_id":"([^"]*)","_version":(\d+)/g)
  return new Map(Array.from(hits, ([, index, id, version]) => [keyOf(index!, id!), BigInt(version!)]))
}

/** The versions of these documents at this moment, refreshed or not; those that are not there are left out. */
export async function versionsRealtime(
  scene: Scene,
  tables: readonly string[],
  ids: readonly number[],
): Promise<Map<string, bigint>> {
  const docs = tables.flatMap(table =>
    ids.map(id => ({ _index: scene.indexOf(table), _id: String(id), _source: false })),
  )
  const answer = await ask(scene.parts.endpoints.opensearchUrl, 'POST', '/_mget', { body: { docs } })
  const found = answer.matchAll(/"_index":"([^"]*)","_id":"([^"]*)","_version":(\d+)/g)
  return new Map(Array.from(found, ([, index, id, version]) => [keyOf(index!, id!), BigInt(version!)]))
}
