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
 * JSON can go on with; so half a character at an end stays half of one.
 */
export type PageBytes = RecordPlaces & {
  bytes: Uint8Array
  /** Whether all of it is UTF-8, and so each record; false: not known of any. */
  isUtf8: boolean
}

/**
 * Numbers of all records of a page, RECORD_WORDS words each: where in its bytes the data begins and ends, where the sequence
 * number does; and, as the fifth double of the same memory, its arrival in ms since 1970-01-01Z, below 0 where it is not told. The
 * other words are of those who decode.
 */
export type RecordPlaces = { places: Int32Array; arrivedAtMs: Float64Array }
export const RECORD_WORDS = 12
export const RECORD_DOUBLES = RECORD_WORDS / 2
/** Which of a record's doubles. */
export const ARRIVAL = 4

/** A copy of them, with a view for each kind of number. */
export function recordPlaces(found: Int32Array): RecordPlaces {
  const places = found.slice()
  return { places, arrivedAtMs: new Float64Array(places.buffer) }
}

/**
 * A record where it lies among those of its answer. Most are only read there, so a view and a text for each, which would live
 * as long as the page, are made when asked for.
 */
export class PageRecord implements StreamRecord {
  readonly page: PageBytes
  /** Its number in the page. */
  readonly number: number
  readonly partitionKey: string

  constructor(page: PageBytes, number: number, partitionKey: string) {
    this.page = page
    this.number = number
    this.partitionKey = partitionKey
  }

  /** Where its data begins in the bytes of the page. */
  get start(): number {
    return this.page.places[this.number * RECORD_WORDS]!
  }

  get end(): number {
    return this.page.places[this.number * RECORD_WORDS + 1]!
  }

  get arrivedAtMs(): number | undefined {
    const ms = this.page.arrivedAtMs[this.number * RECORD_DOUBLES + ARRIVAL]!
    return ms < 0 ? undefined : ms
  }

  /** A copy: who asks for it may keep it longer than the page lasts. */
  get data(): Uint8Array {
    return Uint8Array.from(this.page.bytes.subarray(this.start, this.end))
  }

  get sequenceNumber(): string {
    const { bytes, places } = this.page
    const end = places[this.number * RECORD_WORDS + 3]!
    let text = ''
    for (let at = places[this.number * RECORD_WORDS + 2]!; at < end; at++)
      text += String.fromCharCode(bytes[at]!)
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
      /** Of the memory the records hold; about that of their data unless told. */
      bytes?: number
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
