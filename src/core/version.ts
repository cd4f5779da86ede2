/**
 * Document versions: `version = fence * 2^28 + ordinal * 2^4`, sent as `version_type: external`.
 *
 * The fence grows with every tenure (one owner's unbroken hold of a lease), the ordinal with every record of the
 * tenure, so a paused, replaced or retried writer is always below newer state. The four spare bits are 0 in every
 * write from the stream; they leave room for compare-and-set writes just above what was read. This layout cannot
 * change once a document carries it. 63 bits hold until the year 2095.
 */

/** Fences count units of 64 ms since 2026-01-01Z, so a lease taken later has the higher fence even if its item was lost. */
export const FENCE_UNIT_MS = 64
export const FENCE_EPOCH_MS = 1_767_225_600_000
/** At the last ordinal the tenure takes a new fence. */
export const ORDINAL_MAX = 2 ** 24 - 1
/** Loads partitioned otherwise than their table's changes: below any change, whatever order they are met in. */
export const LOAD_BELOW_CHANGES = '16'

const JUMP_PERIOD = 2 ** 24
const ORDINAL_UNIT = 16
const FENCE_SHIFT = 28n
const PART = 1_000_000_000

/** The fence that time alone would give. @param nowMs ms since 1970-01-01Z, by the lease table's clock */
export function fenceAt(nowMs: number): number {
  return Math.max(1, Math.floor((nowMs - FENCE_EPOCH_MS) / FENCE_UNIT_MS))
}

/** The fence of a tenure that begins now: above the lease's last one, above its parents', never behind the clock. */
export function nextFence(input: { own: number; parents: readonly number[]; nowMs: number }): number {
  return Math.max(input.own + 1, ...input.parents.map(fence => fence + 1), fenceAt(input.nowMs))
}

/**
 * The fence of a tenure that goes on above one nobody can explain.
 *
 * Ahead of the clock time no longer tells fences apart: two tenures that both meet the same document would step to the
 * same number, or the later one below the earlier, whose last writes may still be under way. So the step goes to the next
 * fence whose low bits are the clock's (a period of 12 days): above the document, and in order of time again.
 */
export function jumpFence(input: { own: number; above: number; nowMs: number }): number {
  const least = Math.max(input.own, input.above) + 1
  const now = fenceAt(input.nowMs)
  if (least <= now) return now
  const inPeriod = least - (least % JUMP_PERIOD) + (now % JUMP_PERIOD)
  return inPeriod >= least ? inPeriod : inPeriod + JUMP_PERIOD
}

/**
 * How long to wait so that a fence does not run ahead of the clock: two takes within one unit are spread over two.
 * A fence far ahead is old damage (a clock that was wrong once): waiting would not mend it, so it is 0.
 */
export function fenceWaitMs(fence: number, nowMs: number): number {
  const ahead = fence - fenceAt(nowMs)
  return ahead > 0 && ahead <= 5 ? ahead * FENCE_UNIT_MS : 0
}

/**
 * The versions of one tenure. No BigInt per record: the fence's part is kept as two numbers base 10^9, the ordinal's
 * part is below 2^28, so one carry is enough.
 */
export function versionsOf(fence: number): (ordinal: number) => string {
  const base = BigInt(fence) << FENCE_SHIFT
  const high = Number(base / BigInt(PART))
  const low = Number(base % BigInt(PART))
  const [beginning, next] = [high === 0 ? '' : String(high), String(high + 1)]
  return ordinal => {
    const sum = low + ordinal * ORDINAL_UNIT
    return sum < PART ? joined(beginning, sum) : joined(next, sum - PART)
  }
}

function joined(high: string, low: number): string {
  return high === '' || low >= PART / 10 ? high + low : high + String(low).padStart(9, '0')
}

export function fenceOf(version: bigint): number {
  return Number(version >> FENCE_SHIFT)
}

/**
 * The version a document has, out of OpenSearch's refusal: `current version [N] is higher or equal to ...`.
 * The text is the same from Elasticsearch 6 to OpenSearch 3. It also names the id, so it is never logged.
 */
export function currentVersion(reason: string): bigint | undefined {
  const found = /current version \[(\d+)\]/.exec(reason)
  return found ? BigInt(found[1]!) : undefined
}

export type Conflict = 'own' | 'superseded' | 'shared-fence' | 'higher-fence'

/**
 * What a 409 means, as far as the numbers tell. `higher-fence` is superseded only if the lease is still ours and a
 * descendant's lease explains the fence; that takes a look at the lease table, which is the caller's.
 *
 * @param earlierCopy whether an earlier copy of this very write may have landed (a lost answer)
 */
export function judgeConflict(input: {
  sent: string
  current: bigint | undefined
  earlierCopy: boolean
}): Conflict {
  const { sent, current, earlierCopy } = input
  if (sent === LOAD_BELOW_CHANGES) return 'superseded'
  if (current === undefined) return 'higher-fence'
  const version = BigInt(sent)
  if (current === version) return earlierCopy ? 'own' : 'shared-fence'
  return fenceOf(current) === fenceOf(version) ? 'superseded' : 'higher-fence'
}
