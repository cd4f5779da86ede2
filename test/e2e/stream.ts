/**
 * The stream as a test sees it: puts records, reads them back, knows which shard takes a partition key.
 *
 * Rule: the order of a shard is the order of the puts. A put is one at a time, and one that Kinesis takes only in part
 * fails the test, for sending the rest again would change the order.
 */
import {
  DeleteStreamCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
  MergeShardsCommand,
  PutRecordsCommand,
  SplitShardCommand,
} from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import type { ShardRange } from '../../docker/demo/marker.ts'
import { CREDENTIALS, REGION } from '../../docker/local/aws-clients.ts'
import { until } from './until.ts'

export type RecordToPut = { partitionKey: string; data: string | Uint8Array }
export type PutRecord = { shardId: string; sequenceNumber: string }
export type ReadRecord = { shardId: string; sequenceNumber: string; data: Uint8Array }

export type Stream = {
  name: string
  put(records: readonly RecordToPut[]): Promise<PutRecord[]>
  /** Those not closed by a split or a merge. */
  openShards(): Promise<ShardRange[]>
  /** Every record, shard by shard. */
  readAll(): Promise<ReadRecord[]>
  /** Splits the shard in the middle of its hash range and waits until its children are open. */
  split(shard: ShardRange): Promise<void>
  /** Merges two neighbours and waits until their child is open. */
  merge(shard: ShardRange, neighbour: ShardRange): Promise<void>
  remove(): Promise<void>
}

const CALL_MS = 20_000
/** The emulator answers nobody else while it gathers a large page. */
const PAGE_RECORDS = 500

export function openStream(endpoint: string, name: string): Stream {
  const kinesis = new KinesisClient({
    endpoint,
    region: REGION,
    credentials: CREDENTIALS,
    maxAttempts: 1,
    // The emulator breaks off HTTP/2, which is the SDK's default for Kinesis.
    requestHandler: new NodeHttpHandler({ requestTimeout: CALL_MS, throwOnRequestTimeout: true }),
  })

  async function shards() {
    const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName: name }))
    return Shards.map(shard => ({
      shardId: shard.ShardId!,
      startingHashKey: shard.HashKeyRange!.StartingHashKey!,
      endingHashKey: shard.HashKeyRange!.EndingHashKey!,
      isOpen: shard.SequenceNumberRange!.EndingSequenceNumber === undefined,
    })).sort((a, b) => (a.shardId < b.shardId ? -1 : 1))
  }

  async function openShards(): Promise<ShardRange[]> {
    return (await shards()).filter(shard => shard.isOpen)
  }

  async function readShard(shardId: string): Promise<ReadRecord[]> {
    const found: ReadRecord[] = []
    let { ShardIterator: iterator } = await kinesis.send(
      new GetShardIteratorCommand({ StreamName: name, ShardId: shardId, ShardIteratorType: 'TRIM_HORIZON' }),
    )
    while (iterator !== undefined) {
      const page = await kinesis.send(new GetRecordsCommand({ ShardIterator: iterator, Limit: PAGE_RECORDS }))
      for (const record of page.Records ?? []) {
        found.push({ shardId, sequenceNumber: record.SequenceNumber!, data: record.Data! })
      }
      if (page.MillisBehindLatest === 0) break
      iterator = page.NextShardIterator
    }
    return found
  }

  return {
    name,
    openShards,

    async put(records) {
      const { Records = [], FailedRecordCount } = await kinesis.send(
        new PutRecordsCommand({
          StreamName: name,
          Records: records.map(({ partitionKey, data }) => ({
            PartitionKey: partitionKey,
            Data: typeof data === 'string' ? Buffer.from(data) : data,
          })),
        }),
      )
      if (FailedRecordCount !== 0)
        throw new Error(`Kinesis refused ${FailedRecordCount} of ${records.length} records`)
      return Records.map(({ ShardId, SequenceNumber }) => ({
        shardId: ShardId!,
        sequenceNumber: SequenceNumber!,
      }))
    },

    async readAll() {
      const all: ReadRecord[] = []
      for (const { shardId } of await shards()) all.push(...(await readShard(shardId)))
      return all
    },

    async split(shard) {
      const middle = (BigInt(shard.startingHashKey) + BigInt(shard.endingHashKey)) / 2n
      const before = await openShards()
      await kinesis.send(
        new SplitShardCommand({
          StreamName: name,
          ShardToSplit: shard.shardId,
          NewStartingHashKey: String(middle),
        }),
      )
      await until(`the children of ${shard.shardId} to be open`, async () => {
        const after = await openShards()
        return after.length === before.length + 1 && !after.some(({ shardId }) => shardId === shard.shardId)
      })
    },

    async merge(shard, neighbour) {
      const before = await openShards()
      await kinesis.send(
        new MergeShardsCommand({
          StreamName: name,
          ShardToMerge: shard.shardId,
          AdjacentShardToMerge: neighbour.shardId,
        }),
      )
      await until(`the child of ${shard.shardId} and ${neighbour.shardId} to be open`, async () => {
        const after = await openShards()
        return after.length === before.length - 1 && !after.some(({ shardId }) => shardId === shard.shardId)
      })
    },

    async remove() {
      await kinesis.send(new DeleteStreamCommand({ StreamName: name, EnforceConsumerDeletion: true }))
      // The emulator does not end while a connection to it is open.
      kinesis.destroy()
    },
  }
}
