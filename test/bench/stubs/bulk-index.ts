/**
 * What a `_bulk` request does to indices that keep of each document only its revision and its external version: enough to
 * answer each item as OpenSearch would, and to know in the end which rows are there. Cheap: no JSON is parsed.
 *
 * Action line: `{"index":{"_index":"bench_orders_0","_id":"17","version":"123","version_type":"external"}}`, members in any
 * order, `version` optional. Document line: `{"id":17,"revision":3,...`.
 */
import type { Rows } from '../records/changes.ts'

const LINE_END = 10
const DELETE_BEGIN = '{"delete":'
const INDEX_BEGIN = '{"index":'
/** Bytes in which `{"id":N,"revision":N,` fits. */
const DOCUMENT_HEAD = 60

type Table = { rows: Rows; versions: Map<number, string> }

export type BulkIndex = {
  /** @returns the item of each action, as text. @throws Error for a body that is none of this bench */
  apply(body: Buffer, items: ItemForm): string[]
  tables: Map<number, Table>
  conflicts(): number
}

/** `short`: as `filter_path` leaves it when only errors and status are asked for. */
export type ItemForm = 'short' | 'full'

export function bulkIndex(): BulkIndex {
  const tables = new Map<number, Table>()
  let conflicts = 0

  function tableAt(shard: number): Table {
    const found = tables.get(shard) ?? { rows: new Map(), versions: new Map() }
    tables.set(shard, found)
    return found
  }

  function applyOne(action: Action, revision: number): { status: number; error?: string } {
    const { rows, versions } = tableAt(action.shard)
    const current = versions.get(action.id)
    if (action.version !== undefined) {
      if (current !== undefined && !isAbove(action.version, current)) {
        conflicts++
        const reason = `[${action.id}]: version conflict, current version [${current}] is higher or equal to the one provided [${action.version}]`
        return { status: 409, error: JSON.stringify({ type: 'version_conflict_engine_exception', reason }) }
      }
      versions.set(action.id, action.version)
    }
    const wasThere = rows.has(action.id)
    if (action.isDelete) rows.delete(action.id)
    else rows.set(action.id, revision)
    return { status: wasThere ? 200 : action.isDelete ? 404 : 201 }
  }

  return {
    tables,
    conflicts: () => conflicts,
    apply(body, form) {
      const items: string[] = []
      for (let at = 0; at < body.length; ) {
        const end = lineEnd(body, at)
        const action = actionOf(body.toString('latin1', at, end))
        at = end + 1
        let revision = 0
        if (!action.isDelete) {
          revision = revisionOf(body.toString('latin1', at, at + DOCUMENT_HEAD), action.id)
          at = lineEnd(body, at) + 1
        }
        items.push(itemText(action, applyOne(action, revision), form))
      }
      return items
    },
  }
}

type Action = { isDelete: boolean; shard: number; id: number; version: string | undefined }

function actionOf(line: string): Action {
  const isDelete = line.startsWith(DELETE_BEGIN)
  const index = /"_index":"bench_orders_(\d+)"/.exec(line)
  const id = /"_id":"(\d+)"/.exec(line)
  if ((!isDelete && !line.startsWith(INDEX_BEGIN)) || !index || !id)
    throw new Error(`not an action line of this bench: ${line.slice(0, 200)}`)
  return {
    isDelete,
    shard: Number(index[1]),
    id: Number(id[1]),
    version: /"version":"?(\d+)/.exec(line)?.[1],
  }
}

function revisionOf(head: string, id: number): number {
  const found = /^\{"id":(\d+),"revision":(\d+),/.exec(head)
  if (!found || Number(found[1]) !== id) throw new Error(`not the document of row ${id}: ${head}`)
  return Number(found[2])
}

function lineEnd(body: Buffer, from: number): number {
  const end = body.indexOf(LINE_END, from)
  if (end < 0) throw new Error('a bulk body must end with a line end')
  return end
}

/** Decimal numbers without leading zeros. */
function isAbove(version: string, other: string): boolean {
  return version.length === other.length ? version > other : version.length > other.length
}

function itemText(
  action: Action,
  { status, error }: { status: number; error?: string },
  form: ItemForm,
): string {
  const kind = action.isDelete ? 'delete' : 'index'
  const told = error === undefined ? '' : `,"error":${error}`
  if (form === 'short') return `{"${kind}":{"status":${status}${told}}}`
  const result = { 200: action.isDelete ? 'deleted' : 'updated', 201: 'created', 404: 'not_found' }[status]
  return `{"${kind}":{"_index":"bench_orders_${action.shard}","_id":"${action.id}","_version":${action.version ?? 1},"result":"${result}","_shards":{"total":1,"successful":1,"failed":0},"_seq_no":1,"_primary_term":1,"status":${status}${told}}}`
}
