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

/**
 * What an owner believes its lease item to be; the condition of every write it makes. While it is leaving, it is named
 * by `checkpointOwner`, and `leaseOwner` is the next owner already.
 */
export type Hold = { leaseKey: string; owner: string; counter: number; fence: number; isLeaving: boolean }

/** What an owner writes. Each raises the counter. */
export type OwnerWrite =
  | { kind: 'renew' }
  | { kind: 'checkpoint'; checkpoint: string }
  | { kind: 'shard-end'; children: string[] }
  /** Frees the lease; of one that is being handed over, finishes the handoff. */
  | { kind: 'evict'; checkpoint: string | undefined }
  /** Goes on under a higher fence: a document was met whose fence cannot be explained. */
  | { kind: 'jump'; fence: number }

/** `leaving`: somebody named itself the next owner; the write may be made again as a leaving owner. */
export type WriteResult = 'landed' | 'leaving' | 'lost'

/** How a tenure begins: a free or expired lease; one that carries our id; a handoff to us that took too long. */
export type TakeMode = 'take' | 'adopt' | 'force'

/** The checkpoint a write sets, if any. */
export function checkpointOf(change: OwnerWrite): Checkpoint | undefined {
  if (change.kind === 'shard-end') return SHARD_END
  return 'checkpoint' in change ? change.checkpoint : undefined
}

/**
 * What an owner's write that was refused turns out to be, by the lease as it is then.
 *
 * The lost answer of a write that landed makes its retry fail. It was ours if the item carries our fence and what we
 * wrote; but only where the write was sent more than once, for owner and counter alone would not tell two processes of
 * one worker id apart.
 */
export function refusalOf(
  hold: Hold,
  change: OwnerWrite,
  now: Lease | undefined,
  mayHaveLanded: boolean,
): WriteResult {
  if (!now) return 'lost'
  const isOfHold = now.fence === hold.fence && now.leaseCounter === hold.counter
  if (isOfHold && now.checkpointOwner === hold.owner) return 'leaving'
  const isNamed = (hold.isLeaving ? now.checkpointOwner : now.leaseOwner) === hold.owner
  const isLeft = hold.isLeaving ? now.checkpointOwner === undefined : now.leftBy === hold.owner
  const checkpoint = checkpointOf(change)
  const isOurs =
    now.fence === (change.kind === 'jump' ? change.fence : hold.fence) &&
    now.leaseCounter === hold.counter + 1 &&
    (checkpoint === undefined || now.checkpoint === checkpoint) &&
    (change.kind === 'evict' ? isLeft : isNamed)
  return mayHaveLanded && isOurs ? 'landed' : 'lost'
}

