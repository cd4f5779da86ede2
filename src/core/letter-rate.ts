/**
 * The brake on dead letters of one shard: a wrong table file or a changed source would otherwise empty the stream into
 * the queue. It says when there are too many; holding the shard and raising the alarm is the caller's.
 *
 * Letters and records are counted over a sliding minute, in 60 buckets of a second: the one under way and the 59 before
 * it, so what is told is of the last 59 to 60 s. After a pause of a minute all is forgotten, and the share is not looked
 * at before there are `shareFrom` letters again. A shard held for a minute would therefore be let go on: a hold that is
 * to last is the caller's to remember.
 */
const BUCKETS = 60
const BUCKET_MS = 1000

/** Reasons that come of ordinary work on the source, in bursts, and say nothing about the table file. */
const UNCOUNTED: ReadonlySet<string> = new Set(['key-moved', 'kept-columns-moved'])

/** Whether letters of this reason are to be told of. */
export function isCounted(reason: string): boolean {
  return !UNCOUNTED.has(reason)
}

/** `lettersMax`: letters a minute. `shareMax`: of the records of that minute, 0 to 1, once there are `shareFrom` letters. */
export type LetterLimits = { lettersMax: number; shareMax: number; shareFrom: number }

export type LetterRate = {
  /**
   * @param nowMs monotonic, from 0; an earlier time than before counts as the time before
   * @param records all records met, those that became letters among them
   * @param letters of counted reasons
   */
  add(nowMs: number, records: number, letters: number): void
  /** Whether that many more letters would be too many. Their records are to be added first, or the share is too high. */
  isExceededBy(nowMs: number, moreLetters: number): boolean
}

export function letterRate({ lettersMax, shareMax, shareFrom }: LetterLimits): LetterRate {
  const records = new Array<number>(BUCKETS).fill(0)
  const letters = new Array<number>(BUCKETS).fill(0)
  let recordsSum = 0
  let lettersSum = 0
  /** The bucket under way, counted from time 0. */
  let current = 0

  /** Empties the buckets that have left the minute. */
  function advance(nowMs: number): number {
    const bucket = Math.max(current, Math.floor(nowMs / BUCKET_MS))
    for (let old = Math.max(current + 1, bucket - BUCKETS + 1); old <= bucket; old++) {
      recordsSum -= records[old % BUCKETS]!
      lettersSum -= letters[old % BUCKETS]!
      records[old % BUCKETS] = 0
      letters[old % BUCKETS] = 0
    }
    current = bucket
    return bucket % BUCKETS
  }

  return {
    add(nowMs, moreRecords, moreLetters) {
      const bucket = advance(nowMs)
      records[bucket]! += moreRecords
      letters[bucket]! += moreLetters
      recordsSum += moreRecords
      lettersSum += moreLetters
    },
    isExceededBy(nowMs, moreLetters) {
      advance(nowMs)
      const sum = lettersSum + moreLetters
      return sum > lettersMax || (sum >= shareFrom && sum > shareMax * recordsSum)
    },
  }
}
