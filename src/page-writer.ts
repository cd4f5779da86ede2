/**
 * Settles the records of one page: decode, decide, write, judge, until each is applied, superseded, skipped by rule or
 * confirmed in the dead-letter queue. Retryable refusals are retried without limit; nothing is dropped to get on. What is
 * for an index that OpenSearch cannot write to is parked, unsettled, and the page goes on without it.
 *
 * It stops early in two cases only: a record that holds the shard (what came before it is settled first), and the halt
 * signal (the lease is lost, or the time to drain is over), after which nothing may be believed settled.
 */
import { type AttemptParts, type AttemptSettings, type AttemptSignals, attempts } from './attempts.ts'
import { backOff } from './back-off.ts'
import type { BlockedIndices } from './blocked-indices.ts'
import { untilAborted } from './clock.ts'
import type { Decode } from './core/change.ts'
import type { DecideContext, Hold, HoldReason } from './core/document.ts'
import { documentKey, fillKept } from './core/keep.ts'
import type { Place } from './core/letter.ts'
import { DocumentUnreadable } from './core/multi-get.ts'
import { addLetter, sendable, unsettledWrites } from './core/page.ts'
import { keptLetter, type Plan, plan, tableOf } from './core/plan.ts'
import type { StreamRecord } from './core/stream.ts'
import { works } from './core/works.ts'
import type { PendingLetter } from './letter-writer.ts'
import { parking } from './parking.ts'
import type { ReadBudget } from './read-budget.ts'
import type { Tenure } from './tenure.ts'

export type PageWriterParts = Omit<AttemptParts, 'metrics' | 'log'> & {
  /**
   * The text of each document as it is now, realtime; undefined where there is none.
   *
   * @throws DocumentUnreadable when it is the index that cannot be read
   */
  documents: (places: readonly Place[]) => Promise<(string | undefined)[]>
  decode: Decode
  context: Omit<DecideContext, 'range'>
  blocked: BlockedIndices
  /** What all shards of the worker may park. */
  parkingRoom: ReadBudget
  log: AttemptParts['log'] & { info(fields: object, text: string): void }
  metrics: AttemptParts['metrics'] & {
    settled: (shardId: string, outcome: string, records: number) => void
    tableSettled: (settled: TableSettled) => void
    skipped: (reason: string, records: number) => void
    control: (operation: string, records: number) => void
    latency: (seconds: readonly number[]) => void
    held: (shardId: string, reason: string | undefined) => void
  }
}

/** What became of records of one table in one batch, and how long after its commit each reached the index. */
export type TableSettled = {
  table: string
  operation: string
  outcome: string
  records: number
  latencies: number[]
}

export type PageWriterSettings = AttemptSettings & {
  recordBytesMax: number
  /** Updates that keep values of their documents in one step: what is read for them is in memory at once. */
  keptMax: number
}

export type Settled =
  /** All records up to `count` are settled or parked; `hold` is why the next one is neither. */
  { kind: 'settled'; count: number; hold: Hold | undefined } | { kind: 'halted' }

