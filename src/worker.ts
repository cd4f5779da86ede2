/**
 * One running copy of the service: keeps its leases, runs a shard consumer for each, gives up those that are lost.
 *
 * Two loops. The sync compares the stream's shards with the leases (shard-sync.ts). The look reads the table, takes what
 * is free up to this worker's share, asks live owners above theirs for a handoff, and begins a tenure for each lease that
 * comes to us: always by a write that raises the fence, however the lease came, and no record is read before it.
 */
import type { BackoffMetrics } from './back-off.ts'
import type { Clock } from './clock.ts'
import { backoffMs } from './core/backoff.ts'
import {
  type InitialPosition,
  type Lease,
  lookIntervalMs,
  type Observation,
  observe,
  parentFences,
  planLeases,
  SHARD_END,
  type TakeMode,
} from './core/lease.ts'
import { rangeOf, readiness, type Shard } from './core/shard.ts'
import { FENCE_UNIT_MS, fenceAt, fenceWaitMs, nextFence } from './core/version.ts'
import type { Ending, StopSignals } from './shard-consumer.ts'
import { shardSync } from './shard-sync.ts'
import { type Tenure, type TenureParts, tenure } from './tenure.ts'

export type LeaseTable = {
  list: () => Promise<{ leases: Lease[]; corrupt: number; units: number }>
  get: (leaseKey: string) => Promise<Lease | undefined>
  create: (lease: Lease) => Promise<boolean>
  take: (lease: Lease, claim: { owner: string; fence: number; mode: TakeMode }) => Promise<Lease | undefined>
  write: TenureParts['write']
  startHandoff: (lease: Lease, next: string) => Promise<boolean>
  cancelHandoff: (leaseKey: string, next: string, fence: number | undefined) => Promise<void>
  remove: (lease: Lease) => Promise<void>
  setRange: (leaseKey: string, range: { startingHashKey: string; endingHashKey: string }) => Promise<void>
  serverNow: () => number
  clockOffsetMs: () => number | undefined
}

/** `stolen`: expired under its owner; `received`: handed over to us; `forced`: its owner did not finish in time. */
export type LeaseTaken = 'taken' | 'stolen' | 'adopted' | 'received' | 'forced'

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
  metrics: BackoffMetrics & {
    /** As it is: told whenever a tenure begins or ends, not with the next look. */
    leasesHeld: (leases: number) => void
    leases: (counts: { known: number; unowned: number; corrupt: number }) => void
    /** Leases of other workers that nobody renews. */
    expired: (leases: number) => void
    leaseTaken: (how: LeaseTaken) => void
    leaseEnded: (how: Ending) => void
    renewal: TenureParts['onRenewal']
    clock: (readings: { offsetMs: number | undefined; fenceAheadSeconds: number }) => void
  }
}

export type WorkerSettings = {
  owner: string
  leaseMs: number
  /** After this a handoff that is not finished is forced. */
  handoffMs: number
  maxLeases: number
  shardSyncMs: number
  /** Read units a second the looks of the whole fleet may cost. */
  scanUnitsMax: number
  initialPosition: InitialPosition
}

/** While a handoff names us, that one item is read this often. */
const HANDOFF_LOOK_MS = 200
/** Takes under way at once; where one of them fails another worker is at it, and a new look tells more than going on. */
const TAKES_AT_ONCE = 10

