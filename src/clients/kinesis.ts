/** Kinesis: list shards, open an iterator, read a page. Decides nothing; the shard consumer sets the pace and retries. */
import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
} from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import type { Shard } from '../core/shard.ts'
import type { StreamPage } from '../core/stream.ts'
import { OutsideError } from '../errors.ts'

/** A time-out in the SDK's manner: every call ends, and no call waits for another shard's socket. */
const REQUEST_TIMEOUT_MS = 30_000

export function kinesisStream(streamName: string) {
  const client = new KinesisClient({
    // HTTP/1.1 with keep-alive: the SDK's default for Kinesis is HTTP/2, which only enhanced fan-out needs.
    requestHandler: new NodeHttpHandler({
      connectionTimeout: 5000,
      requestTimeout: REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
      httpAgent: { keepAlive: true, maxSockets: 512 },
      httpsAgent: { keepAlive: true, maxSockets: 512 },
    }),
    // One try: the reading loop owns pace and backoff.
    maxAttempts: 1,
  })

  async function listShards(): Promise<Shard[]> {
    const shards: Shard[] = []
    let nextToken: string | undefined
    do {
      const answer = await client.send(
        new ListShardsCommand(nextToken ? { NextToken: nextToken } : { StreamName: streamName }),
      )
      for (const shard of answer.Shards ?? []) {
        shards.push({
          shardId: shard.ShardId!,
          parents: [shard.ParentShardId, shard.AdjacentParentShardId].filter(parent => parent !== undefined),
          startingHashKey: shard.HashKeyRange!.StartingHashKey!,
          endingHashKey: shard.HashKeyRange!.EndingHashKey!,
          startingSequenceNumber: shard.SequenceNumberRange!.StartingSequenceNumber!,
          isOpen: shard.SequenceNumberRange!.EndingSequenceNumber === undefined,
        })
      }
      nextToken = answer.NextToken
    } while (nextToken)
    return shards
  }

  /** @param from `TRIM_HORIZON`, `LATEST`, or a sequence number, from which on (inclusive) is read */
  async function open(shardId: string, from: string): Promise<string | undefined> {
    const isWord = from === 'TRIM_HORIZON' || from === 'LATEST'
    const answer = await client.send(
      new GetShardIteratorCommand({
        StreamName: streamName,
        ShardId: shardId,
        ShardIteratorType: isWord ? from : 'AT_SEQUENCE_NUMBER',
        ...(isWord ? {} : { StartingSequenceNumber: from }),
      }),
    )
    return answer.ShardIterator
  }

  async function read(iterator: string, limit: number): Promise<StreamPage> {
    try {
      const answer = await client.send(new GetRecordsCommand({ ShardIterator: iterator, Limit: limit }))
      return {
        kind: 'records',
        records: (answer.Records ?? []).map(record => ({
          sequenceNumber: record.SequenceNumber!,
          partitionKey: record.PartitionKey ?? '',
          arrivedAt: record.ApproximateArrivalTimestamp?.toISOString() ?? '',
          data: record.Data!,
        })),
        next: answer.NextShardIterator,
        behindMs: answer.MillisBehindLatest ?? 0,
        children: (answer.ChildShards ?? []).map(child => ({
          shardId: child.ShardId!,
          parents: child.ParentShards ?? [],
          startingHashKey: child.HashKeyRange!.StartingHashKey!,
          endingHashKey: child.HashKeyRange!.EndingHashKey!,
        })),
      }
    } catch (error) {
      const name = error instanceof Error ? error.name : ''
      if (name === 'ExpiredIteratorException') return { kind: 'expired' }
      if (name === 'ResourceNotFoundException') return { kind: 'gone' }
      throw error
    }
  }

  /** @throws OutsideError when the stream is not there or may not be read */
  async function check(): Promise<void> {
    try {
      await client.send(new ListShardsCommand({ StreamName: streamName, MaxResults: 1 }))
    } catch (cause) {
      const name = cause instanceof Error ? cause.name : ''
      if (name === 'ResourceNotFoundException') {
        throw new OutsideError(
          `Kinesis has no stream ${streamName} in this account and region: create it, or mend STREAM_NAME or AWS_REGION`,
          { cause },
        )
      }
      if (name === 'AccessDeniedException') {
        throw new OutsideError(
          `Kinesis refuses stream ${streamName}: allow kinesis:ListShards, GetShardIterator and GetRecords on it to this role`,
          { cause },
        )
      }
      throw cause
    }
  }

  return { listShards, open, read, check, close: () => client.destroy() }
}
