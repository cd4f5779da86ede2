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
/** A version by its numbers, which compare and are kept; its text is made where it goes out. */
export type Version = { fence: number; ordinal: number }

/** Loads partitioned otherwise than their table's changes: below any change, whatever order they are met in. */
export const BELOW_CHANGES: Version = { fence: 0, ordinal: 1 }
/** The text of that. */
export const LOAD_BELOW_CHANGES = '16'
export const VERSION_BYTES_MAX = 19

const JUMP_PERIOD = 2 ** 24
const ORDINAL_UNIT = 16
const FENCE_UNIT = 2 ** 28
const FENCE_SHIFT = 28n
const PART = 1_000_000_000
const PART_DIGITS = 9
const DIGIT_0 = 0x30

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

/** Of the fence met last: mostly it is the next one's as well. */
let known: FencePart = { fence: 0, high: '', next: '1', low: 0 }

/**
 * What a fence gives to its versions, in two parts base 10^9; with what the ordinal gives, which is below 2^28, there is one
 * carry at most.
 */
type FencePart = { fence: number; high: string; next: string; low: number }

/**
 * Exact in doubles: the product has 35 bits beside its zeros, a remainder of doubles is never rounded, and what rounding does
 * to the rest is far below one part.
 */
function partOf(fence: number): FencePart {
  if (known.fence === fence) return known
  const product = fence * FENCE_UNIT
  const low = product % PART
  const high = Math.round((product - low) / PART)
  known = { fence, high: high === 0 ? '' : String(high), next: String(high + 1), low }
  return known
}

export function versionText({ fence, ordinal }: Version): string {
  const { high, next, low } = partOf(fence)
  const sum = low + ordinal * ORDINAL_UNIT
  return sum < PART ? joined(high, sum) : joined(next, sum - PART)
}

function joined(high: string, low: number): string {
  return high === '' || low >= PART / 10 ? high + low : high + String(low).padStart(PART_DIGITS, '0')
}

/** Writes the digits of `versionText` without making that text. @returns where they end, `VERSION_BYTES_MAX` behind `at` at most */
export function writeVersion({ fence, ordinal }: Version, target: Uint8Array, at: number): number {
  const { high, next, low } = partOf(fence)
  const sum = low + ordinal * ORDINAL_UNIT
  const isCarried = sum >= PART
  const beginning = isCarried ? next : high
  let rest = isCarried ? sum - PART : sum
  if (beginning === '') return writeDigits(String(rest), target, at)
  const end = writeDigits(beginning, target, at) + PART_DIGITS
  for (let place = end - 1; place >= end - PART_DIGITS; place--) {
    const tenth = (rest / 10) | 0
    target[place] = DIGIT_0 + rest - 10 * tenth
    rest = tenth
  }
  return end
}

function writeDigits(digits: string, target: Uint8Array, at: number): number {
  for (let n = 0; n < digits.length; n++) target[at + n] = digits.charCodeAt(n)
  return at + digits.length
}

export function isBelow(one: Version, other: Version): boolean {
  return one.fence === other.fence ? one.ordinal < other.ordinal : one.fence < other.fence
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
