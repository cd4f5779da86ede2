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

const DASH = 0x2d
const COLON = 0x3a
/** Units of a second's fraction in a millisecond, by the number of its digits. */
const UNITS_IN_MS = [0, 0.01, 0.1, 1, 10, 100, 1000, 10_000, 100_000, 1_000_000]

/**
 * A timestamp such as `2024-07-29T00:58:17.974340Z`, with up to nine digits of a second or none, within a longer text.
 *
 * @returns ms since 1970-01-01Z with the fraction kept, or undefined for anything else
 */
export function timestampMs(text: string, start = 0, end = text.length): number | undefined {
  const fractionDigits = end - start === 20 ? 0 : end - start - 21
  const hasShape =
    end - start >= 20 &&
    fractionDigits <= 9 &&
    text.charCodeAt(start + 4) === DASH &&
    text.charCodeAt(start + 7) === DASH &&
    text.charCodeAt(start + 10) === 0x54 &&
    text.charCodeAt(start + 13) === COLON &&
    text.charCodeAt(start + 16) === COLON &&
    text.charCodeAt(end - 1) === 0x5a &&
    (end - start === 20 || (fractionDigits > 0 && text.charCodeAt(start + 19) === 0x2e))
  if (!hasShape) return undefined
  const days = daysSinceEpoch(
    digits(text, start, start + 4),
    digits(text, start + 5, start + 7),
    digits(text, start + 8, start + 10),
  )
  const minutes =
    (days * 24 + digits(text, start + 11, start + 13)) * 60 + digits(text, start + 14, start + 16)
  const seconds = minutes * 60 + digits(text, start + 17, start + 19)
  const fraction = fractionDigits === 0 ? 0 : digits(text, start + 20, end - 1) / UNITS_IN_MS[fractionDigits]!
  const ms = seconds * 1000 + fraction
  return Number.isNaN(ms) ? undefined : ms
}
