/** What Kinesis returns, undecoded. */

export type StreamRecord = {
  sequenceNumber: string
  partitionKey: string
  /** ISO 8601; approximate, as Kinesis says. Empty when it does not tell. */
  arrivedAt: string
  data: Uint8Array
}

export type StreamPage =
  | {
      kind: 'records'
      records: StreamRecord[]
      next: string | undefined
      behindMs: number
      children: ChildShard[]
    }
  /** The iterator is older than five minutes: open a new one after the last record read. */
  | { kind: 'expired' }
  /** The shard is gone from the stream: its end, with no children known. */
  | { kind: 'gone' }

export type ChildShard = {
  shardId: string
  parents: string[]
  startingHashKey: string
  endingHashKey: string
}
