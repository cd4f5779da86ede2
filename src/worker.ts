/**
 * One running copy of the service: keeps its leases, runs a shard consumer for each, gives up those that are lost.
 *
 * Two loops. The sync compares the stream's shards with the leases and creates what is missing. The look reads the
 * table, takes what is free up to this worker's share and begins a tenure for each: always by a write that raises the
 * fence, however the lease came, and no record is read before it.
 */
import type { Clock } from './clock.ts'
import { backoffMs } from './core/backoff.ts'
import {
  type InitialPosition,
  type Lease,
  type Observation,
  observe,
  parentFences,
  planLeases,
  SHARD_END,
} from './core/lease.ts'
import { missingLeases, type Shard } from './core/shard.ts'
import { fenceAt, fenceWaitMs, nextFence } from './core/version.ts'
import type { Ending, StopSignals } from './shard-consumer.ts'
import type { ChildShard } from './shard-reader.ts'
import { type Tenure, type TenureParts, tenure } from './tenure.ts'

export type LeaseTable = {
  list: () => Promise<{ leases: Lease[]; corrupt: number }>
  create: (lease: Lease) => Promise<boolean>
  take: (
    lease: Lease,
    claim: { owner: string; fence: number; mode: 'take' | 'adopt' },
  ) => Promise<number | undefined>
  write: TenureParts['write']
  serverNow: () => number
  clockOffsetMs: () => number | undefined
}

export type WorkerParts = {
  table: LeaseTable
  listShards: () => Promise<Shard[]>
  consume: (tenure: Tenure, stop: StopSignals) => Promise<Ending>
  /** After a pause longer than a lease: nothing written before it may leave after it. */
  destroySockets: () => void
  clock: Clock
  random: () => number
  log: {
    info(fields: object, text: string): void
    warn(fields: object, text: string): void
    error(fields: object, text: string): void
  }
  metrics: {
    leases: (counts: { held: number; known: number; unowned: number; corrupt: number }) => void
    leaseTaken: (how: 'taken' | 'adopted') => void
    leaseEnded: (how: Ending) => void
    renewal: TenureParts['onRenewal']
    clock: (readings: { offsetMs: number | undefined; fenceAheadSeconds: number }) => void
  }
}

export type WorkerSettings = {
  owner: string
  leaseMs: number
  maxLeases: number
  shardSyncMs: number
  initialPosition: InitialPosition
}

