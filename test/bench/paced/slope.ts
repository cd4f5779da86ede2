/** How something grows. */

/** `atMs` rising. */
export type Point = { atMs: number; value: number }

const HOUR_MS = 3_600_000

/** By least squares. @returns of the value an hour; 0 where all points are of one moment */
export function slopePerHour(points: readonly Point[]): number {
  const mean = (of: (point: Point) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length
  const middleMs = mean(({ atMs }) => atMs)
  const middle = mean(({ value }) => value)
  let together = 0
  let alone = 0
  for (const { atMs, value } of points) {
    together += (atMs - middleMs) * (value - middle)
    alone += (atMs - middleMs) ** 2
  }
  return alone === 0 ? 0 : (together / alone) * HOUR_MS
}

/** Of a process that is young: its caches and its heap find their size, the heap only with the first backlog. */
const YOUNG_MS = 300_000

/** Without the first quarter of the time, and without the first five minutes. */
export function settledPoints(points: readonly Point[]): Point[] {
  const [first, last] = [points[0], points.at(-1)]
  if (!first || !last) return []
  const fromMs = first.atMs + Math.max(YOUNG_MS, (last.atMs - first.atMs) / 4)
  return points.filter(({ atMs }) => atMs >= fromMs)
}

/** From the first to the last, in hours. */
export function hoursOf(points: readonly Point[]): number {
  return points.length === 0 ? 0 : (points.at(-1)!.atMs - points[0]!.atMs) / HOUR_MS
}
