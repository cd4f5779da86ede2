/**
 * Markers: rows that prove a shard has been read up to a moment.
 *
 * The table `marker` is partitioned by key, so the id decides the shard: Kinesis hashes the partition key with MD5 and
 * gives the record to the shard whose range holds the hash. One row for each open shard, written after everything else,
 * travels behind everything else; once its document is there, the shard has been read that far.
 */
import { createHash } from 'node:crypto'

/** A shard and the hash keys it takes, both ends included, as decimal text (ListShards writes them so). */
export type ShardRange = { shardId: string; startingHashKey: string; endingHashKey: string }

/** Kinesis: MD5 of the partition key's UTF-8 bytes, read as an unsigned 128-bit number. */
export function hashKeyOf(partitionKey: string): bigint {
  return BigInt(`0x${createHash('md5').update(partitionKey).digest('hex')}`)
}

export function shardOf(partitionKey: string, shards: ShardRange[]): string {
  const hashKey = hashKeyOf(partitionKey)
  const shard = shards.find(s => BigInt(s.startingHashKey) <= hashKey && hashKey <= BigInt(s.endingHashKey))
  if (!shard)
    throw new Error(
      `no open shard takes the hash key of "${partitionKey}": ${shards.length} shards were given`,
    )
  return shard.shardId
}

/**
 * For each shard the smallest id from `from` on whose row lands in it.
 *
 * @param partitionKeyOf what DMS writes as the partition key of the row with this id
 * @param idsMax how many ids to try; a shard of 1/1000 of the hash range is missed by 10,000 ids once in 20,000 times
 */
export function markerIds(
  shards: ShardRange[],
  {
    from = 1,
    partitionKeyOf = String,
    idsMax = 10_000,
  }: { from?: number; partitionKeyOf?: (id: number) => string; idsMax?: number } = {},
): Map<string, number> {
  const ids = new Map<string, number>()
  for (let id = from; id < from + idsMax && ids.size < shards.length; id++) {
    const shardId = shardOf(partitionKeyOf(id), shards)
    if (!ids.has(shardId)) ids.set(shardId, id)
  }
  const missed = shards.filter(shard => !ids.has(shard.shardId)).map(shard => shard.shardId)
  if (missed.length > 0) throw new Error(`none of ${idsMax} ids from ${from} falls into ${missed.join(', ')}`)
  return ids
}
