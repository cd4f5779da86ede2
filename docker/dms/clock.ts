/** Wall time in microseconds, which DMS's timestamps have and `Date` does not. */

/** A monotonic clock drifts from the wall (and stands still while a laptop sleeps): beyond this it is set anew. */
const driftMicrosMax = 20_000

export function createMicrosClock(): () => number {
  let anchorMicros = Date.now() * 1000
  let anchor = process.hrtime.bigint()
  return () => {
    const wallMicros = Date.now() * 1000
    const micros = anchorMicros + Number((process.hrtime.bigint() - anchor) / 1000n)
    if (Math.abs(micros - wallMicros) <= driftMicrosMax) return micros
    anchorMicros = wallMicros
    anchor = process.hrtime.bigint()
    return wallMicros
  }
}
