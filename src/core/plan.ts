/** The records of a page -> what to write and to bury, up to the first one that holds the shard. */
import type { Decode, Decoded } from './change.ts'
import { type DecideContext, type Decision, decide, type Hold } from './document.ts'
import { type Folded, foldKept } from './keep.ts'
import type { Letter } from './letter.ts'
import { addLetter, addWrites, emptyPage, endAt, type Op, type Page, skip, unsettledWrites } from './page.ts'
import { lengthOf, PageRecord, type StreamRecord } from './stream.ts'
import type { TableRules } from './table.ts'
import { BELOW_CHANGES } from './version.ts'

export type PlanOptions = {
  context: DecideContext
  recordBytesMax: number
  decode: Decode
  /** Updates that keep values of their documents in one plan: what is read for them is in memory at once. */
  keptMax: number
  /** Ordinals taken so far in this tenure. */
  ordinal: number
  /** Of the versions of its writes. */
  fence: number
}

/** What is left of a decision once its writes are in the page: one for all records of a table, or thousands would live on. */
export type Judged = Exclude<Decision, { kind: 'write' | 'hold' }> | WriteJudged
type WriteJudged = { kind: 'write'; rules: TableRules; table: string }

export type Plan = {
  records: readonly StreamRecord[]
  /** Of each record, in order. */
  decisions: Judged[]
  /** `load`, `insert`, `update`, `delete`, `control` or `unreadable`. */
  operations: string[]
  committedAtMs: (number | undefined)[]
  page: Page
  /** Letters that need no answer of OpenSearch. */
  letters: { record: number; letter: Letter }[]
  /** What has to be read before the page is written. */
  folded: Folded
  /** Why the record behind the last one of the plan is not in it. */
  hold: Hold | undefined
  ordinal: number
}

/**
 * Each record takes the next ordinal as it is decoded, written or not. The plan ends before a record that holds the shard,
 * at the most updates that need a reading, or with the records.
 */
export function plan(records: readonly StreamRecord[], from: number, options: PlanOptions): Plan {
  // Of their size from the start: as they grew they would leave twice as much behind.
  const most = records.length - from
  const decisions = new Array<Judged>(most)
  const operations = new Array<string>(most)
  const committedAtMs = new Array<number | undefined>(most)
  const page = emptyPage(most)
  const letters: Plan['letters'] = []
  const bear = (record: number, letter: Letter) => {
    addLetter(page, record)
    letters.push({ record, letter })
  }
  let { ordinal } = options
  let hold: Hold | undefined
  let kept = 0
  let written: WriteJudged | undefined
  let record = 0
  for (; record < most && kept < options.keptMax; record++) {
    const one = records[from + record]!
    ordinal++
    const bytes = lengthOf(one)
    if (bytes > options.recordBytesMax) {
      const letter: Letter = { reason: 'record-too-large', detail: `${bytes} bytes` }
      decisions[record] = { kind: 'letter', letter, table: undefined }
      operations[record] = 'unreadable'
      committedAtMs[record] = undefined
      bear(record, letter)
      continue
    }
    const decoded = decodedOf(one, options.decode)
    const decision = decide(decoded, one.partitionKey, options.context)
    if (decision.kind === 'hold') {
      hold = decision.hold
      break
    }
    operations[record] = decoded.kind === 'change' ? decoded.operation : decoded.kind
    committedAtMs[record] = decoded.kind === 'change' ? decoded.committedAtMs : undefined
    if (decision.kind !== 'write') {
      decisions[record] = decision
      if (decision.kind === 'letter') bear(record, decision.letter)
      else skip(page, record)
      continue
    }
    const { rules, table, writes } = decision
    if (written?.rules !== rules) written = { kind: 'write', rules, table }
    decisions[record] = written
    const version = decision.isBelowChanges ? BELOW_CHANGES : { fence: options.fence, ordinal }
    const keepsBefore = page.keeps
    addWrites(page, record, writes, version)
    if (page.keeps > keepsBefore) kept++
    for (const letter of decision.letters) bear(record, letter)
  }
  const folded = foldKept(page)
  endAt(page, record)
  for (const each of [decisions, operations, committedAtMs]) each.length = record
  for (const op of folded.moved) bear(op.record, keptLetter('kept-columns-moved', op))
  return {
    records: records.slice(from, from + record),
    decisions,
    operations,
    committedAtMs,
    page,
    letters,
    folded,
    hold,
    ordinal,
  }
}

/**
 * What is left of a plan that has to wait long: its unsettled records alone, in memory of their own, so that the page they
 * were read in is free. The writes are the same objects, at their new places.
 */
export function leftOf(work: Plan): Plan {
  const { page } = work
  const kept = page.open.flatMap((open, record) => (open > 0 ? [record] : []))
  const placeOf = new Map(kept.map((record, place) => [record, place]))
  const records = kept.map(record => {
    const { sequenceNumber, partitionKey, arrivedAtMs, data } = work.records[record]!
    return { sequenceNumber, partitionKey, arrivedAtMs, data: new Uint8Array(data) }
  })
  for (const op of unsettledWrites(page)) {
    const { write } = op
    // A document that stands in bytes stands in those of its own record.
    const from = beginOf(work.records[op.record]!)
    op.record = placeOf.get(op.record)!
    const bytes = records[op.record]!.data
    if (write.bytes) op.write = { ...write, bytes, start: write.start - from, end: write.end - from }
  }
  const newest = page.newest.filter(({ outcome }) => outcome === undefined)
  for (const [document, op] of newest.entries())
    for (let one: Op | undefined = op; one; one = one.older) one.document = document
  const of = <T>(all: readonly T[]): T[] => kept.map(record => all[record]!)
  return {
    ...work,
    records,
    decisions: of(work.decisions),
    operations: of(work.operations),
    committedAtMs: of(work.committedAtMs),
    page: { ...page, newest, open: of(page.open), outcomes: of(page.outcomes) },
    letters: [],
  }
}

/** Where a record's data begins in the bytes it was read in. */
function beginOf(record: StreamRecord): number {
  return record instanceof PageRecord ? record.start : 0
}

function decodedOf(record: StreamRecord, decode: Decode): Decoded {
  if (!(record instanceof PageRecord)) return decode(record.data)
  const { page, start, end } = record
  return decode(page.bytes, start, end, page.isUtf8)
}

/** The columns an update keeps may have been lost with a document: the source's row has them. */
export function keptLetter(reason: 'kept-columns-moved' | 'kept-columns-unknown', { write }: Op): Letter {
  const { index, id, routing } = write
  return { reason, index, id, routing, settle: 'source-row' }
}

/** The table a record of the plan is of, where it can be told. */
export function tableOf(work: Plan, record: number): string | undefined {
  return work.decisions[record]!.table
}
