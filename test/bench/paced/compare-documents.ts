/**
 * Are the documents of a real OpenSearch those that the changes leave? Every document, text for text.
 *
 * Nothing is asked of OpenSearch by `filter_path`: with it `_source` is written anew, and its numbers become doubles.
 */
import { ask } from '../../e2e/documents.ts'
import { indexOf, rowText } from '../records/record-text.ts'
import type { ChangeLog } from './change-log.ts'

/** `examples`: a line each, of the first few. */
export type Differences = {
  documents: number
  missing: number
  extra: number
  different: number
  examples: string[]
}

const PAGE = 5_000
const EXAMPLES_MAX = 10
const SCROLL_TIME = '1m'

/** @param counts how many changes of each shard count, in the order of the shards */
export async function compareDocuments(
  opensearchUrl: string,
  logs: readonly ChangeLog[],
  counts: readonly number[],
): Promise<Differences> {
  const found: Differences = { documents: 0, missing: 0, extra: 0, different: 0, examples: [] }
  const note = (kind: 'missing' | 'extra' | 'different', shard: number, id: number): void => {
    found[kind]++
    if (found.examples.length < EXAMPLES_MAX) found.examples.push(`${indexOf(shard)} ${id}: ${kind}`)
  }
  for (const [shard, log] of logs.entries()) {
    const rows = log.rowsAfter(counts[shard]!)
    await ask(opensearchUrl, 'POST', `/${indexOf(shard)}/_refresh?ignore_unavailable=true`)
    for await (const { id, rest } of documentsOf(opensearchUrl, indexOf(shard))) {
      found.documents++
      const revision = rows.get(id)
      rows.delete(id)
      if (revision === undefined) note('extra', shard, id)
      else if (!isSource(rest, rowText(log.at(revision - 1), shard))) note('different', shard, id)
    }
    for (const id of rows.keys()) note('missing', shard, id)
  }
  return found
}

/** @returns what is wrong, a line each; none when the documents are right */
export function differenceLines({ missing, extra, different, examples }: Differences): string[] {
  if (missing + extra + different === 0) return []
  return [`${missing} documents missing, ${extra} extra, ${different} different`, ...examples]
}

/** A hit of a search answer from the end of its id on. */
type Hit = { id: number; rest: string }

async function* documentsOf(opensearchUrl: string, index: string): AsyncGenerator<Hit> {
  let answer = await ask(
    opensearchUrl,
    'POST',
    `/${index}/_search?scroll=${SCROLL_TIME}&ignore_unavailable=true`,
    {
      body: { size: PAGE, sort: ['_doc'] },
    },
  )
  for (;;) {
    const scrollId = /"_scroll_id":"([^"]+)"/.exec(answer)?.[1]
    const hits = hitsOf(answer, index)
    if (scrollId === undefined || hits.length === 0) return
    yield* hits
    answer = await ask(opensearchUrl, 'POST', '/_search/scroll', {
      body: { scroll: SCROLL_TIME, scroll_id: scrollId },
    })
  }
}

/** Cut where hits begin, which no row of the bench's contains. */
export function hitsOf(answer: string, index: string): Hit[] {
  const [, ...hits] = answer.split(`{"_index":"${index}","_id":"`)
  return hits.map(hit => {
    const end = hit.indexOf('"')
    return { id: Number(hit.slice(0, end)), rest: hit.slice(end) }
  })
}

/** @param rest of a hit @param text of the whole object, so that nothing can follow it */
export function isSource(rest: string, text: string): boolean {
  return rest.startsWith(text, rest.indexOf(SOURCE) + SOURCE.length)
}

const SOURCE = '"_source":'
