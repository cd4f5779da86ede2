/**
 * A worker is killed while a bulk answer is on its way to it: from the kill to the moment at which a record put afterwards
 * is applied in every shard it had.
 */
import type { Parts } from '../../docker/local/parts.ts'
import { startProxy } from '../faults/proxy.ts'
import type { Figures } from './figures.ts'
import { openScene, warmUp } from './scene.ts'

/** The lease time of 10 s, one look, the take, the first read. */
const READ_AGAIN_MAX_S = 13

export async function measureKill(parts: Parts, figures: Figures, runs: number): Promise<void> {
  const scene = await openScene(parts, 'kill')
  const proxy = await startProxy(parts.endpoints.opensearchUrl)
  const { feed } = scene
  try {
    const stayer = await scene.startWorker('stayer')
    await warmUp(feed)
    for (let run = 1; run <= runs; run++) {
      const victim = await scene.startWorker(`victim-${run}`, { OPENSEARCH_URL: proxy.url })
      await scene.untilShares([stayer, victim], [2, 2])
      const tables = await scene.tablesOf(victim.id)
      await feed.untilSeen(await feed.put())
      const held = proxy.holdAnswers()
      await feed.put(tables)
      await held
      const killedAtMs = performance.now()
      await victim.kill()
      const after = await feed.put(tables)
      await feed.untilSeen(after)
      proxy.release()
      const seconds = after.map(({ seenAtMs }) => (seenAtMs! - killedAtMs) / 1000)
      figures.add('kill_to_read_again', Math.max(...seconds), 's', READ_AGAIN_MAX_S)
    }
    await feed.untilSeen()
    figures.add('kill_out_of_order', feed.disorder().length, 'records', 0)
  } finally {
    await proxy.close()
    await scene.close()
  }
}
