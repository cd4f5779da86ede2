/**
 * Leases: which shards this worker should read.
 *
 * Everything here is a decision about values. The caller reads the table, asks, and does what it is told; if another
 * worker was quicker, the conditional write fails and it asks again at its next look.
 *
 * The item is KCL 2.x's, with `entityType = LEASE` and two attributes of ours: `fence`, which every tenure raises, and
 * `leftBy`, which names a worker that is going away.
 */

/** Where reading stands: a sequence number, or one of KCL's words before and after all numbers. */
export type Checkpoint = string

export const SHARD_END = 'SHARD_END'
export type InitialPosition = 'TRIM_HORIZON' | 'LATEST'

export type Lease = {
  /** The shard's id. */
  leaseKey: string
  leaseOwner?: string
  /** Rises by one with every write of an owner. There is no time in the table; everybody watches this number. */
  leaseCounter: number
  checkpoint: Checkpoint
  ownerSwitchesSinceCheckpoint: number
  parentShardId: string[]
  childShardIds: string[]
  /** Decimal text, 0 to 2^128 - 1. */
  startingHashKey?: string
  endingHashKey?: string
  /** KCL 3.x: the worker that may still checkpoint while `leaseOwner` is the next one. */
  checkpointOwner?: string
  fence?: number
  leftBy?: string
}

/** What an owner believes its lease item to be; the condition of every write it makes. */
export type Hold = { leaseKey: string; owner: string; counter: number; fence: number }

/** What an owner writes. Each raises the counter. */
export type OwnerWrite =
  | { kind: 'renew' }
  | { kind: 'checkpoint'; checkpoint: string }
  | { kind: 'shard-end'; children: string[] }
  | { kind: 'evict'; checkpoint: string | undefined }

/** When this worker, by its own monotonic clock, last saw a lease's counter change. */
export type Observation = { counter: number; owner: string | undefined; seenAtMs: number }

/**
 * Watches the counters. A lease seen for the first time counts as renewed now, for its owner may just have renewed it.
 * Leases that vanished are forgotten.
 */
export function observe(
  before: ReadonlyMap<string, Observation>,
  leases: readonly Lease[],
  monotonicMs: number,
): Map<string, Observation> {
  const after = new Map<string, Observation>()
  for (const { leaseKey, leaseCounter, leaseOwner } of leases) {
    const known = before.get(leaseKey)
    const unchanged = known?.counter === leaseCounter && known.owner === leaseOwner
    after.set(
      leaseKey,
      unchanged ? known : { counter: leaseCounter, owner: leaseOwner, seenAtMs: monotonicMs },
    )
  }
  return after
}

function isExpired(
  lease: Lease,
  observed: ReadonlyMap<string, Observation>,
  monotonicMs: number,
  leaseMs: number,
): boolean {
  const seen = observed.get(lease.leaseKey)
  return seen !== undefined && monotonicMs - seen.seenAtMs > leaseMs
}

export type LeasePlan = {
  /** To take now, one conditional write each. */
  take: Lease[]
  /** Own id in the table but no tenure in memory: to begin anew with a new fence, never to be renewed as it is. */
  adopt: Lease[]
  unowned: number
  expired: number
  /** Monotonic time at which the oldest unchanged counter expires: when to look again at the latest. */
  nextExpiryMs: number | undefined
}

/**
 * Which leases to take: unowned or expired ones, parents before children, up to this worker's share.
 *
 * The share is ceil(leases / workers). Ended leases do not count. A worker counts while it holds a lease that is
 * alive; one that has said it leaves (`leftBy` of an unowned lease) does not, and we always do.
 *
 * @param random from 0 to 1, called once a lease: so that two workers that look at once do not try the same one first
 */
export function planLeases(input: {
  leases: readonly Lease[]
  observed: ReadonlyMap<string, Observation>
  me: string
  held: ReadonlySet<string>
  monotonicMs: number
  leaseMs: number
  maxLeases: number
  random: () => number
}): LeasePlan {
  const { leases, observed, me, held, monotonicMs, leaseMs, random } = input
  const byKey = new Map(leases.map(lease => [lease.leaseKey, lease]))
  const running = leases.filter(lease => lease.checkpoint !== SHARD_END)
  const unowned = running.filter(lease => lease.leaseOwner === undefined)
  const adopt = running.filter(
    lease =>
      lease.leaseOwner === me &&
      !held.has(lease.leaseKey) &&
      lease.checkpointOwner === undefined &&
      parentsEnded(lease, byKey),
  )
  const others = running.filter(lease => lease.leaseOwner !== undefined && lease.leaseOwner !== me)
  const expired = others.filter(lease => isExpired(lease, observed, monotonicMs, leaseMs))

  const leaving = new Set(
    unowned.map(lease => lease.leftBy).filter(worker => worker !== undefined && worker !== me),
  )
  const workers = new Set([me])
  for (const lease of others) {
    if (!expired.includes(lease) && !leaving.has(lease.leaseOwner)) workers.add(lease.leaseOwner!)
  }
  const share = Math.min(input.maxLeases, Math.ceil(running.length / workers.size))
  const room = Math.max(0, share - held.size - adopt.length)
  const free = [...unowned, ...expired]
    .filter(lease => !held.has(lease.leaseKey) && parentsEnded(lease, byKey))
    .map(lease => ({ lease, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ lease }) => lease)

  const waiting = others
    .filter(lease => !expired.includes(lease))
    .map(lease => observed.get(lease.leaseKey)!.seenAtMs + leaseMs)
  return {
    take: free.slice(0, room),
    adopt,
    unowned: unowned.length,
    expired: expired.length,
    nextExpiryMs: waiting.length > 0 ? Math.min(...waiting) : undefined,
  }
}

/** A child waits until each parent is at SHARD_END; a parent without a lease has ended and been cleaned up. */
function parentsEnded(lease: Lease, byKey: ReadonlyMap<string, Lease>): boolean {
  return lease.parentShardId.every(parent => (byKey.get(parent)?.checkpoint ?? SHARD_END) === SHARD_END)
}

/** The fences of a lease's parents, as far as the table still has them. */
export function parentFences(lease: Lease, leases: readonly Lease[]): number[] {
  return leases.filter(other => lease.parentShardId.includes(other.leaseKey)).map(parent => parent.fence ?? 0)
}
