import { parse } from 'postgres-array'
import { describe, expect, test } from 'vitest'
import { type ColumnType, converted, typeNamed, typeNames } from '../../src/core/column.ts'

const parseArray = (text: string) => parse(text, element => element) as unknown[]

/** @param value as DMS writes it, parsed @returns the JSON text to write */
function become(value: unknown, typeName: string): string | undefined {
  const type = typeNamed(typeName)
  if (type === undefined || type === 'as-it-comes') throw new Error(`${typeName} is no type that changes`)
  return converted(JSON.stringify(value), type, parseArray)
}

describe('names of types', () => {
  test.each<[string, ColumnType | 'as-it-comes' | undefined]>([
    ['jsonb', { kind: 'json' }],
    ['JSONB', { kind: 'json' }],
    ['numeric(12,2)', { kind: 'numeric', as: 'number' }],
    ['numeric (12, 2)', { kind: 'numeric', as: 'number' }],
    ['double  precision', { kind: 'float' }],
    ['timestamp(3) with time zone', { kind: 'timestamp' }],
    ['int[]', { kind: 'array', element: { kind: 'integer' } }],
    ['int[3][3]', { kind: 'array', element: { kind: 'integer' } }],
    ['integer ARRAY', { kind: 'array', element: { kind: 'integer' } }],
    ['_bool', { kind: 'array', element: { kind: 'boolean' } }],
    ['varchar(20)[]', { kind: 'array', element: undefined }],
    ['numeric(10,2)[]', { kind: 'array', element: { kind: 'numeric', as: 'number' } }],
    ['uuid', 'as-it-comes'],
    ['character varying(20)', 'as-it-comes'],
    ['time(3) without time zone', 'as-it-comes'],
    ['jsobn', undefined],
    ['mood[]', undefined],
    ['constructor', undefined],
    ['__proto__', undefined],
    ['', undefined],
  ])('%s', (name, type) => {
    expect(typeNamed(name)).toEqual(type)
  })

  test('every name that is listed is known', () => {
    for (const name of typeNames) expect(typeNamed(name)).toBeDefined()
  })
})

describe('values', () => {
  test('null stays null, whatever the type', () => {
    for (const name of ['int', 'float8', 'numeric', 'bool', 'timestamp', 'jsonb', 'text[]'])
      expect(become(null, name)).toBe('null')
  })

  test.each([
    ['9007199254740993', 'bigint', '9007199254740993'],
    ['-1', 'int', '-1'],
    ['007', 'int', '"007"'],
    ['1.0', 'int', '"1.0"'],
    ['1e20', 'double precision', '1e20'],
    ['NaN', 'real', '"NaN"'],
    ['-Infinity', 'real', '"-Infinity"'],
    ['1.10', 'numeric(10,2)', '1.10'],
    ['NaN', 'numeric', '"NaN"'],
    ['1e5', 'numeric', '"1e5"'],
    ['9'.repeat(1001), 'numeric', `"${'9'.repeat(1001)}"`],
  ])('%s as %s', (value, type, expected) => {
    expect(become(value, type)).toBe(expected)
  })

  test('numeric as text keeps the digits a number came with', () => {
    const type: ColumnType = { kind: 'numeric', as: 'text' }
    expect(converted('1.10', type, parseArray)).toBe('"1.10"')
    expect(converted('1e+17', type, parseArray)).toBe('"1e+17"')
    expect(converted('"1.10"', type, parseArray)).toBe('"1.10"')
    expect(converted('null', type, parseArray)).toBe('null')
  })

  test.each([
    ['2026-03-02 09:15:01', '"2026-03-02T09:15:01Z"'],
    ['2026-03-02T09:15:01', '"2026-03-02T09:15:01Z"'],
    ['2026-03-02T09:15:01.204518Z', '"2026-03-02T09:15:01.204518Z"'],
    ['2026-03-02 09:15:01+00', '"2026-03-02T09:15:01Z"'],
    ['2026-03-02 09:15:01-00:00', '"2026-03-02T09:15:01Z"'],
    ['2026-03-02 09:15:01+0530', '"2026-03-02T09:15:01+05:30"'],
    ['2026-03-02 09:15:01.5-08', '"2026-03-02T09:15:01.5-08:00"'],
    ['2026-03-02', '"2026-03-02"'],
    ['infinity', '"infinity"'],
    ['0044-03-15 12:00:00 BC', '"0044-03-15 12:00:00 BC"'],
    ['10000-01-01 00:00:00', '"10000-01-01 00:00:00"'],
    ['2026-03-02 09:15:01 Europe/Prague', '"2026-03-02 09:15:01 Europe/Prague"'],
  ])('timestamp %s', (value, expected) => {
    expect(become(value, 'timestamptz')).toBe(expected)
  })

  test.each([
    ['{"a": 1}', '{"a": 1}'],
    ['\n{\t"a":\r\n1 }\n', '{"a":1}'],
    ['5', '5'],
    ['"s"', '"s"'],
    ['', undefined],
    ['{"a"', undefined],
    ['{"a":1}}', undefined],
    ['NaN', undefined],
    ['"\ud800"', undefined],
    ['['.repeat(19) + ']'.repeat(19), '['.repeat(19) + ']'.repeat(19)],
    ['['.repeat(20) + ']'.repeat(20), undefined],
  ])('json %j', (value, expected) => {
    expect(become(value, 'jsonb')).toBe(expected)
  })

  test('what is no text already is what it is', () => {
    for (const value of [{ a: 1 }, [1], 5, true])
      for (const type of ['jsonb', 'text[]', 'timestamp'])
        expect(become(value, type)).toBe(JSON.stringify(value))
  })
})

describe('arrays', () => {
  test.each([
    ['{}', 'int[]', '[]'],
    ['{1,NULL,-3}', 'int[]', '[1,null,-3]'],
    ['{t,f}', 'bool[]', '[true,false]'],
    ['{1.10,NaN}', 'numeric[]', '[1.10,"NaN"]'],
    ['{"{\\"a\\": 1}"}', 'jsonb[]', '[{"a": 1}]'],
    ['{"2026-03-02 09:15:01"}', 'timestamp[]', '["2026-03-02T09:15:01Z"]'],
    ['[0:1]={a,"b c"}', 'text[]', '["a","b c"]'],
    ['{{1},{2}}', 'int[]', '[[1],[2]]'],
    ['{"NULL",NULL,""}', 'text[]', '["NULL",null,""]'],
  ])('%s as %s', (value, type, expected) => {
    expect(become(value, type)).toBe(expected)
  })

  test.each([
    '',
    '{',
    '}',
    '{1',
    '1}',
    '{{1}',
    '{1}}',
    '{"a}',
    '{1}{2}',
    '{1} ',
    '[1:2]={1',
    '[x]={1}',
    '{\\}',
  ])('%j is none', value => {
    expect(become(value, 'text[]')).toBeUndefined()
  })

  test('one element that is broken JSON breaks the array', () => {
    expect(become('{"{\\"a\\""}', 'jsonb[]')).toBeUndefined()
  })

  test('deeper than OpenSearch takes is broken', () => {
    expect(become('{'.repeat(19) + '}'.repeat(19), 'text[]')).toBeDefined()
    expect(become('{'.repeat(20) + '}'.repeat(20), 'text[]')).toBeUndefined()
  })
})