/** One a tenure: the ordinals run through it. */
export function pageWriter(
  parts: PageWriterParts,
  tenure: Tenure,
  settings: PageWriterSettings,
  signals: AttemptSignals,
) {
  const { clock, log, metrics } = parts
  const { shardId } = tenure
  const { halt, leaving } = signals
  const closed = new AbortController()
  /** What is parked is not waited for by one who leaves, for whatever reason. */
  const stop = AbortSignal.any([halt, leaving, closed.signal])
  let ordinal = 0
  /** Records of the page in hand that have not been looked at yet: those not decoded, and those from a held one on. */
  let untouched = 0
  /** Those that have. All are counted where they wait, so that a record that got lost is missed in the books. */
  const open = works()
  const holds = new Map<string, HoldReason>()
  const { attempt, bearLetters, letterBox } = attempts(parts, tenure, settings, {
    report,
    tellHeld,
  })
  const lanes = parking(
    { ...parts, room: parts.parkingRoom },
    open,
    settings.retry,
    {
      attempt: (work, ops, index, isAlone) =>
        attempt(work, ops, index, { halt: stop, leaving: stop }, isAlone),
      async readKept(work, index) {
        const read = await readKept(work, index, stop)
        if (read === 'halted' || 'blockedBy' in read) return read
        return (await bearLetters(work, read, stop)) ? 'read' : 'halted'
      },
    },
    stop,
  )

  /** The gauge has one reason a shard: the first of those that hold it. */
  function tellHeld(source: string, reason: HoldReason | undefined): void {
    if (reason === undefined ? !holds.delete(source) : holds.get(source) === reason) return
    if (reason !== undefined) holds.set(source, reason)
    metrics.held(shardId, holds.values().next().value)
  }

  /** Skipped records are settled as soon as they are seen. */
  function reportSkips(work: Plan): void {
    const skips = new Map<string, number>()
    const controls = new Map<string, number>()
    const skipped: number[] = []
    for (const [record, decision] of work.decisions.entries()) {
      if (decision.kind !== 'skip' && decision.kind !== 'control') continue
      skipped.push(record)
      const reason = decision.kind === 'control' ? 'control' : decision.reason
      skips.set(reason, (skips.get(reason) ?? 0) + 1)
      if (decision.kind === 'skip') continue
      controls.set(decision.operation, (controls.get(decision.operation) ?? 0) + 1)
      for (const misfit of decision.misfits)
        log.warn({ shardId, table: decision.table, misfit }, 'a table no longer fits the table file')
    }
    for (const [reason, count] of skips) metrics.skipped(reason, count)
    for (const [operation, count] of controls) metrics.control(operation, count)
    report(work, skipped)
  }

  /** Counts once a batch what has become settled in it. */
  function report(work: Plan, records: readonly number[]): void {
    const all: TableSettled[] = []
    /** The same by table. A table has few, which are looked through: to join three names for each record costs more. */
    const ofTables = new Map<string, TableSettled[]>()
    let lastTable: string | undefined
    let ofTable: TableSettled[] = []
    const now = clock.now()
    for (const record of records) {
      const outcome = work.page.outcomes[record]!
      const table = tableOf(work, record) ?? 'unknown'
      const operation = work.operations[record]!
      // Mostly the same as of the record before.
      if (table !== lastTable) {
        lastTable = table
        ofTable = ofTables.get(table) ?? []
        ofTables.set(table, ofTable)
      }
      let ofThese = among(ofTable, operation, outcome)
      if (!ofThese) {
        ofThese = { table, operation, outcome, records: 0, latencies: [] }
        ofTable.push(ofThese)
        all.push(ofThese)
      }
      ofThese.records++
      const committedAt = work.committedAtMs[record]
      // A row of a load was committed long ago: how late it is says nothing of the service.
      const isTimed = operation !== 'load' && (outcome === 'indexed' || outcome === 'deleted')
      // By the clock of the source, which may be ahead of ours.
      if (committedAt !== undefined && isTimed) ofThese.latencies.push(Math.max(0, now - committedAt) / 1000)
    }
    const counts = new Map<string, number>()
    for (const { outcome, records: count } of all) counts.set(outcome, (counts.get(outcome) ?? 0) + count)
    for (const [outcome, count] of counts) metrics.settled(shardId, outcome, count)
    for (const settledNow of all) {
      metrics.tableSettled(settledNow)
      if (settledNow.latencies.length > 0) metrics.latency(settledNow.latencies)
    }
  }

  /**
   * Reads what the updates of an index keep, until it is read. An update whose document is not there gets a letter: its
   * columns are in the source, and nobody would know that they are missing here.
   *
   * @returns the letters, to be borne
   */
  async function readKept(
    work: Plan,
    index: string,
    halted: AbortSignal,
  ): Promise<PendingLetter[] | { blockedBy: string } | 'halted'> {
    const { folded } = work
    const readings = folded.readings.filter(place => place.index === index)
    if (readings.length === 0) return []
    for (let tries = 0; !halted.aborted; tries++) {
      try {
        const texts = await untilAborted(parts.documents(readings), halted)
        if (!texts) return 'halted'
        const found = readings.flatMap((place, at): [string, string][] =>
          texts[at] === undefined ? [] : [[documentKey(place), texts[at]]],
        )
        return fillKept(folded, index, new Map(found))
          .filter(op => !folded.moved.includes(op))
          .map(op => {
            addLetter(work.page, op.record)
            return { record: op.record, letter: keptLetter('kept-columns-unknown', op), op: undefined }
          })
      } catch (error) {
        if (error instanceof DocumentUnreadable) return { blockedBy: error.type }
        log.warn(
          { shardId, attempt: tries, documents: readings.length, err: error },
          'could not read the documents whose values are kept, trying again; the shard waits',
        )
        await backOff(parts, { where: 'bulk', attempt: tries, ...settings.retry }, halted)
      }
    }
    return 'halted'
  }

  /** Not in a lane, nor about to be. */
  const isOurs = (index: string) => !lanes.has(index) && !parts.blocked.isBlocked(index)

  /**
   * Before anything of the work is sent: the documents are read as they were before it. Those of a blocked index are read
   * by its lane.
   *
   * @returns the letters, to be borne; undefined when halted
   */
  async function readAllKept(work: Plan): Promise<PendingLetter[] | undefined> {
    const letters: PendingLetter[] = []
    for (const index of new Set(work.folded.readings.map(place => place.index))) {
      if (!isOurs(index)) continue
      const read = await readKept(work, index, halt)
      if (read === 'halted') return undefined
      if ('blockedBy' in read) parts.blocked.block(index, read.blockedBy)
      else letters.push(...read)
    }
    return letters
  }

  /** Writes all but what is for blocked indices, which their lanes take over. @returns false when halted */
  async function writeAll(work: Plan): Promise<boolean> {
    const { page } = work
    for (let tries = 0; ; ) {
      const ops = sendable(page, isOurs)
      if (ops.length === 0) break
      const done = await attempt(work, ops, 'page', signals)
      if (!done) return false
      for (const [index, reason] of done.blocked) parts.blocked.block(index, reason)
      if (done.isRetrying) await backOff(parts, { where: 'bulk', attempt: tries++, ...settings.retry }, halt)
      else tries = 0
      if (halt.aborted) return false
    }
    lanes.leave(new Set(unsettledWrites(page).map(({ write }) => write.index)))
    return true
  }

  function planned(records: readonly StreamRecord[], from: number): Plan {
    return plan(records, from, {
      context: { ...parts.context, range: tenure.range },
      recordBytesMax: settings.recordBytesMax,
      decode: parts.decode,
      keptMax: settings.keptMax,
      ordinal,
      fence: tenure.fence(),
    })
  }

  return {
    /** Records that wait to be settled; counted where they wait. */
    unsettled: () => untouched + open.unsettled(),
    parked: lanes.parkedRecords,
    ordinal: () => ordinal,
    /** The last record of the settled prefix; undefined while that is where the tenure began. */
    settledTo: open.settledTo,
    tellHeld,
    /** Takes a page in hand: from here on its records count as unsettled. */
    accept(records: number): void {
      untouched = records
    },
    /** @param from index of the first record that is not settled yet */
    async settleFrom(records: readonly StreamRecord[], from: number): Promise<Settled> {
      for (let count = from; ; ) {
        let work = planned(records, count)
        letterBox.saw(work.records.length)
        const firstTooMany = letterBox.firstTooMany(work)
        const hold = firstTooMany === undefined ? work.hold : letterBox.hold(work, firstTooMany)
        // Cut before it: its predecessors are settled as ever.
        if (firstTooMany !== undefined) work = planned(records.slice(0, count + firstTooMany), count)
        ordinal = work.ordinal
        untouched = records.length - count - work.records.length
        open.add(work)
        reportSkips(work)
        const kept = await readAllKept(work)
        if (!kept) return { kind: 'halted' }
        // The queue is slower than the index and must not hold up good records; both must be done before the page is.
        const letters = [...work.letters.map(letter => ({ ...letter, op: undefined })), ...kept]
        const buried = bearLetters(work, letters, halt)
        const written = await writeAll(work)
        if (!written || !(await untilAborted(buried, halt))) return { kind: 'halted' }
        if (work.page.unsettled > 0 && !(await lanes.park(work))) return { kind: 'halted' }
        open.tidy()
        count += work.records.length
        if (hold || count === records.length) return { kind: 'settled', count, hold }
      }
    },
    /** Resolves when something parked has been tried, or on the signal. */
    progress: lanes.progress,
    /** Ends the lanes too: a tenure may end without a signal (no read succeeds, the ordinals run out). */
    close(): void {
      closed.abort()
      lanes.close()
    },
  }
}

function among(all: readonly TableSettled[], operation: string, outcome: string): TableSettled | undefined {
  for (const one of all) if (one.operation === operation && one.outcome === outcome) return one
  return undefined
}
