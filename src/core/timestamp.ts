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

const ZERO = 0x30
const DASH = 0x2d
const COLON = 0x3a

/** @returns the number of two digits; NaN where one of them is none */
function two(units: Uint8Array, at: number): number {
  return ten(units[at]!) * 10 + ten(units[at + 1]!)
}

function ten(unit: number): number {
  return unit >= ZERO && unit <= 0x39 ? unit - ZERO : Number.NaN
}

/** Units of a second's fraction in a millisecond, by the number of its digits. */
const UNITS_IN_MS = [1, 0.01, 0.1, 1, 10, 100, 1000, 10_000, 100_000, 1_000_000]

/**
 * A timestamp such as `2024-07-29T00:58:17.974340Z`, with up to nine digits of a second or none.
 *
 * @param units the characters of a longer text, in which it stands from `start` to `end`
 * @returns ms since 1970-01-01Z with the fraction kept, or undefined for anything else
 */
export function timestampMs(units: Uint8Array, start: number, end: number): number | undefined {
  const fractionDigits = end - start === 20 ? 0 : end - start - 21
  const hasShape =
    end - start >= 20 &&
    fractionDigits <= 9 &&
    units[start + 4] === DASH &&
    units[start + 7] === DASH &&
    units[start + 10] === 0x54 &&
    units[start + 13] === COLON &&
    units[start + 16] === COLON &&
    units[end - 1] === 0x5a &&
    (end - start === 20 || (fractionDigits > 0 && units[start + 19] === 0x2e))
  if (!hasShape) return undefined
  const year = two(units, start) * 100 + two(units, start + 2)
  const days = daysSinceEpoch(year, two(units, start + 5), two(units, start + 8))
  const seconds =
    ((days * 24 + two(units, start + 11)) * 60 + two(units, start + 14)) * 60 + two(units, start + 17)
  let fraction = 0
  for (let i = start + 20; i < end - 1; i++) fraction = fraction * 10 + ten(units[i]!)
  const ms = seconds * 1000 + fraction / UNITS_IN_MS[fractionDigits]!
  return Number.isNaN(ms) ? undefined : ms
}
