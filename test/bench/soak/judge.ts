/** What a soak's memory may do. */
import { hoursOf, type Point, settledPoints, slopePerHour } from '../paced/slope.ts'

/** More than this, and a task of 512 MiB would not live a week. */
const GROWTH_MAX_MIB_PER_HOUR = 16
/** What a heap moves between two collections; over a short time it looks like growth. */
const SWING_MIB = 48

/** @param points resident MiB over the whole run @returns MiB an hour after the first quarter, and the most that is right */
export function memoryGrowth(points: readonly Point[]): { slope: number; slopeMax: number } {
  const settled = settledPoints(points)
  return {
    slope: slopePerHour(settled),
    slopeMax: Math.round(GROWTH_MAX_MIB_PER_HOUR + SWING_MIB / hoursOf(settled)),
  }
}
