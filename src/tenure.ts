/**
 * A tenure: this worker's unbroken hold of one lease, from the write that raised the fence to the first doubt.
 *
 * It is the only place that writes to a held lease, one write at a time, each conditional on owner, counter and fence.
 * It ends itself: once the lease time has passed since the last successful write was *sent*, by the monotonic clock,
 * `isAlive` is false, whatever the table says, and nothing more is written to OpenSearch in its name.
 */
import { type BackoffMetrics, backOff } from './back-off.ts'
import type { Clock } from './clock.ts'
import type { Hold, Lease, OwnerWrite, WriteResult } from './core/lease.ts'
import type { HashRange } from './core/shard.ts'
import { jumpFence } from './core/version.ts'

export type TenureParts = {
  /** @param mayHaveLanded an earlier try of the same write got no answer */
  write: (hold: Hold, change: OwnerWrite, mayHaveLanded: boolean) => Promise<WriteResult>
  clock: Clock
  /** The lease table's own time, for fences. */
  serverNow: () => number
  random: () => number
  log: { info(fields: object, text: string): void; warn(fields: object, text: string): void }
  onRenewal: (outcome: 'renewed' | 'failed', seconds: number) => void
  metrics: BackoffMetrics
}

export type Tenure = {
  shardId: string
  /** Rises when the tenure jumps; versions are made from it. */
  fence(): number
  /** Where reading begins: a sequence number (all up to it is settled), or a word of the initial position. */
  start: string
  /** The hash keys of the shard: which documents are at home here. */
  range: HashRange
  /** Whether a write in the name of this tenure may still be sent. */
  isAlive(): boolean
  /** Aborts when the tenure has ended without our doing. */
  lost: AbortSignal
  /** Aborts when another worker has named itself the next owner: drain, then `evict` finishes the handoff. */
  leaving: AbortSignal
  /** Told by whoever sees the handoff first. */
  leave(): void
  /** Renews at once; false when the lease is no longer ours. */
  renew(): Promise<boolean>
  /** @param sequenceNumber of the last record of the settled prefix; false when the lease is no longer ours */
  checkpoint(sequenceNumber: string): Promise<boolean>
  shardEnd(children: string[]): Promise<boolean>
  /** Goes on under a fence above `fence`, or the next one of time; false when the lease is no longer ours. */
  jump(fence: number): Promise<boolean>
  /** Frees the lease, or finishes its handoff, with a last checkpoint if there is one to write. */
  evict(sequenceNumber: string | undefined): Promise<void>
  /** Gives the lease up without a word to the table: after a pause too long to know what happened meanwhile. */
  abandon(why: string): void
  /** Keeps the lease alive until it ends; renews at a third of the lease, so that two renewals may fail. */
  keep(): Promise<void>
}

/** @param begun the lease as the take left it, its range, and the monotonic time at which that write was sent */
export function tenure(
  parts: TenureParts,
  begun: { lease: Lease; range: HashRange; owner: string; fence: number; sentAtMs: number },
  leaseMs: number,
): Tenure {
  const { clock, log } = parts
  const { lease, owner } = begun
  const shardId = lease.leaseKey
  const lost = new AbortController()
  const leaving = new AbortController()
  const ended = new AbortController()
  let fence = begun.fence
  let counter = lease.leaseCounter
  let provenAtMs = begun.sentAtMs
  // Writes queue behind each other: each needs the counter the one before left.
  let queue: Promise<unknown> = Promise.resolve()

  const isAlive = () => !ended.signal.aborted && clock.monotonic() - provenAtMs < leaseMs

  function end(why: string): void {
    if (ended.signal.aborted) return
    log.warn({ shardId, fence, why }, 'lease lost')
    ended.abort()
    lost.abort()
  }

  function leave(): void {
    if (leaving.signal.aborted || ended.signal.aborted) return
    log.info({ shardId, fence }, 'another worker is the next owner of the lease, draining the shard')
    leaving.abort()
  }

  /** Retries what may come back, as long as the lease lasts; false means the lease is no longer ours. */
  async function write(change: OwnerWrite): Promise<boolean> {
    let mayHaveLanded = false
    for (let attempt = 0; ; attempt++) {
      if (!isAlive()) {
        end('no renewal succeeded within the lease time')
        return false
      }
      const sentAtMs = clock.monotonic()
      try {
        const hold = { leaseKey: shardId, owner, counter, fence, isLeaving: leaving.signal.aborted }
        const result = await parts.write(hold, change, mayHaveLanded)
        if (result === 'lost' || (result === 'leaving' && hold.isLeaving)) {
          end('the lease item was changed by another worker, or is gone')
          return false
        }
        if (result === 'leaving') {
          leave()
          continue
        }
        counter++
        provenAtMs = sentAtMs
        if (change.kind === 'jump') fence = change.fence
        if (change.kind === 'renew') parts.onRenewal('renewed', (clock.monotonic() - sentAtMs) / 1000)
        return true
      } catch (error) {
        mayHaveLanded = true
        parts.onRenewal('failed', (clock.monotonic() - sentAtMs) / 1000)
        log.warn(
          { shardId, attempt, what: change.kind, err: error },
          'lease table did not take a write, trying again',
        )
        await backOff(parts, { where: 'lease', attempt, firstMs: 100, maxMs: leaseMs / 10 }, ended.signal)
      }
    }
  }

  function inTurn(change: OwnerWrite): Promise<boolean> {
    const turn = queue.then(() => (ended.signal.aborted ? false : write(change)))
    queue = turn
    return turn
  }

  return {
    shardId,
    fence: () => fence,
    start: lease.checkpoint,
    range: begun.range,
    isAlive,
    lost: lost.signal,
    leaving: leaving.signal,
    leave,
    renew: () => inTurn({ kind: 'renew' }),
    checkpoint: sequenceNumber => inTurn({ kind: 'checkpoint', checkpoint: sequenceNumber }),
    async shardEnd(children) {
      const landed = await inTurn({ kind: 'shard-end', children })
      if (landed) ended.abort()
      return landed
    },
    jump: above =>
      inTurn({
        kind: 'jump',
        fence: jumpFence({ own: fence, above, nowMs: parts.serverNow() }),
      }),
    async evict(sequenceNumber) {
      await inTurn({ kind: 'evict', checkpoint: sequenceNumber })
      ended.abort()
    },
    abandon: end,
    async keep() {
      while (!ended.signal.aborted) {
        const dueMs = provenAtMs + leaseMs / 3 - clock.monotonic()
        if (dueMs > 0) await clock.sleep(dueMs, ended.signal)
        else await inTurn({ kind: 'renew' })
      }
    },
  }
}
