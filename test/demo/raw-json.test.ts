/** Documents compared as text: what counts as the same, and what must not. */
import { describe, expect, test } from 'vitest'
import { canonical, elementsOf, membersOf } from '../../docker/demo/raw-json.ts'

describe('canonical', () => {
  test('every digit of a number counts', () => {
    expect(canonical('9007199254740993')).not.toBe(canonical('9007199254740992'))
    expect(canonical('[1.50]')).not.toBe(canonical('[1.5]'))
    expect(canonical('-1234567890123456789012345678.0123456789')).toBe(
      '-1234567890123456789012345678.0123456789',
    )
    expect(canonical('1e+15')).not.toBe(canonical('1000000000000000'))
  })

  test('blanks between tokens do not count, blanks inside strings do', () => {
    expect(canonical(' { "a" :\t[ 1 , "b c" ]\r\n}\n')).toBe('{"a":[1,"b c"]}')
    expect(canonical('"b  c"')).not.toBe(canonical('"b c"'))
  })

  test('a string counts by what it says, not by how it is escaped', () => {
    expect(canonical('"\\u00e9\\/\\u0041"')).toBe(canonical('"é/A"'))
    expect(canonical('"\\ud83d\\udeb2"')).toBe(canonical('"🚲"'))
    expect(canonical('"a\\nb"')).not.toBe(canonical('"a\\\\nb"'))
  })

  test('the order of members counts', () => {
    expect(canonical('{"a":1,"b":2}')).not.toBe(canonical('{"b":2,"a":1}'))
  })

  test('a string of a megabyte and a depth of 100,000 are no trouble', () => {
    const long = JSON.stringify('"x\\'.repeat(400_000))
    expect(canonical(long)).toBe(long)
    const deep = '['.repeat(100_000) + ']'.repeat(100_000)
    expect(elementsOf(`[${deep}]`)).toEqual([deep])
  })

  test('text that is not JSON is an error that says where', () => {
    expect(() => canonical('{"a":"open}')).toThrow('character 5 of 11')
    expect(() => canonical('{"a":#}')).toThrow('character 5')
  })
})

describe('cutting', () => {
  test('a member is its own text, digit for digit', () => {
    const hit = membersOf('{"_id":"7|1","_source":{"id": 9007199254740993,"s":"}\\"{"},"sort":[12]}')
    expect(hit.get('_source')).toBe('{"id": 9007199254740993,"s":"}\\"{"}')
    expect([...hit.keys()]).toEqual(['_id', '_source', 'sort'])
  })

  test('member names are unescaped', () => {
    expect(membersOf('{"\\u0061b":null}').get('ab')).toBe('null')
  })

  test('empty objects and arrays have no parts', () => {
    expect(membersOf(' { } ').size).toBe(0)
    expect(elementsOf('[]')).toEqual([])
  })

  test('elements of every kind are cut apart', () => {
    expect(elementsOf('[1.0, "a,b", [2,[3]] ,{"c":[]},null,true]')).toEqual([
      '1.0',
      '"a,b"',
      '[2,[3]]',
      '{"c":[]}',
      'null',
      'true',
    ])
  })

  test('an array is not taken for an object', () => {
    expect(() => membersOf('[1]')).toThrow('expected {')
  })
})
