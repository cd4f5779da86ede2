/**
 * The answer of GetRecords, from its bytes to records without a tree in between.
 *
 * The SDK parses the whole answer, walks it by its schema and decodes each record with a regular expression first: half
 * the cost of a record. Here each record is read where it lies, and what stands around the records is parsed as usual.
 *
 * It is safe because nothing is skipped unread: every byte between two values has to be the one JSON asks for, and every
 * value has to have a form known here. White space, any order of members, names not known here with a plain text, and
 * escapes in partition keys are such; anything else is undefined, and the caller lets the SDK read (and judge) those bytes.
 */
import { isUtf8 } from 'node:buffer'
import { type PageBytes, PageRecord } from '../core/stream.ts'

type DecodedPage = PageBytes & { bytes: Buffer }
export type DecodedAnswer = { records: PageRecord[]; next: string | undefined; behindMs: number }

const QUOTE = 0x22
const PLUS = 0x2b
const COMMA = 0x2c
const DOT = 0x2e
const ZERO = 0x30
const NINE = 0x39
const COLON = 0x3a
const CAPITAL_E = 0x45
const OPEN_BRACKET = 0x5b
const BACKSLASH = 0x5c
const CLOSE_BRACKET = 0x5d
const SMALL_E = 0x65
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

const RECORDS = Buffer.from('"Records"')
const DATA = Buffer.from('"Data"')
const PARTITION_KEY = Buffer.from('"PartitionKey"')
const SEQUENCE_NUMBER = Buffer.from('"SequenceNumber"')
const ARRIVAL = Buffer.from('"ApproximateArrivalTimestamp"')

/** What whole seconds, tenths, hundredths and thousandths are multiplied by, from the last to the first. */
const SCALES = [1, 10, 100, 1000]
/** Below this a double holds seconds exactly enough for the ms to come out the same in whichever way it is computed. */
const EXACT_MS_MAX = 1e14
/** The last moment a Date can hold. */
const DATE_MS_MAX = 8.64e15

/**
 * @param memoryFor gives memory for the records' data @returns undefined when the answer has any other form, or is none: it
 * is not judged here, and no part of it is used
 */
