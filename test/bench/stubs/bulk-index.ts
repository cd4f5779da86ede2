/**
 * What a `_bulk` request does to indices that keep of each document only its revision and its external version: enough to
 * answer each item as OpenSearch would, and to know in the end which rows are there.
 */
import type { Rows } from '../records/changes.ts'
import { type BulkAction, bulkActions } from './bulk-body.ts'

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

  function applyOne(action: BulkAction): { status: number; error?: string } {
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
    else rows.set(action.id, action.revision)
    return { status: wasThere ? 200 : action.isDelete ? 404 : 201 }
  }

  return {
    tables,
    conflicts: () => conflicts,
    apply(body, form) {
      return bulkActions(body).map(action => itemText(action, applyOne(action), form))
    },
  }
}

/** Decimal numbers without leading zeros. */
function isAbove(version: string, other: string): boolean {
  return version.length === other.length ? version > other : version.length > other.length
}

function itemText(
  action: BulkAction,
  { status, error }: { status: number; error?: string },
  form: ItemForm,
): string {
  const kind = action.isDelete ? 'delete' : 'index'
  const told = error === undefined ? '' : `,"error":${error}`
  if (form === 'short') return `{"${kind}":{"status":${status}${told}}}`
  const result = { 200: action.isDelete ? 'deleted' : 'updated', 201: 'created', 404: 'not_found' }[status]
  return `{"${kind}":{"_index":"bench_orders_${action.shard}","_id":"${action.id}","_version":${action.version ?? 1},"result":"${result}","_shards":{"total":1,"successful":1,"failed":0},"_seq_no":1,"_primary_term":1,"status":${status}${told}}}`
}
