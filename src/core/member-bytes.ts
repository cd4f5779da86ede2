/** Members of the record located last, found in its bytes, and the texts of its pieces. */
import { located, TOP_STEP } from './json-scan.ts'
import { stringAt } from './json-text.ts'

const utf8Encoder = new TextEncoder()
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Where among the places located the member of a name stands whose value is an object; -1 where it is none. */
export function objectIn(bytes: Uint8Array, name: Uint8Array): number {
  const { isObject, places, topFirst, topEnd } = located
  const at = isObject ? findIn(bytes, TOP_STEP, topFirst, topEnd, name) : -1
  return at >= 0 && places[at + 4]! >= 0 ? at : -1
}

/** Where the last member of a name stands among the places located; -1 when there is none. As `find`, in bytes. */
export function findIn(
  bytes: Uint8Array,
  step: number,
  first: number,
  last: number,
  name: Uint8Array,
): number {
  const { places } = located
  for (let at = last - step; at >= first; at -= step) {
    const start = places[at]!
    const isIt =
      start < 0
        ? isAt(bytesOf(nameIn(bytes, -start, places[at + 1]!)), 0, name.length, name)
        : isAt(bytes, start, places[at + 1]!, name)
    if (isIt) return at
  }
  return -1
}

/** A name that is written with escapes. */
function nameIn(bytes: Uint8Array, start: number, end: number): string {
  const token = pieceOf(bytes, start - 1, end + 1)
  return stringAt(token, 0, token.length)
}

/** Names as bytes: a table has a handful of them, asked for with every record. */
const namesInBytes = new Map<string, Uint8Array>()
const NAMES_MAX = 1000

export function nameInBytes(name: string): Uint8Array {
  let bytes = namesInBytes.get(name)
  if (!bytes) {
    bytes = bytesOf(name)
    if (namesInBytes.size >= NAMES_MAX) namesInBytes.clear()
    namesInBytes.set(name, bytes)
  }
  return bytes
}

const SHORT_MAX = 24
/** As many digits as a small integer of V8 holds for certain. */
const DIGITS_MAX = 9
const ZERO = 0x30

/** The text of a piece of bytes. Most are short and ASCII: keys. */
export function pieceOf(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > SHORT_MAX) return utf8.decode(bytes.subarray(start, end))
  const number = wholeNumber(bytes, start, end)
  // Its text is made at once, where one of letters grows by pieces: ids are numbers as a rule.
  if (number >= 0) return String(number)
  let text = ''
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!
    if (byte > 0x7f) return utf8.decode(bytes.subarray(start, end))
    text += String.fromCharCode(byte)
  }
  return text
}

/** The number of a few digits; -1 for anything that the number's own text would not be. */
function wholeNumber(bytes: Uint8Array, start: number, end: number): number {
  const digits = end - start
  if (digits === 0 || digits > DIGITS_MAX || (bytes[start] === ZERO && digits > 1)) return -1
  let number = 0
  for (let i = start; i < end; i++) {
    const digit = bytes[i]! - ZERO
    if (digit < 0 || digit > 9) return -1
    number = number * 10 + digit
  }
  return number
}

/** @param at of the member among the places located @returns whether its name is written so, without escapes */
export function isNamed(bytes: Uint8Array, at: number, name: Uint8Array): boolean {
  return isAt(bytes, located.places[at]!, located.places[at + 1]!, name)
}

/** Whether `wanted` stands from `start` to `end`; from the back, where the names of tables are. */
export function isAt(bytes: Uint8Array, start: number, end: number, wanted: Uint8Array): boolean {
  if (wanted.length !== end - start) return false
  for (let i = wanted.length - 1; i >= 0; i--) if (bytes[start + i] !== wanted[i]) return false
  return true
}

export function bytesOf(text: string): Uint8Array {
  return utf8Encoder.encode(text)
}
