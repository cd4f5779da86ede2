/**
 * The shard graph: which leases must exist, and who is at home where.
 *
 * Children of a leased shard are not created by the sync while their parent is being read: the reader of the parent
 * creates them, at TRIM_HORIZON, before it writes SHARD_END. The sync makes the first leases and mends what is missing.
 */
import { type Checkpoint, type InitialPosition, type Lease, type Readiness, SHARD_END } from './lease.ts'

export type Shard = {
  shardId: string
  /** One after a split, two after a merge; parents may have left the stream already. */
  parents: string[]
  startingHashKey: string
  endingHashKey: string
  startingSequenceNumber: string
  isOpen: boolean
}

/** What a worker knows of the stream: its shards when they were last listed. */
export type Listing = {
  shards: ReadonlyMap<string, Shard>
  /** Leases that were in the table before the listing, which does not have them: their shards have left the stream. */
  gone: ReadonlySet<string>
}

export type MissingLease = { shard: Shard; checkpoint: Checkpoint }

/**
 * Leases to create, parents first.
 *
 * A shard gets one when it has none, no descendant has one (its records would overwrite theirs in time order), and each
 * parent is done: ended, gone from stream and table, or skipped because its other child is already being read. What
 * follows a leased shard begins at TRIM_HORIZON. From LATEST, what does not follow one begins at LATEST: the open shards,
 * and the other parents of merges that follow one.
 */
export function missingLeases(
  shards: readonly Shard[],
  leases: readonly Lease[],
  initial: InitialPosition,
): MissingLease[] {
  const leaseOf = new Map(leases.map(lease => [lease.leaseKey, lease]))
  const listed = new Map(shards.map(shard => [shard.shardId, shard]))
  const aboveLeased = ancestorsOfLeased(shards, leases)
  const wanted = initial === 'LATEST' ? fromLatest(shards, leaseOf, listed) : undefined

  const parentDone = (parent: string) =>
    leaseOf.has(parent)
      ? leaseOf.get(parent)!.checkpoint === SHARD_END
      : !listed.has(parent) || aboveLeased.has(parent)

  const found: MissingLease[] = []
  for (const shard of [...shards].sort(bySequence)) {
    if (leaseOf.has(shard.shardId) || aboveLeased.has(shard.shardId)) continue
    const isNext = shard.parents.every(parentDone)
    const isOfLeased = shard.parents.some(parent => leaseOf.has(parent))
    if (isNext && (isOfLeased || !wanted)) found.push({ shard, checkpoint: 'TRIM_HORIZON' })
    else if (wanted?.has(shard.shardId)) found.push({ shard, checkpoint: 'LATEST' })
  }
  return found
}

/**
 * The children whose leases the reader of an ending shard creates. A child of a merge whose other parent is not read to
 * its end gets none yet: that parent may have no lease at all so far, and a missing one counts as read by whoever would
 * take the child. The last parent to end creates it; where both end at once, the sync does.
 */
export function childrenToCreate<Child extends { parents: readonly string[] }>(
  ending: string,
  children: readonly Child[],
  leases: readonly Lease[],
): Child[] {
  const ended = new Set([ending])
  for (const { leaseKey, checkpoint } of leases) if (checkpoint === SHARD_END) ended.add(leaseKey)
  return children.filter(({ parents }) => parents.every(parent => ended.has(parent)))
}

/**
 * Whether a lease may be begun: each parent is at SHARD_END. One without a lease has ended and been cleaned up, or else
 * the table was lost and is being filled again from further up (a late reader may have put the children into it before).
 * So where a parent has none, the nearest shards above it that have one must have ended.
 *
 * @param leaseOf all leases of the table, by their keys
 */
export function readiness(lease: Lease, leaseOf: ReadonlyMap<string, Lease>, listing: Listing): Readiness {
  const { leaseKey, parentShardId } = lease
  const seen = new Set<string>()
  const open = [...parentShardId]
  for (let above = open.pop(); above !== undefined; above = open.pop()) {
    if (seen.has(above)) continue
    seen.add(above)
    const checkpoint = leaseOf.get(above)?.checkpoint
    if (checkpoint === undefined) open.push(...(listing.shards.get(above)?.parents ?? []))
    else if (checkpoint !== SHARD_END) return 'waiting'
  }
  const isKnown = listing.shards.has(leaseKey) || listing.gone.has(leaseKey)
  const isInTable =
    parentShardId.every(parent => leaseOf.has(parent)) && rangeOf(lease, listing) !== undefined
  return isKnown || isInTable ? 'ready' : 'unlisted'
}