export function worker(parts: WorkerParts, settings: WorkerSettings) {
  const { table, clock, random, log, metrics } = parts
  const { owner, leaseMs } = settings
  const held = new Map<string, { tenure: Tenure; done: Promise<void> }>()
  const beginning = new Set<string>()
  /** Lost while they carry our id; forgotten when another owner is seen. */
  const contested = new Set<string>()
  const awaited = new Map<string, { sinceMs: number; done: Promise<void> }>()
  const lastSeenMs = new Map<string, number>()
  let observed = new Map<string, Observation>()
  let lastLookAtMs: number | undefined
  const listing = { units: 0, workers: 1 }

  async function list(): Promise<Lease[]> {
    const { leases, corrupt, units } = await table.list()
    const now = clock.monotonic()
    observed = observe(observed, leases, now)
    listing.units = units
    for (const { leaseKey } of leases) lastSeenMs.set(leaseKey, now)
    const running = leases.filter(lease => lease.checkpoint !== SHARD_END)
    const unowned = running.filter(lease => lease.leaseOwner === undefined).length
    metrics.leases({ known: running.length, unowned, corrupt })
    if (corrupt > 0)
      log.warn({ corrupt }, 'items of the lease table could not be read as leases and were left alone')
    return leases
  }

  const { sync, syncIfDue, createChildren, lastListing } = shardSync(
    {
      list,
      create: table.create,
      remove: table.remove,
      setRange: table.setRange,
      listShards: parts.listShards,
      lastSeenMs: leaseKey => lastSeenMs.get(leaseKey),
      serverNow: table.serverNow,
      clock,
      log,
    },
    settings,
  )

  /** Begins a tenure, unless somebody was quicker. @returns whether the lease is ours now */
  async function begin(
    lease: Lease,
    leases: readonly Lease[],
    mode: TakeMode,
    how: LeaseTaken,
    stop: StopSignals,
  ): Promise<boolean> {
    const { leaseKey } = lease
    const range = rangeOf(lease, lastListing())
    if (!range || held.has(leaseKey) || beginning.has(leaseKey) || stop.drain.aborted) return false
    beginning.add(leaseKey)
    try {
      const fence = nextFence({
        own: lease.fence ?? 0,
        parents: parentFences(lease, leases),
        nowMs: table.serverNow(),
      })
      await clock.sleep(fenceWaitMs(fence, table.serverNow()), stop.drain)
      if (stop.drain.aborted) return false
      const sentAtMs = clock.monotonic()
      const taken = await table.take(lease, { owner, fence, mode })
      if (!taken) return false
      const ahead = fence - fenceAt(table.serverNow())
      metrics.clock({
        offsetMs: table.clockOffsetMs(),
        fenceAheadSeconds: Math.max(0, (ahead * FENCE_UNIT_MS) / 1000),
      })
      metrics.leaseTaken(how)
      log.info(
        { shardId: leaseKey, fence, how, from: taken.checkpoint, before: lease.leaseOwner ?? null },
        'lease taken',
      )
      run(
        tenure(
          {
            write: table.write,
            clock,
            serverNow: table.serverNow,
            random,
            log,
            metrics,
            onRenewal: metrics.renewal,
          },
          { lease: taken, range, owner, fence, sentAtMs },
          leaseMs,
        ),
        stop,
      )
      return true
    } finally {
      beginning.delete(leaseKey)
    }
  }

  function run(mine: Tenure, stop: StopSignals): void {
    const { shardId } = mine
    const consuming = async () => {
      const keeping = mine.keep()
      const ending = await parts.consume(mine, stop)
      metrics.leaseEnded(ending)
      if (ending === 'lost') contested.add(shardId)
      log.info({ shardId, fence: mine.fence(), ending }, 'shard given up')
      await keeping
    }
    const done = consuming().finally(() => {
      held.delete(shardId)
      metrics.leasesHeld(held.size)
    })
    held.set(shardId, { tenure: mine, done })
    metrics.leasesHeld(held.size)
  }

  /** Looks at a lease that is being handed to us until its owner has finished, then begins; withdraws when we leave. */
  function awaitHandoff(leaseKey: string, leases: readonly Lease[], stop: StopSignals): void {
    if (awaited.has(leaseKey)) return
    const waiting = async () => {
      while (!stop.drain.aborted) {
        await clock.sleep(HANDOFF_LOOK_MS, stop.drain)
        if (stop.drain.aborted) break
        // A failed read is no news; the look in a second would see the same.
        const lease = await table.get(leaseKey).catch(() => 'unknown' as const)
        if (lease === 'unknown') continue
        if (lease?.leaseOwner !== owner || lease.checkpoint === SHARD_END) return
        if (lease.checkpointOwner === undefined) {
          if (await begin(lease, leases, 'adopt', 'received', stop).catch(() => false)) return
          if (held.has(leaseKey)) return
        }
      }
      try {
        // Handed over in this very moment it would stay with us until it expires. The fence tells that no tenure began.
        const fence = (await table.get(leaseKey))?.fence
        await table.cancelHandoff(leaseKey, owner, fence)
      } catch (error) {
        log.warn(
          { shardId: leaseKey, err: error },
          'could not withdraw from a handoff; the lease will expire instead',
        )
      }
    }
    awaited.set(leaseKey, {
      sinceMs: clock.monotonic(),
      done: waiting().finally(() => awaited.delete(leaseKey)),
    })
  }

  /** @returns false when another worker was quicker */
  async function takeAll(
    free: readonly Lease[],
    leases: readonly Lease[],
    stop: StopSignals,
  ): Promise<boolean> {
    for (let from = 0; from < free.length; from += TAKES_AT_ONCE) {
      const some = free.slice(from, from + TAKES_AT_ONCE)
      const how = (lease: Lease) => (lease.leaseOwner === undefined ? 'taken' : 'stolen')
      const taken = await Promise.all(some.map(lease => begin(lease, leases, 'take', how(lease), stop)))
      if (taken.includes(false)) return false
    }
    return true
  }

  /** @returns false when another worker was quicker */
  async function askForHandoff(lease: Lease, leases: readonly Lease[], stop: StopSignals): Promise<boolean> {
    if (!(await table.startHandoff(lease, owner))) return false
    const from = lease.checkpointOwner ?? lease.leaseOwner
    log.info({ shardId: lease.leaseKey, from }, 'asked for the lease, its owner drains')
    awaitHandoff(lease.leaseKey, leases, stop)
    return true
  }

  /** @returns when to look again at the latest: the next lease may expire, or others were quicker and we are still short */
  async function look(stop: StopSignals): Promise<number | undefined> {
    const leases = await list()
    const leaseOf = new Map(leases.map(lease => [lease.leaseKey, lease]))
    const plan = planLeases({
      leases,
      observed,
      me: owner,
      held: new Set(held.keys()),
      contested,
      readiness: lease => readiness(lease, leaseOf, lastListing()),
      awaitedSinceMs: new Map([...awaited].map(([leaseKey, { sinceMs }]) => [leaseKey, sinceMs])),
      monotonicMs: clock.monotonic(),
      leaseMs,
      handoffMs: settings.handoffMs,
      maxLeases: settings.maxLeases,
      random,
    })
    lastLookAtMs = clock.monotonic()
    listing.workers = plan.workers
    metrics.expired(plan.expired)
    for (const { leaseKey, leaseOwner } of leases) if (leaseOwner !== owner) contested.delete(leaseKey)
    if (plan.twins.length > 0) {
      const shardIds = plan.twins.map(({ leaseKey }) => leaseKey)
      log.error(
        { shardIds, owner },
        'another process runs under the same WORKER_ID and holds these leases: give each its own',
      )
    }
    for (const { leaseKey } of plan.leave) held.get(leaseKey)?.tenure.leave()
    for (const { leaseKey } of plan.awaited) awaitHandoff(leaseKey, leases, stop)
    await Promise.all([
      // A look may see a finished handoff before the one who waits for it does.
      ...plan.adopt.map(lease =>
        begin(lease, leases, 'adopt', awaited.has(lease.leaseKey) ? 'received' : 'adopted', stop),
      ),
      ...plan.force.map(lease => begin(lease, leases, 'force', 'forced', stop)),
    ])
    const gained = await Promise.all([
      ...plan.handoff.map(lease => askForHandoff(lease, leases, stop)),
      takeAll(plan.take, leases, stop),
    ])
    await syncIfDue(leases, plan.unlisted)
    if (!gained.includes(false)) return plan.nextExpiryMs
    return Math.min(clock.monotonic() + leaseMs / 3, plan.nextExpiryMs ?? Number.POSITIVE_INFINITY)
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
        // A look about every second, and no later than the moment the oldest unchanged counter expires.
        repeat(
          'look at the leases',
          stop.drain,
          () => lookIntervalMs({ ...listing, unitsMax: settings.scanUnitsMax, random: random() }),
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
      await Promise.all([...held.values(), ...awaited.values()].map(({ done }) => done))
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
