/** From the start of the first worker's process, on an empty lease table, to the first record applied and to all four. */
import type { Parts } from '../../docker/local/parts.ts'
import type { Figures } from './figures.ts'
import { openScene } from './scene.ts'

const FIRST_RECORD_MAX_S = 5

export async function measureColdStart(parts: Parts, figures: Figures, runs: number): Promise<void> {
  for (let run = 0; run < runs; run++) {
    const scene = await openScene(parts, 'cold')
    try {
      const fed = await scene.feed.put()
      const startedAtMs = performance.now()
      await scene.startWorker('worker')
      await scene.feed.untilSeen(fed)
      const seconds = fed.map(({ seenAtMs }) => (seenAtMs! - startedAtMs) / 1000)
      figures.add('cold_start_first_record', Math.min(...seconds), 's', FIRST_RECORD_MAX_S)
      figures.add('cold_start_every_shard', Math.max(...seconds), 's')
    } finally {
      await scene.close()
    }
  }
}