/** KCL's walk: from each open shard up; where some ancestor has a lease, the parents that follow none are wanted. */
function fromLatest(
  shards: readonly Shard[],
  leaseOf: ReadonlyMap<string, Lease>,
  listed: ReadonlyMap<string, Shard>,
): Set<string> {
  const wanted = new Set<string>()
  const answers = new Map<string, boolean>()

  function followsLeased(shardId: string): boolean {
    const known = answers.get(shardId)
    if (known !== undefined) return known
    const parents =
      listed.get(shardId)?.parents.filter(parent => listed.has(parent) || leaseOf.has(parent)) ?? []
    const strangers = parents.filter(parent => !followsLeased(parent))
    const isBelow = strangers.length < parents.length
    if (isBelow && !leaseOf.has(shardId)) for (const parent of strangers) wanted.add(parent)
    const answer = leaseOf.has(shardId) || isBelow
    answers.set(shardId, answer)
    return answer
  }

  for (const { shardId, isOpen } of shards) if (isOpen && !followsLeased(shardId)) wanted.add(shardId)
  return wanted
}

function ancestorsOfLeased(shards: readonly Shard[], leases: readonly Lease[]): Set<string> {
  const parentsOf = new Map(leases.map(lease => [lease.leaseKey, lease.parentShardId]))
  for (const shard of shards) parentsOf.set(shard.shardId, shard.parents)
  const found = new Set<string>()
  const open = leases.flatMap(lease => parentsOf.get(lease.leaseKey) ?? [])
  for (let parent = open.pop(); parent !== undefined; parent = open.pop()) {
    if (found.has(parent)) continue
    found.add(parent)
    open.push(...(parentsOf.get(parent) ?? []))
  }
  return found
}

function bySequence(a: Shard, b: Shard): number {
  const difference = BigInt(a.startingSequenceNumber) - BigInt(b.startingSequenceNumber)
  return difference < 0n ? -1 : difference > 0n ? 1 : a.shardId < b.shardId ? -1 : 1
}

/** The leases below a shard, at any depth: they may explain a fence that is higher than our own. */
export function descendants(shardId: string, leases: readonly Lease[]): Lease[] {
  const found = new Map<string, Lease>()
  const open = [shardId]
  for (let parent = open.pop(); parent !== undefined; parent = open.pop()) {
    for (const lease of leases) {
      if (lease.parentShardId.includes(parent) && !found.has(lease.leaseKey)) {
        found.set(lease.leaseKey, lease)
        open.push(lease.leaseKey)
      }
    }
  }
  return [...found.values()]
}

/** Sequence numbers compare as numbers; the words before and after them are no numbers and never passed here. */
export function isAfter(sequenceNumber: string, other: string): boolean {
  return sequenceNumber.length === other.length
    ? sequenceNumber > other
    : BigInt(sequenceNumber) > BigInt(other)
}

/**
 * Where the hash keys that leases cover have a gap: leases that have not ended, overlaps allowed. Children get their
 * leases before the parent's ends, so the whole range is covered at all times; but for the child of a merge, which waits
 * for its last parent: until then the ended one counts as covering.
 *
 * @returns the first hash key nobody covers, or undefined; leases without hash keys (others may write such) say nothing
 */
export function firstHole(leases: readonly Lease[]): string | undefined {
  const keys = new Set(leases.map(({ leaseKey }) => leaseKey))
  const ended = leases.filter(lease => lease.checkpoint === SHARD_END)
  const waitsForOtherParent = ({ childShardIds: [child, second] }: Lease) =>
    child !== undefined &&
    second === undefined &&
    !keys.has(child) &&
    ended.filter(({ childShardIds }) => childShardIds.includes(child)).length === 1
  const ranges = leases
    .filter(lease => lease.checkpoint !== SHARD_END || waitsForOtherParent(lease))
    .map(({ startingHashKey, endingHashKey }) => ({ start: startingHashKey, end: endingHashKey }))
  if (ranges.some(({ start, end }) => start === undefined || end === undefined)) return undefined
  const sorted = ranges
    .map(({ start, end }) => ({ start: BigInt(start!), end: BigInt(end!) }))
    .sort((a, b) => (a.start < b.start ? -1 : 1))
  let next = 0n
  for (const { start, end } of sorted) {
    if (start > next) break
    if (end >= next) next = end + 1n
  }
  return next > LAST_HASH_KEY ? undefined : String(next)
}

export const LAST_HASH_KEY = 2n ** 128n - 1n

export type HashRange = { start: bigint; end: bigint }

/** Of a shard that has left the stream: no record will be read, and none could be at home. */
const NOWHERE: HashRange = { start: 1n, end: 0n }

/**
 * The hash keys of a lease's shard: the item's, or where another worker made it without them, the stream's. Without
 * either nobody can tell which documents are at home, and a guess would write those of other shards by version.
 */
export function rangeOf(lease: Lease, listing: Listing): HashRange | undefined {
  const { leaseKey, startingHashKey: start, endingHashKey: end } = lease
  if (start !== undefined && end !== undefined) return { start: BigInt(start), end: BigInt(end) }
  const shard = listing.shards.get(leaseKey)
  if (shard) return { start: BigInt(shard.startingHashKey), end: BigInt(shard.endingHashKey) }
  return listing.gone.has(leaseKey) ? NOWHERE : undefined
}

/** @param hash MD5 of a partition key, as Kinesis places records */
export function isInRange(hash: bigint, range: HashRange): boolean {
  return hash >= range.start && hash <= range.end
}