export function decodeGetRecords(
  body: Buffer,
  memoryFor: (bytes: number) => Buffer = Buffer.allocUnsafeSlow,
): DecodedAnswer | undefined {
  // The name cannot stand inside a text, where its quotes would be escaped.
  const name = body.indexOf(RECORDS)
  if (name < 0) return undefined
  const open = afterColon(body, name + RECORDS.length)
  if (body[open] !== OPEN_BRACKET) return undefined
  const records: PageRecord[] = []
  // Never too small: what is kept of a record is no longer than what was sent of it, its two 0s than the quotes.
  const page: DecodedPage = { bytes: memoryFor(body.length), isUtf8: false }
  const end = decodeRecords(body, open, page, records)
  if (end < 0) return undefined
  const around = parseAround(`${body.toString('utf8', 0, open)}[]${body.toString('utf8', end)}`)
  return around && { records, ...around }
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

/**
 * Appends the records of a list, and their data to the page.
 * @param open where its bracket opens @returns the place after its closing bracket, or -1 for another form
 */
function decodeRecords(body: Buffer, open: number, page: DecodedPage, records: PageRecord[]): number {
  const { bytes } = page
  let at = afterSpace(body, open + 1)
  if (body[at] === CLOSE_BRACKET) return at + 1
  let used = 0
  /** The partition key met last and where it stands. */
  let lastKey: string | undefined
  let keyStart = 0
  let keyEnd = 0
  for (;;) {
    if (body[at] !== OPEN_BRACE) return -1
    let dataStart = -1
    let dataEnd = 0
    let partitionKey: string | undefined
    let numberStart = -1
    let numberEnd = 0
    let arrivedAtMs: number | undefined
    do {
      const name = afterSpace(body, at + 1)
      if (startsWith(body, name, DATA)) {
        at = afterColon(body, name + DATA.length)
        const end = body[at] === QUOTE ? body.indexOf(QUOTE, at + 1) : -1
        if (end < 0) return -1
        dataStart = used
        dataEnd = decodeBase64(body, at + 1, end, bytes, used)
        if (dataEnd < 0) return -1
        bytes[dataEnd] = 0
        used = dataEnd + 1
        at = end + 1
      } else if (startsWith(body, name, PARTITION_KEY)) {
        at = afterColon(body, name + PARTITION_KEY.length)
        const plainEnd = plainTextEnd(body, at)
        const end = plainEnd < 0 ? textEnd(body, at) : plainEnd
        if (end < 0) return -1
        // Mostly that of the record before: a table has one, and a text made anew for each lives as long as the page.
        if (!isSame(body, at, end, keyStart, keyEnd))
          lastKey =
            plainEnd < 0
              ? parseText(body.toString('utf8', at, end))
              : body.toString('latin1', at + 1, end - 1)
        partitionKey = lastKey
        keyStart = at
        keyEnd = end
        if (partitionKey === undefined) return -1
        at = end
      } else if (startsWith(body, name, SEQUENCE_NUMBER)) {
        at = afterColon(body, name + SEQUENCE_NUMBER.length)
        const end = plainTextEnd(body, at)
        if (end < 0) return -1
        numberStart = used
        for (let from = at + 1; from < end - 1; from++) bytes[used++] = body[from]!
        numberEnd = used
        bytes[used++] = 0
        at = end
      } else if (startsWith(body, name, ARRIVAL)) {
        at = afterColon(body, name + ARRIVAL.length)
        const end = tokenEnd(body, at)
        arrivedAtMs = decodeSeconds(body, at, end)
        if (arrivedAtMs === undefined) return -1
        at = end
      } else {
        // EncryptionType, or a name this version does not know: of no use here as long as it is a text.
        const nameEnd = plainTextEnd(body, name)
        if (nameEnd < 0) return -1
        at = plainTextEnd(body, afterColon(body, nameEnd))
        if (at < 0) return -1
      }
      at = afterSpace(body, at)
    } while (body[at] === COMMA)
    if (body[at] !== CLOSE_BRACE) return -1
    if (dataStart < 0 || partitionKey === undefined || numberStart < 0) return -1
    const places = [dataStart, dataEnd, numberStart, numberEnd] as const
    records.push(new PageRecord(page, places, partitionKey, arrivedAtMs))
    at = afterSpace(body, at + 1)
    if (body[at] === CLOSE_BRACKET) {
      page.isUtf8 = isUtf8(bytes.subarray(0, used))
      return at + 1
    }
    if (body[at] !== COMMA) return -1
    at = afterSpace(body, at + 1)
  }
}

/** Whether the same stands in two places; compared here because a call of `compare` costs more than twenty bytes do. */
function isSame(body: Buffer, start: number, end: number, otherStart: number, otherEnd: number): boolean {
  if (end - start !== otherEnd - otherStart) return false
  for (let at = end - 1; at >= start; at--) if (body[at] !== body[at - start + otherStart]) return false
  return true
}

function startsWith(body: Buffer, at: number, word: Buffer): boolean {
  for (let offset = 0; offset < word.length; offset++) if (body[at + offset] !== word[offset]) return false
  return true
}

function afterSpace(body: Buffer, start: number): number {
  let at = start
  for (let byte = body[at]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09; byte = body[at])
    at++
  return at
}

/** @returns where the value begins, or the end of the body, where nothing does, if there is no colon */
function afterColon(body: Buffer, start: number): number {
  const at = afterSpace(body, start)
  return body[at] === COLON ? afterSpace(body, at + 1) : body.length
}

/** @returns the place after the closing quote of a text of printable ASCII without escapes, or -1 */
function plainTextEnd(body: Buffer, start: number): number {
  if (body[start] !== QUOTE) return -1
  for (let at = start + 1; at < body.length; at++) {
    const byte = body[at]!
    if (byte === QUOTE) return at + 1
    if (byte < 0x20 || byte > 0x7e || byte === BACKSLASH) return -1
  }
  return -1
}

/** @returns the place after the closing quote of any text, or -1 */
function textEnd(body: Buffer, start: number): number {
  if (body[start] !== QUOTE) return -1
  for (let at = start + 1; at < body.length; at++) {
    if (body[at] === QUOTE) return at + 1
    if (body[at] === BACKSLASH) at++
  }
  return -1
}

/** @param token a JSON text with its quotes @returns undefined when it is none */
function parseText(token: string): string | undefined {
  try {
    return JSON.parse(token)
  } catch {
    return undefined
  }
}

/**
 * Node decodes leniently: it passes over foreign characters, stops at a padding, and takes the URL-safe alphabet too. The
 * first two show in the length, the third is looked for.
 * @param at where in the target the data goes @returns where it ends there; -1 when it is not padded base64
 */
function decodeBase64(body: Buffer, start: number, end: number, target: Buffer, at: number): number {
  const text = body.toString('latin1', start, end)
  if (text.includes('-') || text.includes('_')) return -1
  const length = target.write(text, at, 'base64')
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  return length === (text.length / 4) * 3 - padding ? at + length : -1
}

/** @returns where the token that begins here ends */
function tokenEnd(body: Buffer, start: number): number {
  let at = start
  for (; at < body.length; at++) {
    const byte = body[at]!
    if (byte === COMMA || byte === CLOSE_BRACE || byte <= 0x20) return at
  }
  return at
}

/** @returns the place after the digits that begin here */
function digitsEnd(body: Buffer, start: number): number {
  let at = start
  while (isDigit(body[at])) at++
  return at
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE
}

/**
 * Seconds such as 1441215410.867 or 1.441215410867E9, which is how Kinesis writes them.
 * @returns ms since 1970-01-01Z, rounded as the SDK does; undefined for what is no JSON number or no time since then
 */
function decodeSeconds(body: Buffer, start: number, end: number): number | undefined {
  if (body[start] === ZERO) return undefined
  const wholeEnd = digitsEnd(body, start)
  const fraction = body[wholeEnd] === DOT ? wholeEnd + 1 : wholeEnd
  const fractionEnd = digitsEnd(body, fraction)
  if (wholeEnd === start || (body[wholeEnd] === DOT && fractionEnd === fraction)) return undefined
  let at = fractionEnd
  let exponent = 0
  if (body[at] === CAPITAL_E || body[at] === SMALL_E) {
    const digits = body[at + 1] === PLUS ? at + 2 : at + 1
    at = digitsEnd(body, digits)
    if (at === digits) return undefined
    exponent = wholeNumber(body, digits, at, 0)
  }
  if (at !== end) return undefined
  const digits = wholeNumber(body, fraction, fractionEnd, wholeNumber(body, start, wholeEnd, 0))
  const scale = SCALES[exponent - (fractionEnd - fraction) + 3]
  const exactMs = scale === undefined ? EXACT_MS_MAX : digits * scale
  const ms = exactMs < EXACT_MS_MAX ? exactMs : Math.round(Number(body.toString('latin1', start, end)) * 1000)
  return ms <= DATE_MS_MAX ? ms : undefined
}

/** @param high the number the digits before these make */
function wholeNumber(body: Buffer, start: number, end: number, high: number): number {
  let number = high
  for (let at = start; at < end; at++) number = number * 10 + body[at]! - ZERO
  return number
}