/** When this worker, by its own monotonic clock, last saw a lease's counter change. */
export type Observation = {
  counter: number
  seenAtMs: number
  /** Since when its pair of next owner and present one is as it is; undefined when no handoff is under way. */
  handoff: { pair: string; sinceMs: number } | undefined
}

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
  for (const { leaseKey, leaseCounter, leaseOwner, checkpointOwner } of leases) {
    const known = before.get(leaseKey)
    const pair = checkpointOwner === undefined ? undefined : JSON.stringify([leaseOwner, checkpointOwner])
    after.set(leaseKey, {
      counter: leaseCounter,
      // The counter alone: asking for a handoff changes the owner, and is no sign of life of the one who holds the lease.
      seenAtMs: known?.counter === leaseCounter ? known.seenAtMs : monotonicMs,
      handoff:
        pair === undefined
          ? undefined
          : known?.handoff?.pair === pair
            ? known.handoff
            : { pair, sinceMs: monotonicMs },
    })
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

/**
 * Whether a lease may be begun. `waiting`: a shard above it is not read to its end; `unlisted`: the table does not tell
 * enough of its shard, and the last listing of the stream is too old to know it.
 */
export type Readiness = 'ready' | 'waiting' | 'unlisted'

export type LeasePlan = {
  /** Free or expired, parents ended: to take now, one conditional write each. */
  take: Lease[]
  /** Own id in the table but no tenure in memory: to begin anew with a new fence, never to be renewed as it is. */
  adopt: Lease[]
  /** Alive under our own id in another process. */
  twins: Lease[]
  /** Of live owners above the share: to be asked for by naming ourselves next owner. */
  handoff: Lease[]
  /** We are the next owner and the present one drains: to be looked at again soon. */
  awaited: Lease[]
  /** We are the next owner and waited long enough: to take although its present owner still renews. */
  force: Lease[]
  /** Held by us, and somebody else is the next owner: to drain and hand over. */
  leave: Lease[]
  /** Nobody's or ours, if only more were known of their shards: the stream is to be listed again now. */
  unlisted: Lease[]
  unowned: number
  expired: number
  /** Workers that own a lease that is alive, ourselves included. */
  workers: number
  /** Monotonic time at which the oldest unchanged counter expires: when to look again at the latest. */
  nextExpiryMs: number | undefined
}

/**
 * What to do about the leases of the table.
 *
 * The share is ceil(leases / workers). Ended leases do not count. A worker counts while it owns a lease that is alive
 * (during a handoff the next owner owns it); one that has said it leaves (`leftBy` of an unowned lease) does not, and we
 * always do. Free leases are taken first. Only when there are none are live ones asked for, from each owner at most what
 * it has above the share; if nobody is above it and we are short by two or more, one of the most loaded.
 *
 * @param input.contested lost by us while they carry our id: another process has it too, so they are left until they expire
 * @param input.readiness of one lease (core/shard.ts); what is not ready is left, however it came
 * @param input.awaitedSinceMs when each handoff to us was first seen, by the monotonic clock
 * @param input.random from 0 to 1, called once a lease: so that two workers that look at once do not try the same one first
 */
export function planLeases(input: {
  leases: readonly Lease[]
  observed: ReadonlyMap<string, Observation>
  me: string
  held: ReadonlySet<string>
  contested: ReadonlySet<string>
  readiness: (lease: Lease) => Readiness
  awaitedSinceMs: ReadonlyMap<string, number>
  monotonicMs: number
  leaseMs: number
  handoffMs: number
  maxLeases: number
  random: () => number
}): LeasePlan {
  const { leases, observed, me, held, monotonicMs, leaseMs } = input
  const running = leases.filter(lease => lease.checkpoint !== SHARD_END)
  const isOver = (lease: Lease) => isExpired(lease, observed, monotonicMs, leaseMs)
  // KCL's workers own a child while its parents are read, and wait; nobody may begin it then, however it came.
  const isReadable = (lease: Lease) => input.readiness(lease) === 'ready'
  const ready = (lease: Lease) => !held.has(lease.leaseKey) && isReadable(lease)

  const unowned = running.filter(lease => lease.leaseOwner === undefined)
  const mine = running.filter(lease => lease.leaseOwner === me)
  const others = running.filter(lease => lease.leaseOwner !== undefined && lease.leaseOwner !== me)
  const expired = others.filter(isOver)
  // A handoff whose next owner died before it could force it, from one who knows no handoffs (KCL 2.x) and goes on
  // renewing: it would stay as it is for ever. It counts for its holder, and may be asked for again.
  const isStuck = (lease: Lease) => {
    const handoff = observed.get(lease.leaseKey)?.handoff
    return (
      lease.leaseOwner !== me && handoff !== undefined && monotonicMs - handoff.sinceMs > 2 * input.handoffMs
    )
  }
  const alive = running
    .filter(lease => !isOver(lease))
    .map(lease => ({ lease, owner: isStuck(lease) ? lease.checkpointOwner : lease.leaseOwner }))
    .filter((held): held is HeldByOther => held.owner !== undefined && held.owner !== me)

  const isTwins = (lease: Lease) => input.contested.has(lease.leaseKey) && !isOver(lease)
  const incoming = mine.filter(
    lease => lease.checkpointOwner !== undefined && lease.checkpointOwner !== me && isReadable(lease),
  )
  const waitedFor = (lease: Lease) => monotonicMs - (input.awaitedSinceMs.get(lease.leaseKey) ?? monotonicMs)
  const force = incoming.filter(lease => isOver(lease) || waitedFor(lease) > input.handoffMs)
  // A free lease that still has a checkpoint owner was offered to a worker that left meanwhile; its holder is draining.
  const nobodys = [
    ...unowned.filter(lease => lease.checkpointOwner === undefined || isOver(lease)),
    ...expired,
  ]
  const free = nobodys.filter(ready)

  const counts = countByOwner(alive)
  for (const { leftBy } of unowned) if (leftBy !== undefined && leftBy !== me) counts.delete(leftBy)
  const share = Math.min(input.maxLeases, Math.ceil(running.length / (counts.size + 1)))
  const need = Math.max(0, share - mine.length)
  const inRandomOrder = shuffled(input.random)
  const waiting = others
    .filter(lease => !isOver(lease))
    .map(lease => observed.get(lease.leaseKey)!.seenAtMs + leaseMs)
  return {
    take: inRandomOrder(free).slice(0, need),
    adopt: mine.filter(lease => lease.checkpointOwner === undefined && ready(lease) && !isTwins(lease)),
    twins: mine.filter(isTwins),
    handoff:
      free.length > 0
        ? []
        : handoffs(
            alive.filter(
              ({ lease }) => isReadable(lease) && (lease.checkpointOwner === undefined || isStuck(lease)),
            ),
            counts,
            { share, need, random: input.random },
          ),
    awaited: incoming.filter(lease => !force.includes(lease)),
    force,
    leave: running.filter(
      lease => held.has(lease.leaseKey) && lease.checkpointOwner === me && lease.leaseOwner !== me,
    ),
    unlisted: [...nobodys, ...mine].filter(
      lease => !held.has(lease.leaseKey) && input.readiness(lease) === 'unlisted',
    ),
    unowned: unowned.length,
    expired: expired.length,
    workers: counts.size + 1,
    nextExpiryMs: waiting.length > 0 ? Math.min(...waiting) : undefined,
  }
}

type HeldByOther = { lease: Lease; owner: string }

function countByOwner(alive: readonly HeldByOther[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { owner } of alive) counts.set(owner, (counts.get(owner) ?? 0) + 1)
  return counts
}

/** All workers see the same leases as an owner's surplus, so that many who ask at once do not take more than that. */
function handoffs(
  movable: readonly HeldByOther[],
  counts: ReadonlyMap<string, number>,
  { share, need, random }: { share: number; need: number; random: () => number },
): Lease[] {
  const mostLoadedFirst = [...counts].sort(([, a], [, b]) => b - a)
  const movableOf = (owner: string) =>
    movable
      .filter(held => held.owner === owner)
      .map(({ lease }) => lease)
      .sort((a, b) => (a.leaseKey < b.leaseKey ? -1 : 1))
  const surplus = mostLoadedFirst.flatMap(([owner, count]) =>
    count > share ? movableOf(owner).slice(0, count - share) : [],
  )
  const isShort = surplus.length === 0 && need > 1
  return isShort
    ? mostLoadedFirst.flatMap(([owner]) => movableOf(owner)).slice(0, 1)
    : shuffled(random)(surplus).slice(0, need)
}

function shuffled(random: () => number): <Value>(values: readonly Value[]) => Value[] {
  return values =>
    values
      .map(value => ({ value, order: random() }))
      .sort((a, b) => a.order - b.order)
      .map(({ value }) => value)
}

/** The fences of a lease's parents, as far as the table still has them. */
export function parentFences(lease: Lease, leases: readonly Lease[]): number[] {
  return leases.filter(other => lease.parentShardId.includes(other.leaseKey)).map(parent => parent.fence ?? 0)
}

/**
 * Ended leases that nobody needs any more: each child has begun (its checkpoint is past the words) and the own parents
 * are gone, or the shard has left the stream. Without the order parents first, a sync could not tell an ended parent
 * from one never read.
 */
export function deletableLeases(leases: readonly Lease[], listed: ReadonlySet<string>): Lease[] {
  const byKey = new Map(leases.map(lease => [lease.leaseKey, lease]))
  const hasBegun = (child: string) => {
    const checkpoint = byKey.get(child)?.checkpoint
    return checkpoint !== undefined && !['TRIM_HORIZON', 'LATEST', 'AT_TIMESTAMP'].includes(checkpoint)
  }
  return leases.filter(lease => {
    if (lease.checkpoint !== SHARD_END || lease.parentShardId.some(parent => byKey.has(parent))) return false
    const isRead = lease.childShardIds.length > 0 && lease.childShardIds.every(hasBegun)
    return isRead || (!listed.has(lease.leaseKey) && lease.childShardIds.every(child => byKey.has(child)))
  })
}

/**
 * How long from one look at the table to the next: 0.8 to 1.2 s, longer where the looks of all workers together would
 * cost more read units than the budget. KCL looks every 20 s.
 *
 * @param units read capacity one look consumes @param workers that look
 */
export function lookIntervalMs(input: {
  units: number
  workers: number
  unitsMax: number
  random: number
}): number {
  const leastMs = (input.units * input.workers * 1000) / input.unitsMax
  return Math.max(1000, leastMs) * (0.8 + 0.4 * input.random)
}
