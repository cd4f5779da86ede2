/**
 * Compares the stream's shards with the lease table: creates leases that are missing, parents first, and deletes those
 * that nobody needs any more. Every worker may do it at any time, for each step is one conditional write.
 */
import type { Clock } from './clock.ts'
import { deletableLeases, type InitialPosition, type Lease, parentFences } from './core/lease.ts'
import { childrenToCreate, firstHole, type Listing, missingLeases, type Shard } from './core/shard.ts'
import type { ChildShard } from './core/stream.ts'
import { nextFence } from './core/version.ts'

export type ShardSyncParts = {
  list: () => Promise<Lease[]>
  create: (lease: Lease) => Promise<boolean>
  remove: (lease: Lease) => Promise<void>
  setRange: (leaseKey: string, range: { startingHashKey: string; endingHashKey: string }) => Promise<void>
  listShards: () => Promise<Shard[]>
  /** When a lease was last seen in the table, by the monotonic clock. */
  lastSeenMs: (leaseKey: string) => number | undefined
  serverNow: () => number
  clock: Clock
  log: { info(fields: object, text: string): void; warn(fields: object, text: string): void }
}

/**
 * So many that were missing and are there now: another worker creates them; a whole fleet may have started at once. The
 * next sync begins behind them: were they items nobody can read as leases, the shards after them would wait for ever.
 */
const FOUND_THERE_MAX = 10
/** A hole in the hash ranges seen in this many looks in a row: a lease is missing, do not wait for the next sync. */
const HOLE_LOOKS = 3

export function shardSync(
  parts: ShardSyncParts,
  settings: { leaseMs: number; initialPosition: InitialPosition },
) {
  function newLease(shard: ChildShard, checkpoint: string, leases: readonly Lease[]): Lease {
    const { shardId, parents, startingHashKey, endingHashKey } = shard
    const lease: Lease = {
      leaseKey: shardId,
      leaseCounter: 0,
      checkpoint,
      ownerSwitchesSinceCheckpoint: 0,
      parentShardId: parents,
      childShardIds: [],
      startingHashKey,
      endingHashKey,
    }
    const nowMs = parts.serverNow()
    return { ...lease, fence: nextFence({ own: 0, parents: parentFences(lease, leases), nowMs }) }
  }

  let beginAt = 0
  let hole: { key: string; looks: number } | undefined
  let listing: Listing = { shards: new Map(), gone: new Set() }
  let listedSinceMs = Number.NEGATIVE_INFINITY

  /** Two syncs may be under way at once; the later one knows more, whichever ends first. */
  function note(shards: readonly Shard[], leases: readonly Lease[], sinceMs: number): void {
    if (sinceMs < listedSinceMs) return
    listedSinceMs = sinceMs
    const listed = new Map(shards.map(shard => [shard.shardId, shard]))
    const gone = leases.map(({ leaseKey }) => leaseKey).filter(leaseKey => !listed.has(leaseKey))
    listing = { shards: listed, gone: new Set(gone) }
  }

  async function sync(): Promise<void> {
    const listedAtMs = parts.clock.monotonic()
    const leases = await parts.list()
    const shards = await parts.listShards()
    note(shards, leases, listedAtMs)
    const missing = missingLeases(shards, leases, settings.initialPosition)
    const first = beginAt < missing.length ? beginAt : 0
    beginAt = 0
    let foundThere = 0
    for (const [at, { shard, checkpoint }] of missing.entries()) {
      if (at < first) continue
      // The former owner of an item that vanished may still be writing; it fences itself within one lease time.
      const seenMs = parts.lastSeenMs(shard.shardId)
      if (seenMs !== undefined && parts.clock.monotonic() - seenMs < settings.leaseMs) continue
      // Meanwhile the shard may have been read to its end and its children begun: read again, it would overwrite them.
      if (parts.clock.monotonic() - listedAtMs > settings.leaseMs / 2)
        throw new Error('the listing of the leases is too old to create one that was missing in it')
      if (await parts.create(newLease(shard, checkpoint, leases)))
        parts.log.info({ shardId: shard.shardId, checkpoint }, 'lease created')
      else if (++foundThere === FOUND_THERE_MAX) {
        beginAt = at + 1
        break
      }
    }
    for (const { leaseKey, startingHashKey, endingHashKey } of leases) {
      const shard = shards.find(({ shardId }) => shardId === leaseKey)
      if ((startingHashKey === undefined || endingHashKey === undefined) && shard)
        await parts.setRange(leaseKey, shard)
    }
    for (const lease of deletableLeases(leases, new Set(shards.map(({ shardId }) => shardId)))) {
      await parts.remove(lease)
      parts.log.info({ shardId: lease.leaseKey }, 'lease of an ended shard deleted')
    }
  }

  return {
    /** The stream as the last sync found it. */
    lastListing: (): Listing => listing,

    /** The leases of the children of a shard that ends. One that is there already is left as it is. */
    async createChildren(ending: string, children: readonly ChildShard[]): Promise<void> {
      const leases = await parts.list()
      for (const child of childrenToCreate(ending, children, leases))
        await parts.create(newLease(child, 'TRIM_HORIZON', leases))
    },

    sync,

    /** After each look: a sync at once where the leases show that the next one would be late. */
    async syncIfDue(leases: readonly Lease[], unlisted: readonly Lease[]): Promise<void> {
      const key = firstHole(leases)
      hole = key === undefined ? undefined : { key, looks: hole?.key === key ? hole.looks + 1 : 1 }
      const isHole = hole !== undefined && hole.looks % HOLE_LOOKS === 0
      if (isHole)
        parts.log.warn(
          { from: key },
          'no lease covers a part of the hash keys, comparing the leases with the shards',
        )
      if (isHole || unlisted.length > 0) await sync()
    },
  }
}
