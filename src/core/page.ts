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

export type Outcome = 'indexed' | 'deleted' | 'superseded' | 'dead_lettered'

/** One write of one record on its way. */
export type Op = {
  write: Write
  /** The document, by its `documentKey`. */
  key: string
  /** Bound to the record for good; 0 for a load below changes, whose version is fixed. */
  ordinal: number
  version: string
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
  /** The newest write of each document that is not settled, by the document; the earlier ones hang on it. */
  newest: Map<string, Op>
  /** For each record how many of its writes and letters are not settled. */
  open: number[]
  outcomes: (Outcome | 'skipped' | undefined)[]
  unsettled: number
  /** How many writes keep values of the document as it was. */
  keeps: number
}

export function emptyPage(records: number): Page {
  return {
    newest: new Map(),
    open: new Array(records).fill(0),
    outcomes: new Array(records).fill(undefined),
    unsettled: records,
    keeps: 0,
  }
}

/** The page turned out to have fewer records. */
export function endAt(page: Page, records: number): void {
  page.unsettled -= page.open.length - records
  page.open.length = records
  page.outcomes.length = records
}

/** Adds the writes of the next record. Records are added in shard order. */
export function addWrites(
  page: Page,
  record: number,
  writes: readonly Write[],
  { ordinal, version }: { ordinal: number; version: string },
): void {
  let after: Op | undefined
  for (const write of writes) {
    const key = documentKey(write)
    const older = page.newest.get(key)
    const op: Op = {
      write,
      key,
      ordinal,
      version,
      record,
      older,
      after,
      attempts: 0,
      mayHaveLanded: false,
      outcome: undefined,
    }
    if (older && isBelow(version, older.version)) insertBelow(older, op)
    else page.newest.set(key, op)
    page.open[record]!++
    if (write.keep) page.keeps++
    after = op
  }
}

/** A load below the changes of its table is older than they are, wherever in the page it stands. */
function insertBelow(newest: Op, op: Op): void {
  let above = newest
  while (above.older && isBelow(op.version, above.older.version)) above = above.older
  op.older = above.older
  above.older = op
}

/** Versions are decimal numbers of up to 19 digits. */
export function isBelow(version: string, other: string): boolean {
  return version.length === other.length ? version < other : version.length < other.length
}

/** Short, so that a map hashes it fast: the index by a number of its own. Of this process only. */
export function documentKey({ index, id }: Place): string {
  if (index !== lastIndex) {
    const known = indexNumbers.get(index) ?? indexNumbers.size
    indexNumbers.set(index, known)
    lastIndex = index
    lastNumber = known
  }
  return `${lastNumber}\n${id}`
}

const indexNumbers = new Map<string, number>()
let lastIndex: string | undefined
let lastNumber = 0

/** All writes that are not settled; of one document the newest first. */
export function unsettledWrites(page: Page): Op[] {
  const ops: Op[] = []
  for (const newest of page.newest.values()) {
    for (let op: Op | undefined = newest; op; op = op.older) ops.push(op)
  }
  return ops
}

/**
 * Gives writes that are about to be sent their versions under another fence, in the same order. What was refused under the
 * old one was never settled, so nothing is lost; a copy of it that still lands is below.
 */
export function reversion(ops: readonly Op[], versionOf: (ordinal: number) => string): void {
  for (const op of ops) {
    if (op.ordinal === 0) continue
    const version = versionOf(op.ordinal)
    if (op.version === version) continue
    op.version = version
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
  for (const newest of page.newest.values()) {
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
  page.newest.delete(newest.key)
  close(page, newest, outcome, settled)
  for (let op = newest.older; op; op = op.older) close(page, op, 'superseded', settled)
}

/** Settles a write that was refused for good and is confirmed in the dead-letter queue; the one before it is next. */
export function bury(page: Page, op: Op, settled: number[]): void {
  const newest = page.newest.get(op.key)!
  if (newest !== op) {
    let above = newest
    while (above.older !== op) above = above.older!
    above.older = op.older
  } else if (op.older) page.newest.set(op.key, op.older)
  else page.newest.delete(op.key)
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
