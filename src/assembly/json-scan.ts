/**
 * The scan of `core/json-scan.ts`, which says what it proves and what it notes. AssemblyScript: WebAssembly looks at a byte for
 * two fifths of what JavaScript takes, for it needs no test of bounds and sees sixteen characters of a string at once.
 *
 * The text stands at TEXT, `length` bytes and a 0 behind them; sixteen more may be read (and never decide: the 0 comes first).
 * Behind the text is room for all places it can have, which the caller sees to: a member takes five bytes at least.
 */

/** Numbers for the caller, as 32-bit words from 0: where the places of the top begin and end, whether the top is an object. */
const TOP_FIRST: usize = 0
const TOP_END: usize = 4
const IS_OBJECT: usize = 8
/** Texts remembered by `remember`: each its length in 16 bytes, then its bytes. */
const SLOTS: usize = 64
const SLOT_BYTES: usize = 1024
const SLOT_COUNT: i32 = 6
const SLOT_HEAD: usize = 16
export const TEXT: usize = 8192

/** Bytes of a member's places: 7 words at the top, 4 below it. */
const TOP_STEP: usize = 28
const INNER_STEP: usize = 16
const MEMBER_LEAST: usize = 5

const QUOTE: u32 = 0x22
const BACKSLASH: u32 = 0x5c
const COMMA: u32 = 0x2c
const COLON: u32 = 0x3a
const MINUS: u32 = 0x2d
const PLUS: u32 = 0x2b
const POINT: u32 = 0x2e
const ZERO: u32 = 0x30
const SPACE: u32 = 0x20
const LINE_FEED: u32 = 0x0a
const OPEN_BRACE: u32 = 0x7b
const CLOSE_BRACE: u32 = 0x7d
const OPEN_BRACKET: u32 = 0x5b
const CLOSE_BRACKET: u32 = 0x5d

/** What `locate` answers. */
const DONE: i32 = 0
const NOT_JSON: i32 = 1
const TOO_DEEP: i32 = 2
const NUMBER_TOO_LONG: i32 = 3

/** No place in a text: the answer of what does not find JSON's next part. */
const NONE: usize = 0

/** Line feeds between tokens so far, of all texts: whether an object has one is told by its two counts. */
let lineFeeds: i32 = 0

/** @param text bytes of it @returns bytes of memory that a text of this length may need */
export function needed(length: usize): usize {
  return placesAt(length) + placesMost(length) * (INNER_STEP + TOP_STEP)
}

function placesAt(length: usize): usize {
  return (TEXT + length + 32) & ~15
}

function placesMost(length: usize): usize {
  return length / MEMBER_LEAST + 2
}

