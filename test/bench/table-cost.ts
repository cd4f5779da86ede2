/** What leases cost while nothing happens: writes a minute to keep one, read units a minute to look at all of them. */
import type { Parts } from '../../docker/local/parts.ts'
import { leaseTable } from '../../src/clients/lease-table.ts'
import { settings } from '../../src/config.ts'
import { lookIntervalMs } from '../../src/core/lease.ts'
import { startCountingProxy } from './counting-proxy.ts'
import type { Figures } from './figures.ts'
import { openScene } from './scene.ts'

const WRITES_PER_LEASE_MAX = 20
const WINDOW_MS = 60_000
const SHARDS = 4
const LEASES = [10, 100, 1000]
const CREATES_AT_ONCE = 25
const CALL_MS = 10_000

/** The runs are side by side, a worker and a table each: idle workers do not disturb each other. */
export async function measureIdleWrites(parts: Parts, figures: Figures, runs: number): Promise<void> {
  const proxy = await startCountingProxy(parts.endpoints.dynamodbUrl)
  const scenes = await Promise.all(Array.from({ length: runs }, () => openScene(parts, 'idle', SHARDS)))
  try {
    for (const scene of scenes) {
      const worker = await scene.startWorker('worker', { AWS_ENDPOINT_URL_DYNAMODB: proxy.url })
      await scene.untilShares([worker], [SHARDS])
      // A record each, so that checkpoints are of the past when the window begins.
      await scene.feed.untilSeen(await scene.feed.put())
    }
    const writes = (): number[] =>
      scenes.map(({ env }) =>
        ['UpdateItem', 'PutItem', 'DeleteItem'].reduce(
          (sum, operation) => sum + proxy.calls(env.LEASE_TABLE!, operation),
          0,
        ),
      )
    const looks = (): number[] => scenes.map(({ env }) => proxy.calls(env.LEASE_TABLE!, 'Scan'))
    const last = scenes.at(-1)!
    const settled = performance.now()
    await last.until('the last checkpoint to be of the past', () => performance.now() > settled + 2000)
    const [writesBefore, looksBefore, fromMs] = [writes(), looks(), performance.now()]
    await last.until('a minute to pass', () => performance.now() >= fromMs + WINDOW_MS, {
      deadlineMs: 2 * WINDOW_MS,
    })
    const [writesAfter, looksAfter, minutes] = [writes(), looks(), (performance.now() - fromMs) / 60_000]
    for (const [at, after] of writesAfter.entries()) {
      const writesPerLease = (after - writesBefore[at]!) / SHARDS / minutes
      figures.add('idle_writes_per_lease', writesPerLease, 'writes/min', WRITES_PER_LEASE_MAX)
      figures.add('idle_looks', (looksAfter[at]! - looksBefore[at]!) / minutes, 'looks/min')
    }
  } finally {
    for (const scene of scenes) await scene.close()
    await proxy.close()
  }
}

/** Tables full of leases that other workers keep; what a look consumes is what DynamoDB says it consumed. */
export async function measureLooks(parts: Parts, figures: Figures, runs: number): Promise<void> {
  for (const count of LEASES) {
    const scene = await openScene(parts, `looks-${count}`, 1)
    // The client takes its endpoint as the service does, from the environment.
    Object.assign(process.env, parts.env)
    const table = leaseTable({
      tableName: scene.env.LEASE_TABLE!,
      requestTimeoutMs: CALL_MS,
      now: () => Date.now(),
    })
    try {
      for (let from = 0; from < count; from += CREATES_AT_ONCE) {
        const some = Array.from({ length: Math.min(CREATES_AT_ONCE, count - from) }, (_, at) => from + at)
        await Promise.all(some.map(number => table.create(leaseOf(number))))
      }
      for (let run = 0; run < runs; run++) {
        const { leases, units } = await table.list()
        if (leases.length !== count) throw new Error(`${leases.length} leases listed; expected ${count}`)
        const interval = (workers: number): number =>
          lookIntervalMs({ units, workers, unitsMax: settings.SCAN_UNITS_MAX.default!, random: 0.5 })
        figures.add(`look_at_${count}_leases`, units, 'read units')
        figures.add(
          `looks_of_one_worker_at_${count}_leases`,
          (units * 60_000) / interval(1),
          'read units/min',
        )
      }
    } finally {
      table.close()
      await scene.close()
    }
  }
}

/** As long as a real one: ids and numbers of Kinesis, an owner named by host and a random part. */
function leaseOf(number: number) {
  return {
    leaseKey: `shardId-${String(number).padStart(12, '0')}`,
    leaseOwner: `ip-10-0-${number % 16}-17.eu-central-1.compute.internal-0123456789ab`,
    leaseCounter: 1_000_000 + number,
    checkpoint: '49680514139822050725603357644973349672366990087547781122',
    ownerSwitchesSinceCheckpoint: 0,
    parentShardId: [],
    childShardIds: [],
    startingHashKey: '85070591730234615865843651857942052863',
    endingHashKey: '170141183460469231731687303715884105725',
    fence: 444_000_000 + number,
  }
}
