/**
 * The records of a GetRecords answer: `clients/get-records.ts` says which forms are read, and why that is safe. AssemblyScript.
 *
 * The answer stands at BODY, with ZEROS 0s behind it, which no form goes on with: so what reads on stops there. What is kept of
 * the records is written over the answer from its beginning: of each member less is kept than stood there, so nothing is written
 * over that is not read yet. Behind the answer the caller gives room for the places.
 */

export const BODY: usize = 8192
/** As many bytes as are ever looked at together, and more. */
export const ZEROS: usize = 64
/**
 * Bytes of a record's places: twelve words, as in `core/stream.ts`, counted from BODY. Where its data begins and ends, its sequence
 * number, its partition key (a JSON text with its quotes); 1 where the key is printable ASCII without escapes; one unused; its
 * arrival in ms as a double, -1 where it is not told; where the text of an arrival begins and ends that is to be rounded by the
 * caller, else 0.
 */
const RECORD_BYTES: usize = 48
/** Bytes of the shortest record an answer can have, or fewer. */
const RECORD_LEAST: usize = 46

/** Numbers for the caller, as words from 0: bytes kept, records. */
const KEPT: usize = 0
const COUNT: usize = 4

/** The names of members known here, in their quotes, put there by the caller: the next one is 32 bytes further on. */
export const NAMES: usize = 64
const DATA: usize = NAMES
const DATA_LENGTH: usize = 6
const PARTITION_KEY: usize = NAMES + 32
const PARTITION_KEY_LENGTH: usize = 14
const SEQUENCE_NUMBER: usize = NAMES + 64
const SEQUENCE_NUMBER_LENGTH: usize = 16
const ARRIVAL: usize = NAMES + 96
const ARRIVAL_LENGTH: usize = 29

const QUOTE: u32 = 0x22
const PLUS: u32 = 0x2b
const COMMA: u32 = 0x2c
const POINT: u32 = 0x2e
const ZERO: u32 = 0x30
const COLON: u32 = 0x3a
const BACKSLASH: u32 = 0x5c
const OPEN_BRACE: u32 = 0x7b
const CLOSE_BRACE: u32 = 0x7d
const CLOSE_BRACKET: u32 = 0x5d

/** No place in the answer: the answer of what does not find the form it looks for. */
const NONE: usize = 0

/** Below this a double holds seconds exactly enough for the ms to come out the same in whichever way it is computed. */
const EXACT_MS_MAX: f64 = 1e14

/** Where the next kept byte goes, and behind the last byte of the answer. */
let out: usize = 0
let bodyEnd: usize = 0

/** @returns where the places begin, in bytes */
export function placesAt(length: usize): usize {
  return (BODY + length + ZEROS + 15) & ~15
}

/** @returns bytes of memory that an answer of this length may need */
export function needed(length: usize): usize {
  return placesAt(length) + (length / RECORD_LEAST + 2) * RECORD_BYTES
}

/**
 * @param length of the answer
 * @param open where the bracket of the list of records opens, counted from BODY
 * @returns behind its closing bracket, counted from BODY; -1 for another form
 */
