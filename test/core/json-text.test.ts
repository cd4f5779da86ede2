import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  each,
  elementsOf,
  faultOf,
  find,
  nameAt,
  objectOf,
  onOneLine,
  stringAt,
  tokenAt,
  withChanges,
} from '../../src/core/json-text.ts'

function cut(text: string): [name: string, value: string][] {
  const { members } = objectOf(text)
  return [...each(members)].map(at => [nameAt(text, members, at), tokenAt(text, members, at)])
}

describe('members', () => {
  test('an object is cut into names and the very text of the values, whatever the white space', () => {
    expect(cut('{ "a" :\t1e400 , "b":{"c":[1,"}"]},\n"d":"x\\"y","e" : null}')).toEqual([
      ['a', '1e400'],
      ['b', '{"c":[1,"}"]}'],
      ['d', '"x\\"y"'],
      ['e', 'null'],
    ])
  })

  test('what is not an object has none', () => {
    for (const text of ['[1]', '"a"', '12', 'null', '']) expect(() => objectOf(text)).toThrow('JSON object')
    expect(cut('{}')).toEqual([])
  })

  test('a name with escapes is the text it stands for; of two members of one name the last one counts', () => {
    const text = '{"\\u0061\\"":1,"b":2,"b":3}'
    const { members } = objectOf(text)
    expect(tokenAt(text, members, find(text, members, 'a"'))).toBe('1')
    expect(tokenAt(text, members, find(text, members, 'b'))).toBe('3')
    expect(find(text, members, 'a')).toBe(-1)
  })

  test('any object: joining the cut values again gives the same JSON', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat({ max: 4 }), (object, indent) => {
        const text = JSON.stringify(object, null, indent)
        const joined = cut(text).map(([name, value]) => `${JSON.stringify(name)}:${value}`)
        expect(JSON.parse(`{${joined.join(',')}}`)).toEqual(JSON.parse(text))
      }),
      { numRuns: 10_000 },
    )
  })

  test('any object with members replaced and removed is the object with those values', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 6 }),
        fc.array(fc.constantFrom('keep', 'replace', 'remove'), { minLength: 6, maxLength: 6 }),
        fc.nat({ max: 2 }),
        (object, fates, indent) => {
          const text = JSON.stringify(object, null, indent)
          const given = objectOf(text)
          const changes = new Map<number, string | undefined>()
          const expected: [string, unknown][] = []
          for (const [n, at] of [...each(given.members)].entries()) {
            const [name, value] = cut(text)[n]!
            if (fates[n] === 'keep') expected.push([name, JSON.parse(value)])
            if (fates[n] === 'replace') expected.push([name, ['new']])
            if (fates[n] !== 'keep') changes.set(at, fates[n] === 'replace' ? '["new"]' : undefined)
          }
          const changed = cut(withChanges(text, given, changes)).map(([name, value]) => [
            name,
            JSON.parse(value),
          ])
          expect(changed).toEqual(expected)
        },
      ),
      { numRuns: 10_000 },
    )
  })

  test('any array is cut into the very text of its elements', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.nat({ max: 2 }), (array, indent) => {
        const elements = elementsOf(JSON.stringify(array, null, indent))
        expect(elements.map(element => JSON.parse(element))).toEqual(JSON.parse(JSON.stringify(array)))
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
    expect(faultOf('[[[]]]', limits)).toBeUndefined()
    expect(faultOf('[[[[]]]]', limits)).toBe('too-deep')
    expect(faultOf('['.repeat(1_000_000), limits)).toBe('too-deep')
  })

  test('brackets and digits inside strings do not count', () => {
    expect(faultOf('["[[[[[[", "1234567890", "\\"[[[["]', limits)).toBeUndefined()
  })

  test('the length of one number is limited', () => {
    expect(faultOf('[12345, 54321]', limits)).toBeUndefined()
    expect(faultOf('[123456]', limits)).toBe('number-too-long')
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
