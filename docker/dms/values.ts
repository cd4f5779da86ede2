/**
 * One column's value: PostgreSQL's text of it to what DMS puts into the JSON.
 *
 * The text is the one of the type's output function under ISO dates, UTC, `postgres` intervals and hex bytea; the sessions
 * set exactly these. Nothing is rounded unless DMS rounds it.
 */
import { printDouble, printReal } from './numbers.ts'
import type { DmsType } from './types.ts'
import { type JsonNode, jsonNull } from './wire.ts'

export type ValueSettings = {
  mapBooleanAsBoolean: boolean
  useLargeIntegerValue: boolean
  numeric: 'digits' | 'double'
  noHexPrefix: boolean
  lobBytesMax: number
}

/** The setting's own words: "up to 18 digit int instead of casting ints as doubles". Nineteen digits still become a double. */
const largeIntegerDigitsMax = 18

/** NUMERIC without a declared precision is NUMERIC(28,6) to DMS: further decimals are cut, not rounded. */
const unboundedNumericScale = 6

/** @param isLoad a boolean that is text reads `true` in a full load and `t` in a change */
export function jsonValue(text: string, type: DmsType, isLoad: boolean, settings: ValueSettings): JsonNode {
  switch (type.kind) {
    case 'integer':
      return { literal: integer(text, settings.useLargeIntegerValue) }
    case 'numeric':
      return { literal: numeric(type.isUnbounded ? cutDecimals(text) : text, settings) }
    case 'money':
      return { literal: numeric(text.replace(/[^-.\d]/g, ''), settings) }
    case 'real':
      return { literal: printReal(Number(text)) }
    case 'double':
      return { literal: printDouble(Number(text)) }
    case 'boolean':
      return boolean(text === 't', isLoad, settings.mapBooleanAsBoolean)
    case 'string':
      return { string: type.isPadded ? text.replace(/ +$/, '') : text }
    case 'text-lob':
      return { string: cutText(text, settings.lobBytesMax) }
    case 'binary-lob':
      return { string: binary(text, settings) }
    case 'date':
      return { string: text }
    case 'time':
      // DMS's TIME is hours, minutes and seconds: fraction and zone are dropped.
      return { string: text.slice(0, 8) }
    case 'timestamp':
      return { string: timestamp(text, type.fractionDigits) }
    default:
      return type satisfies never
  }
}

/** A NULL or an empty string. A NaN printed as `null` is neither: the column has a value. */
export const isNullOrEmpty = (value: JsonNode): boolean =>
  value === jsonNull || ('string' in value && value.string.length === 0)

function integer(text: string, useLargeIntegerValue: boolean): string {
  const digits = text.startsWith('-') ? text.length - 1 : text.length
  return useLargeIntegerValue && digits <= largeIntegerDigitsMax ? text : printDouble(Number(text))
}

function numeric(text: string, settings: ValueSettings): string {
  // NaN and, since PostgreSQL 14, Infinity are values of NUMERIC; JSON has no digits for them.
  if (!/\d/.test(text)) return 'null'
  return settings.numeric === 'digits' ? text : printDouble(Number(text))
}

function cutDecimals(text: string): string {
  const point = text.indexOf('.')
  return point < 0 ? text : text.slice(0, point + 1 + unboundedNumericScale)
}

function boolean(value: boolean, isLoad: boolean, mapBooleanAsBoolean: boolean): JsonNode {
  if (mapBooleanAsBoolean) return { literal: String(value) }
  if (isLoad) return { string: String(value) }
  return { string: value ? 't' : 'f' }
}

/** Cut by bytes as limited LOB mode does, so the last character may be half there; then the result is bytes, not text. */
function cutText(text: string, bytesMax: number): string | Buffer {
  // UTF-8 needs at most three bytes for each unit of a JavaScript string.
  if (text.length * 3 <= bytesMax) return text
  const bytes = Buffer.from(text)
  if (bytes.length <= bytesMax) return text
  const cut = bytes.subarray(0, bytesMax)
  const asText = cut.toString()
  return Buffer.from(asText).equals(cut) ? asText : cut
}

function binary(text: string, settings: ValueSettings): string {
  const hex = text.slice('\\x'.length, '\\x'.length + settings.lobBytesMax * 2).toUpperCase()
  return settings.noHexPrefix ? hex : `0x${hex}`
}

const timestampText = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?(?:\+00)?$/

/**
 * `2010-11-01 00:02:00.1` -> `2010-11-01T00:02:00.100000Z`; no fraction at all when it is zero. A timestamp without a zone gets
 * the `Z` too. What DMS makes of `infinity` and of years before Christ is not known: they stay as PostgreSQL writes them.
 */
function timestamp(text: string, fractionDigits: number): string {
  const match = timestampText.exec(text)
  if (match === null) return text
  const [, date, time, fraction = ''] = match
  return /[1-9]/.test(fraction)
    ? `${date}T${time}.${fraction.padEnd(fractionDigits, '0')}Z`
    : `${date}T${time}Z`
}