/** @param delta from here to the caller's own places in the text @returns DONE, or the fault */
export function locate(length: usize, delta: i32, depthMax: i32, numberLengthMax: usize): i32 {
  const innerFirst = placesAt(length)
  const topFirst = innerFirst + placesMost(length) * INNER_STEP
  let inner = innerFirst
  let top = topFirst
  /** Whether the container at depth 2 that is open is an object whose members are noted. */
  let isNoted = false
  let lineFeedsBefore = 0
  let depth = 0
  /** Bit d is set when the container at depth d is an object. */
  let objects = 0
  let i = afterBlanks(TEXT)
  const isObject = unitAt(i) === OPEN_BRACE
  store<u32>(IS_OBJECT, isObject ? 1 : 0)
  store<usize>(TOP_FIRST, topFirst >> 2)
  store<usize>(TOP_END, topFirst >> 2)

  while (true) {
    // Here a value begins.
    let isNameNext = false
    const unit = unitAt(i)
    const isOpening = unit === OPEN_BRACE || unit === OPEN_BRACKET
    if (unit === QUOTE) i = afterString(i)
    else if (isOpening) {
      if (++depth > depthMax) return TOO_DEEP
      if (unit === OPEN_BRACE) objects |= 1 << depth
      else objects &= ~(1 << depth)
      if (depth === 2 && isObject && unit === OPEN_BRACE) {
        isNoted = true
        lineFeedsBefore = lineFeeds
        store<usize>(top - TOP_STEP, inner >> 2, 16)
      }
      i = afterBlanks(i + 1)
      // The closing bracket of an empty container is met below, where those of all others are.
      if (unitAt(i) !== (unit === OPEN_BRACE ? CLOSE_BRACE : CLOSE_BRACKET)) {
        if (unit === OPEN_BRACKET) continue
        isNameNext = true
      }
    } else if (unit === MINUS || isDigit(unit)) {
      const first = i
      i = afterNumber(i)
      if (i !== NONE && i - first > numberLengthMax) return NUMBER_TOO_LONG
    } else i = afterWord(i)
    if (i === NONE) return NOT_JSON

    // Here a value has ended, or an empty container is about to.
    let isValueEnd = !isOpening
    while (!isNameNext) {
      if (isValueEnd) {
        if (depth === 0) {
          store<usize>(TOP_END, top >> 2)
          return afterBlanks(i) === TEXT + length ? DONE : NOT_JSON
        }
        if (depth === 1 && isObject) store<i32>(top - TOP_STEP, placeOf(i, delta), 12)
        else if (depth === 2 && isNoted) store<i32>(inner - INNER_STEP, placeOf(i, delta), 12)
      }
      isValueEnd = true
      i = afterBlanks(i)
      const next = unitAt(i)
      const isInObject = (objects & (1 << depth)) !== 0
      if (next === COMMA) {
        i = afterBlanks(i + 1)
        if (!isInObject) break
        isNameNext = true
      } else if (next === (isInObject ? CLOSE_BRACE : CLOSE_BRACKET)) {
        i++
        depth--
        if (depth === 1 && isNoted) {
          isNoted = false
          store<usize>(top - TOP_STEP, inner >> 2, 20)
          store<i32>(top - TOP_STEP, lineFeeds === lineFeedsBefore ? 0 : 1, 24)
        }
      } else return NOT_JSON
    }
    if (!isNameNext) continue

    if (unitAt(i) !== QUOTE) return NOT_JSON
    const runEnd = afterRun(i + 1)
    const isPlain = unitAt(runEnd) === QUOTE
    const nameEnd = isPlain ? runEnd + 1 : afterString(i)
    if (nameEnd === NONE) return NOT_JSON
    const colon = afterBlanks(nameEnd)
    if (unitAt(colon) !== COLON) return NOT_JSON
    const value = afterBlanks(colon + 1)
    const name = placeOf(i + 1, delta)
    if (depth === 1) {
      store<i32>(top, isPlain ? name : -name)
      store<i32>(top, placeOf(nameEnd - 1, delta), 4)
      store<i32>(top, placeOf(value, delta), 8)
      store<i32>(top, -1, 16)
      store<i32>(top, -1, 20)
      top += TOP_STEP
    } else if (depth === 2 && isNoted) {
      store<i32>(inner, isPlain ? name : -name)
      store<i32>(inner, placeOf(nameEnd - 1, delta), 4)
      store<i32>(inner, placeOf(value, delta), 8)
      inner += INNER_STEP
    }
    i = value
  }
  return NOT_JSON
}

/** Keeps a piece of the text scanned last. @param slot from 0; a piece too long for it empties it */
export function remember(slot: i32, start: usize, length: usize): void {
  const at = slotAt(slot)
  const isKept = length <= SLOT_BYTES - SLOT_HEAD
  store<u32>(at, isKept ? <u32>length : 0)
  if (isKept) memory.copy(at + SLOT_HEAD, start, length)
}

/** @param start in this memory @returns the slot that has the same piece, byte for byte; -1 when none has */
export function remembered(start: usize, length: usize): i32 {
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const at = slotAt(slot)
    if (load<u32>(at) === <u32>length && length > 0 && isSame(at + SLOT_HEAD, start, length)) return slot
  }
  return -1
}

