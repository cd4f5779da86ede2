/**
 * The body of a `_bulk` request of this bench, action by action. Cheap: no JSON is parsed.
 *
 * Action line: `{"index":{"_index":"bench_orders_0","_id":"17","version":"123","version_type":"external"}}`, members in any
 * order, `version` optional. Document line: `{"id":17,"revision":3,...`.
 */

/** `revision`: Infinity of a deletion. `from`, `to`: its lines, in bytes of the body, the last line end included. */
export type BulkAction = {
  isDelete: boolean
  shard: number
  id: number
  version: string | undefined
  revision: number
  from: number
  to: number
}

const LINE_END = 10
const DELETE_BEGIN = '{"delete":'
const INDEX_BEGIN = '{"index":'
/** Bytes in which `{"id":N,"revision":N,` fits. */
const DOCUMENT_HEAD = 60

/** @throws Error for a body that is none of this bench */
export function bulkActions(body: Buffer): BulkAction[] {
  const actions: BulkAction[] = []
  for (let from = 0; from < body.length; ) {
    const end = lineEnd(body, from)
    const action = actionOf(body.toString('latin1', from, end))
    let revision = Number.POSITIVE_INFINITY
    let to = end + 1
    if (!action.isDelete) {
      revision = revisionOf(body.toString('latin1', to, to + DOCUMENT_HEAD), action.id)
      to = lineEnd(body, to) + 1
    }
    actions.push({ ...action, revision, from, to })
    from = to
  }
  return actions
}

function actionOf(line: string): Pick<BulkAction, 'isDelete' | 'shard' | 'id' | 'version'> {
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
