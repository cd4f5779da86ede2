/** PostgreSQL's text of a value to the JSON DMS writes, type by type and switch by switch. */
import { describe, expect, test } from 'vitest'
import { dmsTypeOf } from '../../docker/dms/types.ts'
import { jsonValue, type ValueSettings } from '../../docker/dms/values.ts'
import { writeRecord } from '../../docker/dms/wire.ts'
import { recordSettings, sourceType } from './table-def.ts'

function json(type: string, text: string, settings: Partial<ValueSettings> = {}, isLoad = false): string {
  const value = jsonValue(text, dmsTypeOf(sourceType(type)), isLoad, recordSettings(settings))
  return writeRecord(value, 'json-unformatted').toString().trimEnd()
}

describe('each type', () => {
  test.each([
    ['int2', '-7', '-7'],
    ['int4', '2147483647', '2147483647'],
    ['numeric(10,2)', '99.90', '99.90'],
    ['numeric(10,2)', 'NaN', 'null'],
    ['numeric(38,2)', '123456789012345678901234567890123456.78', '123456789012345678901234567890123456.78'],
    ['numeric(39,2)', '12345.67', '"12345.67"'],
    ['numeric(3,-2)', '12300', '12300'],
    ['float4', '2.2', '2.20000005'],
    ['float8', '20.2', '20.2'],
    ['float8', 'Infinity', 'null'],
    ['money', '-$1,234.56', '-1234.56'],
    ['varchar(5)', 'ab ', '"ab "'],
    ['char(5)', 'ab   ', '"ab"'],
    ['text', 'a"b\\c/d\te', '"a\\"b\\\\c/d\\te"'],
    ['citext', 'MiXed', '"MiXed"'],
    ['uuid', '0b5e9d1c-4a57-4f0e-9a3c-2f6d2a7b8c11', '"0b5e9d1c-4a57-4f0e-9a3c-2f6d2a7b8c11"'],
    ['mood enum', 'happy', '"happy"'],
    ['inet', '10.0.0.1', '"10.0.0.1"'],
    ['bit(3)', '101', '"101"'],
    ['int4range', '[1,10)', '"[1,10)"'],
    ['point', '(1,2)', '"(1,2)"'],
    ['jsonb', '{"foo": "bar"}', '"{\\"foo\\": \\"bar\\"}"'],
    ['json', '{ "b":1,"b":2}', '"{ \\"b\\":1,\\"b\\":2}"'],
    ['int4[]', '{1,2,NULL}', '"{1,2,NULL}"'],
    ['text[]', '{plain,"two words",NULL}', '"{plain,\\"two words\\",NULL}"'],
    ['pair composite', '(1,"a b")', '"(1,\\"a b\\")"'],
    ['xml', '<a/>', '"<a/>"'],
    ['tsvector', "'a':1", '"\'a\':1"'],
    ['bytea', '\\x80057d942e', '"0x80057D942E"'],
    ['date', '2018-01-02', '"2018-01-02"'],
    ['time', '09:15:01.25', '"09:15:01"'],
    ['timetz', '09:15:01+02', '"09:15:01"'],
    ['interval', '-1 days -01:42:30', '"-1 days -01:42:30"'],
  ])('%s %s is %s', (type, text, expected) => {
    expect(json(type, text)).toBe(expected)
  })
})

describe('timestamps', () => {
  test.each([
    ['timestamp', '2010-11-01 00:00:00', '"2010-11-01T00:00:00Z"'],
    ['timestamp', '2010-11-01 00:02:00.1', '"2010-11-01T00:02:00.100000Z"'],
    ['timestamp(3)', '2010-11-01 00:02:00.12', '"2010-11-01T00:02:00.120Z"'],
    ['timestamp(0)', '2010-11-01 00:02:00', '"2010-11-01T00:02:00Z"'],
    ['timestamptz', '2022-12-18 19:28:42.442556+00', '"2022-12-18T19:28:42.442556Z"'],
    ['timestamptz', '2022-12-18 19:28:42+00', '"2022-12-18T19:28:42Z"'],
    ['timestamp', '12010-11-01 00:00:00', '"12010-11-01T00:00:00Z"'],
    ['timestamp', 'infinity', '"infinity"'],
    ['timestamptz', '0044-03-15 00:00:00+00 BC', '"0044-03-15 00:00:00+00 BC"'],
  ])('%s %s is %s', (type, text, expected) => {
    expect(json(type, text)).toBe(expected)
  })
})

