/**
 * A worker is asked to leave: from the moment at which it has given a shard up to the moment at which a record put after
 * that is applied by the other worker. Once under load, once while another of its shards hangs on an answer that is withheld.
 */
import type { Parts } from '../../docker/local/parts.ts'
import type { Worker } from '../e2e/workers.ts'
import { startProxy } from '../faults/proxy.ts'
import type { Figures } from './figures.ts'
import { type BenchScene, openScene, warmUp } from './scene.ts'

const READ_ON_MAX_S = 2
const LEAVE_MS = 30_000

export async function measureLeave(parts: Parts, figures: Figures, runs: number): Promise<void> {
  const scene = await openScene(parts, 'leave')
  const proxy = await startProxy(parts.endpoints.opensearchUrl)
  try {
    const stayer = await scene.startWorker('stayer')
    await warmUp(scene.feed)
    for (let run = 1; run <= runs; run++) {
      const busy = await scene.startWorker(`busy-${run}`)
      await scene.untilShares([stayer, busy], [2, 2])
      figures.add('sigterm_under_load_to_read_on', await leaveUnderLoad(scene, busy), 's', READ_ON_MAX_S)

      const hanging = await scene.startWorker(`hanging-${run}`, { OPENSEARCH_URL: proxy.url })
      await scene.untilShares([stayer, hanging], [2, 2])
      const [stuck, other] = (await scene.tablesOf(hanging.id)) as [string, string]
      await scene.feed.untilSeen(await scene.feed.put())
      const held = proxy.holdAnswers()
      await scene.feed.put([stuck])
      await held
      hanging.child.kill('SIGTERM')
      const besides = await readOnIn(scene, hanging, other)
      figures.add('sigterm_beside_a_hanging_shard_to_read_on', besides, 's', READ_ON_MAX_S)
      proxy.release()
      const released = await readOnIn(scene, hanging, stuck)
      figures.add('sigterm_of_the_hanging_shard_to_read_on', released, 's', READ_ON_MAX_S)
      await endOf(hanging)
    }
    await scene.feed.untilSeen()
    figures.add('sigterm_out_of_order', scene.feed.disorder().length, 'records', 0)
  } finally {
    await proxy.close()
    await scene.close()
  }
}

/** @returns the longest time of its shards in seconds */
async function leaveUnderLoad(scene: BenchScene, worker: Worker): Promise<number> {
  const { feed } = scene
  const tables = await scene.tablesOf(worker.id)
  feed.start()
  await scene.until('the load to be on', () => feed.records().some(isOf(tables, performance.now() - 1000)))
  worker.child.kill('SIGTERM')
  const times = await Promise.all(
    tables.map(async table => {
      const givenUpAtMs = await givenUp(scene, worker, table)
      const first = await scene.until(`a record of ${table} put after the drain to be applied`, () =>
        feed.records().find(record => isOf([table], givenUpAtMs)(record) && record.seenAtMs !== undefined),
      )
      return (first.seenAtMs! - givenUpAtMs) / 1000
    }),
  )
  await feed.stop()
  await endOf(worker)
  await feed.untilSeen()
  return Math.max(...times)
}

const isOf =
  (tables: readonly string[], fromMs: number) =>
  ({ table, putAtMs }: { table: string; putAtMs: number }): boolean =>
    tables.includes(table) && putAtMs >= fromMs

/** @returns seconds from the drain of this table's shard to a record put after it being applied by another */
async function readOnIn(scene: BenchScene, worker: Worker, table: string): Promise<number> {
  const givenUpAtMs = await givenUp(scene, worker, table)
  const fed = await scene.feed.put([table])
  await scene.feed.untilSeen(fed)
  return (fed[0]!.seenAtMs! - givenUpAtMs) / 1000
}

/** @returns when the worker said that it has drained and left the shard */
async function givenUp(scene: BenchScene, worker: Worker, table: string): Promise<number> {
  const shardId = scene.shardOf(table)
  await worker.child.line(
    line => line.includes('"shard given up"') && line.includes('"left"') && line.includes(shardId),
    LEAVE_MS,
  )
  return performance.now()
}

async function endOf(worker: Worker): Promise<void> {
  const { code, signal } = await worker.child.exited
  if (code !== 0) throw new Error(`${worker.id} ended with ${signal ?? code} on SIGTERM; expected 0`)
}
