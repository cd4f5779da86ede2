/** The two layouts, byte for byte. */
import { expect, test } from 'vitest'
import { type JsonNode, writeRecord } from '../../docker/dms/wire.ts'

const node: JsonNode = {
  members: [
    ['a', { literal: '1' }],
    ['empty', { members: [] }],
    ['deep', { members: [['list', { list: [{ string: 'x' }, { literal: 'null' }] }]] }],
  ],
}

test('unformatted is one line without spaces, and a newline at the end', () => {
  expect(writeRecord(node, 'json-unformatted').toString()).toBe(
    '{"a":1,"empty":{},"deep":{"list":["x",null]}}\n',
  )
})

test('formatted has tabs, a tab after each colon, and no newline at the end', () => {
  expect(writeRecord(node, 'json').toString()).toBe(
    '{\n\t"a":\t1,\n\t"empty":\t{\n\t},\n\t"deep":\t{\n\t\t"list":\t["x", null]\n\t}\n}',
  )
})

test('quotes, backslash and control characters are escaped; slash, letters and emoji are not', () => {
  const text = '"\\/\b\f\n\r\t\u0001\u001f\u007fZoë 🚀 日本\u2028'
  expect(writeRecord({ string: text }, 'json-unformatted').toString()).toBe(
    '"\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\u007fZoë 🚀 日本\u2028"\n',
  )
})

test('names are escaped like values', () => {
  expect(writeRecord({ members: [['a"b', { literal: '1' }]] }, 'json-unformatted').toString()).toBe(
    '{"a\\"b":1}\n',
  )
})

test('bytes that are not UTF-8 pass as they are, escapes included', () => {
  const bytes = Buffer.from([0x0a, 0xe2, 0x82, 0x22])
  expect([...writeRecord({ string: bytes }, 'json-unformatted')]).toEqual([
    0x22, 0x5c, 0x6e, 0xe2, 0x82, 0x5c, 0x22, 0x22, 0x0a,
  ])
})