function slotAt(slot: i32): usize {
  return SLOTS + <usize>slot * SLOT_BYTES
}

/** From the back, where the names of tables are. */
function isSame(one: usize, other: usize, length: usize): bool {
  let left = length
  for (; left >= 16; left -= 16) {
    const differing = v128.xor(v128.load(one + left - 16), v128.load(other + left - 16))
    if (v128.any_true(differing)) return false
  }
  for (; left > 0; left--) if (unitAt(one + left - 1) !== unitAt(other + left - 1)) return false
  return true
}

function placeOf(at: usize, delta: i32): i32 {
  return <i32>at + delta
}

function unitAt(at: usize): u32 {
  return <u32>load<u8>(at)
}

/** @param at of the opening quote @returns behind the closing one; NONE for what is no JSON string */
function afterString(at: usize): usize {
  let i = at + 1
  while (true) {
    i = afterRun(i)
    const unit = unitAt(i)
    if (unit === QUOTE) return i + 1
    if (unit !== BACKSLASH) return NONE
    i = afterEscape(i)
    if (i === NONE) return NONE
  }
  return NONE
}

/** Behind the plain characters of a string: at a quote, a backslash, what no string may hold, or the end of the text. */
function afterRun(at: usize): usize {
  let i = at
  while (true) {
    const units = v128.load(i)
    const quotes = i8x16.eq(units, i8x16.splat(0x22))
    const backslashes = i8x16.eq(units, i8x16.splat(0x5c))
    const ends = i8x16.bitmask(v128.or(v128.or(quotes, backslashes), i8x16.lt_u(units, i8x16.splat(0x20))))
    if (ends !== 0) return i + <usize>ctz(ends)
    i += 16
  }
  return NONE
}

/** @param at of the backslash @returns behind the escape; NONE for one JSON does not know */
function afterEscape(at: usize): usize {
  const letter = unitAt(at + 1)
  switch (letter) {
    case 0x22: // "
    case 0x5c: // \
    case 0x2f: // /
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return at + 2
    case 0x75: // u
      break
    default:
      return NONE
  }
  for (let i = at + 2; i < at + 6; i++) if (!isHex(unitAt(i))) return NONE
  return at + 6
}

function isHex(unit: u32): bool {
  return isDigit(unit) || (unit | 0x20) - 0x61 < 6
}

function isDigit(unit: u32): bool {
  return unit - ZERO < 10
}

function afterNumber(at: usize): usize {
  let i = at
  if (unitAt(i) === MINUS) i++
  if (unitAt(i) === ZERO) i++
  else {
    i = afterDigits(i)
    if (i === NONE) return NONE
  }
  if (unitAt(i) === POINT) {
    i = afterDigits(i + 1)
    if (i === NONE) return NONE
  }
  if ((unitAt(i) | 0x20) === 0x65) {
    const sign = unitAt(i + 1)
    i = afterDigits(sign === PLUS || sign === MINUS ? i + 2 : i + 1)
  }
  return i
}

/** @returns NONE where there is not one */
function afterDigits(at: usize): usize {
  let i = at
  while (isDigit(unitAt(i))) i++
  return i === at ? NONE : i
}

function afterWord(at: usize): usize {
  const word = load<u32>(at)
  if (word === 0x6c6c756e || word === 0x65757274) return at + 4 // null, true
  return word === 0x736c6166 && unitAt(at + 4) === 0x65 ? at + 5 : NONE // false
}

function afterBlanks(at: usize): usize {
  return unitAt(at) > SPACE ? at : afterSomeBlanks(at)
}

function afterSomeBlanks(at: usize): usize {
  let i = at
  while (true) {
    const unit = unitAt(i)
    if (unit === LINE_FEED) lineFeeds++
    else if (unit !== SPACE && unit !== 0x0d && unit !== 0x09) return i
    i++
  }
  return NONE
}
