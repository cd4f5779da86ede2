/** What a record's metadata says: the head, which all records of a table and an operation share, and when it was committed. */
import { INNER_STEP, located, remember, remembered } from './json-scan.ts'
import { nameAt, objectOf, stringAt } from './json-text.ts'
import { bytesOf, isNamed, pieceOf } from './member-bytes.ts'
import { timestampMs } from './timestamp.ts'

const utf8 = new TextDecoder()

/** What the metadata says besides times and the transaction: the same for all records of a table and an operation. */
type Head = {
  recordType: string | undefined
  operation: string | undefined
  schema: string | undefined
  table: string | undefined
  partitionKeyType: string
}

/**
 * Heads by their text, since a stream has a handful of them; and those met last, because to compare with a few is cheaper
 * than to find one of many. Only saves time: what is forgotten is read again.
 */
const heads = new Map<string, Head>()
const HEADS_MAX = 1000
const recent: (Head | undefined)[] = []
const RECENT_MAX = 6
let oldest = 0

/** What DMS writes first, in this order: all that makes a head, and the time before it. */
const HEAD_ORDER = [
  'timestamp',
  'record-type',
  'operation',
  'partition-key-type',
  'schema-name',
  'table-name',
].map(bytesOf)
const TIMESTAMP = HEAD_ORDER[0]!
const COMMIT_TIMESTAMP = bytesOf('commit-timestamp')

/** A copy of its own: a piece of a record's text would keep all of it in memory. */
function copied(text: string): string {
  return utf8.decode(bytesOf(text))
}

/** @param start of the record @param meta where the metadata stands among the places located */
export function headOf(bytes: Uint8Array, start: number, meta: number): Head {
  const { places } = located
  const first = places[meta + 4]!
  const isUsual =
    first + 6 * INNER_STEP <= places[meta + 5]! &&
    isNamed(bytes, first, TIMESTAMP) &&
    places[first + INNER_STEP]! > 0
  if (!isUsual) return readHead(bytes, places[meta + 2]!, places[meta + 3]!)
  // From the name of the second member to the value of the sixth.
  const headStart = places[first + INNER_STEP]!
  const headEnd = places[first + 5 * INNER_STEP + 3]!
  const met = remembered(headStart - start, headEnd - headStart)
  if (met >= 0) return recent[met]!
  // Remembered are only heads whose members stand in the usual order, so what is found equal does as well.
  const key = pieceOf(bytes, headStart, headEnd)
  let head = heads.get(key)
  if (!head) {
    if (!HEAD_ORDER.every((name, n) => isNamed(bytes, first + n * INNER_STEP, name)))
      return readHead(bytes, places[meta + 2]!, places[meta + 3]!)
    // Before the head is scanned by itself: the record stands there no longer then.
    remember(oldest, headStart - start, headEnd - headStart)
    head = readHead(bytes, places[meta + 2]!, places[meta + 3]!)
    if (heads.size >= HEADS_MAX) heads.clear()
    heads.set(key, head)
  } else remember(oldest, headStart - start, headEnd - headStart)
  recent[oldest] = head
  oldest = (oldest + 1) % RECENT_MAX
  return head
}

/** Of two members of one name the first one counts, so that a head's text decides alone. */
function readHead(bytes: Uint8Array, start: number, end: number): Head {
  const text = pieceOf(bytes, start, end)
  const { members } = objectOf(text)
  const field = (name: string) => {
    for (let at = 0; at < members.length; at += 4) {
      const value = members[at + 2]!
      if (nameAt(text, members, at) === name)
        return text[value] === '"' ? copied(stringAt(text, value, members[at + 3]!)) : undefined
    }
    return undefined
  }
  return {
    recordType: field('record-type'),
    operation: field('operation'),
    schema: field('schema-name'),
    table: field('table-name'),
    partitionKeyType: field('partition-key-type') ?? '',
  }
}

/** Commit time at the source, else the time DMS built the record; ms since 1970-01-01Z. @param meta as of `headOf` */
export function committedAt(bytes: Uint8Array, meta: number): number | undefined {
  return timeOf(bytes, meta, COMMIT_TIMESTAMP) ?? timeOf(bytes, meta, TIMESTAMP)
}

function timeOf(bytes: Uint8Array, meta: number, name: Uint8Array): number | undefined {
  const { places } = located
  const last = places[meta + 5]!
  for (let at = places[meta + 4]!; at < last; at += INNER_STEP) {
    if (isNamed(bytes, at, name)) return timestampMs(bytes, places[at + 2]! + 1, places[at + 3]! - 1)
  }
  return undefined
}
