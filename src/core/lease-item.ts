/**
 * A lease and its item in the table: KCL 2.x's attributes, `entityType`, and our two.
 *
 * What KCL writes besides (throughput, pending checkpoints, sub-sequence numbers) is not read, and never overwritten.
 */
import type { Lease } from './lease.ts'

export type Item = Record<string, unknown>

/** The item of a new lease, complete for KCL 2.x and 3.x. */
export function itemOf(lease: Lease): Item {
  const { parentShardId, childShardIds, ...plain } = lease
  return {
    ...plain,
    checkpointSubSequenceNumber: 0,
    entityType: 'LEASE',
    // DynamoDB has no empty sets; KCL leaves them out as well.
    ...(parentShardId.length > 0 ? { parentShardId: new Set(parentShardId) } : {}),
    ...(childShardIds.length > 0 ? { childShardIds: new Set(childShardIds) } : {}),
  }
}

/** Whether an item is none of ours: KCL's own records, and its leases in multi-stream mode, whose keys no shard has. */
export function isForeign(item: Item): boolean {
  return (item.entityType !== undefined && item.entityType !== 'LEASE') || item.streamName !== undefined
}

/** @returns undefined for an item that is no readable lease */
export function leaseOf(item: Item): Lease | undefined {
  const { leaseKey, leaseOwner, leaseCounter, checkpoint } = item
  if (typeof leaseKey !== 'string' || typeof leaseCounter !== 'number' || typeof checkpoint !== 'string')
    return undefined
  const optional = {
    leaseOwner: typeof leaseOwner === 'string' ? leaseOwner : undefined,
    startingHashKey: typeof item.startingHashKey === 'string' ? item.startingHashKey : undefined,
    endingHashKey: typeof item.endingHashKey === 'string' ? item.endingHashKey : undefined,
    checkpointOwner: typeof item.checkpointOwner === 'string' ? item.checkpointOwner : undefined,
    fence: typeof item.fence === 'number' ? item.fence : undefined,
    leftBy: typeof item.leftBy === 'string' ? item.leftBy : undefined,
  }
  return {
    leaseKey,
    leaseCounter,
    checkpoint,
    ownerSwitchesSinceCheckpoint:
      typeof item.ownerSwitchesSinceCheckpoint === 'number' ? item.ownerSwitchesSinceCheckpoint : 0,
    parentShardId: names(item.parentShardId),
    childShardIds: names(item.childShardIds),
    ...(Object.fromEntries(
      Object.entries(optional).filter(([, value]) => value !== undefined),
    ) as Partial<Lease>),
  }
}

function names(value: unknown): string[] {
  return value instanceof Set ? [...value].filter(name => typeof name === 'string') : []
}