describe('switches', () => {
  test('MapBooleanAsBoolean writes booleans; off, a load says true and a change says t', () => {
    expect(json('bool', 't')).toBe('true')
    expect(json('bool', 'f', {}, true)).toBe('false')
    const off = { mapBooleanAsBoolean: false }
    expect(json('bool', 't', off)).toBe('"t"')
    expect(json('bool', 'f', off)).toBe('"f"')
    expect(json('bool', 't', off, true)).toBe('"true"')
    expect(json('bool', 'f', off, true)).toBe('"false"')
  })

  test('UseLargeIntegerValue keeps 18 digits; the nineteenth, and everything when off, goes through a double', () => {
    expect(json('int8', '123456789012345678')).toBe('123456789012345678')
    expect(json('int8', '-123456789012345678')).toBe('-123456789012345678')
    expect(json('int8', '9223372036854775807')).toBe('9.2233720368547758e+18')
    const off = { useLargeIntegerValue: false }
    expect(json('int8', '20', off)).toBe('20')
    expect(json('int8', '123456789012345678', off)).toBe('1.2345678901234568e+17')
    expect(json('int8', '1000000000000000', off)).toBe('1e+15')
  })

  test('NUMERIC keeps its digits, or goes through a double', () => {
    const double = { numeric: 'double' } as const
    expect(json('numeric(10,2)', '99.90', double)).toBe('99.9')
    expect(json('numeric(30,4)', '12345678901234567890.1234')).toBe('12345678901234567890.1234')
    expect(json('numeric(30,4)', '12345678901234567890.1234', double)).toBe('1.2345678901234567e+19')
    expect(json('money', '$10.50', double)).toBe('10.5')
  })

  test('NUMERIC without a precision is cut to six decimals, not rounded, in both modes', () => {
    for (const numeric of ['digits', 'double'] as const) {
      expect(json('numeric', '0.611111104488373', { numeric })).toBe('0.611111')
      expect(json('numeric', '0.9999999', { numeric })).toBe('0.999999')
      expect(json('numeric', '-1.5', { numeric })).toBe('-1.5')
      expect(json('numeric', '7', { numeric })).toBe('7')
    }
  })

  test('NoHexPrefix leaves out 0x', () => {
    expect(json('bytea', '\\x80057d942e', { noHexPrefix: true })).toBe('"80057D942E"')
  })

  test('LobMaxSize cuts LOBs by bytes and leaves other text alone', () => {
    const short = { lobBytesMax: 4 }
    expect(json('text', 'abcdef', short)).toBe('"abcd"')
    expect(json('jsonb', '{"a": 1}', short)).toBe('"{\\"a\\""')
    expect(json('bytea', '\\x0102030405', short)).toBe('"0x01020304"')
    expect(json('varchar(9)', 'abcdef', short)).toBe('"abcdef"')
    expect(json('text', 'abcd', short)).toBe('"abcd"')
  })

  test('a cut inside a character leaves the half character as it is, which is not valid UTF-8', () => {
    const value = jsonValue('ab€"', dmsTypeOf(sourceType('text')), false, recordSettings({ lobBytesMax: 4 }))
    expect([...writeRecord(value, 'json-unformatted')]).toEqual([0x22, 0x61, 0x62, 0xe2, 0x82, 0x22, 0x0a])
  })
})
