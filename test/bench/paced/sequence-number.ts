/** Sequence numbers of the paced stream, 56 digits: a beginning as Kinesis gives it, the place of the record in its shard. */

const BEGIN = '4968033884091750241083098168005345610000'
const PLACE_DIGITS = 16

export function sequenceNumberOf(place: number): string {
  return `${BEGIN}${String(place).padStart(PLACE_DIGITS, '0')}`
}

/** @throws Error for a number of another stream */
export function placeOf(sequenceNumber: string): number {
  if (!sequenceNumber.startsWith(BEGIN)) throw new Error(`no record of this stream: ${sequenceNumber}`)
  return Number(sequenceNumber.slice(BEGIN.length))
}
