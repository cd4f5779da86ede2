/**
 * A third worker joins two that share twelve shards under load: until each owns four, by handoff alone, and how long the
 * slowest record waited meanwhile.
 */
import type { Parts } from '../../docker/local/parts.ts'
import { waitOf } from '../e2e/feed.ts'
import { leaseEvents } from '../e2e/workers.ts'
import type { Figures } from './figures.ts'
import { openScene, warmUp } from './scene.ts'

const SHARDS = 12
const BALANCED_MAX_S = 15
const GAP_MAX_S = 2
/** Records that are put after the balance: a shard that came to nobody would show here. */
const AFTER_MS = 1_000

export async function measureJoin(parts: Parts, figures: Figures, runs: number): Promise<void> {
  const scene = await openScene(parts, 'join', SHARDS)
  const { feed } = scene
  try {
    const residents = [await scene.startWorker('first'), await scene.startWorker('second')]
    await scene.untilShares(residents, [6, 6])
    await warmUp(feed)
    for (let run = 1; run <= runs; run++) {
      feed.start()
      const before = await Promise.all(residents.map(leaseEvents))
      const firstRecord = feed.records().length
      const startedAtMs = performance.now()
      const third = await scene.startWorker(`third-${run}`)
      await scene.untilShares([...residents, third], [4, 4, 4])
      const balancedMs = performance.now()
      figures.add('third_worker_balanced', (balancedMs - startedAtMs) / 1000, 's', BALANCED_MAX_S)
      await scene.until('some records to be put after that', () => performance.now() > balancedMs + AFTER_MS)
      await feed.stop()
      await feed.untilSeen()
      const waits = feed.records().slice(firstRecord).map(waitOf)
      figures.add('third_worker_longest_wait_of_a_record', Math.max(...waits) / 1000, 's', GAP_MAX_S)
      const after = await Promise.all(residents.map(leaseEvents))
      const grown = (event: string): number =>
        after.reduce((sum, events, at) => sum + (events.get(event) ?? 0) - (before[at]!.get(event) ?? 0), 0)
      const joined = await leaseEvents(third)
      figures.add('third_worker_leases_received', joined.get('received') ?? 0, 'leases')
      figures.add('third_worker_leases_handed_over', grown('handed-over'), 'leases')
      const byForce = ['lost', 'forced', 'stolen'].map(event => grown(event) + (joined.get(event) ?? 0))
      figures.add('third_worker_leases_lost_or_forced', Math.max(...byForce), 'leases', 0)

      third.child.kill('SIGTERM')
      await third.child.exited
      await scene.untilShares(residents, [6, 6])
    }
    figures.add('third_worker_out_of_order', feed.disorder().length, 'records', 0)
  } finally {
    await scene.close()
  }
}
