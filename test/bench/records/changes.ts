/**
 * Which rows change, in which order, and what is left of them at the end: the same for every run and every process that
 * asks, so that the stream, the consumers and the final check need not tell each other.
 *
 * Each shard has a table of its own, as with DMS's partition key `schema-table`. Its changes are one cycle that is served
 * again and again; the rows there were before the first cycle are not in the index, so an update may be the first that is
 * heard of a row.
 */

/** 40 of 100 changes insert, 50 update, 10 delete. */
const INSERTS_PER_100 = 40
const DELETES_PER_100 = 10
/** Rows of all tables before the first change, and changes of one cycle of all tables. */
const ROWS = 200_000
const CYCLE = 200_000

export type ChangeKind = 'insert' | 'update' | 'delete'

/** A row is known by `id`; `revision` tells its versions apart: the place of the change in its cycle, from 1. */
export type RowChange = { kind: ChangeKind; id: number; revision: number }

/** Rows that are live -> their revision. */
export type Rows = Map<number, number>

/**
 * @param page records of an answer: a cycle is whole pages, at least one
 * @returns how many changes a shard's cycle has
 */
export function cycleLength(shards: number, page: number): number {
  return Math.max(1, Math.floor(CYCLE / shards / page)) * page
}

/** The changes of one cycle of a shard, oldest first. */
export function changesOf(shard: number, shards: number, length: number): RowChange[] {
  const random = numbersFrom(shard + 1)
  const before = Math.ceil(ROWS / shards)
  const live = Array.from({ length: before }, (_, at) => at + 1)
  let lastId = before
  const changes: RowChange[] = []
  for (let revision = 1; revision <= length; revision++) {
    const dice = random(100)
    if (dice < INSERTS_PER_100) {
      live.push(++lastId)
      changes.push({ kind: 'insert', id: lastId, revision })
    } else if (dice < 100 - DELETES_PER_100 || live.length === 1) {
      changes.push({ kind: 'update', id: live[random(live.length)]!, revision })
    } else {
      const at = random(live.length)
      changes.push({ kind: 'delete', id: live[at]!, revision })
      live[at] = live.at(-1)!
      live.pop()
    }
  }
  return changes
}

/** The rows after `count` changes of a cycle that begins anew at its end. */
export function rowsAfter(changes: readonly RowChange[], count: number): Rows {
  const rows: Rows = new Map()
  // What a cycle leaves does not depend on what was there before it, but for rows it does not touch: two are enough.
  const whole = Math.min(1, Math.floor((count - 1) / changes.length))
  const last = count - Math.floor((count - 1) / changes.length) * changes.length
  for (let at = 0; at < whole * changes.length + last; at++) {
    const { kind, id, revision } = changes[at % changes.length]!
    if (kind === 'delete') rows.delete(id)
    else rows.set(id, revision)
  }
  return rows
}

/** One number for all rows of all tables, whatever their order: equal sets give equal numbers, others hardly ever. */
export function digestOf(tables: Iterable<readonly [shard: number, rows: Rows]>): number {
  let digest = 0
  for (const [shard, rows] of tables) {
    for (const [id, revision] of rows) {
      let mixed =
        Math.imul(id ^ Math.imul(shard + 1, 0x9e3779b1), 0x85ebca6b) ^ Math.imul(revision, 0xc2b2ae35)
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d)
      digest = (digest + (mixed ^ (mixed >>> 13))) >>> 0
    }
  }
  return digest
}

/** Numerical Recipes' generator of 32 bits. @returns whole numbers from 0 to below its argument */
export function numbersFrom(seed: number): (below: number) => number {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
