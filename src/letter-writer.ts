/**
 * The dead letters of one shard: sealed with all that is needed to look at a record later, sent until the queue confirms
 * them, and braked: a mistake must not empty the stream into the queue.
 */
import { type BackoffMetrics, backOff } from './back-off.ts'
import type { Clock } from './clock.ts'
import type { Hold } from './core/document.ts'
import type { Letter, SealedLetter } from './core/letter.ts'
import { isCounted, type LetterLimits, letterRate } from './core/letter-rate.ts'
import type { Op } from './core/page.ts'
import { type Plan, tableOf } from './core/plan.ts'
import { versionText } from './core/version.ts'

export type LetterWriterParts = {
  sendLetters: (letters: readonly SealedLetter[]) => Promise<void>
  clock: Clock
  random: () => number
  log: { warn(fields: object, text: string): void }
  metrics: BackoffMetrics & { deadLetters: (reason: string, letters: number) => void }
}

export type LetterWriterSettings = {
  stream: string
  service: string
  retry: { firstMs: number; maxMs: number }
  letters: LetterLimits
}

/** A letter for a record of a plan; with `op` in place of a write that was refused for good. */
export type PendingLetter = { record: number; letter: Letter; op: Op | undefined }

export function letterWriter(parts: LetterWriterParts, shardId: string, settings: LetterWriterSettings) {
  const { clock, log, metrics } = parts
  const rate = letterRate(settings.letters)
  /** Whether there were too many; from then on a record that would be one holds the shard, until they are taken or a new tenure. */
  let isBraked = false

  function areTooMany(letters: number): boolean {
    isBraked ||= rate.isExceededBy(clock.monotonic(), letters)
    return isBraked
  }

  function seal(work: Plan, { record, letter, op }: PendingLetter): SealedLetter {
    const { sequenceNumber, partitionKey, arrivedAtMs, data } = work.records[record]!
    return {
      letter,
      data,
      context: {
        stream: settings.stream,
        shardId,
        sequenceNumber,
        partitionKey,
        arrivedAt: arrivedAtMs === undefined ? '' : new Date(arrivedAtMs).toISOString(),
        table: tableOf(work, record),
        version: op && versionText(op),
        attempts: op?.attempts ?? 0,
        at: new Date(clock.now()).toISOString(),
        service: settings.service,
      },
    }
  }

  return {
    /** Tells of records met, whatever becomes of them: letters are looked at as their share. */
    saw: (records: number): void => rate.add(clock.monotonic(), records, 0),
    areTooMany,
    /** What was refused has been taken: the letters of before say nothing any more. */
    letGo(): void {
      isBraked = false
    },

    /** @returns the first record of the work whose letter would be one too many */
    firstTooMany(work: Plan): number | undefined {
      const counted = work.letters.filter(({ letter }) => isCounted(letter.reason))
      return counted.length > 0 && areTooMany(counted.length) ? counted[0]!.record : undefined
    },

    hold(work: Plan, record: number): Hold {
      const reason = work.letters.find(one => one.record === record)?.letter.reason
      const { lettersMax, shareMax } = settings.letters
      return {
        reason: 'too-many-letters',
        table: tableOf(work, record) ?? 'unknown',
        found: `too many records that cannot be written, the next one for ${reason}`,
        expected: `at most ${lettersMax} dead letters a minute and ${shareMax * 100} % of the records`,
        remedy:
          'look at the letters in the queue and mend the table file or the source; or raise LETTERS_MAX and LETTER_SHARE_MAX; then start again',
      }
    },

    /** Sends until the queue has confirmed them. @returns false when halted, be it while they were confirmed */
    async confirm(work: Plan, letters: readonly PendingLetter[], halt: AbortSignal): Promise<boolean> {
      const sealed = letters.map(pending => seal(work, pending))
      for (let attempt = 0; ; attempt++) {
        try {
          await parts.sendLetters(sealed)
          break
        } catch (error) {
          log.warn(
            { shardId, attempt, letters: letters.length, err: error },
            'dead-letter queue did not confirm, trying again; the shard waits',
          )
          await backOff(parts, { where: 'queue', attempt, ...settings.retry }, halt)
          if (halt.aborted) return false
        }
      }
      const reasons = new Map<string, number>()
      for (const { letter } of letters) reasons.set(letter.reason, (reasons.get(letter.reason) ?? 0) + 1)
      for (const [reason, count] of reasons) metrics.deadLetters(reason, count)
      rate.add(clock.monotonic(), 0, letters.filter(({ letter }) => isCounted(letter.reason)).length)
      const tables = [...new Set(letters.map(({ record }) => tableOf(work, record) ?? 'unknown'))]
      log.warn(
        { shardId, letters: letters.length, reasons: Object.fromEntries(reasons), tables },
        'records went to the dead-letter queue',
      )
      return !halt.aborted
    },
  }
}
