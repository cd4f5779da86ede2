/**
 * A worker of another application on the same lease table, as KCL 2.x behaves: it takes, renews and gives up leases by
 * owner and counter alone, knows nothing of fences or handoffs, and creates leases that are missing at once. It reads
 * nothing, so it never moves a checkpoint.
 */
import { missingLeases } from '../../src/core/shard.ts'
import type { fakeLeaseTable } from '../fakes/lease-table.ts'
import type { fakeStream } from '../fakes/stream.ts'
import type { Chance } from './chance.ts'
import type { Timeline } from './timeline.ts'

const OWNER = 'kcl'

export function foreignWorker(
  time: Timeline,
  parts: { table: ReturnType<typeof fakeLeaseTable>; stream: ReturnType<typeof fakeStream>; chance: Chance },
  given: { leaseMs: number; fromMs: number; untilMs: number },
): void {
  const { table, stream, chance } = parts
  const { items } = table
  const seen = new Map<string, { counter: number; atMs: number }>()
  const held = new Map<string, number>()

  function keep(leaseKey: string): void {
    const item = items.get(leaseKey)
    if (item?.leaseCounter !== held.get(leaseKey)) {
      held.delete(leaseKey)
      return
    }
    item!.leaseCounter++
    if (chance.isHit(0.1)) {
      delete item!.leaseOwner
      held.delete(leaseKey)
    } else held.set(leaseKey, item!.leaseCounter)
  }

  function look(leaseKey: string): void {
    const item = items.get(leaseKey)!
    const known = seen.get(leaseKey)
    if (known?.counter !== item.leaseCounter)
      seen.set(leaseKey, { counter: item.leaseCounter, atMs: time.now() })
    const isExpired = known !== undefined && time.now() - known.atMs > given.leaseMs
    if (item.leaseOwner !== undefined && !isExpired && !chance.isHit(0.1)) return
    if (held.has(leaseKey) || item.checkpoint === 'SHARD_END') return
    item.leaseOwner = OWNER
    item.leaseCounter++
    held.set(leaseKey, item.leaseCounter)
  }

  async function createMissing(): Promise<void> {
    const shards = await stream.listShards()
    for (const { shard, checkpoint } of missingLeases(shards, [...items.values()], 'TRIM_HORIZON')) {
      items.set(shard.shardId, {
        leaseKey: shard.shardId,
        leaseCounter: 0,
        checkpoint,
        ownerSwitchesSinceCheckpoint: 0,
        parentShardId: shard.parents,
        childShardIds: [],
      })
    }
  }

  function step(): void {
    if (time.now() > given.untilMs) return
    for (const leaseKey of [...held.keys()]) keep(leaseKey)
    for (const leaseKey of [...items.keys()]) look(leaseKey)
    if (chance.isHit(0.5)) void createMissing()
    time.at(time.now() + chance.whole(100, 400), step)
  }
  time.at(given.fromMs, step)
}
