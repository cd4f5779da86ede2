/**
 * What OpenSearch itself does on this machine: documents of the same kind, without versions, by requests that are full and
 * always four at once. Whoever is measured after it finds a Java that has warmed up; so ours may be quicker.
 */
import { removeIndices } from '../../e2e/documents.ts'
import { indexOf, rowText } from '../records/record-text.ts'

const REQUESTS_AT_ONCE = 4
const DOCUMENTS_EACH = 2_000
const LEFT_OUT = 1 / 2

/** Puts them and takes them away again. @returns documents a second, of the last half */
export async function loadPlainly(opensearchUrl: string, documents: number): Promise<number> {
  const requests = Math.ceil(documents / DOCUMENTS_EACH)
  let sent = 0
  let answered = 0
  let fromMs: number | undefined
  let counted = 0

  async function sendOn(shard: number): Promise<void> {
    while (sent < requests) {
      await send(opensearchUrl, shard, sent++)
      answered++
      if (fromMs !== undefined) counted++
      else if (answered >= requests * LEFT_OUT) fromMs = performance.now()
    }
  }

  await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, (_, shard) => sendOn(shard)))
  const seconds = (performance.now() - fromMs!) / 1000
  await removeIndices(opensearchUrl, 'bench_*')
  return (counted * DOCUMENTS_EACH) / seconds
}

async function send(opensearchUrl: string, shard: number, request: number): Promise<void> {
  const lines: string[] = []
  for (let at = 0; at < DOCUMENTS_EACH; at++) {
    const id = request * DOCUMENTS_EACH + at
    lines.push(`{"index":{"_index":"${indexOf(shard)}","_id":"${id}"}}\n`)
    lines.push(`${rowText({ kind: 'insert', id, revision: id }, shard)}\n`)
  }
  const answer = await fetch(`${opensearchUrl}/_bulk?filter_path=errors`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines.join(''),
  })
  const { errors } = (await answer.json()) as { errors?: boolean }
  if (errors !== false) throw new Error(`OpenSearch did not take a plain bulk request (${answer.status})`)
}
