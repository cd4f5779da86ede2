/**
 * A scene whose only worker writes through a proxy that understands bulk requests, under a load of four shards, and is
 * looked at all the while a fault lasts.
 *
 * Every look holds the worker to what must be true at any moment: its books balance, what it has in flight is bounded, its
 * leases are kept, and no document falls back to an older version.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import { type Sample, total, totalsBy } from '../../docker/demo/scrape.ts'
import { openScene, type Scene, SHARDS } from '../e2e/harness.ts'
import { createLoad, type Load } from '../e2e/load.ts'
import { booksOf, residentBytes, type Worker } from '../e2e/workers.ts'
import { type BulkProxy, startBulkProxy } from './bulk-proxy.ts'
import { expectStreamOrder, versionsRealtime } from './stream-order.ts'

export const PAGE_RECORDS = 40
/** A page being written and one read ahead. */
const IN_FLIGHT_MAX = 2 * PAGE_RECORDS
/** Garbage not yet collected, half of what a worker needs idle; the sharp bound is that on records in flight. */
const GROWTH_BYTES_MAX = 64 * 1024 * 1024
/** After half a minute of work a worker's heap has its size: measured in a minute, 46 MiB in the first half, none after. */
const FLAT_FROM_LOOKS = 250
const RISE_BYTES_MAX = 8 * 1024 * 1024
const BACKLOG_RECORDS = 3 * PAGE_RECORDS
const LOOK_EVERY_MS = 100
const LOOK_MS_MAX = 90_000
/** Of the load's rows. */
const IDS = Array.from({ length: 17 }, (_, id) => id)

/** The longest fault; `FAULT_SECONDS=60` asks for a run as long as an outage of life. */
const LONGEST_SECONDS = 8
const TIMES = Number(process.env.FAULT_SECONDS ?? LONGEST_SECONDS) / LONGEST_SECONDS

/** How long a fault lasts: so many seconds, or in proportion where FAULT_SECONDS makes the longest longer. */
export const faultMs = (seconds: number): number => seconds * TIMES * 1000

export type Looks = {
  count: number
  /** The limit of bulk requests under way, at the last look. */
  limitNow: number
  /** Most records in flight in one shard. */
  inFlightMost: number
  last: Sample[]
}

export type FaultScene = {
  scene: Scene
  proxy: BulkProxy
  worker: Worker
  load: Load
  /** Looks at the worker under load until what was seen is enough. */
  lookUntil(isEnough: (looks: Looks) => boolean): Promise<Looks>
  /** The same for so long at least. */
  lookFor(ms: number, isEnough?: (looks: Looks) => boolean): Promise<Looks>
  /**
   * Everything put is settled; the indices are as the stream implies, by way of writes in its order, and no lease was lost.
   *
   * @param refused documents that OpenSearch refuses for good, by `index/id`; the test has taken their letters
   */
  expectWhole(refused?: readonly string[]): Promise<void>
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
  let hasBacklog = false

  async function look(isEnough: (looks: Looks) => boolean): Promise<Looks> {
    const residents = [residentBytes(await worker.samples())]
    const looks: Looks = {
      count: 0,
      limitNow: 0,
      inFlightMost: 0,
      last: [],
    }
    do {
      const samples = await worker.samples()
      looks.count++
      residents.push(residentBytes(samples))
      looks.limitNow = total(samples, 'cdc_bulk_limit')
      looks.last = samples
      const parked = totalsBy(samples, 'cdc_parked_records', 'shard')
      for (const { shard, read, settled, inFlight } of booksOf(samples)) {
        expect(settled + inFlight, `settled + in flight of ${shard}`).toBe(read)
        const underWay = inFlight - (parked.get(shard) ?? 0)
        expect(underWay, `records in flight of ${shard}, but for those parked`).toBeLessThanOrEqual(
          IN_FLIGHT_MAX,
        )
        looks.inFlightMost = Math.max(looks.inFlightMost, inFlight)
      }
      expect(total(samples, 'cdc_leases_held'), 'leases held').toBe(SHARDS)
      for (const [key, version] of await versionsRealtime(scene, scene.tables, IDS)) {
        expect(version >= (versions.get(key) ?? 0n), `version of ${key} fell to ${version}`).toBe(true)
        versions.set(key, version)
      }
      await pause(LOOK_EVERY_MS)
    } while (!isEnough(looks))
    const growthBytes = Math.max(...residents) - residents[0]!
    expect(growthBytes, 'growth of resident memory in bytes').toBeLessThan(GROWTH_BYTES_MAX)
    if (looks.count >= FLAT_FROM_LOOKS) {
      const end = Math.floor((residents.length * 2) / 3)
      const rise = Math.max(...residents.slice(end)) - Math.max(...residents.slice(0, end))
      expect(rise, 'bytes by which memory rose in the last third').toBeLessThan(RISE_BYTES_MAX)
    }
    return looks
  }

  async function lookUntil(isEnough: (looks: Looks) => boolean): Promise<Looks> {
    const giveUpAtMs = performance.now() + LOOK_MS_MAX
    // At first more for each shard than may be in flight, so that requests are full and reading has to stop.
    if (!hasBacklog) await load.put(BACKLOG_RECORDS)
    hasBacklog = true
    const running = load.start()
    try {
      return await look(looks => {
        if (isEnough(looks)) return true
        if (performance.now() < giveUpAtMs) return false
        throw new Error(
          `looked for ${LOOK_MS_MAX / 1000} s in vain: ${JSON.stringify({ ...looks, last: undefined })}`,
        )
      })
    } finally {
      await running.stop()
    }
  }

  return {
    scene,
    proxy,
    worker,
    load,

    lookUntil,

    lookFor(ms, isEnough = () => true) {
      const overAtMs = performance.now() + ms
      return lookUntil(looks => performance.now() > overAtMs && isEnough(looks))
    },

    async expectWhole(refused = []) {
      await scene.quiet()
      await load.expectMirrored()
      await scene.expectNoLetters()
      await scene.expectDataInShards()
      await scene.expectSettled([worker])
      expect(await fences(), 'fences: the same tenures as before').toEqual(fencesBefore)
      await expectStreamOrder(scene, proxy.seen(), refused)
    },
  }
}
