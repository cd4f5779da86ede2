/**
 * The plans of one shard that were taken in hand, in shard order, until they are settled: those in hand, and those of which
 * something is parked. The checkpoint follows the first record that is not settled, whatever is settled behind it.
 */
import { firstUnsettled, type Op, sendable } from './page.ts'
import type { Plan } from './plan.ts'

/** `work` is undefined once all of it is settled; it then only tells how far the shard is settled behind a parked one. */
type Entry = { work: Plan | undefined; from: number; last: string }

export type Works = {
  add(work: Plan): void
  /** Lets go of what is settled. */
  tidy(): void
  /** Puts what is left of a work in its place. */
  replace(work: Plan, left: Plan): void
  /** The last record of the shard before the first unsettled one; undefined while that is where the tenure began. */
  settledTo(): string | undefined
  /** Records. */
  unsettled(): number
  /** The first work that has writes of this index, with those of them that may be sent now. */
  firstWith(index: string): { work: Plan; ops: Op[] } | undefined
}

export function works(): Works {
  let entries: Entry[] = []
  let settledTo: string | undefined

  /** Drops what is settled at the front, and joins what is settled behind it. */
  function tidy(): void {
    const left: Entry[] = []
    for (const entry of entries) {
      const { work } = entry
      if (work) {
        const { page } = work
        if (page.unsettled === 0) entry.work = undefined
        else if (left.length === 0) {
          entry.from = firstUnsettled(page, entry.from)
          if (entry.from > 0) settledTo = work.records[entry.from - 1]!.sequenceNumber
        }
      }
      const before = left.at(-1)
      if (entry.work) left.push(entry)
      else if (!before) settledTo = entry.last
      else if (before.work) left.push(entry)
      else before.last = entry.last
    }
    entries = left
  }

  return {
    add(work) {
      const last = work.records.at(-1)
      if (last) entries.push({ work, from: 0, last: last.sequenceNumber })
    },
    tidy,
    replace(work, left) {
      tidy()
      const entry = entries.find(one => one.work === work)
      if (!entry) return
      entry.work = left
      entry.from = 0
    },
    settledTo() {
      tidy()
      return settledTo
    },
    unsettled: () => entries.reduce((sum, { work }) => sum + (work?.page.unsettled ?? 0), 0),
    firstWith(index) {
      for (const { work } of entries) {
        if (!work || work.page.unsettled === 0) continue
        for (const { write, outcome } of work.page.newest)
          if (outcome === undefined && write.index === index)
            return { work, ops: sendable(work.page, of => of === index) }
      }
      return undefined
    },
  }
}
