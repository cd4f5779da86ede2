/**
 * One strict pass over JSON: proves it, keeps its limits, and notes where the members of its objects stand.
 *
 * It accepts what `JSON.parse` accepts (RFC 8259), less what breaks a limit, and builds no values: a number stays the
 * digits it came with. One loop and a bit mask for what is open, so depth costs no stack and nothing is read twice. It
 * reads bytes, because that costs less than `charCodeAt`.
 */

/**
 * The members of one object as positions in the text, four numbers each, in wire order, duplicates included: the name
 * (behind its opening quote; negated where the name is written with escapes), its end (the closing quote), the value, its
 * end.
 */
export type Members = readonly number[]

/** An object within a text; `end` is exclusive. */
export type ObjectText = { start: number; end: number; members: Members }

export type ScanLimits = {
  /** Containers within containers; the top counts as 1. At most 30. */
  depthMax: number
  /** Characters of one number. */
  numberLengthMax: number
}

export type Scanned = {
  /** The members of the top value; undefined where it is not an object. */
  top: Members | undefined
  /** For each member of the top: its value as an object; undefined where it is none. */
  inner: readonly (ObjectText | undefined)[]
}

export type ScanFault = 'not-json' | 'too-deep' | 'number-too-long'

/**
 * A text as bytes at the same positions: its own where it is ASCII. JSON is made of ASCII alone, and in its strings all
 * else is alike, so one byte stands for any other character. Behind the last one comes nothing, or a byte JSON cannot have.
 */
export type CodeUnits = Uint8Array

const NOT_ASCII = 0xff
const END = 0

/** Used over and over: to make an array for each text would cost more than to fill it. */
const scratch = new Uint8Array(65_536)

/** @returns the code units of a text, valid until the next call; as many as the text is long */
export function codeUnitsOf(text: string): CodeUnits {
  const { length } = text
  const units = length < scratch.length ? scratch : new Uint8Array(length + 1)
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i)
    units[i] = unit < 0x80 ? unit : NOT_ASCII
  }
  units[length] = END
  return units
}

