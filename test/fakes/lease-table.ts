/** A lease table in memory. It answers the contract test of the real one (test/clients/lease-table.contract.ts). */
import { type Hold, type Lease, type OwnerWrite, SHARD_END } from '../../src/core/lease.ts'

export function fakeLeaseTable(now: () => number) {
  const items = new Map<string, Lease>()
  const writes: string[] = []

  return {
    items,
    /** Every write that landed, in order, in words. */
    writes,
    list: async () => ({ leases: structuredClone([...items.values()]), corrupt: 0 }),
    get: async (leaseKey: string) => structuredClone(items.get(leaseKey)),
    async create(lease: Lease): Promise<boolean> {
      if (items.has(lease.leaseKey)) return false
      items.set(lease.leaseKey, structuredClone(lease))
      writes.push(`create ${lease.leaseKey} ${lease.checkpoint}`)
      return true
    },
    async take(
      lease: Lease,
      claim: { owner: string; fence: number; mode: 'take' | 'adopt' },
    ): Promise<number | undefined> {
      const item = items.get(lease.leaseKey)
      if (!item || item.leaseCounter !== lease.leaseCounter || (item.fence ?? -1) >= claim.fence)
        return undefined
      if (claim.mode === 'adopt' && (item.leaseOwner !== claim.owner || item.checkpointOwner !== undefined))
        return undefined
      if (item.leaseOwner !== undefined && item.leaseOwner !== claim.owner)
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
    async write(hold: Hold, change: OwnerWrite): Promise<boolean> {
      const item = items.get(hold.leaseKey)
      if (
        !item ||
        item.leaseCounter !== hold.counter ||
        item.fence !== hold.fence ||
        item.leaseOwner !== hold.owner
      )
        return false
      item.leaseCounter++
      const checkpoint =
        change.kind === 'shard-end' ? SHARD_END : change.kind === 'renew' ? undefined : change.checkpoint
      if (checkpoint !== undefined) Object.assign(item, { checkpoint, ownerSwitchesSinceCheckpoint: 0 })
      if (change.kind === 'shard-end') item.childShardIds = [...change.children]
      if (change.kind === 'evict') {
        delete item.leaseOwner
        delete item.checkpointOwner
        item.leftBy = hold.owner
      }
      if (change.kind !== 'renew')
        writes.push(`${change.kind} ${hold.leaseKey}${checkpoint === undefined ? '' : ` ${checkpoint}`}`)
      return true
    },
    serverNow: now,
    clockOffsetMs: () => 0 as number | undefined,
  }
}
