/**
 * One attempt to write: what is sent, and what the answers make of it. An answer belongs to its attempt; what a conflict
 * means is looked up in the lease table; a letter is confirmed before its record is settled.
 */
import { type BackoffMetrics, backOff } from './back-off.ts'
import type { Action } from './bulk-writer.ts'
import { type Clock, untilAborted } from './clock.ts'
import type { HoldReason } from './core/document.ts'
import type { Lease } from './core/lease.ts'
import { type Letter, type SealedLetter, settledBy } from './core/letter.ts'
import { type Answer, judge } from './core/outcome.ts'
import { bury, buryLetter, type Op, reversion, settle } from './core/page.ts'
import type { Plan } from './core/plan.ts'
import { descendants } from './core/shard.ts'
import { fenceOf, judgeConflict, versionText } from './core/version.ts'
import { type LetterWriterSettings, letterWriter, type PendingLetter } from './letter-writer.ts'
import type { Tenure } from './tenure.ts'

export type AttemptParts = {
  /** @param isAlone in a request of their own: it may hang, and nothing else is to wait for it */
  write: (actions: readonly Action[], isAlive: () => boolean, isAlone?: boolean) => Promise<Answer[]>
  sendLetters: (letters: readonly SealedLetter[]) => Promise<void>
  leases: () => Promise<Lease[]>
  clock: Clock
  random: () => number
  log: { warn(fields: object, text: string): void; error(fields: object, text: string): void }
  metrics: BackoffMetrics & {
    deadLetters: (reason: string, letters: number) => void
    retries: (reason: string, actions: number) => void
    fenceJumped: (shardId: string, fence: number) => void
  }
}

export type AttemptSettings = LetterWriterSettings & {
  heldRetryMs: number
  /** How long an answer that nobody foresaw is met by trying again, before it holds the shard or becomes a letter. */
  unknownAnswerMs: number
  onUnknownAnswer: 'hold' | 'dead-letter'
}

export type AttemptHooks = {
  /** Counts records that have become settled. */
  report: (work: Plan, records: readonly number[]) => void
  /** Says why the writes of one source (the page, or a blocked index) hold the shard; undefined when they do not. */
  tellHeld: (source: string, reason: HoldReason | undefined) => void
}

export type AttemptSignals = {
  /** Nothing may be believed settled afterwards. */
  halt: AbortSignal
  /** Ends a hold. */
  leaving: AbortSignal
}

/** What is left to do; undefined when halted, or when the lease was in doubt as the request was made. */
export type Attempted = {
  /** Some are to be sent again, for a fault that is not one of their index. */
  isRetrying: boolean
  /** The indices that took nothing, and why. */
  blocked: ReadonlyMap<string, string>
}

/** Each attempt after the first meets the fields that the requests before it have mapped; more than a few cannot help. */
const MAY_PASS_ATTEMPTS = 4

type Verdict =
  | { kind: 'settled'; outcome: 'indexed' | 'deleted' | 'superseded' }
  | { kind: 'retry' }
  | { kind: 'blocked'; reason: string }
  /** Answered for too long in a way nobody foresaw. */
  | { kind: 'stuck'; reason: string }
  | { kind: 'dead'; detail: string }
  | { kind: 'conflict'; current: bigint | undefined; isShared: boolean }
  | { kind: 'fenced' }

const INDEXED: Verdict = { kind: 'settled', outcome: 'indexed' }
const DELETED: Verdict = { kind: 'settled', outcome: 'deleted' }
const SUPERSEDED: Verdict = { kind: 'settled', outcome: 'superseded' }