export function decode(length: usize, open: usize): i32 {
  out = BODY
  bodyEnd = BODY + length
  let record = placesAt(length)
  let count = 0
  let keyStart: usize = 0
  let keyEnd: usize = 0
  let isKeyPlain = false
  store<u32>(KEPT, 0)
  store<u32>(COUNT, 0)
  let at = afterSpace(BODY + open + 1)
  if (byteAt(at) === CLOSE_BRACKET) return <i32>(at + 1 - BODY)
  while (true) {
    if (byteAt(at) !== OPEN_BRACE) return -1
    let dataStart = NONE
    let dataEnd = NONE
    let numberStart = NONE
    let numberEnd = NONE
    // Each member once: of two the last one would count, and the first would be unproved.
    let hasKey = false
    let hasArrival = false
    // Not known, until it is told.
    store<f64>(record, -1, 32)
    store<u64>(record, 0, 40)
    do {
      const name = afterSpace(at + 1)
      const quoted = quotedLength(name)
      if (isName(name, quoted, DATA, DATA_LENGTH)) {
        if (dataStart !== NONE) return -1
        at = afterColon(name + quoted)
        if (byteAt(at) !== QUOTE) return -1
        const end = quoteFrom(at + 1)
        if (end >= bodyEnd) return -1
        dataStart = out
        if (!decodeBase64(at + 1, end)) return -1
        dataEnd = out
        store<u8>(out++, 0)
        at = end + 1
      } else if (isName(name, quoted, PARTITION_KEY, PARTITION_KEY_LENGTH)) {
        if (hasKey) return -1
        at = afterColon(name + quoted)
        const plainEnd = plainTextEnd(at)
        const end = plainEnd === NONE ? textEnd(at) : plainEnd
        if (end === NONE) return -1
        // Mostly that of the record before: a table has one, and it is kept once.
        if (!isSame(at, end - at, keyStart, keyEnd - keyStart)) {
          keyStart = out
          isKeyPlain = plainEnd !== NONE
          keep(at, end)
          keyEnd = out
        }
        hasKey = true
        at = end
      } else if (isName(name, quoted, SEQUENCE_NUMBER, SEQUENCE_NUMBER_LENGTH)) {
        if (numberStart !== NONE) return -1
        at = afterColon(name + quoted)
        const end = plainTextEnd(at)
        if (end === NONE) return -1
        numberStart = out
        keep(at + 1, end - 1)
        numberEnd = out
        store<u8>(out++, 0)
        at = end
      } else if (isName(name, quoted, ARRIVAL, ARRIVAL_LENGTH)) {
        if (hasArrival) return -1
        hasArrival = true
        at = afterColon(name + quoted)
        const end = tokenEnd(at)
        if (!decodeSeconds(record, at, end)) return -1
        at = end
      } else {
        // EncryptionType, or a name this version does not know: of no use here as long as it is a text.
        const nameEnd = plainTextEnd(name)
        if (nameEnd === NONE) return -1
        at = plainTextEnd(afterColon(nameEnd))
        if (at === NONE) return -1
      }
      at = afterSpace(at)
    } while (byteAt(at) === COMMA)
    if (byteAt(at) !== CLOSE_BRACE) return -1
    if (dataStart === NONE || !hasKey || numberStart === NONE) return -1
    store<u32>(record, place(dataStart), 0)
    store<u32>(record, place(dataEnd), 4)
    store<u32>(record, place(numberStart), 8)
    store<u32>(record, place(numberEnd), 12)
    store<u32>(record, place(keyStart), 16)
    store<u32>(record, place(keyEnd), 20)
    store<u32>(record, isKeyPlain ? 1 : 0, 24)
    record += RECORD_BYTES
    count++
    at = afterSpace(at + 1)
    if (byteAt(at) === CLOSE_BRACKET) {
      store<u32>(KEPT, place(out))
      store<u32>(COUNT, count)
      return <i32>(at + 1 - BODY)
    }
    if (byteAt(at) !== COMMA) return -1
    at = afterSpace(at + 1)
  }
  return -1
}

function place(at: usize): u32 {
  return <u32>(at - BODY)
}

function byteAt(at: usize): u32 {
  return <u32>load<u8>(at)
}

function keep(start: usize, end: usize): void {
  memory.copy(out, start, end - start)
  out += end - start
}

/** @returns the length of a short text with its quotes; 0 where none begins, or a longer one than any known name */
function quotedLength(at: usize): usize {
  if (byteAt(at) !== QUOTE) return 0
  const low = i8x16.bitmask(i8x16.eq(v128.load(at, 1), i8x16.splat(0x22)))
  const high = i8x16.bitmask(i8x16.eq(v128.load(at, 17), i8x16.splat(0x22)))
  const quotes = low | (high << 16)
  return quotes === 0 ? 0 : <usize>ctz(quotes) + 2
}

/** Whether a quoted text is one of NAMES, of 4 to 32 characters: looked at from both ends, which meet or overlap. */
function isName(at: usize, quoted: usize, name: usize, length: usize): bool {
  if (quoted !== length) return false
  if (length < 8)
    return load<u32>(at) === load<u32>(name) && load<u32>(at + length - 4) === load<u32>(name + length - 4)
  if (length < 16)
    return load<u64>(at) === load<u64>(name) && load<u64>(at + length - 8) === load<u64>(name + length - 8)
  const begin = v128.xor(v128.load(at), v128.load(name))
  const end = v128.xor(v128.load(at + length - 16), v128.load(name + length - 16))
  return !v128.any_true(v128.or(begin, end))
}

/** Whether the same bytes stand in two places. */
function isSame(one: usize, oneLength: usize, other: usize, otherLength: usize): bool {
  if (oneLength !== otherLength) return false
  for (let n = oneLength; n > 0; n--) if (byteAt(one + n - 1) !== byteAt(other + n - 1)) return false
  return true
}

