/**
 * The writes of one page of a shard, and which of them may be sent now.
 *
 * - At most one write of a document is in flight.
 * - Several writes of one document coalesce: the newest is sent and settles the earlier ones. If OpenSearch refuses the
 *   newest for good, the one before it is tried, so that a refused row does not take an acceptable one with it.
 * - The delete of a key change waits for its index: between the two a reader sees both documents. Not so where the page
 *   goes on with the old key (another row comes to it, and perhaps goes again): the newest write of the old document
 *   stands for that delete and waits for nothing, so that a reader may see the moved row under neither key until its
 *   index has landed.
 *
 * Nothing here waits for ever: a delete waits for a write of the same record, and of two such records the later one's
 * writes are the newest of both documents (proved by the property test beside this file).
 */
import type { Write } from './document.ts'
import type { Place } from './letter.ts'
import { BELOW_CHANGES, isBelow, type Version } from './version.ts'

export type Outcome = 'indexed' | 'deleted' | 'superseded' | 'dead_lettered'

/** One write of one record on its way. */
export type Op = {
  write: Write
  /** The document, as an index into the page's `newest`. */
  document: number
  /** The version's numbers. 0 for a load below changes, whose version is fixed; else the tenure's, which may jump. */
  fence: number
  /** Bound to the record for good. */
  ordinal: number
  /** Index of the record in the page. */
  record: number
  /** The write of the same document before this one, if it is not settled. */
  older: Op | undefined
  /** The other half of a key change that must be settled first. */
  after: Op | undefined
  attempts: number
  /** Whether an earlier copy was sent and its answer lost: a conflict with its own version is then its own. */
  mayHaveLanded: boolean
  outcome: Outcome | undefined
}

export type Page = {
  /**
   * The newest write of each document, in the order in which they were met; the earlier ones hang on it. One that is
   * settled stays, with its outcome, and so are all that hang on it.
   */
  newest: Op[]
  /** Where in `newest` each document is, by index and id; until all records are in the page. */
  places: Places | undefined
  /** For each record how many of its writes and letters are not settled. */
  open: number[]
  outcomes: (Outcome | 'skipped' | undefined)[]
  unsettled: number
  /** How many writes keep values of the document as it was. */
  keeps: number
}

/** Mostly a page is of one index. */
type Places = {
  ofIndices: Map<string, Map<string, number>>
  index: string | undefined
  ids: Map<string, number>
}

export function emptyPage(records: number): Page {
  return {
    newest: [],
    places: { ofIndices: new Map(), index: undefined, ids: new Map() },
    open: new Array(records).fill(0),
    outcomes: new Array(records).fill(undefined),
    unsettled: records,
    keeps: 0,
  }
}

/** All records are in the page; there may be fewer than it was made for. */
export function endAt(page: Page, records: number): void {
  page.places = undefined
  page.unsettled -= page.open.length - records
  page.open.length = records
  page.outcomes.length = records
}

/** Adds the writes of the next record. Records are added in shard order, all of them before any is settled. */
export function addWrites(page: Page, record: number, writes: readonly Write[], version: Version): void {
  const { newest } = page
  const { fence, ordinal } = version
  let after: Op | undefined
  for (const write of writes) {
    const ids = idsOf(page.places!, write.index)
    const known = ids.get(write.id)
    const document = known ?? newest.length
    const older = newest[document]
    const op: Op = {
      write,
      document,
      fence,
      ordinal,
      record,
      older,
      after,
      attempts: 0,
      mayHaveLanded: false,
      outcome: undefined,
    }
    if (known === undefined) ids.set(write.id, document)
    if (older && isBelow(version, older)) insertBelow(older, op)
    else newest[document] = op
    page.open[record]!++
    if (write.keep) page.keeps++
    after = op
  }
}

function idsOf(places: Places, index: string): Map<string, number> {
  if (index === places.index) return places.ids
  let ids = places.ofIndices.get(index)
  if (!ids) {
    ids = new Map()
    places.ofIndices.set(index, ids)
  }
  places.index = index
  places.ids = ids
  return ids
}

