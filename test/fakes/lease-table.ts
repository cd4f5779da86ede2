/** A lease table in memory. It answers the contract test of the real one (test/clients/lease-table.contract.ts). */
import {
  type Hold,
  type Lease,
  type OwnerWrite,
  SHARD_END,
  type TakeMode,
  type WriteResult,
} from '../../src/core/lease.ts'

export function fakeLeaseTable(now: () => number) {
  const items = new Map<string, Lease>()
  const writes: string[] = []

  function isSeen(item: Lease, lease: Lease, owner: string, mode: TakeMode): boolean {
    if (mode === 'force') return item.leaseOwner === owner && item.checkpointOwner === lease.checkpointOwner
    if (item.leaseCounter !== lease.leaseCounter) return false
    return mode === 'take' || (item.leaseOwner === owner && item.checkpointOwner === undefined)
  }

  /** Whether a write that was sent before has landed then. */
  function isLanded(item: Lease, hold: Hold, change: OwnerWrite, checkpoint: string | undefined): boolean {
    const named = hold.isLeaving ? item.checkpointOwner : item.leaseOwner
    return (
      item.fence === (change.kind === 'jump' ? change.fence : hold.fence) &&
      item.leaseCounter === hold.counter + 1 &&
      (checkpoint === undefined || item.checkpoint === checkpoint) &&
      (change.kind !== 'evict'
        ? named === hold.owner
        : hold.isLeaving
          ? item.checkpointOwner === undefined
          : item.leftBy === hold.owner)
    )
  }

  return {
    items,
    /** Every write that landed, in order, in words; renewals left out. */
    writes,
    list: async () => ({
      leases: structuredClone([...items.values()]),
      corrupt: 0,
      units: Math.ceil(items.size / 8),
    }),
    get: async (leaseKey: string) => structuredClone(items.get(leaseKey)),
    async create(lease: Lease): Promise<boolean> {
      if (items.has(lease.leaseKey)) return false
      items.set(lease.leaseKey, structuredClone(lease))
      writes.push(`create ${lease.leaseKey} ${lease.checkpoint}`)
      return true
    },
    async take(
      lease: Lease,
      claim: { owner: string; fence: number; mode: TakeMode },
    ): Promise<number | undefined> {
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
      return item.leaseCounter
    },
    async write(hold: Hold, change: OwnerWrite, mayHaveLanded: boolean): Promise<WriteResult> {
      const item = items.get(hold.leaseKey)
      if (!item) return 'lost'
      const checkpoint =
        change.kind === 'shard-end' ? SHARD_END : 'checkpoint' in change ? change.checkpoint : undefined
      const named = hold.isLeaving ? item.checkpointOwner : item.leaseOwner
      if (item.leaseCounter !== hold.counter || item.fence !== hold.fence || named !== hold.owner) {
        if (
          item.fence === hold.fence &&
          item.leaseCounter === hold.counter &&
          item.checkpointOwner === hold.owner
        )
          return 'leaving'
        return mayHaveLanded && isLanded(item, hold, change, checkpoint) ? 'landed' : 'lost'
      }
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
      return 'landed'
    },
    async startHandoff(lease: Lease, next: string): Promise<boolean> {
      const item = items.get(lease.leaseKey)
      if (!item || item.leaseOwner !== lease.leaseOwner || item.checkpointOwner !== undefined) return false
      Object.assign(item, { checkpointOwner: item.leaseOwner, leaseOwner: next })
      writes.push(`handoff ${lease.leaseKey} to ${next}`)
      return true
    },
    async cancelHandoff(leaseKey: string, next: string): Promise<void> {
      const item = items.get(leaseKey)
      if (item?.leaseOwner === next && item.checkpointOwner !== undefined) delete item.leaseOwner
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