function afterSpace(start: usize): usize {
  let at = start
  while (true) {
    const byte = byteAt(at)
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at
    at++
  }
  return at
}

/** @returns where the value begins; the end of the answer, where nothing does, if there is no colon */
function afterColon(start: usize): usize {
  const at = afterSpace(start)
  return byteAt(at) === COLON ? afterSpace(at + 1) : bodyEnd
}

/** @returns where the next quote stands, or some place behind the answer */
function quoteFrom(start: usize): usize {
  for (let at = start; at < bodyEnd; at += 16) {
    const quotes = i8x16.bitmask(i8x16.eq(v128.load(at), i8x16.splat(0x22)))
    if (quotes !== 0) return at + <usize>ctz(quotes)
  }
  return bodyEnd
}

/** @returns the place after the closing quote of a text of printable ASCII without escapes, or NONE */
function plainTextEnd(start: usize): usize {
  if (byteAt(start) !== QUOTE) return NONE
  for (let at = start + 1; at < bodyEnd; at++) {
    const byte = byteAt(at)
    if (byte === QUOTE) return at + 1
    if (byte < 0x20 || byte > 0x7e || byte === BACKSLASH) return NONE
  }
  return NONE
}

/** @returns the place after the closing quote of any text, or NONE */
function textEnd(start: usize): usize {
  if (byteAt(start) !== QUOTE) return NONE
  for (let at = start + 1; at < bodyEnd; at++) {
    const byte = byteAt(at)
    if (byte === QUOTE) return at + 1
    if (byte === BACKSLASH) at++
  }
  return NONE
}

/** @returns where the token that begins here ends */
function tokenEnd(start: usize): usize {
  let at = start
  for (; at < bodyEnd; at++) {
    const byte = byteAt(at)
    if (byte === COMMA || byte === CLOSE_BRACE || byte <= 0x20) break
  }
  return at
}

function isDigit(byte: u32): bool {
  return byte - ZERO < 10
}

/** @returns the place after the digits that begin here */
function digitsEnd(start: usize): usize {
  let at = start
  while (isDigit(byteAt(at))) at++
  return at
}

/** @param high the number the digits before these make */
function wholeNumber(start: usize, end: usize, high: f64): f64 {
  let number = high
  for (let at = start; at < end; at++) number = number * 10 + <f64>(byteAt(at) - ZERO)
  return number
}

/**
 * Seconds such as 1441215410.867 or 1.441215410867E9, which is how Kinesis writes them, into the record's places: as ms where
 * they come out exactly, else the text itself is kept, for the caller to round.
 *
 * @returns false for what is no JSON number or no time since 1970
 */
function decodeSeconds(record: usize, start: usize, end: usize): bool {
  if (byteAt(start) === ZERO) return false
  const wholeEnd = digitsEnd(start)
  const hasFraction = byteAt(wholeEnd) === POINT
  const fraction = hasFraction ? wholeEnd + 1 : wholeEnd
  const fractionEnd = digitsEnd(fraction)
  if (wholeEnd === start || (hasFraction && fractionEnd === fraction)) return false
  let at = fractionEnd
  let exponent: f64 = 0
  if ((byteAt(at) | 0x20) === 0x65) {
    const digits = byteAt(at + 1) === PLUS ? at + 2 : at + 1
    at = digitsEnd(digits)
    if (at === digits) return false
    exponent = wholeNumber(digits, at, 0)
  }
  if (at !== end) return false
  const digits = wholeNumber(fraction, fractionEnd, wholeNumber(start, wholeEnd, 0))
  const power = exponent - <f64>(fractionEnd - fraction) + 3
  const scale: f64 = power === 0 ? 1 : power === 1 ? 10 : power === 2 ? 100 : power === 3 ? 1000 : -1
  const ms = digits * scale
  if (scale > 0 && ms < EXACT_MS_MAX) {
    store<f64>(record, ms, 32)
    return true
  }
  store<u32>(record, place(out), 40)
  keep(start, end)
  store<u32>(record, place(out), 44)
  return true
}

/** @returns the six bits a character of base64 stands for; -1 for a foreign one */
function sextet(byte: u32): i32 {
  if (byte - 0x41 < 26) return <i32>byte - 0x41
  if (byte - 0x61 < 26) return <i32>byte - 0x61 + 26
  if (byte - 0x30 < 10) return <i32>byte - 0x30 + 52
  return byte === 0x2b ? 62 : byte === 0x2f ? 63 : -1
}

