/** The records of a page -> what to write and to bury, up to the first one that holds the shard. */
import type { Decoded } from './change.ts'
import { type DecideContext, type Decision, decide, type Hold } from './document.ts'
import { type Folded, foldKept } from './keep.ts'
import type { Letter } from './letter.ts'
import { addLetter, addWrites, emptyPage, type Op, type Page, skip } from './page.ts'
import type { StreamRecord } from './stream.ts'

export type PlanOptions = {
  context: DecideContext
  recordBytesMax: number
  decode: (bytes: Uint8Array) => Decoded
  /** Updates that keep values of their documents in one plan: what is read for them is in memory at once. */
  keptMax: number
  /** Ordinals taken so far in this tenure. */
  ordinal: number
  /** The version of a place in the tenure; place 0 is that of a load below changes. */
  versionAt: (place: number) => string
}

export type Plan = {
  records: readonly StreamRecord[]
  /** Of each record, in order. */
  decisions: Decision[]
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
  const decisions: Decision[] = []
  const operations: string[] = []
  const committedAtMs: (number | undefined)[] = []
  let { ordinal } = options
  const firstOrdinal = ordinal + 1
  let hold: Hold | undefined
  let kept = 0
  for (let at = from; at < records.length && kept < options.keptMax; at++) {
    const { data, partitionKey } = records[at]!
    ordinal++
    if (data.length > options.recordBytesMax) {
      const letter: Letter = { reason: 'record-too-large', detail: `${data.length} bytes` }
      decisions.push({ kind: 'letter', letter, table: undefined })
      operations.push('unreadable')
      committedAtMs.push(undefined)
      continue
    }
    const decoded = options.decode(data)
    const decision = decide(decoded, partitionKey, options.context)
    if (decision.kind === 'hold') {
      hold = decision.hold
      break
    }
    decisions.push(decision)
    operations.push(decoded.kind === 'change' ? decoded.operation : decoded.kind)
    committedAtMs.push(decoded.kind === 'change' ? decoded.committedAtMs : undefined)
    if (decision.kind === 'write' && decision.writes.some(write => write.keep)) kept++
  }

  const page = emptyPage(decisions.length)
  const letters: Plan['letters'] = []
  const bear = (record: number, letter: Letter) => {
    addLetter(page, record)
    letters.push({ record, letter })
  }
  for (const [record, decision] of decisions.entries()) {
    if (decision.kind === 'letter') bear(record, decision.letter)
    else if (decision.kind !== 'write') skip(page, record)
    else {
      const place = decision.isBelowChanges ? 0 : firstOrdinal + record
      addWrites(page, record, decision.writes, { ordinal: place, version: options.versionAt(place) })
      for (const letter of decision.letters) bear(record, letter)
    }
  }
  const folded = foldKept(page)
  for (const op of folded.moved) bear(op.record, keptLetter('kept-columns-moved', op))
  return {
    records: records.slice(from, from + decisions.length),
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

/** The columns an update keeps may have been lost with a document: the source's row has them. */
export function keptLetter(reason: 'kept-columns-moved' | 'kept-columns-unknown', { write }: Op): Letter {
  const { index, id, routing } = write
  return { reason, index, id, routing, settle: 'source-row' }
}

/** The table a record of the plan is of, where it can be told. */
export function tableOf(work: Plan, record: number): string | undefined {
  const decision = work.decisions[record]!
  return decision.kind === 'hold' ? undefined : decision.table
}
