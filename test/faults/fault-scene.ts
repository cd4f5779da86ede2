/**
 * A scene whose only worker writes through a proxy that understands bulk requests, under a load of four shards, and is
 * looked at all the while a fault lasts.
 *
 * Every look holds the worker to what must be true at any moment: its books balance, what it has in flight is bounded, its
 * leases are kept, and no document falls back to an older version.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import { type Sample, total } from '../../docker/demo/scrape.ts'
import { openScene, type Scene, SHARDS } from '../e2e/harness.ts'
import { createLoad, type Load } from '../e2e/load.ts'
import { booksOf, residentBytes, type Worker } from '../e2e/workers.ts'
import { type BulkProxy, startBulkProxy } from './bulk-proxy.ts'
import { expectStreamOrder, versionsRealtime } from './stream-order.ts'

export const PAGE_RECORDS = 100
/** A page being written and one read ahead. */
const IN_FLIGHT_MAX = 2 * PAGE_RECORDS
/** Garbage not yet collected, half of what a worker needs idle; the sharp bound is that on records in flight. */
const GROWTH_BYTES_MAX = 64 * 1024 * 1024
const LOOK_EVERY_MS = 100
/** Of the load's rows. */
const IDS = Array.from({ length: 17 }, (_, id) => id)

/** How long a fault lasts; a longer run is asked for by FAULT_SECONDS. */
export const faultMs = (seconds: number): number => Number(process.env.FAULT_SECONDS ?? seconds) * 1000

export type Looks = {
  count: number
  /** Most resident memory over what it was before the fault. */
  growthBytes: number
  /** Least and most that were seen of the limit of bulk requests under way. */
  limitLeast: number
  limitMost: number
  /** Most records in flight in one shard. */
  inFlightMost: number
  last: Sample[]
}

export type FaultScene = {
  scene: Scene
  proxy: BulkProxy
  worker: Worker
  load: Load
  /** Looks at the worker until `isOver`; with `ms` at least so long. */
  look(isOver: () => boolean | Promise<boolean>): Promise<Looks>
  /** Looks at it so long under load. */
  lookFor(ms: number): Promise<Looks>
  /** Everything put is settled; the indices are as the stream implies, by way of writes in its order, and no lease was lost. */
  expectWhole(): Promise<void>
}

export async function openFaultScene(name: string, env: Record<string, string> = {}): Promise<FaultScene> {
  const scene = await openScene(name)
  const proxy = await startBulkProxy(scene.parts.endpoints.opensearchUrl)
  onTestFinished(() => proxy.close())
  const load = createLoad(scene)
  const worker = await scene.startWorker('worker', {
    OPENSEARCH_URL: proxy.url,
    GET_RECORDS_LIMIT: String(PAGE_RECORDS),
    RETRY_FIRST_MS: '20',
    RETRY_MAX_MS: '250',
    ...env,
  })
  await load.put(10)
  await scene.quiet()
  const fences = async () =>
    [...(await scene.leases.all()).values()].map(({ leaseKey, fence }) => `${leaseKey} ${fence}`).sort()
  const fencesBefore = await fences()
  const versions = new Map<string, bigint>()

  async function look(isOver: () => boolean | Promise<boolean>): Promise<Looks> {
    const before = residentBytes(await worker.samples())
    const looks: Looks = {
      count: 0,
      growthBytes: 0,
      limitLeast: Number.POSITIVE_INFINITY,
      limitMost: 0,
      inFlightMost: 0,
      last: [],
    }
    do {
      const samples = await worker.samples()
      const limit = total(samples, 'cdc_bulk_limit')
      looks.count++
      looks.growthBytes = Math.max(looks.growthBytes, residentBytes(samples) - before)
      looks.limitLeast = Math.min(looks.limitLeast, limit)
      looks.limitMost = Math.max(looks.limitMost, limit)
      looks.last = samples
      for (const { shard, read, settled, inFlight } of booksOf(samples)) {
        expect(settled + inFlight, `settled + in flight of ${shard}`).toBe(read)
        expect(inFlight, `records in flight of ${shard}`).toBeLessThanOrEqual(IN_FLIGHT_MAX)
        looks.inFlightMost = Math.max(looks.inFlightMost, inFlight)
      }
      expect(total(samples, 'cdc_leases_held'), 'leases held').toBe(SHARDS)
      for (const [key, version] of await versionsRealtime(scene, scene.tables, IDS)) {
        expect(version >= (versions.get(key) ?? 0n), `version of ${key} fell to ${version}`).toBe(true)
        versions.set(key, version)
      }
      await pause(LOOK_EVERY_MS)
    } while (!(await isOver()))
    expect(looks.growthBytes, 'growth of resident memory in bytes').toBeLessThan(GROWTH_BYTES_MAX)
    return looks
  }

  return {
    scene,
    proxy,
    worker,
    load,
    look,

    async lookFor(ms) {
      const overAtMs = performance.now() + ms
      const running = load.start()
      const looks = await look(() => performance.now() > overAtMs)
      await running.stop()
      return looks
    },

    async expectWhole() {
      await scene.quiet()
      await load.expectMirrored()
      await scene.expectNoLetters()
      await scene.expectDataInShards()
      await scene.expectSettled([worker])
      expect(await fences(), 'fences: the same tenures as before').toEqual(fencesBefore)
      await expectStreamOrder(scene, proxy.seen())
    },
  }
}
