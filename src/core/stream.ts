/** What Kinesis returns, undecoded. */

export type StreamRecord = {
  sequenceNumber: string
  partitionKey: string
  /** ms since 1970-01-01Z; approximate, as Kinesis says. Undefined when it does not tell. */
  arrivedAtMs: number | undefined
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
