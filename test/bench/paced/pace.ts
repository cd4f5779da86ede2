/** When which record arrives: evenly, the shards in turn. The same for every process that asks, by the clock of the machine. */

/** `startMs`: when the first record of the first shard arrives, in ms since 1970; in the past, records are waiting already. */
export type Pace = { shards: number; perSecond: number; startMs: number }

/** @param place of the record in its shard, from 0 */
export function arrivalMs({ shards, perSecond, startMs }: Pace, shard: number, place: number): number {
  return startMs + ((place * shards + shard) * 1000) / perSecond
}

/** How many records of the shard have arrived. */
export function arrived({ shards, perSecond, startMs }: Pace, shard: number, nowMs: number): number {
  const newest = Math.floor(((nowMs - startMs) * perSecond) / 1000)
  return Math.max(0, Math.floor((newest - shard) / shards) + 1)
}
