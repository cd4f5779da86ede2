/** What both Kinesis stubs say alike. */
import { LAST_HASH_KEY } from '../../../src/core/shard.ts'
import type { Reply } from './stub-server.ts'

export function json(status: number, body: Buffer | string): Reply {
  return {
    status,
    body,
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amzn-requestid': 'c8a1e4b2-0f57-4d0e-9d5b-6d2a7f3e1c90',
    },
  }
}

export function shardIdOf(shard: number): string {
  return `shardId-${String(shard).padStart(12, '0')}`
}

export function shardOf(shardId: string): number {
  return Number(shardId.slice('shardId-'.length))
}

/** As ListShards describes it. */
export function describedShard(shard: number, shards: number): object {
  const width = (LAST_HASH_KEY + 1n) / BigInt(shards)
  const isLast = shard === shards - 1
  return {
    ShardId: shardIdOf(shard),
    HashKeyRange: {
      StartingHashKey: String(width * BigInt(shard)),
      EndingHashKey: String(isLast ? LAST_HASH_KEY : width * BigInt(shard + 1) - 1n),
    },
    SequenceNumberRange: {
      StartingSequenceNumber: `4968033884091750241083098168005345610000000${'0'.repeat(13)}`,
    },
  }
}