export function worker(parts: WorkerParts, settings: WorkerSettings) {
  const { table, clock, random, log, metrics } = parts
  const { owner, leaseMs } = settings
  const held = new Map<string, { tenure: Tenure; done: Promise<void> }>()
  let observed = new Map<string, Observation>()
  /** When each lease was last seen in the table, by the monotonic clock: one that vanished is not re-created too soon. */
  const lastSeenMs = new Map<string, number>()
  let lastLookAtMs: number | undefined

  async function list(): Promise<Lease[]> {
    const { leases, corrupt } = await table.list()
    const now = clock.monotonic()
    observed = observe(observed, leases, now)
    for (const { leaseKey } of leases) lastSeenMs.set(leaseKey, now)
    const running = leases.filter(lease => lease.checkpoint !== SHARD_END)
    const unowned = running.filter(lease => lease.leaseOwner === undefined).length
    metrics.leases({ held: held.size, known: running.length, unowned, corrupt })
    if (corrupt > 0)
      log.warn({ corrupt }, 'items of the lease table could not be read as leases and were left alone')
    return leases
  }

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
    return {
      ...lease,
      fence: nextFence({ own: 0, parents: parentFences(lease, leases), nowMs: table.serverNow() }),
    }
  }

  /** The leases of the children of a shard that ends. One that is there already is left as it is. */
  async function createChildren(children: readonly ChildShard[]): Promise<void> {
    const { leases } = await table.list()
    for (const child of children) await table.create(newLease(child, 'TRIM_HORIZON', leases))
  }

  async function sync(): Promise<void> {
    const leases = await list()
    const missing = missingLeases(await parts.listShards(), leases, settings.initialPosition)
    for (const { shard, checkpoint } of missing) {
      // The former owner of an item that vanished may still be writing; it fences itself within one lease time.
      const seenMs = lastSeenMs.get(shard.shardId)
      if (seenMs !== undefined && clock.monotonic() - seenMs < leaseMs) continue
      if (await table.create(newLease(shard, checkpoint, leases)))
        log.info({ shardId: shard.shardId, checkpoint }, 'lease created')
    }
  }

  async function begin(
    lease: Lease,
    leases: readonly Lease[],
    mode: 'take' | 'adopt',
    stop: StopSignals,
  ): Promise<void> {
    const fence = nextFence({
      own: lease.fence ?? 0,
      parents: parentFences(lease, leases),
      nowMs: table.serverNow(),
    })
    await clock.sleep(fenceWaitMs(fence, table.serverNow()), stop.drain)
    if (stop.drain.aborted) return
    const sentAtMs = clock.monotonic()
    const counter = await table.take(lease, { owner, fence, mode })
    if (counter === undefined) return
    const ahead = fence - fenceAt(table.serverNow())
    metrics.clock({ offsetMs: table.clockOffsetMs(), fenceAheadSeconds: Math.max(0, (ahead * 64) / 1000) })
    metrics.leaseTaken(mode === 'take' ? 'taken' : 'adopted')
    log.info(
      { shardId: lease.leaseKey, fence, from: lease.checkpoint, before: lease.leaseOwner ?? null },
      'lease taken',
    )
    run(
      tenure(
        { write: table.write, clock, random, log, onRenewal: metrics.renewal },
        { lease, owner, counter, fence, sentAtMs },
        leaseMs,
      ),
      stop,
    )
  }

  function run(mine: Tenure, stop: StopSignals): void {
    const { shardId } = mine
    const consuming = async () => {
      const keeping = mine.keep()
      const ending = await parts.consume(mine, stop)
      metrics.leaseEnded(ending)
      log.info({ shardId, fence: mine.fence, ending }, 'shard given up')
      await keeping
    }
    const done = consuming().finally(() => held.delete(shardId))
    held.set(shardId, { tenure: mine, done })
  }

  /** @returns the monotonic time at which the next lease may expire */
  async function look(stop: StopSignals): Promise<number | undefined> {
    const leases = await list()
    const plan = planLeases({
      leases,
      observed,
      me: owner,
      held: new Set(held.keys()),
      monotonicMs: clock.monotonic(),
      leaseMs,
      maxLeases: settings.maxLeases,
      random,
    })
    lastLookAtMs = clock.monotonic()
    const begins = [
      ...plan.adopt.map(lease => begin(lease, leases, 'adopt', stop)),
      ...plan.take.map(lease => begin(lease, leases, 'take', stop)),
    ]
    await Promise.all(begins)
    return plan.nextExpiryMs
  }

  /** Runs until the signal; a failure is logged and tried again, the next time is what the step says or the interval. */
  async function repeat(
    what: string,
    signal: AbortSignal,
    intervalMs: () => number,
    step: () => Promise<number | undefined>,
  ): Promise<void> {
    for (let attempt = 0; !signal.aborted; ) {
      let waitMs: number
      try {
        const nextMs = await step()
        attempt = 0
        waitMs = Math.min(
          intervalMs(),
          nextMs === undefined ? Number.POSITIVE_INFINITY : Math.max(20, nextMs - clock.monotonic() + 1),
        )
      } catch (error) {
        log.warn({ attempt, err: error }, `${what} failed, trying again`)
        waitMs = 100 + backoffMs(attempt++, random(), { firstMs: 200, maxMs: leaseMs / 2 })
      }
      await clock.sleep(waitMs, signal)
    }
  }

  /** A process that was stopped (or a machine that slept) longer than its leases must not go on where it was. */
  async function watchForPauses(signal: AbortSignal): Promise<void> {
    let wallMs = clock.now()
    let monotonicMs = clock.monotonic()
    while (!signal.aborted) {
      await clock.sleep(leaseMs / 10, signal)
      const pausedMs = Math.max(Math.abs(clock.now() - wallMs), clock.monotonic() - monotonicMs)
      wallMs = clock.now()
      monotonicMs = clock.monotonic()
      if (pausedMs <= leaseMs) continue
      log.error(
        { pausedMs },
        'this process stood still, or its clock jumped, for longer than a lease: giving up every shard',
      )
      parts.destroySockets()
      for (const { tenure: mine } of held.values()) mine.abandon('a pause longer than the lease')
    }
  }

  return {
    createChildren,
    /** Whether the lease loop turns. */
    isTurning: (): boolean =>
      lastLookAtMs !== undefined && clock.monotonic() - lastLookAtMs < Math.max(3 * leaseMs, 30_000),
    heldShards: () => [...held.keys()],
    /** Resolves when every shard is drained and its lease left, or abandoned. */
    async run(stop: StopSignals): Promise<void> {
      const ended = new AbortController()
      const pauses = watchForPauses(ended.signal)
      await repeatUntilSynced(stop.drain)
      await Promise.all([
        // A look every 0.8 to 1.2 s, and no later than the moment the oldest unchanged counter expires.
        repeat(
          'look at the leases',
          stop.drain,
          () => 800 + 400 * random(),
          () => look(stop),
        ),
        repeat(
          'shard sync',
          stop.drain,
          () => settings.shardSyncMs * (0.8 + 0.4 * random()),
          async () => {
            await sync()
            return undefined
          },
        ),
      ])
      await Promise.all([...held.values()].map(({ done }) => done))
      ended.abort()
      await pauses
    },
  }

  async function repeatUntilSynced(signal: AbortSignal): Promise<void> {
    const synced = new AbortController()
    await repeat(
      'first shard sync',
      AbortSignal.any([signal, synced.signal]),
      () => 0,
      async () => {
        await sync()
        synced.abort()
        return undefined
      },
    )
  }
}
