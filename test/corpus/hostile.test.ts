/** Records made to hurt: deep, huge, endless numbers, names that mean something to JavaScript. */
import { describe, expect, test } from 'vitest'
import { parseLine } from './line.ts'
import { outcomeOf } from './outcome.ts'

const METADATA =
  '"metadata":{"record-type":"data","operation":"insert","partition-key-type":"schema-table","schema-name":"public","table-name":"t"}'

function decided(data: string, types: Record<string, string> = {}) {
  const record = {
    name: 'x',
    raw: `{"data":${data},${METADATA}}`,
    table: { pk: ['id'], types },
    expect: { action: 'index' },
  }
  const line = parseLine(JSON.stringify(record), 'test:1')
  const startedAt = performance.now()
  const { writes, letters } = outcomeOf(line, 'none')
  return { writes, letters, ms: performance.now() - startedAt, bytes: line.records[0]!.data.length }
}

/** The machine is shared; what hangs takes far longer. */
const MS_MAX = 2000

describe('depth', { timeout: 40_000 }, () => {
  test('5,000 nested arrays are refused as too deep, closed or not, in a row and in a JSON column', () => {
    const [open, close] = ['['.repeat(5000), ']'.repeat(5000)]
    for (const value of [open + close, '{"a":'.repeat(5000) + 1 + '}'.repeat(5000)])
      expect(decided(`{"id":1,"x":${value}}`)).toMatchObject({ writes: [], letters: ['too-deep'] })
    const column = decided(`{"id":1,"j":"${open}${close}"}`, { j: 'jsonb' })
    expect(column).toMatchObject({ writes: [], letters: ['column-unreadable'] })
    expect(decided(`{"id":1,"a":"${'{'.repeat(5000)}${'}'.repeat(5000)}"}`, { a: 'int[]' }).letters).toEqual([
      'column-unreadable',
    ])
  })

  test('ten million brackets cost no stack and little time', () => {
    const found = decided(`{"id":1,"x":${'['.repeat(10_000_000)}`)
    expect(found.letters).toEqual(['too-deep'])
    expect(found.ms).toBeLessThan(MS_MAX)
  })
})

describe('size', { timeout: 40_000 }, () => {
  const around = decided('{"id":1,"x":""}').bytes
  const text = (bytes: number, letter = 'x') =>
    `{"id":1,"x":"${letter.repeat((bytes - around) / letter.length)}"}`

  test('a record of 10 MiB is written as it is', () => {
    const data = text(10_485_760)
    const found = decided(data)
    expect(found.bytes).toBe(10_485_760)
    expect(found.letters).toEqual([])
    expect(found.writes[0]!.document === data).toBe(true)
    expect(found.ms).toBeLessThan(MS_MAX)
  })

  test('one byte more is a letter', () => {
    expect(decided(text(10_485_761))).toMatchObject({ writes: [], letters: ['record-too-large'] })
  })

  test('10 MiB of escapes, of members and of JSON in a column are decided in time', () => {
    const kinds: [string, Record<string, string>][] = [
      [text(10_485_760 - 100, '\\u0061'), {}],
      [`{${'"a":1,'.repeat(1_000_000)}"id":1}`, {}],
      [`{"id":1,"j":"[${'1,'.repeat(4_000_000)}1]"}`, { j: 'jsonb' }],
    ]
    for (const [data, types] of kinds) expect(decided(data, types).ms).toBeLessThan(3 * MS_MAX)
  })
})

describe('numbers', () => {
  test('of 1,000 digits pass digit for digit; of 1,001 they are refused', () => {
    const digits = '1234567890'.repeat(100)
    const data = `{"id":1,"n":${digits},"m":-0.${digits.slice(3)}}`
    expect(decided(data).writes[0]!.document).toBe(data)
    expect(decided(`{"id":1,"n":${digits}1}`)).toMatchObject({ writes: [], letters: ['number-too-long'] })
  })

  test('a key of 1,000 digits becomes a hash', () => {
    expect(decided(`{"id":${'7'.repeat(1000)}}`).writes[0]!.id).toMatch(/^sha256:[0-9a-f]{64}$/)
  })
})

describe('names', () => {
  test('__proto__ and constructor are columns, and nothing else changes by them', () => {
    const data = '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"id":1}'
    const { writes } = decided(data)
    expect(writes).toEqual([{ kind: 'index', index: 'public_t', id: '1', document: data }])
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  test('a type and a key for such a column are the column\u2019s', () => {
    const { writes } = decided('{"__proto__":"{\\"a\\": 1}","id":1}', JSON.parse('{"__proto__":"jsonb"}'))
    expect(writes[0]!.document).toBe('{"__proto__":{"a": 1},"id":1}')
  })
})
