/**
 * Settles the records of one page: decode, decide, write, judge, until each is applied, superseded, skipped by rule or
 * confirmed in the dead-letter queue. Retryable refusals are retried without limit; nothing is dropped to get on.
 *
 * It stops early in two cases only: a record that holds the shard (what came before it is settled first), and the halt
 * signal (the lease is lost, or the time to drain is over), after which nothing may be believed settled.
 */
import { type BackoffMetrics, backOff } from './back-off.ts'
import type { Action } from './bulk-writer.ts'
import { type Clock, untilAborted } from './clock.ts'
import type { Decode } from './core/change.ts'
import type { DecideContext, Hold } from './core/document.ts'
import { fillKept } from './core/keep.ts'
import type { Lease } from './core/lease.ts'
import { type Letter, type Place, type SealedLetter, settledBy } from './core/letter.ts'
import type { LetterLimits } from './core/letter-rate.ts'
import { type Answer, judge } from './core/outcome.ts'
import {
  addLetter,
  bury,
  buryLetter,
  documentKey,
  type Op,
  type Page,
  reversion,
  sendable,
  settle,
} from './core/page.ts'
import { keptLetter, type Plan, plan, tableOf } from './core/plan.ts'
import { descendants } from './core/shard.ts'
import type { StreamRecord } from './core/stream.ts'
import { fenceOf, judgeConflict, LOAD_BELOW_CHANGES, versionsOf } from './core/version.ts'
import { letterWriter, type PendingLetter } from './letter-writer.ts'
import type { Tenure } from './tenure.ts'

