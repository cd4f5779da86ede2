/** Number printing against what C's printf and the library cJSON print; the constants come from glibc. */
import { describe, expect, test } from 'vitest'
import { formatG, printDouble, printReal } from '../../docker/dms/numbers.ts'

describe("%g as in C's printf", () => {
  test.each([
    [1e15, 15, '1e+15'],
    [123456789012345, 15, '123456789012345'],
    [0.0001, 15, '0.0001'],
    [0.00001, 15, '1e-05'],
    [1e100, 15, '1e+100'],
    [0, 15, '0'],
    [-0, 15, '-0'],
    [-2.5, 15, '-2.5'],
    [5e-324, 17, '4.9406564584124654e-324'],
    [Number.MAX_VALUE, 17, '1.7976931348623157e+308'],
  ])('%f with %i digits is %s', (value, digits, text) => {
    expect(formatG(value, digits)).toBe(text)
  })

  test('an exact tie goes to the even digit, as in glibc', () => {
    expect(formatG(2 ** -25, 17)).toBe('2.9802322387695312e-08')
    expect(formatG(2 ** -13, 9)).toBe('0.000122070312')
    expect(formatG(3 * 2 ** -13, 9)).toBe('0.000366210938')
  })
})

describe('a double as cJSON prints it', () => {
  test.each([
    ['20.2', '20.2'],
    ['55', '55'],
    ['0', '0'],
    ['0.1', '0.1'],
    ['0.30000000000000004', '0.30000000000000004'],
    ['1000000000000000', '1e+15'],
    ['12345678901234567', '12345678901234568'],
    ['123456789012345678', '1.2345678901234568e+17'],
    ['9223372036854775807', '9.2233720368547758e+18'],
    ['NaN', 'null'],
    ['Infinity', 'null'],
    ['-Infinity', 'null'],
  ])('%s is %s', (value, text) => {
    expect(printDouble(Number(value))).toBe(text)
  })
})

describe('a real has nine digits', () => {
  test.each([
    ['2.2', '2.20000005'],
    ['1.1', '1.10000002'],
    ['3.3', '3.29999995'],
    ['4.4', '4.4000001'],
    ['0', '0'],
    ['1e+10', '10000000000'],
    ['3.4028235e+38', '3.40282347e+38'],
    ['NaN', 'null'],
  ])('%s is %s', (value, text) => {
    expect(printReal(Number(value))).toBe(text)
  })
})
