import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { looksBounded, members, onOneLine, stringAt } from '../../src/core/json-text.ts'

describe('members', () => {
  test('an object is cut into names and the very text of the values, whatever the white space', () => {
    const text = '{ "a" :\t1e400 , "b":{"c":[1,"}"]},\n"d":"x\\"y","e" : null}'
    const found = members(text)!.map(({ name, start, end }) => [name, text.slice(start, end)])
    expect(found).toEqual([
      ['a', '1e400'],
      ['b', '{"c":[1,"}"]}'],
      ['d', '"x\\"y"'],
      ['e', 'null'],
    ])
  })

  test('what is not an object has no members', () => {
    for (const text of ['[1]', '"a"', '12', 'null', '']) expect(members(text)).toBeUndefined()
    expect(members('{}')).toEqual([])
  })

  test('a name with escapes is the text it stands for', () => {
    expect(members('{"\\u0061\\"":1}')![0]!.name).toBe('a"')
  })

  test('any object: joining the cut values again gives the same JSON', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat({ max: 4 }), (object, indent) => {
        const text = JSON.stringify(object, null, indent)
        const joined = members(text)!.map(
          ({ name, start, end }) => `${JSON.stringify(name)}:${text.slice(start, end)}`,
        )
        expect(JSON.parse(`{${joined.join(',')}}`)).toEqual(JSON.parse(text))
      }),
      { numRuns: 10_000 },
    )
  })
})

test('any string token is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), value => {
      const token = JSON.stringify(value)
      expect(stringAt(`[${token}]`, 1, token.length + 1)).toBe(value)
    }),
    { numRuns: 10_000 },
  )
})

describe('limits', () => {
  const limits = { depthMax: 3, numberLengthMax: 5 }

  test('nesting is counted, not recursed: a million levels are refused, not a stack overflow', () => {
    expect(looksBounded('[[[]]]', limits)).toBe('ok')
    expect(looksBounded('[[[[]]]]', limits)).toBe('too-deep')
    expect(looksBounded('['.repeat(1_000_000), limits)).toBe('too-deep')
  })

  test('brackets and digits inside strings do not count', () => {
    expect(looksBounded('["[[[[[[", "1234567890", "\\"[[[["]', limits)).toBe('ok')
  })

  test('the length of one number is limited', () => {
    expect(looksBounded('[12345, 54321]', limits)).toBe('ok')
    expect(looksBounded('[123456]', limits)).toBe('number-too-long')
  })
})

describe('on one line', () => {
  test('text without line breaks is returned as it is', () => {
    const text = '{"a": 1, "b": "x  y"}'
    expect(onOneLine(text)).toBe(text)
  })

  test('tabs and line breaks outside strings go, blanks inside strings stay', () => {
    expect(onOneLine('{\n\t"a b":\t"c  d\\n",\n\t"e":\t[1, 2]\n}')).toBe('{"a b":"c  d\\n","e":[1,2]}')
  })

  test('any value: the line means the same and has no line break', () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        const line = onOneLine(JSON.stringify(value, null, '\t'))
        expect(line).not.toMatch(/[\n\r]/)
        expect(line).toBe(JSON.stringify(value))
      }),
      { numRuns: 5000 },
    )
  })
})
