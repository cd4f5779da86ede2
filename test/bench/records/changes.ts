/**
 * Which rows change, in which order, and what is left of them at the end: the same for every run and every process that
 * asks, so that the stream, the consumers and the final check need not tell each other.
 *
 * Each shard has a table of its own, as with DMS's partition key `schema-table`. Its changes are one cycle that is served
 * again and again; the rows there were before the first cycle are not in the index, so an update may be the first that is
 * heard of a row.
 */

/** What is not an insert or a delete is an update. `rows`: of each table before its first change. */
export type Mix = { rows: number; insertsPer100: number; deletesPer100: number }

/**
 * The same number of rows in each table, however many there are: with smaller tables more changes of an answer would be of
 * one row and become one document, and more shards would look cheaper than they are.
 */
const GROWING: Mix = { rows: 50_000, insertsPer100: 40, deletesPer100: 10 }
/** Changes of one cycle of all tables. */
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

/** The changes of a shard, oldest first, without end. A deleted row's id is never used again. */
export function* changeStream(shard: number, mix: Mix = GROWING): Generator<RowChange, never> {
  const random = numbersFrom(shard + 1)
  const live = Array.from({ length: mix.rows }, (_, at) => at + 1)
  let lastId = mix.rows
  for (let revision = 1; ; revision++) {
    const dice = random(100)
    if (dice < mix.insertsPer100) {
      live.push(++lastId)
      yield { kind: 'insert', id: lastId, revision }
    } else if (dice < 100 - mix.deletesPer100 || live.length === 1) {
      yield { kind: 'update', id: live[random(live.length)]!, revision }
    } else {
      const at = random(live.length)
      yield { kind: 'delete', id: live[at]!, revision }
      live[at] = live.at(-1)!
      live.pop()
    }
  }
}

/** The changes of one cycle of a shard. */
export function changesOf(shard: number, length: number): RowChange[] {
  const changes = changeStream(shard)
  return Array.from({ length }, () => changes.next().value)
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
