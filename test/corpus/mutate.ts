/** Payloads -> damaged payloads, by a seed: what a bug on the way, a cut, another producer or an attacker could make of them. */
import type { Chance } from '../simulation/chance.ts'

/** Mutated payloads grow no further. */
const BYTES_MAX = 2_000_000

type Mutation = (bytes: Buffer, chance: Chance, other: Buffer) => Buffer

/** Strings, numbers, words and punctuation, as far as they can be told in damaged text. */
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|[a-z]+|[{}[\],:]/gs

const NASTY = [
  ...[
    '""',
    'null',
    'true',
    '{}',
    '[]',
    '-0',
    '1e400',
    '1E+15',
    '9007199254740993',
    '"__proto__"',
    '"\\ud800"',
  ],
  ...[
    '"\\u0000"',
    '"{1,2"',
    '"{\\"a\\":"',
    '"{{1},{2}}"',
    '"[2:3]={1,2}"',
    '"infinity"',
    '"constructor"',
    '"BI_id"',
  ],
  ...[
    '"2026-03-02 09:15:01+05:30"',
    '"{\\"abc"',
    '"[[[[[[[[[[[[[[[[[[[["',
    '"primary-key"',
    '"control"',
    '"\\\\"',
  ],
]

function range(bytes: Buffer, by: Chance, lengthMax: number): [start: number, end: number] {
  const start = by.whole(0, bytes.length)
  return [start, Math.min(bytes.length, start + by.whole(1, lengthMax))]
}

const joined = (...parts: readonly Uint8Array[]) => Buffer.concat(parts)

/** Replaces one token of the text, mostly a member's value; latin1 keeps each byte what it was. */
function withToken(bytes: Buffer, by: Chance, replacement: (token: string) => string): Buffer {
  const text = bytes.toString('latin1')
  const all = [...text.slice(0, 20_000).matchAll(TOKENS)]
  const values = all.filter(({ 0: token }, at) => !/[{}[\],:]/.test(token[0]!) && all[at - 1]?.[0] === ':')
  const tokens = values.length > 0 && by.isHit(0.8) ? values : all
  if (tokens.length === 0) return bytes
  const { 0: token, index } = by.pick(tokens)
  return Buffer.from(text.slice(0, index) + replacement(token) + text.slice(index + token.length), 'latin1')
}

/** Of bytes: what comes of them is seldom JSON. */
const rough: readonly Mutation[] = [
  // A bit.
  (bytes, by) => {
    const copy = Buffer.from(bytes)
    if (copy.length > 0) copy[by.whole(0, copy.length - 1)]! ^= 1 << by.whole(0, 7)
    return copy
  },
  // Bytes put in.
  (bytes, by) => {
    const at = by.whole(0, bytes.length)
    const added = Buffer.from(Array.from({ length: by.whole(1, 4) }, () => by.whole(0, 255)))
    return joined(bytes.subarray(0, at), added, bytes.subarray(at))
  },
  // Bytes taken out.
  (bytes, by) => {
    const [start, end] = range(bytes, by, by.whole(1, 40))
    return joined(bytes.subarray(0, start), bytes.subarray(end))
  },
  // A piece twice.
  (bytes, by) => {
    const [start, end] = range(bytes, by, 60)
    return joined(bytes.subarray(0, end), bytes.subarray(start, end), bytes.subarray(end))
  },
  // A piece many times.
  (bytes, by) => {
    const [start, end] = range(bytes, by, 12)
    const piece = bytes.subarray(start, end)
    return joined(bytes.subarray(0, end), ...new Array(by.whole(1, 3000)).fill(piece), bytes.subarray(end))
  },
  // The beginning of one record and the end of another.
  (bytes, by, other) =>
    joined(bytes.subarray(0, by.whole(0, bytes.length)), other.subarray(by.whole(0, other.length))),
  // Cut.
  (bytes, by) => bytes.subarray(0, by.whole(0, bytes.length)),
]

/** Of tokens: what comes of them is often JSON still, and sometimes a record. */
const gentle: readonly Mutation[] = [
  // A token of another record, or a nasty one, in the place of one.
  (bytes, by, other) => {
    const theirs = [...other.toString('latin1', 0, 20_000).matchAll(TOKENS)].map(([token]) => token)
    return withToken(bytes, by, () => (theirs.length > 0 && by.isHit(0.5) ? by.pick(theirs) : by.pick(NASTY)))
  },
  // Two tokens change places.
  (bytes, by) => {
    let first = ''
    const without = withToken(bytes, by, token => {
      first = token
      return '\u0001'
    })
    let second = ''
    const swapped = withToken(without, by, token => {
      second = token
      return first
    })
    return Buffer.from(
      swapped.toString('latin1').replace('\u0001', () => second),
      'latin1',
    )
  },
  // Depth.
  (bytes, by) => {
    const depth = by.pick([1, 17, 18, 19, 20, 21, 30, 31, 32, 33, 64, 5000])
    const [open, close] = by.pick([
      ['[', ']'],
      ['{"a":', '}'],
      ['[{"b":', '}]'],
    ] as const)
    return withToken(bytes, by, token => open.repeat(depth) + token + close.repeat(by.isHit(0.8) ? depth : 0))
  },
  // Digits.
  (bytes, by) =>
    withToken(bytes, by, () => {
      const digits = '1234567890'.repeat(300).slice(0, by.pick([1, 16, 19, 40, 999, 1000, 1001, 3000]))
      return by.pick(['', '-', '0.', '"', '"{']) + digits + by.pick(['', 'e5', 'E+400', '.10', '"', '}"'])
    }),
  // A letter written as an escape.
  (bytes, by) =>
    withToken(bytes, by, token => {
      const letters = [...token.matchAll(/[a-z]/g)]
      if (token[0] !== '"' || letters.length === 0) return token
      const { 0: letter, index } = by.pick(letters)
      const written = `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`
      return token.slice(0, index) + written + token.slice(index + 1)
    }),
]

/** @param other another payload, for what is made of two */
export function mutated(payload: Uint8Array, other: Uint8Array, by: Chance): Uint8Array {
  const kinds = by.isHit(0.6) ? gentle : [...gentle, ...rough]
  let bytes: Buffer = Buffer.from(payload)
  for (let left = by.whole(1, 3); left > 0; left--)
    bytes = by.pick(kinds)(bytes, by, Buffer.from(other)).subarray(0, BYTES_MAX)
  return bytes
}