/** Scans a text that is there as a string. */
export function scanText(text: string, limits: ScanLimits): Scanned | ScanFault {
  return scan(codeUnitsOf(text), text.length, limits)
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const MINUS = 0x2d
const PLUS = 0x2b
const POINT = 0x2e
const ZERO = 0x30
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d

/** Letters that make an escape with the backslash before them. */
const isShortEscape = new Uint8Array(256)
for (const letter of '"\\/bfnrt') isShortEscape[letter.charCodeAt(0)] = 1

/** @param at of the opening quote @returns behind the closing one; -1 for what is no JSON string */
function afterString(units: CodeUnits, at: number): number {
  let i = at + 1
  for (;;) {
    i = afterRun(units, i)
    const unit = units[i]
    if (unit === QUOTE) return i + 1
    if (unit !== BACKSLASH) return -1
    i = lastOfEscape(units, i) + 1
    if (i === 0) return -1
  }
}

/** Behind the plain characters of a string: at a quote, a backslash, what no string may hold, or the end of the text. */
function afterRun(units: CodeUnits, at: number): number {
  for (let i = at; ; i++) {
    const unit = units[i]!
    // Behind the end of the text there is no unit: it is not above, and ends the run.
    if (unit > QUOTE) {
      if (unit === BACKSLASH) return i
    } else if (unit !== 0x20 && unit !== 0x21) return i
  }
}

/** @param at of the backslash @returns where the escape's last character stands; -1 for one JSON does not know */
function lastOfEscape(units: CodeUnits, at: number): number {
  const letter = units[at + 1]
  if (isShortEscape[letter!] === 1) return at + 1
  if (letter !== 0x75) return -1
  for (let i = at + 2; i < at + 6; i++) if (!isHex(units[i]!)) return -1
  return at + 5
}

function isHex(unit: number): boolean {
  return isDigit(unit) || (unit >= 0x41 && unit <= 0x46) || (unit >= 0x61 && unit <= 0x66)
}

/** @param unit undefined behind the end of the text, which compares as no digit */
function isDigit(unit: number | undefined): boolean {
  return unit! >= ZERO && unit! <= 0x39
}

function afterNumber(units: CodeUnits, at: number): number {
  let i = at
  if (units[i] === MINUS) i++
  if (units[i] === ZERO) i++
  else {
    const first = i
    while (isDigit(units[i])) i++
    if (i === first) return -1
  }
  if (units[i] === POINT) {
    const first = ++i
    while (isDigit(units[i])) i++
    if (i === first) return -1
  }
  if (units[i] === 0x65 || units[i] === 0x45) {
    i++
    if (units[i] === PLUS || units[i] === MINUS) i++
    const first = i
    while (isDigit(units[i])) i++
    if (i === first) return -1
  }
  return i
}

const [TRUE, FALSE, NULL] = ['true', 'false', 'null'].map(word =>
  Uint8Array.from(word, letter => letter.charCodeAt(0)),
) as [CodeUnits, CodeUnits, CodeUnits]

function afterWord(units: CodeUnits, at: number): number {
  const word = units[at] === 0x6e ? NULL : units[at] === 0x74 ? TRUE : FALSE
  for (let i = 0; i < word.length; i++) if (units[at + i] !== word[i]) return -1
  return at + word.length
}

/** Line feeds between tokens so far, of all texts: whether an object has one is told by its two counts. */
let lineFeeds = 0

function afterBlanks(units: CodeUnits, at: number): number {
  if (units[at]! > 0x20) return at
  let i = at
  for (;;) {
    const unit = units[i]
    if (unit === 0x0a) lineFeeds++
    else if (unit !== 0x20 && unit !== 0x0d && unit !== 0x09) return i
    i++
  }
}

/** Numbers that a member takes in `Located`. */
export const TOP_STEP = 7
export const INNER_STEP = 4

/**
 * Where the members of the text scanned last stand. One for all scans, since arrays made for each record are a large
 * part of what the garbage collector has to do; whoever keeps places from it keeps `scan` too, and scans anew when that is no longer the same.
 */
export const located = {
  /** Grows with every scan. */
  scan: 0,
  isObject: false,
  /**
   * The members of the top, each: name, its end, value, its end, as in `Members`; then where the members of the value begin
   * and end in `inner` (both -1 where it is no object), and 1 where it has line feeds between its tokens.
   */
  top: new Int32Array(16 * TOP_STEP),
  /** How many numbers of `top` are taken. */
  topEnd: 0,
  /** The members of the members. */
  inner: new Int32Array(256 * INNER_STEP),
}

function grown(places: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(2 * places.length)
  larger.set(places)
  return larger
}

/** @param end where the text ends; what follows must be nothing, or no character of JSON @returns `located` has the places */
export function locate(
  units: CodeUnits,
  start: number,
  end: number,
  limits: ScanLimits,
): ScanFault | undefined {
  let { top, inner } = located
  let topEnd = 0
  let innerEnd = 0
  /** Whether the container at depth 2 that is open is an object whose members are noted. */
  let isNoted = false
  let lineFeedsBefore = 0
  let depth = 0
  /** Bit d is set when the container at depth d is an object. */
  let objects = 0
  let i = afterBlanks(units, start)
  const isObject = units[i] === OPEN_BRACE
  located.scan++
  located.isObject = isObject

  for (;;) {
    // Here a value begins.
    let isNameNext = false
    const unit = units[i]
    if (unit === QUOTE) i = afterString(units, i)
    else if (unit === OPEN_BRACE || unit === OPEN_BRACKET) {
      if (++depth > limits.depthMax) return 'too-deep'
      if (unit === OPEN_BRACE) objects |= 1 << depth
      else objects &= ~(1 << depth)
      if (depth === 2 && isObject && unit === OPEN_BRACE) {
        isNoted = true
        lineFeedsBefore = lineFeeds
        top[topEnd - 3] = innerEnd
      }
      i = afterBlanks(units, i + 1)
      // The closing bracket of an empty container is met below, where those of all others are.
      if (units[i] !== (unit === OPEN_BRACE ? CLOSE_BRACE : CLOSE_BRACKET)) {
        if (unit === OPEN_BRACKET) continue
        isNameNext = true
      }
    } else if (unit === MINUS || isDigit(unit)) {
      const first = i
      i = afterNumber(units, i)
      if (i - first > limits.numberLengthMax) return 'number-too-long'
    } else i = afterWord(units, i)
    if (i < 0) return 'not-json'

    // Here a value has ended, or an empty container is about to.
    let isValueEnd = !(unit === OPEN_BRACE || unit === OPEN_BRACKET)
    while (!isNameNext) {
      if (isValueEnd) {
        if (depth === 0) {
          located.topEnd = topEnd
          return afterBlanks(units, i) === end ? undefined : 'not-json'
        }
        if (depth === 1 && isObject) top[topEnd - 4] = i
        else if (depth === 2 && isNoted) inner[innerEnd - 1] = i
      }
      isValueEnd = true
      i = afterBlanks(units, i)
      const next = units[i]
      const isInObject = (objects & (1 << depth)) !== 0
      if (next === COMMA) {
        i = afterBlanks(units, i + 1)
        if (!isInObject) break
        isNameNext = true
      } else if (next === (isInObject ? CLOSE_BRACE : CLOSE_BRACKET)) {
        i++
        depth--
        if (depth === 1 && isNoted) {
          isNoted = false
          top[topEnd - 2] = innerEnd
          top[topEnd - 1] = lineFeeds === lineFeedsBefore ? 0 : 1
        }
      } else return 'not-json'
    }
    if (!isNameNext) continue

    if (units[i] !== QUOTE) return 'not-json'
    const runEnd = afterRun(units, i + 1)
    const isPlain = units[runEnd] === QUOTE
    const nameEnd = isPlain ? runEnd + 1 : afterString(units, i)
    if (nameEnd < 0) return 'not-json'
    const name = isPlain ? i + 1 : -(i + 1)
    const colon = afterBlanks(units, nameEnd)
    if (units[colon] !== COLON) return 'not-json'
    const value = afterBlanks(units, colon + 1)
    if (depth === 1) {
      if (topEnd + TOP_STEP > top.length) top = located.top = grown(top)
      top[topEnd] = name
      top[topEnd + 1] = nameEnd - 1
      top[topEnd + 2] = value
      top[topEnd + 4] = -1
      top[topEnd + 5] = -1
      topEnd += TOP_STEP
    } else if (depth === 2 && isNoted) {
      if (innerEnd + INNER_STEP > inner.length) inner = located.inner = grown(inner)
      inner[innerEnd] = name
      inner[innerEnd + 1] = nameEnd - 1
      inner[innerEnd + 2] = value
      innerEnd += INNER_STEP
    }
    i = value
  }
}

/** As `locate`, with arrays of their own for the places. @param length of the text in code units */
export function scan(units: CodeUnits, length: number, limits: ScanLimits): Scanned | ScanFault {
  const fault = locate(units, 0, length, limits)
  if (fault !== undefined) return fault
  if (!located.isObject) return { top: undefined, inner: [] }
  const top: number[] = []
  const inner: (ObjectText | undefined)[] = []
  for (let at = 0; at < located.topEnd; at += TOP_STEP) {
    const [name, nameEnd, start, end, first, last] = located.top.subarray(at, at + TOP_STEP)
    top.push(name!, nameEnd!, start!, end!)
    inner.push(first! < 0 ? undefined : { start: start!, end: end!, members: membersFrom(first!, last!, 0) })
  }
  return { top, inner }
}

/** Members of `located.inner` as an array of their own, for a text that begins at `start`. */
export function membersFrom(first: number, last: number, start: number): Members {
  const { inner } = located
  const members: number[] = []
  for (let at = first; at < last; at += INNER_STEP) {
    const name = inner[at]!
    members.push(name < 0 ? name + start : name - start, inner[at + 1]! - start)
    members.push(inner[at + 2]! - start, inner[at + 3]! - start)
  }
  return members
}
