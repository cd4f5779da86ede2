/**
 * The answer of GetRecords, from its bytes to records without a tree in between.
 *
 * The SDK parses the whole answer, walks it by its schema and decodes each record with a regular expression first: half
 * the cost of a record. Here each record is read where it lies, and what stands around the records is parsed as usual.
 *
 * It is safe because nothing is skipped unread: every byte between two values has to be the one JSON asks for, and every
 * value has to have a form known here. White space, any order of members, names not known here with a plain text, and
 * escapes in partition keys are such; anything else is undefined, and the caller lets the SDK read (and judge) those bytes.
 *
 * The records are read by `src/assembly/get-records.ts`, as WebAssembly.
 */
import { isUtf8 } from 'node:buffer'
import { ARRIVAL, PageRecord, RECORD_DOUBLES, RECORD_WORDS, recordPlaces } from '../core/stream.ts'
import { growTo, instantiated, type WasmConstant, type WasmMemory } from '../core/wasm.ts'
import { WASM } from './get-records-wasm.ts'

export type DecodedAnswer = { records: PageRecord[]; next: string | undefined; behindMs: number }

type Exports = {
  memory: WasmMemory
  BODY: WasmConstant
  ZEROS: WasmConstant
  NAMES: WasmConstant
  placesAt(length: number): number
  /** Bytes of memory that an answer of this length may need. */
  needed(length: number): number
  decode(length: number, open: number): number
}

const wasm = instantiated<Exports>(WASM)
const BODY = wasm.BODY.value
const ZEROS = wasm.ZEROS.value

const RECORDS = Buffer.from('"Records"')
/** In the order the assembly asks for. */
const NAMES = ['Data', 'PartitionKey', 'SequenceNumber', 'ApproximateArrivalTimestamp']
const NAME_BYTES = 32

const COLON = 0x3a
const OPEN_BRACKET = 0x5b
/** The last moment a Date can hold. */
const DATE_MS_MAX = 8.64e15

/**
 * The assembly's memory, seen anew whenever it has grown: to the largest answer (some 20 MB). It serves every shard, since the
 * records are taken out of it before anything else can run.
 */
let memory = Buffer.from(wasm.memory.buffer)
for (const [n, name] of NAMES.entries())
  memory.write(`"${name}"`, wasm.NAMES.value + n * NAME_BYTES, 'latin1')

/**
 * @param answer from its beginning `length` bytes; what is kept of the records is written over it
 * @returns undefined when the answer has any other form, or is none: it is not judged here, and stays as it was
 */
export function decodeGetRecords(answer: Buffer, length = answer.length): DecodedAnswer | undefined {
  const body = laidOut(answer, length)
  // The name cannot stand inside a text, where its quotes would be escaped.
  const name = body.indexOf(RECORDS)
  if (name < 0) return undefined
  const colon = afterSpace(body, name + RECORDS.length)
  const open = body[colon] === COLON ? afterSpace(body, colon + 1) : length
  if (body[open] !== OPEN_BRACKET) return undefined
  // Before the records are written over it.
  const head = body.toString('utf8', 0, open)
  const end = wasm.decode(length, open)
  if (end < 0) return undefined
  const around = parseAround(`${head}[]${body.toString('utf8', end)}`)
  const records = around && taken(body, answer)
  return records && { records, ...around }
}

/** Puts the answer, and the 0s behind it, into the assembly's memory. @returns where it stands */
function laidOut(answer: Buffer, length: number): Buffer {
  if (growTo(wasm.memory, wasm.needed(length))) memory = Buffer.from(wasm.memory.buffer)
  answer.copy(memory, BODY, 0, length)
  memory.fill(0, BODY + length, BODY + length + ZEROS)
  return memory.subarray(BODY, BODY + length)
}

/** @returns the records found, their data in `bytes`; undefined, and nothing written, where one came at no time a Date can hold */
function taken(body: Buffer, bytes: Buffer): PageRecord[] | undefined {
  const { buffer } = wasm.memory
  const [kept = 0, count = 0] = new Int32Array(buffer, 0, 2)
  const places = recordPlaces(new Int32Array(buffer, wasm.placesAt(body.length), count * RECORD_WORDS))
  const { places: words, arrivedAtMs } = places
  const page = { bytes, isUtf8: isUtf8(body.subarray(0, kept)), ...places }
  const records: PageRecord[] = new Array(count)
  let keyAt = -1
  let key: string | undefined
  for (let n = 0; n < count; n++) {
    const at = n * RECORD_WORDS
    const keyStart = words[at + 4]!
    const roundFrom = words[at + 10]!
    const roundTo = words[at + 11]!
    if (roundTo > roundFrom) {
      const ms = Math.round(Number(body.toString('latin1', roundFrom, roundTo)) * 1000)
      if (!(ms <= DATE_MS_MAX)) return undefined
      arrivedAtMs[n * RECORD_DOUBLES + ARRIVAL] = ms
    }
    // Mostly that of the record before: a table has one, and a text made anew for each lives as long as the page.
    if (keyStart !== keyAt) {
      keyAt = keyStart
      key = keyText(body, keyStart, words[at + 5]!, words[at + 6] === 1)
    }
    if (key === undefined) return undefined
    records[n] = new PageRecord(page, n, key)
  }
  body.copy(bytes, 0, 0, kept)
  return records
}

/** @param isPlain printable ASCII without escapes @returns undefined when it is no JSON text */
function keyText(bytes: Buffer, start: number, end: number, isPlain: boolean): string | undefined {
  if (isPlain) return bytes.toString('latin1', start + 1, end - 1)
  try {
    return JSON.parse(bytes.toString('utf8', start, end))
  } catch {
    return undefined
  }
}

/** @param text the answer with an empty list in the place of its records */
function parseAround(text: string): { next: string | undefined; behindMs: number } | undefined {
  // Without escapes and with the name once, a member of that name on the top level is the list that was cut out.
  if (text.includes('\\') || text.indexOf('"Records"') !== text.lastIndexOf('"Records"')) return undefined
  let answer: Record<string, unknown> | null
  try {
    answer = JSON.parse(text)
  } catch {
    return undefined
  }
  const { Records, NextShardIterator, MillisBehindLatest, ChildShards } = answer ?? {}
  if (!Array.isArray(Records)) return undefined
  // Children come once in the life of a shard.
  const children = ChildShards ?? []
  if (!Array.isArray(children) || children.length > 0) return undefined
  const next = NextShardIterator ?? undefined
  const behindMs = MillisBehindLatest ?? 0
  return (next === undefined || typeof next === 'string') && typeof behindMs === 'number'
    ? { next, behindMs }
    : undefined
}

function afterSpace(body: Buffer, start: number): number {
  let at = start
  for (let byte = body[at]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09; byte = body[at])
    at++
  return at
}
