/** Kinesis: list shards, open an iterator, read a page. Decides nothing; the shard consumer sets the pace and retries. */
import {
  GetRecordsCommand,
  type GetRecordsCommandInput,
  type GetRecordsCommandOutput,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
} from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import type { Shard } from '../core/shard.ts'
import type { StreamPage } from '../core/stream.ts'
import { OutsideError } from '../errors.ts'
import { decodeFromBytes, type GetRecordsAnswer } from './get-records-protocol.ts'
import { getRecordsRequests } from './get-records-request.ts'
import { Sha256 } from './sha256.ts'

export type StreamOptions = {
  /** Who reads the answers of GetRecords: `bytes` this service, `sdk` the SDK. */
  decoder: 'bytes' | 'sdk'
  /** Until an answer begins, and again between two parts of it: every call ends. */
  requestTimeoutMs?: number
  /** An answer that the SDK read, by wish or because of its form. */
  onDecodedBySdk?: () => void
}

export function kinesisStream(streamName: string, options: StreamOptions) {
  const { decoder, requestTimeoutMs = 30_000, onDecodedBySdk = () => {} } = options
  const client = new KinesisClient({
    // HTTP/1.1 with keep-alive: the SDK's default for Kinesis is HTTP/2, which only enhanced fan-out needs.
    requestHandler: new NodeHttpHandler({
      connectionTimeout: 5000,
      requestTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true,
      // The one above ends with the first byte of an answer; without this a body that stalls would hang its shard for ever.
      socketTimeout: requestTimeoutMs,
      httpAgent: { keepAlive: true, maxSockets: 512 },
      httpsAgent: { keepAlive: true, maxSockets: 512 },
    }),
    // One try: the reading loop owns pace and backoff.
    maxAttempts: 1,
    sha256: Sha256,
  })
  if (decoder === 'bytes') decodeFromBytes(client)
  const getRecords: (asked: GetRecordsCommandInput) => Promise<GetRecordsAnswer> =
    decoder === 'bytes' ? getRecordsRequests(client) : asked => client.send(new GetRecordsCommand(asked))

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
      const answer = await getRecords({ ShardIterator: iterator, Limit: limit })
      if (answer.decoded) return { kind: 'records', ...answer.decoded, children: [] }
      onDecodedBySdk()
      return pageOf(answer)
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

/** @param answer as the SDK reads it */
function pageOf(answer: GetRecordsCommandOutput): StreamPage {
  return {
    kind: 'records',
    records: (answer.Records ?? []).map(record => {
      if (record.SequenceNumber === undefined || record.Data === undefined)
        throw new Error('GetRecords answered a record without SequenceNumber or Data; reading again')
      return {
        sequenceNumber: record.SequenceNumber,
        partitionKey: record.PartitionKey ?? '',
        arrivedAtMs: validMs(record.ApproximateArrivalTimestamp),
        data: record.Data,
      }
    }),
    next: answer.NextShardIterator,
    behindMs: answer.MillisBehindLatest ?? 0,
    children: (answer.ChildShards ?? []).map(child => ({
      shardId: child.ShardId!,
      parents: child.ParentShards ?? [],
      startingHashKey: child.HashKeyRange!.StartingHashKey!,
      endingHashKey: child.HashKeyRange!.EndingHashKey!,
    })),
  }
}

/** A time too large for a Date tells nothing. */
function validMs(time: Date | undefined): number | undefined {
  const ms = time?.getTime()
  return Number.isNaN(ms) ? undefined : ms
}
