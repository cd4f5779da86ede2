/**
 * Numbers as the C library cJSON prints them, which is how they look in DMS records.
 *
 * cJSON keeps every number as a double and prints it with `%1.15g`; where that does not read back as the same double,
 * with `%1.17g`. JavaScript has neither, so `%g` is built here from `toExponential`, whose digits are exact.
 */

/**
 * C's `%.{digits}g`: that many significant digits, trailing zeros removed, exponent form when the exponent is below -4 or
 * not below `digits`. `value` is finite.
 */
export function formatG(value: number, digits: number): string {
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const size = Math.abs(value)
  if (size === 0) return `${sign}0`
  const [mantissa, exponentText] = roundHalfEven(size, digits).split('e') as [string, string]
  const exponent = Number(exponentText)
  const figures = mantissa.replace('.', '').replace(/0+$/, '') || '0'
  if (exponent < -4 || exponent >= digits) {
    const fraction = figures.length > 1 ? `.${figures.slice(1)}` : ''
    const exponentDigits = String(Math.abs(exponent)).padStart(2, '0')
    return `${sign}${figures[0]}${fraction}e${exponent < 0 ? '-' : '+'}${exponentDigits}`
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${figures}`
  const whole = figures.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  const fraction = figures.slice(exponent + 1)
  return `${sign}${whole}${fraction ? `.${fraction}` : ''}`
}

/** A double as cJSON prints it; NaN and the infinities have no JSON form and become `null`. */
export function printDouble(value: number): string {
  if (!Number.isFinite(value)) return 'null'
  const short = formatG(value, 15)
  // cJSON before 1.7.13 compares exactly, later ones allow a relative difference of one epsilon, which changes some doubles
  // in their last digit. The exact comparison is taken, so that a difference downstream is never ours.
  return Number(short) === value ? short : formatG(value, 17)
}

/** A single-precision value: DMS turns it to text with nine digits first (2.2 -> 2.20000005), then prints that as a double. */
export function printReal(value: number): string {
  const single = Math.fround(value)
  return Number.isFinite(single) ? printDouble(Number(formatG(single, 9))) : 'null'
}

/**
 * `toExponential` with C's rule for ties. JavaScript rounds an exact tie up, glibc to the even digit; a tie needs a double
 * whose exact decimal expansion ends right after the last digit (2^-25 has 18 digits, the last a 5).
 */
function roundHalfEven(size: number, digits: number): string {
  const rounded = size.toExponential(digits - 1)
  const exact = size.toExponential(100)
  const [mantissa, exponent] = exact.split('e') as [string, string]
  const figures = mantissa.replace('.', '')
  const isTie = figures[digits] === '5' && /^0*$/.test(figures.slice(digits + 1))
  const isEven = Number(figures[digits - 1]) % 2 === 0
  if (!isTie || !isEven) return rounded
  return `${figures[0]}.${figures.slice(1, digits)}e${exponent}`
}