/**
 * What `decodeBase64` looks up, sixteen bytes each. In memory, since a constant of sixteen bytes is made anew wherever it is used:
 * that cost two thirds as much again.
 */
// biome-ignore format: a row each
const TABLES: usize = memory.data<u8>([
  // A character is one of base64 where the bits of its two halves have none in common: by its low half, and by its high half.
  0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a,
  0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10,
  // From a character to its six bits, to be added: by the high half, one less for the slash. As bytes: 191 is -65, 185 is -71.
  0, 16, 19, 4, 191, 191, 185, 185, 0, 0, 0, 0, 0, 0, 0, 0,
  // Two pairs of six bits, 4096 and 1 times as much.
  0, 16, 1, 0, 0, 16, 1, 0, 0, 16, 1, 0, 0, 16, 1, 0,
  // Where the three bytes of each four stand, the highest first; 255 for none.
  2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, 255, 255, 255, 255,
  0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f,
  0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f,
  255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0,
], 16)

/**
 * Appends what a padded base64 text stands for. Thirty-two characters at once: after W. Mula and D. Lemire, "Faster Base64
 * Encoding and Decoding Using AVX2 Instructions" (2018).
 *
 * @returns false when it is none
 */
function decodeBase64(start: usize, end: usize): bool {
  if (((end - start) & 3) !== 0) return false
  const lowClasses = v128.load(TABLES)
  const highClasses = v128.load(TABLES, 16)
  const shifts = v128.load(TABLES, 32)
  const joins = v128.load(TABLES, 48)
  const packed = v128.load(TABLES, 64)
  const nibble = v128.load(TABLES, 80)
  const slash = v128.load(TABLES, 96)
  const lowByte = v128.load(TABLES, 112)
  let foreign = i8x16.splat(0)
  let at = start
  let to = out
  // What is written reaches sixteen bytes from its place, never past what was read before.
  for (; at + 36 <= end; at += 32) {
    const one = v128.load(at)
    const two = v128.load(at, 16)
    const oneHigh = v128.and(i16x8.shr_u(one, 4), nibble)
    const twoHigh = v128.and(i16x8.shr_u(two, 4), nibble)
    const oneLow = v128.and(one, nibble)
    const twoLow = v128.and(two, nibble)
    const oneFault = v128.and(i8x16.swizzle(lowClasses, oneLow), i8x16.swizzle(highClasses, oneHigh))
    const twoFault = v128.and(i8x16.swizzle(lowClasses, twoLow), i8x16.swizzle(highClasses, twoHigh))
    foreign = v128.or(foreign, v128.or(oneFault, twoFault))
    const oneBits = i8x16.add(one, i8x16.swizzle(shifts, i8x16.add(i8x16.eq(one, slash), oneHigh)))
    const twoBits = i8x16.add(two, i8x16.swizzle(shifts, i8x16.add(i8x16.eq(two, slash), twoHigh)))
    const onePairs = v128.or(i16x8.shl(v128.and(oneBits, lowByte), 6), i16x8.shr_u(oneBits, 8))
    const twoPairs = v128.or(i16x8.shl(v128.and(twoBits, lowByte), 6), i16x8.shr_u(twoBits, 8))
    v128.store(to, i8x16.swizzle(i32x4.dot_i16x8_s(onePairs, joins), packed))
    v128.store(to, i8x16.swizzle(i32x4.dot_i16x8_s(twoPairs, joins), packed), 12)
    to += 24
  }
  if (v128.any_true(foreign)) return false
  for (; at < end; at += 4) {
    const a = sextet(byteAt(at))
    const b = sextet(byteAt(at + 1))
    const c = sextet(byteAt(at + 2))
    const d = sextet(byteAt(at + 3))
    const isLast = at + 4 === end
    const isOne = isLast && byteAt(at + 2) === 0x3d && byteAt(at + 3) === 0x3d
    const isTwo = isLast && byteAt(at + 3) === 0x3d && !isOne
    if (a < 0 || b < 0 || (c < 0 && !isOne) || (d < 0 && !isOne && !isTwo)) return false
    store<u8>(to++, (a << 2) | (b >> 4))
    if (isOne) break
    store<u8>(to++, (b << 4) | (c >> 2))
    if (isTwo) break
    store<u8>(to++, (c << 6) | d)
  }
  out = to
  return true
}
