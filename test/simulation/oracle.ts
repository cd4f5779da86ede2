/**
 * What must be true when all is quiet: each document is what the stream implies, or a dead letter names it and says why
 * versions could not settle it. Then it is still what its own shard implies, but for the values that updates leave out. A
 * letter that had no cause is as wrong as a difference without one, save one kind: see `UNCAUSED`.
 */
import type { Index } from './network.ts'

/** `index/id` -> the reasons of the letters that name it, of those settled against the source's row (by `redrive`). */
export type Letters = ReadonlyMap<string, ReadonlySet<string>>

export type Judgement = {
  /** What is wrong, each in one line. */
  faults: string[]
  /** How many documents there are or should be. */
  documents: number
  /** How many of them differ, but are named by a letter. */
  excused: number
}

/** What a letter leaves open besides: the value that an update said nothing of. */
const KEPT = /,"toast":[^,}]*/

/**
 * An update whose document was not there to keep a value of. The source cannot say where that happens: each replay of
 * updates after their row was deleted brings some, and settled against the source they change nothing. So they excuse no
 * more than the value itself.
 */
const UNCAUSED = 'kept-columns-unknown'

export function judgeIndex(
  source: { expected: ReadonlyMap<string, string>; ordered: ReadonlyMap<string, string>; due: Letters },
  found: ReadonlyMap<string, string>,
  letters: Letters,
): Judgement {
  const { expected, ordered, due } = source
  const keys = new Set([...expected.keys(), ...found.keys()])
  const differing = [...keys].filter(key => expected.get(key) !== found.get(key))
  const withoutKept = (documents: ReadonlyMap<string, string>, key: string) =>
    documents.get(key)?.replace(KEPT, '')
  const excused = differing.filter(key => {
    const reasons = [...(letters.get(key) ?? [])]
    const wanted = reasons.some(reason => reason !== UNCAUSED) ? ordered : expected
    return reasons.length > 0 && withoutKept(wanted, key) === withoutKept(found, key)
  })
  const differences = differing
    .filter(key => !excused.includes(key))
    .map(key => {
      const [wanted, is] = [expected.get(key), found.get(key)]
      const what = wanted === undefined ? 'extra' : is === undefined ? 'missing' : 'stale'
      return `${what} ${key}: found ${is ?? 'nothing'}, expected ${wanted ?? 'nothing'}`
    })
  const undue = [...letters].flatMap(([key, reasons]) =>
    [...reasons]
      .filter(reason => reason !== UNCAUSED && !due.get(key)?.has(reason))
      .map(reason => `a letter ${reason} for ${key} without a cause`),
  )
  return {
    faults: [...differences, ...undue],
    documents: keys.size,
    excused: excused.length,
  }
}

/**
 * Looks at each delete in a table whose rows have one line of shards: a row that lives on under another key must be found
 * there before its old document goes. Holds only where nothing is replayed, and only until another row has the old key:
 * of the two writes of one page that wait for nothing, the delete of the other row may come before the index of this one.
 *
 * @returns the faults, which come while the run goes on
 */
export function watchMoves(index: Index, isMovedFrom: (key: string, document: string) => boolean): string[] {
  const faults: string[] = []
  const { apply } = index
  const rowOf = (document: string) => (JSON.parse(document) as { row: number }).row
  index.apply = (kind, key, version, document) => {
    const before = kind === 'delete' && key.startsWith('public_t/') ? index.found().get(key) : undefined
    const item = apply(kind, key, version, document)
    if (before === undefined || item.status !== 200 || !isMovedFrom(key, before)) return item
    const row = rowOf(before)
    if (![...index.found().values()].some(other => rowOf(other) === row))
      faults.push(`missing row ${row} while it moves from ${key}: for a moment under neither key`)
    return item
  }
  return faults
}
