/** The live lines: what has been written, what has arrived, how far behind, who holds what. */
import { type Fleet, lagSeconds, type ShardView } from './fleet.ts'
import { type Histogram, observations, quantile } from './scrape.ts'
import { type Counts, changes } from './workload.ts'

/** @param phase completes the line before the colon, @param latency of the changes that are of interest now */
export function statusLines({
  phase,
  fleet,
  counts,
  latency,
  tablesOf,
}: {
  phase: string
  fleet: Fleet
  counts: Counts
  latency: Histogram
  tablesOf: (shardId: string) => string[]
}): string[] {
  const shards = fleet.shards()
  const facts = [
    `${count(changes(counts))} rows written`,
    `${count(fleet.settled('indexed') + fleet.settled('deleted'))} records indexed`,
    `lag ${lag(lagSeconds(shards))}`,
    observations(latency) > 0 &&
      `p50 ${seconds(quantile(latency, 0.5))}, p99 ${seconds(quantile(latency, 0.99))}`,
    holders(shards),
  ]
  return [
    `${phase}: ${facts.filter(fact => fact !== false).join('; ')}`,
    ...shards.map(shard => shardLine(shard, tablesOf(shard.shardId))),
  ]
}

function shardLine(shard: ShardView, tables: string[]): string {
  return [
    `  ${shortName(shard.shardId)}`,
    ownerName(shard).padEnd(15),
    `lag ${lag(shard.lagSeconds)}`.padEnd(12),
    `${count(shard.settled)} settled`.padStart(14),
    `${count(shard.inFlight)} in flight`.padStart(14),
    ` ${tables.join(', ')}`,
  ].join('  ')
}

/** "worker-1 holds 0+2, worker-2 holds 1+3": who holds what, also where only one line is written. */
function holders(shards: ShardView[]): string {
  const held = Map.groupBy(shards, ownerName)
  return [...held]
    .map(([owner, of]) => `${owner} holds ${of.map(shard => shardNumber(shard.shardId)).join('+')}`)
    .sort()
    .join(', ')
}

function ownerName(shard: ShardView): string {
  if (shard.owner === undefined) return 'nobody'
  return shard.isAlive ? shard.owner : `${shard.owner} (dead)`
}

export function shortName(shardId: string): string {
  return `shard ${shardNumber(shardId)}`
}

function shardNumber(shardId: string): number {
  return Number(shardId.replace('shardId-', ''))
}

export function seconds(value: number): string {
  return Number.isNaN(value) ? 'unknown' : `${value.toFixed(value < 10 ? 2 : 1)} s`
}

function lag(value: number): string {
  return Number.isNaN(value) ? 'unknown' : `${value.toFixed(1)} s`
}

export function count(value: number): string {
  return value.toLocaleString('en-US')
}
