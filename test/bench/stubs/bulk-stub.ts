/**
 * OpenSearch as a worker meets it: `_bulk`, and what it asks at its start, answered as bootstrapped. A process of its own.
 *
 * It tells its owner `{ actions }` after each bulk request, how many it has answered so far, and what is in its indices when
 * asked at STATE_PATH.
 */
import type { IncomingMessage } from 'node:http'
import { indexTemplate, TEMPLATE_NAME, type TemplateOptions } from '../../../src/core/template.ts'
import { digestOf } from '../records/changes.ts'
import { bulkIndex } from './bulk-index.ts'
import { type BulkState, STATE_PATH } from './bulk-state.ts'
import { type Reply, serveStub, tell } from './stub-server.ts'

const template = JSON.parse(process.argv[2]!) as TemplateOptions
const index = bulkIndex()
let actions = 0

await serveStub((asked, body) => {
  const { pathname, searchParams } = new URL(asked.url!, 'http://stub')
  if (pathname === '/_bulk') return bulk(body, searchParams.get('filter_path'))
  return json(answerTo(asked, pathname))
})

function bulk(body: Buffer, filter: string | null): Reply {
  const items = index.apply(body, filter?.startsWith('errors,items.*.status') ? 'short' : 'full')
  actions += items.length
  const hasErrors = items.some(item => item.includes('"error":'))
  tell({ actions })
  return json(`{${filter === null ? '"took":1,' : ''}"errors":${hasErrors},"items":[${items.join(',')}]}`)
}

function answerTo(asked: IncomingMessage, path: string): string {
  if (path === '/') return JSON.stringify({ version: { number: '2.19.0', distribution: 'opensearch' } })
  if (path === `/_index_template/${TEMPLATE_NAME}`) {
    const stored = { ...indexTemplate(template), composed_of: [] }
    return JSON.stringify({ index_templates: [{ name: TEMPLATE_NAME, index_template: stored }] })
  }
  // No index is there yet.
  if (path.endsWith('/_settings')) return '{}'
  if (path === STATE_PATH) return JSON.stringify(state())
  throw new Error(`the bulk stub does not answer ${asked.method} ${path}`)
}

function state(): BulkState {
  const tables = [...index.tables].map(([shard, { rows }]) => [shard, rows] as const)
  return {
    documents: tables.reduce((sum, [, rows]) => sum + rows.size, 0),
    digest: digestOf(tables),
    conflicts: index.conflicts(),
  }
}

function json(body: string): Reply {
  return { status: 200, body, headers: { 'content-type': 'application/json; charset=UTF-8' } }
}
