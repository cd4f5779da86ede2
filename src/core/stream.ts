/** What Kinesis returns, undecoded. */

export type StreamRecord = {
  readonly sequenceNumber: string
  readonly partitionKey: string
  /** ms since 1970-01-01Z; approximate, as Kinesis says. Undefined when it does not tell. */
  readonly arrivedAtMs: number | undefined
  readonly data: Uint8Array
}

/**
 * The data and the sequence numbers of all records of an answer, side by side. Behind the data of each stands a 0, which no
 * JSON can go on with; so what reads a record in its place stops there, and half a character at an end stays half of one.
 */
export type PageBytes = {
  bytes: Uint8Array
  /** Whether all of it is UTF-8, and so each record; false: not known of any. */
  isUtf8: boolean
}

/**
 * A record where it lies among those of its answer. Most are only read there, so a view and a text for each, which would live
 * as long as the page, are made when asked for.
 */
export class PageRecord implements StreamRecord {
  readonly page: PageBytes
  readonly start: number
  readonly end: number
  readonly partitionKey: string
  readonly arrivedAtMs: number | undefined
  readonly numberStart: number
  readonly numberEnd: number

  /** @param places in the page's bytes: where the data begins and ends, where the sequence number does */
  constructor(
    page: PageBytes,
    places: readonly [start: number, end: number, numberStart: number, numberEnd: number],
    partitionKey: string,
    arrivedAtMs: number | undefined,
  ) {
    this.page = page
    this.start = places[0]
    this.end = places[1]
    this.numberStart = places[2]
    this.numberEnd = places[3]
    this.partitionKey = partitionKey
    this.arrivedAtMs = arrivedAtMs
  }

  /** A copy: who asks for it may keep it longer than the page lasts. */
  get data(): Uint8Array {
    return Uint8Array.from(this.page.bytes.subarray(this.start, this.end))
  }

  get sequenceNumber(): string {
    let text = ''
    for (let at = this.numberStart; at < this.numberEnd; at++)
      text += String.fromCharCode(this.page.bytes[at]!)
    return text
  }
}

/** Bytes of a record's data. */
export function lengthOf(record: StreamRecord): number {
  return record instanceof PageRecord ? record.end - record.start : record.data.length
}

export type StreamPage =
  | {
      kind: 'records'
      records: StreamRecord[]
      next: string | undefined
      behindMs: number
      children: ChildShard[]
      /** Gives the memory of the records back, if that is of use; once, and nothing of them may be read after it. */
      recycle?: () => void
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
