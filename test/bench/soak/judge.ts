/** What a soak's memory may do. */
import { hoursOf, type Point, settledPoints, slopePerHour } from '../paced/slope.ts'

/** More than this, and a task of 512 MiB would not live a day. */
const GROWTH_MAX_MIB_PER_HOUR = 16
/** What a heap moves between two collections; over a short time it looks like growth. */
const SWING_MIB = 48
/** A shorter run is that of a young process and says nothing. */
const MINUTES_TO_TELL = 10
/** The last look is up to some seconds before the end. */
const MINUTES_SLACK = 0.2

/**
 * @param points resident MiB over the whole run
 * @returns MiB an hour once the process has settled, and the most that is right; that is undefined for a run too short to tell
 */
export function memoryGrowth(points: readonly Point[]): { slope: number; slopeMax: number | undefined } {
  const canTell = hoursOf(points) * 60 >= MINUTES_TO_TELL - MINUTES_SLACK
  const settled = canTell ? settledPoints(points) : points
  return {
    slope: slopePerHour(settled),
    slopeMax: canTell ? Math.round(GROWTH_MAX_MIB_PER_HOUR + SWING_MIB / hoursOf(settled)) : undefined,
  }
}
