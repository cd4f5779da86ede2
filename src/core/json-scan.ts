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

function afterBlanks(units: CodeUnits, at: number): number {
  if (units[at]! > 0x20) return at
  let i = at
  for (;;) {
    const unit = units[i]
    if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return i
    i++
  }
}

/** @param length of the text in code units */
export function scan(units: CodeUnits, length: number, limits: ScanLimits): Scanned | ScanFault {
  const top: number[] = []
  const inner: (ObjectText | undefined)[] = []
  /** The object at depth 2 that is open, if its members are noted. */
  let second: ObjectText | undefined
  let secondMembers: number[] = []
  let depth = 0
  /** Bit d is set when the container at depth d is an object. */
  let objects = 0
  let i = afterBlanks(units, 0)
  const isObject = units[i] === OPEN_BRACE

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
        secondMembers = []
        second = { start: i, end: 0, members: secondMembers }
      }
      i = afterBlanks(units, i + 1)
      // The closing bracket of an empty container is met below, where those of all others are.
      if (units[i] !== (unit === OPEN_BRACE ? CLOSE_BRACE : CLOSE_BRACKET)) {
        if (unit === OPEN_BRACKET) continue
        isNameNext = true
      }
    } else if (unit === MINUS || isDigit(unit)) {
      const start = i
      i = afterNumber(units, i)
      if (i - start > limits.numberLengthMax) return 'number-too-long'
    } else i = afterWord(units, i)
    if (i < 0) return 'not-json'

    // Here a value has ended, or an empty container is about to.
    let isValueEnd = !(unit === OPEN_BRACE || unit === OPEN_BRACKET)
    while (!isNameNext) {
      if (isValueEnd) {
        if (depth === 0)
          return afterBlanks(units, i) === length ? { top: isObject ? top : undefined, inner } : 'not-json'
        if (depth === 1 && isObject) top[top.length - 1] = i
        else if (depth === 2 && second) secondMembers[secondMembers.length - 1] = i
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
        if (depth === 1 && second) {
          second.end = i
          inner[inner.length - 1] = second
          second = undefined
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
      top.push(name, nameEnd - 1, value, 0)
      inner.push(undefined)
    } else if (depth === 2 && second) secondMembers.push(name, nameEnd - 1, value, 0)
    i = value
  }
}
