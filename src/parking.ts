/**
 * Records of one shard whose index OpenSearch cannot write to now. They are parked, so that the other tables of the shard
 * go on; they stay unsettled, so that no checkpoint passes them.
 *
 * A blocked index has a lane of its own, from the moment the page met it until nothing of it is parked. While it has one,
 * whatever comes for the index goes behind what waits there: its writes keep the order of the shard. A write belongs either
 * to the page or to a lane, never to both.
 */

import type { Attempted } from './attempts.ts'
import { type BackoffMetrics, backOff } from './back-off.ts'
import type { BlockedIndices } from './blocked-indices.ts'
import { type Clock, untilAbort } from './clock.ts'
import type { Op } from './core/page.ts'
import { leftOf, type Plan } from './core/plan.ts'
import type { Works } from './core/works.ts'
import type { ReadBudget } from './read-budget.ts'

export type ParkingParts = {
  blocked: BlockedIndices
  /** Of all shards of the worker. */
  room: ReadBudget
  clock: Clock
  random: () => number
  metrics: BackoffMetrics
}

export type ParkingHooks = {
  /** Reads what updates of the index keep, and bears the letters of those that found nothing. */
  readKept: (work: Plan, index: string) => Promise<'read' | 'halted' | { blockedBy: string }>
  attempt: (work: Plan, ops: readonly Op[], index: string, isAlone: boolean) => Promise<Attempted | undefined>
}

export type Parking = {
  /** Whether writes of the index belong to a lane. */
  has(index: string): boolean
  /** Gives what the work has of these indices to their lanes. */
  leave(indices: Iterable<string>): void
  /**
   * Makes the work wait in memory of its own, once there is room; until then the page waits, and with it the shard.
   *
   * @returns when it is parked, or settled meanwhile; false when stopped
   */
  park(work: Plan): Promise<boolean>
  /** Resolves with the next step of any lane, or on the signal. */
  progress(signal: AbortSignal): Promise<void>
  parkedRecords(): number
  /** Gives the room back; nothing of the tenure is written any more. */
  close(): void
}

/** A blocked index is asked with a few writes; once it takes them the rest follows. */
const PROBE_ACTIONS = 10
/** What a parked record takes beside its bytes. */
const RECORD_OVERHEAD_BYTES = 1000

export function parking(
  parts: ParkingParts,
  works: Works,
  retry: { firstMs: number; maxMs: number },
  { readKept, attempt }: ParkingHooks,
  stop: AbortSignal,
): Parking {
  const { blocked, room } = parts
  const lanes = new Map<string, { step: Promise<unknown> | undefined }>()
  const parked = new Map<Plan, number>()
  let stepped = new AbortController()

  function tell(): void {
    for (const [work, bytes] of parked) {
      if (work.page.unsettled > 0) continue
      parked.delete(work)
      room.release(bytes)
    }
    const before = stepped
    stepped = new AbortController()
    before.abort()
  }

  /** One attempt for the oldest work of the index. @returns whether to wait before the next one; undefined when halted */
  async function step(
    index: string,
    turn: 'open' | 'try',
    { work, ops }: { work: Plan; ops: Op[] },
  ): Promise<boolean | undefined> {
    let found: { reason: string } | 'unknown' | undefined = 'unknown'
    try {
      const read = await readKept(work, index)
      if (read === 'halted') return undefined
      if (read !== 'read') {
        found = { reason: read.blockedBy }
        if (turn === 'open') blocked.block(index, read.blockedBy)
        return false
      }
      const isTry = turn === 'try'
      const done = await attempt(work, isTry ? ops.slice(0, PROBE_ACTIONS) : ops, index, isTry)
      if (!done) return undefined
      const reason = done.blocked.get(index)
      if (reason !== undefined) {
        found = { reason }
        if (!isTry) blocked.block(index, reason)
      } else if (!done.isRetrying) found = undefined
      return done.isRetrying && !isTry
    } finally {
      if (turn === 'try') blocked.tried(index, found)
    }
  }

  async function run(index: string, lane: { step: Promise<unknown> | undefined }): Promise<void> {
    for (let failures = 0; !stop.aborted; ) {
      const turn = await blocked.turn(index, stop)
      if (turn === 'stopped') return
      const next = works.firstWith(index)
      if (!next) {
        if (turn === 'try') blocked.tried(index, 'unknown')
        lanes.delete(index)
        tell()
        return
      }
      const stepping = step(index, turn, next)
      lane.step = stepping
      // In doubt about the lease it waits as well: a renewal may be on its way, or the tenure ends, and with it this.
      const isWaiting = (await stepping) ?? true
      lane.step = undefined
      tell()
      if (isWaiting) await backOff(parts, { where: 'bulk', attempt: failures++, ...retry }, stop)
      else failures = 0
    }
  }

  function bytesOf({ page, records }: Plan): number {
    let bytes = 0
    for (const [record, open] of page.open.entries())
      if (open > 0) bytes += records[record]!.data.length + RECORD_OVERHEAD_BYTES
    return bytes
  }

  function progress(signal: AbortSignal): Promise<void> {
    return untilAbort(AbortSignal.any([signal, stepped.signal]))
  }

  return {
    has: index => lanes.has(index),
    leave(indices) {
      for (const index of indices) {
        if (lanes.has(index)) continue
        const lane = { step: undefined }
        lanes.set(index, lane)
        void run(index, lane)
      }
    },
    async park(work) {
      let isReserved = false
      let bytes = 0
      const settled = new AbortController()
      const waiting = AbortSignal.any([stop, settled.signal])
      const watch = async () => {
        while (!waiting.aborted) {
          await progress(waiting)
          if (work.page.unsettled === 0) settled.abort()
        }
      }
      void watch()
      try {
        bytes = bytesOf(work)
        isReserved = await room.reserve(bytes, waiting)
        // A lane in the middle of an attempt still counts by the places of the page.
        while (!waiting.aborted && [...lanes.values()].some(({ step }) => step)) await progress(waiting)
        if (!isReserved || waiting.aborted || work.page.unsettled === 0) return work.page.unsettled === 0
        const left = leftOf(work)
        works.replace(work, left)
        const needed = bytesOf(left)
        room.release(bytes - needed)
        parked.set(left, needed)
        isReserved = false
        return true
      } finally {
        settled.abort()
        if (isReserved) room.release(bytes)
      }
    },
    progress,
    parkedRecords: () => [...parked.keys()].reduce((sum, { page }) => sum + page.unsettled, 0),
    close() {
      for (const bytes of parked.values()) room.release(bytes)
      parked.clear()
    },
  }
}
