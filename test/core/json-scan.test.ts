import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ScanLimits, type Scanned, scan, scanText } from '../../src/core/json-scan.ts'

const LIMITS: ScanLimits = { depthMax: 21, numberLengthMax: 1000 }

const scanned = (text: string, limits = LIMITS) => scanText(text, limits)

function proved(text: string): Scanned {
  const found = scanned(text)
  if (typeof found === 'string') throw new Error(found)
  return found
}

/** Names as written and values, cut out by their positions. */
function cut(text: string, members: readonly number[]): [string, string][] {
  const found: [string, string][] = []
  for (let at = 0; at < members.length; at += 4)
    found.push([
      text.slice(Math.abs(members[at]!), members[at + 1]),
      text.slice(members[at + 2], members[at + 3]),
    ])
  return found
}

describe('positions', () => {
  const text =
    ' {"a" :\t{ "x":[1,{"y":2}] , "s\\"":"}" }, "b":[{"z":1}],"\\u0063":-1.5e+3 ,"d":{},"d":"last"}\n'

  test('the members of the top, in wire order, duplicates included', () => {
    expect(cut(text, proved(text).top!)).toEqual([
      ['a', '{ "x":[1,{"y":2}] , "s\\"":"}" }'],
      ['b', '[{"z":1}]'],
      ['\\u0063', '-1.5e+3'],
      ['d', '{}'],
      ['d', '"last"'],
    ])
  })

  test('a name written with escapes is marked by its sign', () => {
    const { top } = proved(text)
    expect([0, 4, 8, 12].map(at => Math.sign(top![at]!))).toEqual([1, 1, -1, 1])
  })

  test('the members of objects one level down, and of nothing deeper', () => {
    const { inner } = proved(text)
    expect(inner.map(object => object && cut(text, object.members))).toEqual([
      [
        ['x', '[1,{"y":2}]'],
        ['s\\"', '"}"'],
      ],
      undefined,
      undefined,
      [],
      undefined,
    ])
    expect(text.slice(inner[0]!.start, inner[0]!.end)).toBe('{ "x":[1,{"y":2}] , "s\\"":"}" }')
  })

  test('an array, a string or a number at the top has no members', () => {
    for (const value of ['[{"a":{"b":1}}]', '"{}"', '12', 'null', ' true '])
      expect(proved(value)).toEqual({ top: undefined, inner: [] })
  })
})

describe('bytes', () => {
  test('of ASCII text the bytes give the same positions as the code units', () => {
    const text = '{"data":{"id":1,"x":"\\u00e9"},"metadata":{"a":[]}}'
    expect(scan(new TextEncoder().encode(text), LIMITS)).toEqual(scanned(text))
  })

  test('what was scanned before leaves nothing behind', () => {
    expect(scanned('["\\u00e9\\u00e9", true, 123456789]')).toBeTypeOf('object')
    for (const text of ['["\\u', '["\\u00', '["', '[tru', '[12', '[', '', '[1] ', '{"a":']) {
      expect(typeof scanned(text)).toBe(text === '[1] ' ? 'object' : 'string')
    }
  })

  test('beyond ASCII positions count code units', () => {
    const text = '{"ž":"日😀","b":{"c":1}}'
    expect(cut(text, proved(text).top!)).toEqual([
      ['ž', '"日😀"'],
      ['b', '{"c":1}'],
    ])
  })
})

describe('limits', () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

  test('depth counts containers, the top as one', () => {
    expect(scanned(nested(21))).toEqual({ top: undefined, inner: [] })
    expect(scanned(nested(22))).toBe('too-deep')
    expect(scanned(`${'{"a":'.repeat(22)}1${'}'.repeat(22)}`)).toBe('too-deep')
  })

  test('at the deepest limit an object is not taken for an array', () => {
    const limits = { depthMax: 30, numberLengthMax: 10 }
    const text = `${'[{"a":'.repeat(15)}1${'}]'.repeat(15)}`
    expect(typeof scanned(text, limits)).toBe('object')
    expect(scanned(text.replace('1}]', '1]}'), limits)).toBe('not-json')
    expect(scanned(`[${text}]`, limits)).toBe('too-deep')
  })

  test('many containers side by side are not deep', () => {
    expect(typeof scanned(`[${new Array(5000).fill('[{}]').join(',')}]`)).toBe('object')
  })

  test('a number is as long as it is written: sign, point and exponent count', () => {
    for (const number of ['9'.repeat(1000), `-0.${'1'.repeat(997)}`, `1e+${'0'.repeat(996)}1`]) {
      expect(typeof scanned(`[${number}]`)).toBe('object')
      expect(scanned(`[${number}1]`)).toBe('number-too-long')
    }
  })
})

describe('strictness', { timeout: 40_000 }, () => {
  /** Pieces that meet in JSON or nearly. */
  const piece = fc.constantFrom(
    ...[
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '"a"',
      '"a":',
      '1',
      '-',
      '0',
      '.5',
      'e',
      'E+1',
      '01',
      '1.',
      'true',
    ],
    ...[
      'false',
      'null',
      'nul',
      '\\',
      '\\n',
      '\\u00',
      '"\\u00e9"',
      '"\\x"',
      '\n',
      ' ',
      '\t',
      '\f',
      '\u00a0',
      'NaN',
    ],
    ...['{}', '[]', '{"a":1}', '[1]', '"ž"', '😀', '\ud800', '\u0000', "'", '//', '\ufeff', '{"a":{"b":'],
  )

  const expected = (text: string) => {
    try {
      JSON.parse(text)
      return 'object'
    } catch {
      return 'not-json'
    }
  }

  test('any text: it is accepted exactly when JSON.parse accepts it', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 9 }), pieces => {
        const text = pieces.join('')
        const found = scanned(text)
        expect(typeof found === 'string' ? found : typeof found).toBe(expected(text))
      }),
      { numRuns: 20_000 },
    )
  })

  test('any value with one character changed: the same', () => {
    const letter = fc.constantFrom(...'{}[]",:\\-+.0eEtfn \n\u0001')
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), fc.nat(), letter, fc.boolean(), (json, place, other, isOver) => {
        const at = place % (json.length + 1)
        const text = json.slice(0, at) + other + json.slice(isOver ? at + 1 : at)
        const found = scanned(text)
        expect(typeof found === 'string' ? found : typeof found).toBe(expected(text))
      }),
      { numRuns: 10_000 },
    )
  })
})
