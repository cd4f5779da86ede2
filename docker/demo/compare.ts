/**
 * Tables against indices, document by document.
 *
 * The expectation is SQL text written by whoever knows the table; the other side is the `_source` text as OpenSearch
 * holds it. Neither passes through the code under test, and no number passes through a double. What differs is named by
 * id alone: rows may be private.
 */
import type { Client } from 'pg'
import { canonical, elementsOf, membersOf } from './raw-json.ts'

export type Comparison = {
  table: string
  index: string
  /** A SELECT of two text columns: `id`, the document's id, and `document`, the JSON it should hold. */
  expectationSql: string
}

export type Outcome = {
  table: string
  index: string
  rows: number
  documents: number
  missing: string[]
  extra: string[]
  different: string[]
}

type World = { database: Client; opensearchUrl: string; signal?: AbortSignal | undefined }

export function isEqual(outcome: Outcome): boolean {
  return outcome.missing.length + outcome.extra.length + outcome.different.length === 0
}

/** Compares each in turn. Both sides must have stopped changing; the index is refreshed first. */
export async function compareAll(comparisons: Comparison[], world: World): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const comparison of comparisons) outcomes.push(await compareOne(comparison, world))
  return outcomes
}

async function compareOne({ table, index, expectationSql }: Comparison, world: World): Promise<Outcome> {
  const expected = await readExpectations(world.database, table, expectationSql)
  const found = await readDocuments(index, world)
  const missing = [...expected.keys()].filter(id => !found.has(id))
  const extra = [...found.keys()].filter(id => !expected.has(id))
  const different = [...expected]
    .filter(([id, text]) => found.has(id) && found.get(id) !== text)
    .map(([id]) => id)
  return { table, index, rows: expected.size, documents: found.size, missing, extra, different }
}

async function readExpectations(database: Client, table: string, sql: string): Promise<Map<string, string>> {
  const { rows } = await database.query<{ id: string; document: string }>(sql)
  const expected = new Map(rows.map(row => [row.id, canonical(row.document)]))
  if (expected.size !== rows.length) {
    throw new Error(
      `the expectation for ${table} has ${rows.length} rows but ${expected.size} ids: its SELECT must give each row an id of its own`,
    )
  }
  return expected
}

/** Everything in the index, by scroll: the order stays fixed while it is read, whatever the index is sorted by. */
async function readDocuments(index: string, world: World): Promise<Map<string, string>> {
  const documents = new Map<string, string>()
  // An index that was never written to does not exist; for a table without rows that is right.
  await ask(world, 'POST', `/${index}/_refresh?ignore_unavailable=true`)
  let page = await ask(world, 'POST', `/${index}/_search?scroll=1m&ignore_unavailable=true`, {
    size: 500,
    sort: ['_doc'],
  })
  for (;;) {
    const answer = membersOf(page)
    const hits = elementsOf(membersOf(answer.get('hits')!).get('hits')!)
    const scrollId = answer.get('_scroll_id')
    for (const hit of hits) {
      const members = membersOf(hit)
      documents.set(JSON.parse(members.get('_id')!) as string, canonical(members.get('_source')!))
    }
    if (scrollId === undefined) return documents
    const scroll_id = JSON.parse(scrollId) as string
    if (hits.length === 0) {
      // A scroll left open holds the index's old files for its minute, and a node has 500 of them.
      await ask(world, 'DELETE', '/_search/scroll', { scroll_id: [scroll_id] })
      return documents
    }
    page = await ask(world, 'POST', '/_search/scroll', { scroll: '1m', scroll_id })
  }
}

/** The answer as text. No `filter_path`: with it OpenSearch writes `_source` anew instead of copying its bytes. */
async function ask(world: World, method: string, path: string, body?: unknown): Promise<string> {
  const signals = [AbortSignal.timeout(30_000), ...(world.signal ? [world.signal] : [])]
  const response = await fetch(new URL(path, world.opensearchUrl), {
    method,
    headers: { 'content-type': 'application/json' },
    body: body === undefined ? null : JSON.stringify(body),
    signal: AbortSignal.any(signals),
  })
  const text = await response.text()
  if (!response.ok)
    throw new Error(`OpenSearch answered ${response.status} to ${method} ${path}: ${text.slice(0, 300)}`)
  return text
}
