/**
 * What OpenSearch holds: each document's own text and its version.
 *
 * Texts are compared token by token, so that no digit passes through a double. OpenSearch is asked directly, never through
 * a proxy of the test.
 */
import { canonical, elementsOf, membersOf } from '../../docker/demo/raw-json.ts'

/** Document id -> text, in the one form `canonical` gives. */
export type Documents = Map<string, string>

const CALL_MS = 10_000

/** @param accepted statuses that are an answer, besides success */
export async function ask(
  opensearchUrl: string,
  method: string,
  path: string,
  options: { body?: unknown; accepted?: readonly number[] } = {},
): Promise<string> {
  const { body, accepted = [404] } = options
  const response = await fetch(new URL(path, opensearchUrl), {
    method,
    headers: { 'content-type': 'application/json' },
    body: body === undefined ? null : JSON.stringify(body),
    signal: AbortSignal.timeout(CALL_MS),
  })
  const text = await response.text()
  if (!response.ok && !accepted.includes(response.status))
    throw new Error(`OpenSearch answered ${response.status} to ${method} ${path}: ${text.slice(0, 300)}`)
  return text
}

/** How OpenSearch refuses to search an index made this moment: its shard has not started, so no write of it is acknowledged. */
const NO_SHARD_ASKED = '"reason":"all shards failed","phase":"query","grouped":true,"failed_shards":[]'

/** All of an index; none where it does not exist, or hardly exists. The tests' indices are smaller than one page. */
export async function documentsOf(opensearchUrl: string, index: string): Promise<Documents> {
  await ask(opensearchUrl, 'POST', `/${index}/_refresh?ignore_unavailable=true`)
  return await documentsFound(opensearchUrl, index)
}

/** As `documentsOf`, of what a search sees; the index may have been made since it was refreshed. */
export async function documentsFound(opensearchUrl: string, index: string): Promise<Documents> {
  const answer = await ask(opensearchUrl, 'POST', `/${index}/_search?ignore_unavailable=true`, {
    body: { size: 10_000, track_total_hits: true },
    accepted: [503],
  })
  const hitsText = membersOf(answer).get('hits')
  if (hitsText === undefined) {
    if (answer.includes(NO_SHARD_ASKED)) return new Map()
    throw new Error(`OpenSearch could not search ${index}: ${answer.slice(0, 300)}`)
  }
  const hits = membersOf(hitsText)
  const found = new Map(
    elementsOf(hits.get('hits')!).map(hit => {
      const members = membersOf(hit)
      return [JSON.parse(members.get('_id')!) as string, canonical(members.get('_source')!)]
    }),
  )
  const { value } = JSON.parse(hits.get('total')!) as { value: number }
  if (found.size !== value)
    throw new Error(`${index} has ${value} documents, of which ${found.size} were read`)
  return found
}

/** A document as it is this moment, whether refreshed or not; undefined where there is none. */
export async function documentOf(
  opensearchUrl: string,
  index: string,
  id: string,
): Promise<{ version: bigint; text: string } | undefined> {
  const path = `/${index}/_doc/${encodeURIComponent(id)}`
  // 503: the index was made this moment and its shard does not answer yet.
  const members = membersOf(await ask(opensearchUrl, 'GET', path, { accepted: [404, 503] }))
  const source = members.get('_source')
  const version = members.get('_version')
  return source === undefined || version === undefined
    ? undefined
    : { version: BigInt(version), text: canonical(source) }
}

/** By name, since a pattern is refused for deletion where the domain wants names spelled out. */
export async function removeIndices(opensearchUrl: string, pattern: string): Promise<void> {
  const found = await ask(opensearchUrl, 'GET', `/_cat/indices/${pattern}?h=index&expand_wildcards=all`)
  for (const index of found.split('\n').filter(name => name !== ''))
    await ask(opensearchUrl, 'DELETE', `/${index}`)
}