/** The document at a place, as an index into `newest`; while records are being added. */
export function documentAt(page: Page, { index, id }: Place): number | undefined {
  return page.places!.ofIndices.get(index)?.get(id)
}

/** A load below the changes of its table is older than they are, wherever in the page it stands. */
function insertBelow(newest: Op, op: Op): void {
  let above = newest
  while (above.older && isBelow(op, above.older)) above = above.older
  op.older = above.older
  above.older = op
}

/** All writes that are not settled, document by document; of one document the newest first. */
export function unsettledWrites(page: Page): Op[] {
  const ops: Op[] = []
  for (const newest of page.newest) {
    if (newest.outcome !== undefined) continue
    for (let op: Op | undefined = newest; op; op = op.older) ops.push(op)
  }
  return ops
}

/**
 * Gives writes that are about to be sent their versions under another fence, in the same order. What was refused under the
 * old one was never settled, so nothing is lost; a copy of it that still lands is below.
 */
export function reversion(ops: readonly Op[], fence: number): void {
  for (const op of ops) {
    if (op.fence === BELOW_CHANGES.fence || op.fence === fence) continue
    op.fence = fence
    op.mayHaveLanded = false
  }
}

/**
 * The writes that may be sent now: of each document the newest, once what it waits for is settled.
 *
 * @param isWanted asked of their indices
 */
export function sendable(page: Page, isWanted: (index: string) => boolean = () => true): Op[] {
  const ready: Op[] = []
  let last: string | undefined
  let isLastWanted = false
  for (const newest of page.newest) {
    if (newest.outcome !== undefined) continue
    const { index } = newest.write
    // Mostly the same as of the write before.
    if (index !== last) {
      last = index
      isLastWanted = isWanted(index)
    }
    if (isLastWanted && (newest.after === undefined || newest.after.outcome !== undefined)) ready.push(newest)
  }
  return ready
}

/** The index of the first record at or behind `from` that is not settled; one behind the last record where all are. */
export function firstUnsettled(page: Page, from: number): number {
  let at = from
  while (at < page.open.length && page.open[at] === 0) at++
  return at
}

/**
 * Settles a write that is done. Earlier writes of the document in this page are superseded by it.
 *
 * @param settled takes the records settled by this, as indexes into the page
 */
export function settle(
  page: Page,
  newest: Op,
  outcome: Exclude<Outcome, 'dead_lettered'>,
  settled: number[],
): void {
  close(page, newest, outcome, settled)
  for (let op = newest.older; op; op = op.older) close(page, op, 'superseded', settled)
}

/** Settles a write that was refused for good and is confirmed in the dead-letter queue; the one before it is next. */
export function bury(page: Page, op: Op, settled: number[]): void {
  const newest = page.newest[op.document]!
  if (newest !== op) {
    let above = newest
    while (above.older !== op) above = above.older!
    above.older = op.older
  } else if (op.older) page.newest[op.document] = op.older
  close(page, op, 'dead_lettered', settled)
}

function close(page: Page, op: Op, outcome: Outcome, settled: number[]): void {
  op.outcome = outcome
  // A record with a dead half is dead-lettered; else its first half says what became of it.
  if (outcome === 'dead_lettered' || page.outcomes[op.record] === undefined)
    page.outcomes[op.record] = outcome
  closePart(page, op.record, settled)
}

/** One more letter that must be confirmed before the record is settled. */
export function addLetter(page: Page, record: number): void {
  page.open[record]!++
}

export function buryLetter(page: Page, record: number, settled: number[]): void {
  page.outcomes[record] = 'dead_lettered'
  closePart(page, record, settled)
}

export function skip(page: Page, record: number): void {
  page.outcomes[record] = 'skipped'
  page.unsettled--
}

function closePart(page: Page, record: number, settled: number[]): void {
  if (--page.open[record]! > 0) return
  page.unsettled--
  settled.push(record)
}