/** One a tenure: the fence that versions are made from is its. */
export function attempts(
  parts: AttemptParts,
  tenure: Tenure,
  settings: AttemptSettings,
  { report, tellHeld }: AttemptHooks,
) {
  const { clock, log, metrics } = parts
  const { shardId } = tenure
  const letterBox = letterWriter(parts, shardId, settings)
  let hasJumped = false
  /** Jumps one after the other: writes of a page and of a blocked index may both meet a fence above ours. */
  let jumping: Promise<boolean> = Promise.resolve(true)
  /** Since when an op has been answered in a way nobody foresaw. */
  const unknownSinceMs = new Map<Op, number>()
  const heldBack = new Set<string>()

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

  function verdict(op: Op, answer: Answer): Verdict {
    op.attempts++
    // An item answered with 5xx may have been applied on a shard that then failed.
    const mayHaveLanded =
      (answer.kind === 'request' && answer.mayHaveLanded) ||
      (answer.kind === 'item' && answer.item.status >= 500)
    if (mayHaveLanded) op.mayHaveLanded = true
    const judged = judge(op.write.kind, answer)
    if (judged.kind === 'retry') {
      metrics.retries(judged.reason, 1)
      if (judged.scope === 'unknown') return unknown(op, judged.reason, answer.kind === 'item')
    }
    if (unknownSinceMs.size > 0) unknownSinceMs.delete(op)
    switch (judged.kind) {
      case 'fenced':
        return judged
      case 'done':
        return judged.outcome === 'indexed' ? INDEXED : DELETED
      case 'retry':
        return judged.scope === 'index' ? { kind: 'blocked', reason: judged.reason } : { kind: 'retry' }
      case 'dead':
        if (!judged.mayPass || op.attempts >= MAY_PASS_ATTEMPTS) return judged
        metrics.retries('mapped-meanwhile', 1)
        return { kind: 'retry' }
      case 'conflict': {
        const { current } = judged
        const meaning = judgeConflict({ sent: versionText(op), current, earlierCopy: op.mayHaveLanded })
        if (meaning === 'own') return op.write.kind === 'index' ? INDEXED : DELETED
        if (meaning === 'superseded') return SUPERSEDED
        return { kind: 'conflict', current, isShared: meaning === 'shared-fence' }
      }
    }
  }

  /** Tried again for a while; then someone has to look. Only what is said of one document can make it a letter. */
  function unknown(op: Op, reason: string, isOfDocument: boolean): Verdict {
    const sinceMs = unknownSinceMs.get(op) ?? clock.monotonic()
    unknownSinceMs.set(op, sinceMs)
    if (clock.monotonic() - sinceMs < settings.unknownAnswerMs) return { kind: 'retry' }
    if (settings.onUnknownAnswer === 'hold' || !isOfDocument) return { kind: 'stuck', reason }
    unknownSinceMs.delete(op)
    return { kind: 'dead', detail: `unknown answer, ${reason}` }
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
   *
   * @param sentUnder the fence of what met it; a jump made meanwhile is enough
   */
  function jump(above: number, sentUnder: number): Promise<boolean> {
    jumping = jumping.then(async () => {
      const before = tenure.fence()
      if (before > sentUnder && before > above) return true
      if (!(await tenure.jump(above))) return false
      hasJumped = true
      metrics.fenceJumped(shardId, tenure.fence())
      log.error(
        { shardId, before, found: above, fence: tenure.fence() },
        'a document had a fence no lease explains: went on above it; see whether something else writes to this index',
      )
      return true
    })
    return jumping
  }

  /** The writes are tried again, without a letter, until someone has mended what is wrong. */
  async function hold(source: string, reason: HoldReason, leaving: AbortSignal): Promise<void> {
    tellHeld(source, reason)
    await clock.sleep(settings.heldRetryMs, leaving)
  }

  /**
   * Sends, once, and settles what can be settled.
   *
   * @param source whose writes they are: the page's, or those of a blocked index
   */
  async function attempt(
    work: Plan,
    ops: readonly Op[],
    source: string,
    { halt, leaving }: AttemptSignals,
    isAlone = false,
  ): Promise<Attempted | undefined> {
    const { page } = work
    if (hasJumped) reversion(ops, tenure.fence())
    const sentUnder = tenure.fence()
    const answers = await untilAborted(parts.write(ops, tenure.isAlive, isAlone), halt)
    if (!answers) return undefined
    const dead: PendingLetter[] = []
    const settledNow: number[] = []
    const blocked = new Map<string, string>()
    let isRetrying = false
    let isFenced = false
    let stuck: string | undefined
    // One look and one jump for all conflicts of a request.
    let below: Lease[] | undefined
    let jumpAbove: number | undefined
    for (const [at, op] of ops.entries()) {
      const found = verdict(op, answers[at]!)
      if (found.kind === 'fenced') isFenced = true
      else if (found.kind === 'settled') settle(page, op, found.outcome, settledNow)
      else if (found.kind === 'dead')
        dead.push({ record: op.record, letter: letterOf(work, op, found.detail), op })
      else if (found.kind === 'retry') isRetrying = true
      else if (found.kind === 'blocked') blocked.set(op.write.index, found.reason)
      else if (found.kind === 'stuck') stuck = found.reason
      else {
        // A scrape may come while we wait: what is settled must be in the books.
        report(work, settledNow.splice(0))
        below ??= await leasesBelow(halt)
        if (!below) return undefined
        const isExplained = !found.isShared && explains(below, found.current)
        if (isExplained) settle(page, op, 'superseded', settledNow)
        else jumpAbove = Math.max(jumpAbove ?? 0, found.current === undefined ? 0 : fenceOf(found.current))
      }
    }
    report(work, settledNow)
    if (isFenced) return undefined
    if (jumpAbove !== undefined) {
      if (!(await jump(jumpAbove, sentUnder))) return undefined
      isRetrying = true
    }
    if (dead.length > 0 && letterBox.areTooMany(dead.length)) {
      heldBack.add(source)
      log.error(
        { shardId, refused: dead.length },
        'shard held: OpenSearch refuses too many documents; mend the mapping, or raise LETTERS_MAX and LETTER_SHARE_MAX and start again',
      )
      await hold(source, 'too-many-letters', leaving)
      return leaving.aborted ? undefined : { isRetrying, blocked }
    }
    if (dead.length === 0 && heldBack.delete(source)) letterBox.letGo()
    if (!(await bearLetters(work, dead, halt))) return undefined
    if (stuck !== undefined) {
      log.error(
        { shardId, answer: stuck, unknownAnswerMs: settings.unknownAnswerMs },
        'shard held: OpenSearch, or what stands before it, answers in a way this version does not know; its answer has to be looked at',
      )
      await hold(source, 'unknown-answer', leaving)
      return leaving.aborted ? undefined : { isRetrying, blocked }
    }
    if (!heldBack.has(source)) tellHeld(source, undefined)
    return halt.aborted ? undefined : { isRetrying, blocked }
  }

  return { attempt, bearLetters, letterBox }
}
