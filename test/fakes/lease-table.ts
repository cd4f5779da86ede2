/**
 * A lease table in memory. It answers the contract test of the real one (test/clients/lease-table.contract.ts).
 *
 * `once` has the conditional writes without the second look at a refusal: the simulation puts a network between the two.
 */
import {
  checkpointOf,
  type Hold,
  type Lease,
  type OwnerWrite,
  refusalOf,
  SHARD_END,
  type TakeMode,
  type WriteResult,
} from '../../src/core/lease.ts'

export function fakeLeaseTable(now: () => number) {
  const items = new Map<string, Lease>()
  const writes: string[] = []

  function isSeen(item: Lease, lease: Lease, owner: string, mode: TakeMode): boolean {
    if (mode === 'force')
      return (
        item.leaseOwner === owner &&
        item.checkpointOwner === lease.checkpointOwner &&
        item.checkpoint !== SHARD_END
      )
    if (item.leaseCounter !== lease.leaseCounter) return false
    return mode === 'take' || (item.leaseOwner === owner && item.checkpointOwner === undefined)
  }

  const once = {
    take(lease: Lease, claim: { owner: string; fence: number; mode: TakeMode }): Lease | undefined {
      const item = items.get(lease.leaseKey)
      if (!item || !isSeen(item, lease, claim.owner, claim.mode) || (item.fence ?? -1) >= claim.fence)
        return undefined
      if (lease.leaseOwner !== undefined && lease.leaseOwner !== claim.owner)
        item.ownerSwitchesSinceCheckpoint++
      delete item.checkpointOwner
      delete item.leftBy
      Object.assign(item, {
        leaseOwner: claim.owner,
        leaseCounter: item.leaseCounter + 1,
        fence: claim.fence,
      })
      writes.push(`${claim.mode} ${lease.leaseKey} by ${claim.owner}`)
      return copyOf(item)
    },
    write(hold: Hold, change: OwnerWrite): boolean {
      const item = items.get(hold.leaseKey)
      const named = hold.isLeaving ? item?.checkpointOwner : item?.leaseOwner
      if (item?.leaseCounter !== hold.counter || item.fence !== hold.fence || named !== hold.owner)
        return false
      const checkpoint = checkpointOf(change)
      item.leaseCounter++
      if (checkpoint !== undefined) Object.assign(item, { checkpoint, ownerSwitchesSinceCheckpoint: 0 })
      if (change.kind === 'shard-end') item.childShardIds = [...change.children]
      if (change.kind === 'jump') item.fence = change.fence
      if (change.kind === 'evict') {
        delete item.checkpointOwner
        if (!hold.isLeaving) {
          delete item.leaseOwner
          item.leftBy = hold.owner
        }
      }
      if (change.kind !== 'renew')
        writes.push(`${change.kind} ${hold.leaseKey}${checkpoint === undefined ? '' : ` ${checkpoint}`}`)
      return true
    },
    startHandoff(lease: Lease, next: string): boolean {
      const item = items.get(lease.leaseKey)
      if (!item || item.leaseOwner !== lease.leaseOwner || item.checkpointOwner !== lease.checkpointOwner)
        return false
      Object.assign(item, { checkpointOwner: item.checkpointOwner ?? item.leaseOwner, leaseOwner: next })
      writes.push(`handoff ${lease.leaseKey} to ${next}`)
      return true
    },
  }

  return {
    items,
    /** Every write that landed, in order, in words; renewals left out. */
    writes,
    once,
    refusal: refusalOf,
    list: async () => ({
      leases: [...items.values()].map(copyOf),
      corrupt: 0,
      units: Math.ceil(items.size / 8),
    }),
    get: async (leaseKey: string) => copyOf(items.get(leaseKey)),
    async create(lease: Lease): Promise<boolean> {
      if (items.has(lease.leaseKey)) return false
      items.set(lease.leaseKey, copyOf(lease))
      writes.push(`create ${lease.leaseKey} ${lease.checkpoint}`)
      return true
    },
    take: async (lease: Lease, claim: { owner: string; fence: number; mode: TakeMode }) =>
      once.take(lease, claim),
    write: async (hold: Hold, change: OwnerWrite, mayHaveLanded: boolean): Promise<WriteResult> =>
      once.write(hold, change) ? 'landed' : refusalOf(hold, change, items.get(hold.leaseKey), mayHaveLanded),
    startHandoff: async (lease: Lease, next: string) => once.startHandoff(lease, next),
    async cancelHandoff(leaseKey: string, next: string, fence?: number): Promise<void> {
      const item = items.get(leaseKey)
      if (item?.leaseOwner !== next || (item.checkpointOwner === undefined && item.fence !== fence)) return
      delete item.leaseOwner
      item.leftBy = next
    },
    async setRange(
      leaseKey: string,
      range: { startingHashKey: string; endingHashKey: string },
    ): Promise<void> {
      const item = items.get(leaseKey)
      if (item) Object.assign(item, range)
    },
    async remove(lease: Lease): Promise<void> {
      const item = items.get(lease.leaseKey)
      if (item?.leaseCounter !== lease.leaseCounter || item.checkpoint !== SHARD_END) return
      items.delete(lease.leaseKey)
      writes.push(`delete ${lease.leaseKey}`)
    },
    serverNow: now,
    clockOffsetMs: () => 0 as number | undefined,
  }
}

function copyOf<Item extends Lease | undefined>(item: Item): Item {
  return item && { ...item, parentShardId: [...item.parentShardId], childShardIds: [...item.childShardIds] }
}
