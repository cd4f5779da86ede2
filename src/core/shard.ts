/**
 * The shard graph: which leases must exist, and who is at home where.
 *
 * Children of a leased shard are not created by the sync while their parent is being read: the reader of the parent
 * creates them, at TRIM_HORIZON, before it writes SHARD_END. The sync makes the first leases and mends what is missing.
 */
import { type Checkpoint, type InitialPosition, type Lease, SHARD_END } from './lease.ts'

export type Shard = {
  shardId: string
  /** One after a split, two after a merge; parents may have left the stream already. */
  parents: string[]
  startingHashKey: string
  endingHashKey: string
  startingSequenceNumber: string
  isOpen: boolean
}

export type MissingLease = { shard: Shard; checkpoint: Checkpoint }

/**
 * Leases to create, parents first.
 *
 * A shard gets one when it has none, no descendant has one (its records would overwrite theirs in time order), and each
 * parent is done: ended, gone from stream and table, or skipped because its other child is already being read.
 */
export function missingLeases(
  shards: readonly Shard[],
  leases: readonly Lease[],
  initial: InitialPosition,
): MissingLease[] {
  const leaseOf = new Map(leases.map(lease => [lease.leaseKey, lease]))
  const listed = new Map(shards.map(shard => [shard.shardId, shard]))
  const aboveLeased = ancestorsOfLeased(shards, leases)

  const isMissing = (shard: Shard) => !leaseOf.has(shard.shardId) && !aboveLeased.has(shard.shardId)
  const parentDone = (parent: string) =>
    leaseOf.has(parent)
      ? leaseOf.get(parent)!.checkpoint === SHARD_END
      : !listed.has(parent) || aboveLeased.has(parent)
  const follows = (parent: string) => leaseOf.has(parent) || aboveLeased.has(parent)

  const found: MissingLease[] = []
  for (const shard of [...shards].sort(bySequence)) {
    if (!isMissing(shard)) continue
    if (shard.parents.some(follows)) {
      if (shard.parents.every(parentDone)) found.push({ shard, checkpoint: 'TRIM_HORIZON' })
    } else if (initial === 'LATEST') {
      if (shard.isOpen) found.push({ shard, checkpoint: 'LATEST' })
    } else if (shard.parents.every(parentDone)) {
      found.push({ shard, checkpoint: 'TRIM_HORIZON' })
    }
  }
  return found
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

export type HashRange = { start: bigint; end: bigint }

/** @param hash MD5 of a partition key, as Kinesis places records */
export function isInRange(hash: bigint, range: HashRange): boolean {
  return hash >= range.start && hash <= range.end
}
