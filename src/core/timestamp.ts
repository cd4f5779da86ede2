/** Timestamps as DMS writes them, read without a clock. Read once a record, so by arithmetic on the characters. */

/** Days from 1970-01-01 to a date of the Gregorian calendar (Howard Hinnant's days_from_civil). */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

/** @returns NaN when one of the characters is no digit */
function digits(text: string, start: number, end: number): number {
  let value = 0
  for (let i = start; i < end; i++) {
    const digit = text.charCodeAt(i) - 0x30
    if (!(digit >= 0 && digit <= 9)) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

/**
 * @param text such as `2024-07-29T00:58:17.974340Z`, with up to nine digits of a second or none
 * @returns ms since 1970-01-01Z with the fraction kept, or undefined for any other text
 */
export function timestampMs(text: string): number | undefined {
  const { length } = text
  const hasShape =
    length >= 20 &&
    length <= 30 &&
    length !== 21 &&
    text[4] === '-' &&
    text[7] === '-' &&
    text[10] === 'T' &&
    text[13] === ':' &&
    text[16] === ':' &&
    text[length - 1] === 'Z' &&
    (length === 20 || text[19] === '.')
  if (!hasShape) return undefined
  const days = daysSinceEpoch(digits(text, 0, 4), digits(text, 5, 7), digits(text, 8, 10))
  const whole = ((days * 24 + digits(text, 11, 13)) * 60 + digits(text, 14, 16)) * 60 + digits(text, 17, 19)
  const fraction = length === 20 ? 0 : digits(text, 20, length - 1) / 10 ** (length - 21)
  const ms = whole * 1000 + fraction * 1000
  return Number.isNaN(ms) ? undefined : ms
}
