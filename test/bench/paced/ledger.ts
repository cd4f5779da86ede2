/**
 * Which records are acknowledged, and how long each took from its arrival.
 *
 * A record is acknowledged by the first answer for its document in its own state or a later one: where several changes of a
 * row became one document, its answer is that of all of them.
 */
import type { Acknowledged } from '../sink-proxy.ts'
import type { ChangeLog } from './change-log.ts'
import { arrivalMs, arrived, type Pace } from './pace.ts'

export type Ledger = {
  acknowledge(actions: readonly Acknowledged[], nowMs: number): void
  /** Records acknowledged so far. */
  acknowledged(): number
  /** Of the first so many records of each shard, in the order of the shards, how many are not acknowledged. */
  missing(counts: readonly number[]): number
  /** Age of the oldest record that has arrived and is not acknowledged; 0 where there is none. */
  oldestMs(nowMs: number): number
}

type Shard = {
  log: ChangeLog
  /** Places below have been looked at. */
  known: number
  /** Document id -> places of its changes that are not acknowledged, rising. */
  open: Map<number, number[]>
}

/** @param onLatency of each record as it is acknowledged, in ms; and when it arrived, in ms since 1970 */
export function ledger(
  pace: Pace,
  logs: readonly ChangeLog[],
  onLatency: (latencyMs: number, arrivedAtMs: number) => void,
): Ledger {
  const shards: Shard[] = logs.map(log => ({ log, known: 0, open: new Map() }))
  let acknowledged = 0

  function learn(shard: Shard, count: number): void {
    for (; shard.known < count; shard.known++) {
      const { id } = shard.log.at(shard.known)
      const places = shard.open.get(id)
      if (places) places.push(shard.known)
      else shard.open.set(id, [shard.known])
    }
  }

  return {
    acknowledge(actions, nowMs) {
      for (const [at, shard] of shards.entries()) learn(shard, arrived(pace, at, nowMs))
      for (const { shard: at, id, revision } of actions) {
        const { open } = shards[at]!
        const places = open.get(id) ?? []
        // A deletion has no revision and is the last change of its row.
        const done = places.filter(place => place < revision)
        for (const place of done) {
          const arrivedAtMs = arrivalMs(pace, at, place)
          onLatency(nowMs - arrivedAtMs, arrivedAtMs)
        }
        acknowledged += done.length
        if (done.length === places.length) open.delete(id)
        else open.set(id, places.slice(done.length))
      }
    },
    acknowledged: () => acknowledged,
    missing(counts) {
      let missing = 0
      for (const [at, shard] of shards.entries()) {
        learn(shard, counts[at]!)
        for (const places of shard.open.values())
          missing += places.filter(place => place < counts[at]!).length
      }
      return missing
    },
    oldestMs(nowMs) {
      let oldest = nowMs
      for (const [at, shard] of shards.entries()) {
        learn(shard, arrived(pace, at, nowMs))
        for (const [place] of shard.open.values()) oldest = Math.min(oldest, arrivalMs(pace, at, place!))
      }
      return nowMs - oldest
    },
  }
}
