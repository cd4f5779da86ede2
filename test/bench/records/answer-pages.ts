/**
 * GetRecords answers, built once and served again and again. Before each serving only digits at fixed places are changed:
 * the sequence numbers, which rise through all cycles, and the next iterator. So an answer of 7 MB costs its sender little
 * more than the writing to the socket.
 *
 * Shape of an answer, members in the order of the service's documentation, no white space but after the last digit:
 * `{"MillisBehindLatest":N,"NextShardIterator":"...","Records":[{"ApproximateArrivalTimestamp":1.7E9,"Data":"<base64>",
 * "PartitionKey":"bench.orders_0","SequenceNumber":"<56 digits>"}, ...]}`
 */
import { changesOf, cycleLength } from './changes.ts'
import { recordText, SCHEMA, tableOf } from './record-text.ts'

/** Of 56 digits: a beginning as Kinesis gives it, the cycle, the place in the cycle. */
const SEQUENCE_BEGIN = '496803388409175024108309816800534561'
const CYCLE_DIGITS = 8
const PLACE_DIGITS = 12
const PAGE_DIGITS = 10
/** Real iterators are of this length and opaque. */
const ITERATOR_PAD = 'A'.repeat(200)
const ARRIVED_AT = 1_771_609_381

export type AnswerPages = {
  /** Page `number` of the shard, from 0; past the last cycle it begins the next one. Valid until the same page is asked again. */
  at(number: number): Buffer
}

export function answerPages(settings: { shard: number; shards: number; page: number }): AnswerPages {
  const { shard, shards, page } = settings
  const length = cycleLength(shards, page)
  const texts = changesOf(shard, length).map(change => Buffer.from(recordText(change, shard)))
  const pages = Array.from({ length: length / page }, (_, at) =>
    buildPage(texts.slice(at * page, (at + 1) * page), { shard, firstPlace: at * page }),
  )
  return {
    at(number) {
      const built = pages[number % pages.length]!
      const cycle = String(Math.floor(number / pages.length)).padStart(CYCLE_DIGITS, '0')
      built.bytes.write(iteratorOf(shard, number + 1), built.iteratorAt, 'latin1')
      if (built.cycle !== cycle) {
        for (const at of built.cyclesAt) built.bytes.write(cycle, at, 'latin1')
        built.cycle = cycle
      }
      return built.bytes
    },
  }
}

export function emptyPage(shard: number, number: number): Buffer {
  return Buffer.from(
    `{"MillisBehindLatest":0,"NextShardIterator":"${iteratorOf(shard, number)}","Records":[]}`,
  )
}

export function iteratorOf(shard: number, number: number): string {
  return `${ITERATOR_PAD}-${shard}-${String(number).padStart(PAGE_DIGITS, '0')}`
}

/** @throws Error for an iterator that is none of ours */
export function pageOf(iterator: string): { shard: number; number: number } {
  const [, shard, number] = iterator.split('-')
  if (shard === undefined || number === undefined) throw new Error('not an iterator of this stream')
  return { shard: Number(shard), number: Number(number) }
}

/** @param ms since 1970, as today's are @returns seconds as Kinesis writes them, such as 1.771609381123E9 */
export function secondsText(ms: number): string {
  const digits = String(ms)
  return `${digits[0]}.${digits.slice(1)}E9`
}

type BuiltPage = { bytes: Buffer; iteratorAt: number; cycle: string; cyclesAt: number[] }

function buildPage(texts: readonly Buffer[], place: { shard: number; firstPlace: number }): BuiltPage {
  const cycle = '0'.repeat(CYCLE_DIGITS)
  const begin = '{"MillisBehindLatest":3600000,"NextShardIterator":"'
  const parts = [`${begin}${iteratorOf(place.shard, 0)}","Records":[`]
  // All of an answer is ASCII: lengths in characters are lengths in bytes.
  let bytes = parts[0]!.length
  const cyclesAt: number[] = []
  const partitionKey = `${SCHEMA}.${tableOf(place.shard)}`
  for (const [at, text] of texts.entries()) {
    const arrivedAt = secondsText(1_000 * ARRIVED_AT + at)
    const head = `${at === 0 ? '' : ','}{"ApproximateArrivalTimestamp":${arrivedAt},"Data":"${text.toString('base64')}","PartitionKey":"${partitionKey}","SequenceNumber":"${SEQUENCE_BEGIN}`
    const tail = `${String(place.firstPlace + at).padStart(PLACE_DIGITS, '0')}"}`
    cyclesAt.push(bytes + head.length)
    parts.push(head, cycle, tail)
    bytes += head.length + CYCLE_DIGITS + tail.length
  }
  parts.push(']}')
  return { bytes: Buffer.from(parts.join(''), 'latin1'), iteratorAt: begin.length, cycle, cyclesAt }
}