export type PageWriterParts = {
  write: (actions: readonly Action[], isAlive: () => boolean) => Promise<Answer[]>
  /** The text of each document as it is now, realtime; undefined where there is none. */
  documents: (places: readonly Place[]) => Promise<(string | undefined)[]>
  sendLetters: (letters: readonly SealedLetter[]) => Promise<void>
  leases: () => Promise<Lease[]>
  decode: Decode
  context: Omit<DecideContext, 'range'>
  clock: Clock
  random: () => number
  log: {
    info(fields: object, text: string): void
    warn(fields: object, text: string): void
    error(fields: object, text: string): void
  }
  metrics: BackoffMetrics & {
    settled: (shardId: string, outcome: string, records: number) => void
    tableSettled: (settled: TableSettled) => void
    skipped: (reason: string, records: number) => void
    control: (operation: string, records: number) => void
    deadLetters: (reason: string, letters: number) => void
    retries: (reason: string, actions: number) => void
    latency: (seconds: readonly number[]) => void
    fenceJumped: (shardId: string, fence: number) => void
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

export type PageWriterSettings = {
  stream: string
  service: string
  recordBytesMax: number
  /** Updates that keep values of their documents in one step: what is read for them is in memory at once. */
  keptMax: number
  letters: LetterLimits
  heldRetryMs: number
  retry: { firstMs: number; maxMs: number }
}

export type Settled =
  /** All records up to `count` are settled; `hold` is why the next one is not. */
  { kind: 'settled'; count: number; hold: Hold | undefined } | { kind: 'halted' }

/** Each attempt after the first meets the fields that the requests before it have mapped; more than a few cannot help. */
const MAY_PASS_ATTEMPTS = 4

type Verdict =
  | { kind: 'settled'; outcome: 'indexed' | 'deleted' | 'superseded' }
  | { kind: 'retry' }
  | { kind: 'dead'; detail: string }
  | { kind: 'conflict'; current: bigint | undefined; isShared: boolean }
  | { kind: 'halted' }

const INDEXED: Verdict = { kind: 'settled', outcome: 'indexed' }
const DELETED: Verdict = { kind: 'settled', outcome: 'deleted' }
const SUPERSEDED: Verdict = { kind: 'settled', outcome: 'superseded' }

/** One a tenure: the ordinals run through it. */
export function pageWriter(parts: PageWriterParts, tenure: Tenure, settings: PageWriterSettings) {
  const { clock, log, metrics } = parts
  const { shardId } = tenure
  let versionOf = versionsOf(tenure.fence())
  let ordinal = 0
  /** Records of the page in hand that have not been looked at yet: those not decoded, and those from a held one on. */
  let untouched = 0
  /** Those that have. Both are counted where they wait, so that a record that got lost is missed in the books. */
  let inHand: Page | undefined
  const letterBox = letterWriter(parts, shardId, settings)

  /** Place 0 is that of a load below changes. */
  const versionAt = (place: number) => (place === 0 ? LOAD_BELOW_CHANGES : versionOf(place))

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

  /**
   * Reads what the updates of the work keep, until it is read. An update whose document is not there gets a letter: its
   * columns are in the source, and nobody would know that they are missing here.
   *
   * @returns false when halted
   */
  async function readKept(work: Plan, halt: AbortSignal): Promise<boolean> {
    const { readings } = work.folded
    if (readings.length === 0) return true
    for (let attempt = 0; !halt.aborted; attempt++) {
      try {
        const texts = await untilAborted(parts.documents(readings), halt)
        if (!texts) return false
        const found = readings.flatMap((place, at): [string, string][] =>
          texts[at] === undefined ? [] : [[documentKey(place), texts[at]]],
        )
        for (const op of fillKept(work.folded, new Map(found))) {
          if (work.folded.moved.includes(op)) continue
          addLetter(work.page, op.record)
          work.letters.push({ record: op.record, letter: keptLetter('kept-columns-unknown', op) })
        }
        return true
      } catch (error) {
        log.warn(
          { shardId, attempt, documents: readings.length, err: error },
          'could not read the documents whose values are kept, trying again; the shard waits',
        )
        await backOff(parts, { where: 'bulk', attempt, ...settings.retry }, halt)
      }
    }
    return false
  }

  /** Counts once a batch what has become settled in it. */
  function report(work: Plan, records: readonly number[]): void {
    const ofTables = new Map<string, TableSettled>()
    let ofTable: TableSettled | undefined
    const now = clock.now()
    for (const record of records) {
      const outcome = work.page.outcomes[record]!
      const table = tableOf(work, record) ?? 'unknown'
      const operation = work.operations[record]!
      // Mostly the same as of the record before.
      if (ofTable?.table !== table || ofTable.operation !== operation || ofTable.outcome !== outcome) {
        const key = `${operation} ${outcome} ${table}`
        ofTable = ofTables.get(key) ?? { table, operation, outcome, records: 0, latencies: [] }
        ofTables.set(key, ofTable)
      }
      ofTable.records++
      const committedAt = work.committedAtMs[record]
      // A row of a load was committed long ago: how late it is says nothing of the service.
      const isTimed = operation !== 'load' && (outcome === 'indexed' || outcome === 'deleted')
      // By the clock of the source, which may be ahead of ours.
      if (committedAt !== undefined && isTimed) ofTable.latencies.push(Math.max(0, now - committedAt) / 1000)
    }
    const counts = new Map<string, number>()
    for (const { outcome, records: count } of ofTables.values())
      counts.set(outcome, (counts.get(outcome) ?? 0) + count)
    for (const [outcome, count] of counts) metrics.settled(shardId, outcome, count)
    for (const settledNow of ofTables.values()) {
      metrics.tableSettled(settledNow)
      if (settledNow.latencies.length > 0) metrics.latency(settledNow.latencies)
    }
  }

  /** Until the queue has confirmed them. @returns false when halted */
  async function bearLetters(
    work: Plan,
    letters: readonly PendingLetter[],
    halt: AbortSignal,
  ): Promise<boolean> {
    if (letters.length === 0) return true
    // The tenure may have ended meanwhile: its records are no longer ours to count, and are read again by its successor.
    if (!(await letterBox.confirm(work, letters, halt))) return false
    const settled: number[] = []
    for (const { record, op } of letters) {
      if (op) bury(work.page, op, settled)
      else buryLetter(work.page, record, settled)
    }
    report(work, settled)
    return true
  }

  function planned(records: readonly StreamRecord[], from: number): Plan {
    return plan(records, from, {
      context: { ...parts.context, range: tenure.range },
      recordBytesMax: settings.recordBytesMax,
      decode: parts.decode,
      keptMax: settings.keptMax,
      ordinal,
      versionAt,
    })
  }

  function verdict(op: Op, answer: Answer): Verdict {
    op.attempts++
    // An item answered with 5xx may have been applied on a shard that then failed.
    const mayHaveLanded =
      (answer.kind === 'request' && answer.mayHaveLanded) ||
      (answer.kind === 'item' && answer.item.status >= 500)
    if (mayHaveLanded) op.mayHaveLanded = true
    const judged = judge(op.write.kind, answer)
    switch (judged.kind) {
      case 'fenced':
        return { kind: 'halted' }
      case 'done':
        return judged.outcome === 'indexed' ? INDEXED : DELETED
      case 'retry':
        metrics.retries(judged.reason, 1)
        return { kind: 'retry' }
      case 'dead':
        if (!judged.mayPass || op.attempts >= MAY_PASS_ATTEMPTS) return judged
        metrics.retries('mapped-meanwhile', 1)
        return { kind: 'retry' }
      case 'conflict': {
        const { current } = judged
        const meaning = judgeConflict({ sent: op.version, current, earlierCopy: op.mayHaveLanded })
        if (meaning === 'own') return op.write.kind === 'index' ? INDEXED : DELETED
        if (meaning === 'superseded') return SUPERSEDED
        return { kind: 'conflict', current, isShared: meaning === 'shared-fence' }
      }
    }
  }

  function letterOf(work: Plan, op: Op, detail: string): Letter {
    const { index, id, routing } = op.write
    const letter: Letter = { reason: 'rejected', detail, index, id, routing }
    const decision = work.decisions[op.record]!
    return decision.kind === 'write' ? settledBy(decision.rules, letter) : letter
  }

  /**
   * The leases below this shard, which may explain a version above ours under another fence; undefined when the lease
   * turns out not to be ours, for then nothing may be concluded.
   */
  async function leasesBelow(halt: AbortSignal): Promise<Lease[] | undefined> {
    for (let attempt = 0; !halt.aborted; attempt++) {
      if (!(await tenure.renew())) return undefined
      try {
        return descendants(shardId, await parts.leases())
      } catch (error) {
        log.warn(
          { shardId, attempt, err: error },
          'could not read the leases to explain a conflict, trying again',
        )
        await backOff(parts, { where: 'lease', attempt, ...settings.retry }, halt)
      }
    }
    return undefined
  }

  function explains(below: readonly Lease[], current: bigint | undefined): boolean {
    return current !== undefined && below.some(lease => (lease.fence ?? 0) >= fenceOf(current))
  }

  /**
   * Goes above a fence nobody can explain (documents of another application, a lost lease table, a clock that was years
   * ahead once). Calling the conflict superseded would leave the document stale for ever, and each later write of it.
   */
  async function jump(page: Page, above: number): Promise<boolean> {
    const before = tenure.fence()
    if (!(await tenure.jump(above))) return false
    versionOf = versionsOf(tenure.fence())
    reversion(page, versionOf)
    metrics.fenceJumped(shardId, tenure.fence())
    log.error(
      { shardId, before, found: above, fence: tenure.fence() },
      'a document had a fence no lease explains: went on above it; see whether something else writes to this index',
    )
    return true
  }

  /** OpenSearch refuses too many documents: they are tried again, without a letter, until someone has mended the mapping. */
  async function holdBack(refused: number, leaving: AbortSignal): Promise<void> {
    log.error(
      { shardId, refused },
      'shard held: OpenSearch refuses too many documents; mend the mapping, or raise LETTERS_MAX and LETTER_SHARE_MAX and start again',
    )
    metrics.held(shardId, 'too-many-letters')
    await clock.sleep(settings.heldRetryMs, leaving)
  }

  async function writeAll(work: Plan, halt: AbortSignal, leaving: AbortSignal): Promise<boolean> {
    const { page } = work
    let attempt = 0
    let isHeldBack = false
    while (page.newest.size > 0) {
      const ops = sendable(page)
      const answers = await untilAborted(parts.write(ops, tenure.isAlive), halt)
      if (!answers) return false
      const dead: PendingLetter[] = []
      const settledNow: number[] = []
      let isRetrying = false
      // One look and one jump for all conflicts of a request.
      let below: Lease[] | undefined
      let jumpAbove: number | undefined
      for (const [at, op] of ops.entries()) {
        const found = verdict(op, answers[at]!)
        if (found.kind === 'halted') return false
        if (found.kind === 'settled') settle(page, op, found.outcome, settledNow)
        else if (found.kind === 'dead')
          dead.push({ record: op.record, letter: letterOf(work, op, found.detail), op })
        else if (found.kind === 'retry') isRetrying = true
        else {
          // A scrape may come while we wait: what is settled must be in the books.
          report(work, settledNow.splice(0))
          below ??= await leasesBelow(halt)
          if (!below) return false
          const isExplained = !found.isShared && explains(below, found.current)
          if (isExplained) settle(page, op, 'superseded', settledNow)
          else jumpAbove = Math.max(jumpAbove ?? 0, found.current === undefined ? 0 : fenceOf(found.current))
        }
      }
      report(work, settledNow)
      if (dead.length > 0 && letterBox.areTooMany(dead.length)) {
        isHeldBack = true
        await holdBack(dead.length, leaving)
        if (leaving.aborted) return false
        continue
      }
      if (isHeldBack && dead.length === 0) {
        letterBox.letGo()
        isHeldBack = false
      }
      if (!(await bearLetters(work, dead, halt))) return false
      if (jumpAbove !== undefined) {
        if (!(await jump(page, jumpAbove))) return false
        isRetrying = true
      }
      if (isRetrying) await backOff(parts, { where: 'bulk', attempt: attempt++, ...settings.retry }, halt)
      else attempt = 0
      if (halt.aborted) return false
    }
    return true
  }

  return {
    /** Records of the current page that wait to be settled; counted where they wait. */
    unsettled: () => untouched + (inHand?.unsettled ?? 0),
    ordinal: () => ordinal,
    /** Takes a page in hand: from here on its records count as unsettled. */
    accept(records: number): void {
      untouched = records
      inHand = undefined
    },
    /**
     * @param from index of the first record that is not settled yet
     * @param leaving ends a hold; what is in hand is else finished first
     */
    async settleFrom(
      records: readonly StreamRecord[],
      from: number,
      halt: AbortSignal,
      leaving: AbortSignal,
    ): Promise<Settled> {
      for (let count = from; ; ) {
        let work = planned(records, count)
        letterBox.saw(work.records.length)
        const firstTooMany = letterBox.firstTooMany(work)
        const hold = firstTooMany === undefined ? work.hold : letterBox.hold(work, firstTooMany)
        // Cut before it: its predecessors are settled as ever.
        if (firstTooMany !== undefined) work = planned(records.slice(0, count + firstTooMany), count)
        ordinal = work.ordinal
        untouched = records.length - count - work.records.length
        inHand = work.page
        reportSkips(work)
        // Before anything of the work is sent: the documents are read as they were before it.
        if (!(await readKept(work, halt))) return { kind: 'halted' }
        // The queue is slower than the index and must not hold up good records; both must be done before the page is.
        const letters = work.letters.map(letter => ({ ...letter, op: undefined }))
        const buried = bearLetters(work, letters, halt)
        const written = await writeAll(work, halt, leaving)
        if (!written || !(await untilAborted(buried, halt))) return { kind: 'halted' }
        count += work.records.length
        if (hold || count === records.length) return { kind: 'settled', count, hold }
      }
    },
  }
}
