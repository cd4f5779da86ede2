/**
 * One strict pass over JSON: proves it, keeps its limits, and notes where the members of its objects stand.
 *
 * It accepts what `JSON.parse` accepts (RFC 8259), less what breaks a limit, and builds no values: a number stays the
 * digits it came with. One loop and a bit mask for what is open, so depth costs no stack and nothing is read twice.
 *
 * The pass itself is `src/assembly/json-scan.ts`, as WebAssembly: 0.55 us for a record of 970 bytes, its copying included, where
 * the same loop in JavaScript took 1.36. The text is copied to the memory of it, and the places are read there.
 */

import { WASM } from './json-scan-wasm.ts'
import { growTo, instantiated, type WasmConstant, type WasmMemory } from './wasm.ts'

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

type Exports = {
  memory: WasmMemory
  TEXT: WasmConstant
  /** Bytes of memory that a text of this length may need, its places included. */
  needed(length: number): number
  locate(length: number, delta: number, depthMax: number, numberLengthMax: number): number
  remember(slot: number, start: number, length: number): void
  remembered(start: number, length: number): number
}

const wasm = instantiated<Exports>(WASM)
const TEXT = wasm.TEXT.value

/** What `locate` of the assembly answers. */
const FAULTS: readonly (ScanFault | undefined)[] = [undefined, 'not-json', 'too-deep', 'number-too-long']

/** JSON is made of ASCII alone, and in its strings all else is alike, so one byte stands for any other character. */
const NOT_ASCII = 0xff
/** Behind the text: no JSON goes on with it. */
const END = 0
const NUMBER_LENGTH_MOST = 0x7fff_ffff

/** The assembly's memory, seen anew whenever it has grown. */
let bytesOfMemory = new Uint8Array(wasm.memory.buffer)

/** Numbers that a member takes in `located.places`. */
export const TOP_STEP = 7
export const INNER_STEP = 4

/**
 * Where the members of the text scanned last stand. One for all scans, since arrays made for each record are a large part of what
 * the garbage collector has to do; whoever keeps places from it keeps `scan` too, and scans anew when that is no longer the same.
 */
export const located = {
  /** Grows with every scan. */
  scan: 0,
  isObject: false,
  /**
   * From `topFirst` to `topEnd` the members of the top, each: name, its end, value, its end, as in `Members`; then where the
   * members of the value begin and end among these same places (both -1 where it is no object), four numbers each; and 1 where it
   * has line feeds between its tokens.
   */
  places: new Int32Array(wasm.memory.buffer),
  topFirst: 0,
  topEnd: 0,
}

/** Makes room for a text; what was located before is gone. */
function makeRoom(length: number): void {
  const bytes = wasm.needed(length)
  if (bytes <= bytesOfMemory.length) return
  growTo(wasm.memory, bytes)
  bytesOfMemory = new Uint8Array(wasm.memory.buffer)
  located.places = new Int32Array(wasm.memory.buffer)
}

/** @param start of the text for the caller: its places count from there */
function run(
  length: number,
  start: number,
  { depthMax, numberLengthMax }: ScanLimits,
): ScanFault | undefined {
  bytesOfMemory[TEXT + length] = END
  const digitsMax = Math.min(numberLengthMax, NUMBER_LENGTH_MOST)
  const answer = wasm.locate(length, start - TEXT, depthMax, digitsMax)
  const { places } = located
  located.scan++
  located.topFirst = places[0]!
  located.topEnd = places[1]!
  located.isObject = places[2] === 1
  return FAULTS[answer]
}

/** @param bytes the text, in UTF-8 @returns `located` has the places, as counted in `bytes` */
export function locate(
  bytes: Uint8Array,
  start: number,
  end: number,
  limits: ScanLimits,
): ScanFault | undefined {
  makeRoom(end - start)
  bytesOfMemory.set(bytes.subarray(start, end), TEXT)
  return run(end - start, start, limits)
}

/**
 * Keeps a piece of the text located last in one of six slots, for `remembered`; a long one empties it.
 *
 * @param at of the piece, counted from the beginning of the text
 */
export function remember(slot: number, at: number, length: number): void {
  wasm.remember(slot, TEXT + at, length)
}

/** @returns the slot that keeps the same piece, byte for byte; -1 when none does */
export function remembered(at: number, length: number): number {
  return wasm.remembered(TEXT + at, length)
}

/** Scans a text that is there as a string; places are counted in UTF-16 units, as in the string. */
export function scanText(text: string, limits: ScanLimits): Scanned | ScanFault {
  const { length } = text
  makeRoom(length)
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i)
    bytesOfMemory[TEXT + i] = unit < 0x80 ? unit : NOT_ASCII
  }
  return scanned(run(length, 0, limits))
}

/** As `locate`, with arrays of their own for the places. */
export function scan(bytes: Uint8Array, limits: ScanLimits): Scanned | ScanFault {
  return scanned(locate(bytes, 0, bytes.length, limits))
}

function scanned(fault: ScanFault | undefined): Scanned | ScanFault {
  if (fault !== undefined) return fault
  const { isObject, places, topFirst, topEnd } = located
  if (!isObject) return { top: undefined, inner: [] }
  const top: number[] = []
  const inner: (ObjectText | undefined)[] = []
  for (let at = topFirst; at < topEnd; at += TOP_STEP) {
    const [name, nameEnd, start, end, first, last] = places.subarray(at, at + TOP_STEP)
    top.push(name!, nameEnd!, start!, end!)
    inner.push(first! < 0 ? undefined : { start: start!, end: end!, members: membersFrom(first!, last!, 0) })
  }
  return { top, inner }
}

/** Members below the top as an array of their own, for a text that begins at `start`. */
export function membersFrom(first: number, last: number, start: number): Members {
  const { places } = located
  const members: number[] = []
  for (let at = first; at < last; at += INNER_STEP) {
    const name = places[at]!
    members.push(name < 0 ? name + start : name - start, places[at + 1]! - start)
    members.push(places[at + 2]! - start, places[at + 3]! - start)
  }
  return members
}
