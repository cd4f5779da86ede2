/**
 * A fleet on a virtual clock: 1,000 leases and 50 workers, with the product's settings. From cold, after half the workers
 * were killed, and after their number was doubled, all leases are held and evenly within three lease times, and stay so.
 * What that costs in requests is printed. The shards are not read: this is about leases alone.
 */
import { expect, test } from 'vitest'
import type { Shard } from '../../src/core/shard.ts'
import { type LeaseTable, worker } from '../../src/worker.ts'
import { fakeLeaseTable } from '../fakes/lease-table.ts'
import { fakeStream } from '../fakes/stream.ts'
import { seededChance } from './chance.ts'
import { type SimulatedProcess, START_MS, simulatedProcess } from './process.ts'
import { timeline } from './timeline.ts'

const LEASE_MS = 10_000
const SHARDS = 1000
const START_MS_MAX = 5000
/** Of a lease with a worker id of 30 characters and a checkpoint; a consistent scan reads 4,096 bytes a unit. */
const ITEM_BYTES = 370

function fleet(shards: readonly Shard[]) {
  const time = timeline()
  const chance = seededChance(1)
  const table = fakeLeaseTable(() => START_MS + time.now())
  const requests = new Map<string, number>()
  let members: { self: SimulatedProcess; heldShards: () => string[] }[] = []
  let started = 0

  function client(self: SimulatedProcess): LeaseTable {
    async function call<Value>(kind: string, serve: () => Promise<Value>): Promise<Value> {
      requests.set(kind, (requests.get(kind) ?? 0) + 1)
      return self.call(serve, { requestMs: chance.whole(1, 4), answerMs: chance.whole(1, 4) }, LEASE_MS / 3)
    }
    return {
      list: () =>
        call('list', async () => {
          const { leases } = await table.list()
          return { leases, corrupt: 0, units: Math.ceil((leases.length * ITEM_BYTES) / 4096) }
        }),
      get: leaseKey => call('get', () => table.get(leaseKey)),
      create: lease => call('create', () => table.create(lease)),
      take: (lease, claim) => call('take', () => table.take(lease, claim)),
      write: (hold, change, mayHaveLanded) =>
        call(change.kind, () => table.write(hold, change, mayHaveLanded)),
      startHandoff: (lease, next) => call('handoff', () => table.startHandoff(lease, next)),
      cancelHandoff: (leaseKey, next, fence) =>
        call('handoff', () => table.cancelHandoff(leaseKey, next, fence)),
      setRange: (leaseKey, range) => call('create', () => table.setRange(leaseKey, range)),
      remove: lease => call('remove', () => table.remove(lease)),
      serverNow: table.serverNow,
      clockOffsetMs: () => 0,
    }
  }

  function startOne(): void {
    const owner = `w${started++}`
    const self = simulatedProcess(time, chance.fork(), { owner, clockMs: 0 })
    const log = () => {}
    const me = worker(
      {
        table: client(self),
        listShards: async () => [...shards],
        async consume(tenure, stop) {
          await new Promise<void>(resolve => {
            for (const signal of [tenure.lost, tenure.leaving, stop.drain])
              signal.addEventListener('abort', () => resolve())
          })
          if (tenure.lost.aborted) return 'lost'
          await tenure.evict(undefined)
          return 'handed-over'
        },
        destroySockets: () => {},
        clock: self.clock,
        random: self.chance.random,
        log: { info: log, warn: log, error: log },
        metrics: {
          backoff: () => {},
          leasesHeld: () => {},
          leases: () => {},
          expired: () => {},
          leaseTaken: () => {},
          leaseEnded: () => {},
          renewal: () => {},
          clock: () => {},
        },
      },
      {
        owner,
        leaseMs: LEASE_MS,
        handoffMs: 30_000,
        maxLeases: 10_000,
        shardSyncMs: 60_000,
        scanUnitsMax: 500,
        initialPosition: 'TRIM_HORIZON',
      },
    )
    void me.run({ drain: new AbortController().signal, abandon: new AbortController().signal })
    members.push({ self, heldShards: me.heldShards })
  }

  /** @returns the most any worker owns or still reads, or undefined while some lease is owned by none that lives */
  function most(): number | undefined {
    const reads = members.map(({ heldShards }) => heldShards().length)
    const counts = new Map(members.map(({ self }) => [self.owner, 0]))
    for (const { leaseOwner } of table.items.values()) {
      const count = counts.get(leaseOwner ?? '')
      if (count === undefined) return undefined
      counts.set(leaseOwner!, count + 1)
    }
    return table.items.size < shards.length ? undefined : Math.max(...counts.values(), ...reads)
  }

  return {
    /** Containers do not start in the same millisecond; they do in the same seconds. */
    start(count: number): void {
      for (let left = count; left > 0; left--) time.at(time.now() + chance.whole(0, START_MS_MAX), startOne)
    },
    kill(count: number): void {
      for (const { self } of members.slice(0, count)) self.kill()
      members = members.slice(count)
    },
    /** Lets time pass. @returns when it was even, in lease times, and the worst after the third lease time */
    async settle(
      what: string,
      workers: number,
    ): Promise<{ leaseTimes: number; mostAfter: number | undefined }> {
      requests.clear()
      const fromMs = time.now()
      const limit = Math.ceil(shards.length / workers) + 1
      let evenAtMs: number | undefined
      let mostAfter: number | undefined
      const REPORT_MS = 6 * LEASE_MS
      for (let passed = 0; passed < REPORT_MS; passed += 500) {
        await time.runUntil(fromMs + passed + 500)
        const now = most()
        const isEven = now !== undefined && now <= limit
        if (!isEven) evenAtMs = undefined
        else evenAtMs ??= time.now()
        if (passed >= 3 * LEASE_MS) mostAfter = Math.max(mostAfter ?? 0, now ?? Number.POSITIVE_INFINITY)
      }
      const leaseTimes = ((evenAtMs ?? Number.POSITIVE_INFINITY) - fromMs) / LEASE_MS
      const counts = [...requests].sort(([, one], [, other]) => other - one)
      const each = (count: number) => (count / shards.length / (REPORT_MS / 60_000)).toFixed(1)
      const all = counts.reduce((sum, [, count]) => sum + count, 0)
      console.log(
        `${what}: ${workers} workers even after ${leaseTimes.toFixed(1)} lease times; requests a lease and minute: ${each(all)} (${counts.map(([kind, count]) => `${kind} ${each(count)}`).join(', ')})`,
      )
      return { leaseTimes, mostAfter }
    },
  }
}

test('1,000 leases are even within three lease times: from cold, half the workers killed, their number doubled', {
  timeout: 120_000,
}, async () => {
  const all = fleet(await fakeStream(SHARDS).listShards())
  all.start(50)
  const cold = await all.settle('from cold', 50)
  all.kill(25)
  const killed = await all.settle('half killed', 25)
  all.start(25)
  const doubled = await all.settle('doubled', 50)
  for (const { leaseTimes } of [cold, killed, doubled]) expect(leaseTimes).toBeLessThanOrEqual(3)
  expect(cold.mostAfter).toBeLessThanOrEqual(21)
  expect(killed.mostAfter).toBeLessThanOrEqual(41)
  expect(doubled.mostAfter).toBeLessThanOrEqual(21)
})
