/** The changes of one shard by their place, made when first asked for and kept as two numbers each: a reader may come back. */
import { type ChangeKind, changeStream, type Mix, type RowChange, type Rows } from '../records/changes.ts'

export type ChangeLog = {
  /** @param place from 0 */
  at(place: number): RowChange
  /** What the first so many changes leave; of the rows before them only those that were touched. */
  rowsAfter(count: number): Rows
}

const KINDS: readonly ChangeKind[] = ['insert', 'update', 'delete']

export function changeLog(shard: number, mix?: Mix): ChangeLog {
  const stream = changeStream(shard, mix)
  const ids: number[] = []
  const kinds: number[] = []

  function at(place: number): RowChange {
    while (ids.length <= place) {
      const { id, kind } = stream.next().value
      ids.push(id)
      kinds.push(KINDS.indexOf(kind))
    }
    return { kind: KINDS[kinds[place]!]!, id: ids[place]!, revision: place + 1 }
  }

  return {
    at,
    rowsAfter(count) {
      const rows: Rows = new Map()
      for (let place = 0; place < count; place++) {
        const { kind, id, revision } = at(place)
        if (kind === 'delete') rows.delete(id)
        else rows.set(id, revision)
      }
      return rows
    },
  }
}
