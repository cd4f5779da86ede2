/**
 * Dead letters: everything needed to look at a record, mend the cause and send it again later.
 *
 * The format is versioned, since letters wait in the queue across deploys. The payload is the record's bytes, gzip and
 * base64; one too large for a queue message is cut into parts, since a position in the stream does not outlive it.
 */
import type { UnreadableReason } from './change.ts'
import type { TableRules } from './table.ts'

/** Where a document is. */
export type Place = { index: string; id: string; routing?: string | undefined }

export type LetterReason =
  | UnreadableReason
  | 'record-too-large'
  | 'no-key'
  | 'key-not-scalar'
  | 'damaged-key'
  | 'column-unreadable'
  | 'key-moved'
  | 'kept-columns-moved'
  | 'kept-columns-unknown'
  | 'append-only'
  | 'illegal-index-name'
  | 'rejected'
  | 'unknown-table'

/** A part of a decision that goes to the dead-letter queue. Holds no row values but the id, which names the row. */
export type Letter = {
  reason: LetterReason
  detail?: string
  index?: string
  id?: string
  routing?: string | undefined
  /**
   * The payload is not the whole row, or not in the order of the document's own shard: it must not be written again, only
   * the row as the source has it.
   */
  settle?: 'source-row'
}

/** What is left of an update without the values it keeps must not be taken for the row later. */
export function settledBy(rules: TableRules, letter: Letter): Letter {
  return rules.keepOnNull.size === 0 ? letter : { ...letter, settle: 'source-row' }
}

export const LETTER_FORMAT = 1
/** SQS takes 1 MiB a message and 1 MiB a batch of at most 10; the rest of the letter fits in the difference. */
export const PAYLOAD_CHARS_MAX = 900_000
export const MESSAGE_BYTES_MAX = 1_048_576
export const MESSAGES_MAX = 10

export type LetterContext = {
  stream: string
  shardId: string
  sequenceNumber: string
  partitionKey: string
  /** ISO 8601; empty when Kinesis did not tell. */
  arrivedAt: string
  table: string | undefined
  version: string | undefined
  attempts: number
  at: string
  service: string
}

/** A letter with the record's data as it came. */
export type SealedLetter = { letter: Letter; context: LetterContext; data: Uint8Array }

/** @param payload gzip of the record's data, base64 @returns the messages, in order of their parts */
export function letterMessages(letter: Letter, context: LetterContext, payload: string): string[] {
  const parts: string[] = []
  for (let at = 0; at === 0 || at < payload.length; at += PAYLOAD_CHARS_MAX)
    parts.push(payload.slice(at, at + PAYLOAD_CHARS_MAX))
  return parts.map((text, at) =>
    JSON.stringify({
      format: LETTER_FORMAT,
      ...letter,
      ...context,
      part: at + 1,
      parts: parts.length,
      encoding: 'gzip+base64',
      payload: text,
    }),
  )
}

/** Groups messages into batches the queue takes, in order. */
export function letterBatches(messages: readonly string[], byteLength: (text: string) => number): string[][] {
  const batches: string[][] = []
  let bytes = 0
  for (const message of messages) {
    const size = byteLength(message)
    const current = batches.at(-1)
    if (!current || current.length >= MESSAGES_MAX || bytes + size > MESSAGE_BYTES_MAX) {
      batches.push([message])
      bytes = size
    } else {
      current.push(message)
      bytes += size
    }
  }
  return batches
}
