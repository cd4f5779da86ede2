/** Timestamps as DMS writes them, read without a clock. */

const SHAPE = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?Z$/

/** Days from 1970-01-01 to a date of the Gregorian calendar (Howard Hinnant's days_from_civil). */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

/**
 * @param text such as `2024-07-29T00:58:17.974340Z`
 * @returns ms since 1970-01-01Z with the fraction kept, or undefined for any other text
 */
export function timestampMs(text: string): number | undefined {
  const found = SHAPE.exec(text)
  if (!found) return undefined
  const [, year, month, day, hours, minutes, seconds, fraction] = found
  const days = daysSinceEpoch(Number(year), Number(month), Number(day))
  const whole = ((days * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds)
  return whole * 1000 + (fraction ? Number(`0.${fraction}`) * 1000 : 0)
}
