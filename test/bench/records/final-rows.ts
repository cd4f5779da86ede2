/** The check at the end of a run: are the rows at the `_bulk` stub those the changes leave, each of its newest revision? */
import type { BulkState } from '../stubs/bulk-state.ts'
import type { StreamSettings } from '../stubs/get-records-stub.ts'
import { changesOf, cycleLength, digestOf, rowsAfter } from './changes.ts'

/** @returns how to compare a state of the stub: what is wrong with it, nothing when it is right */
export function finalRows({ shards, page, pagesEach }: StreamSettings): (state: BulkState) => string[] {
  const tables = Array.from({ length: shards }, (_, shard) => {
    const changes = changesOf(shard, cycleLength(shards, page))
    return [shard, rowsAfter(changes, page * pagesEach)] as const
  })
  const documents = tables.reduce((sum, [, rows]) => sum + rows.size, 0)
  const digest = digestOf(tables)
  return state => {
    const wrong: string[] = []
    if (state.documents !== documents)
      wrong.push(`${state.documents} documents in the end, expected ${documents}`)
    else if (state.digest !== digest) wrong.push('documents in the end are not of the newest revisions')
    if (state.conflicts > 0) wrong.push(`${state.conflicts} version conflicts, expected none`)
    return wrong
  }
}

/** @param metrics of our service: every record must be written, none skipped or sent to the queue */
export function unwritten(metrics: string | undefined, records: number): string[] {
  if (metrics === undefined) return []
  const settled = settledOf(metrics)
  const written = ['indexed', 'deleted', 'superseded'].reduce(
    (sum, outcome) => sum + (settled.get(outcome) ?? 0),
    0,
  )
  return written === records ? [] : [`${written} of ${records} records written, by its own metrics`]
}

/** @returns outcome -> records, of all shards */
export function settledOf(metrics: string): Map<string, number> {
  const settled = new Map<string, number>()
  for (const [, labels, value] of metrics.matchAll(/^cdc_records_settled_total\{([^}]*)\} (\S+)$/gm)) {
    const outcome = /outcome="([^"]*)"/.exec(labels!)?.[1] ?? ''
    settled.set(outcome, (settled.get(outcome) ?? 0) + Number(value))
  }
  return settled
}
