/** Which changes count for the latency that is promised. */
import { expect, test } from 'vitest'
import type { Histogram } from '../../docker/demo/scrape.ts'
import { countedMin, createWindows, isKept, latencyOf } from '../../docker/demo/windows.ts'

/** Of `quick` changes within a second, `late` ones within the limit and `slow` ones above it, since the workers started. */
function seen(quick: number, late = 0, slow = 0): Histogram {
  const bounds = [1, 1.5, 60, Number.POSITIVE_INFINITY]
  return { bounds, counts: [quick, quick + late, quick + late + slow, quick + late + slow] }
}

test('only what is indexed while a window is open counts', () => {
  let now = seen(1000)
  const windows = createWindows(() => now)
  windows.open()
  now = seen(1300)
  windows.close()
  now = seen(1300, 0, 400)
  windows.open()
  now = seen(1400, 10, 400)
  expect(latencyOf(windows.counted()).counted).toBe(410)
  windows.close()
  now = seen(9000, 10, 400)
  expect(latencyOf(windows.counted())).toMatchObject({ counted: 410, withinLimit: 410 })
})

test('a worker that starts inside a window counts from its first change', () => {
  let now: Histogram = { bounds: [], counts: [] }
  const windows = createWindows(() => now)
  windows.open()
  now = seen(20)
  windows.close()
  expect(latencyOf(windows.counted()).counted).toBe(20)
})

test('99 of 100 within the limit keep the promise, 98 do not', () => {
  expect(isKept(latencyOf(seen(980, 10, 10)))).toBe(true)
  expect(isKept(latencyOf(seen(980, 9, 11)))).toBe(false)
})

test('too few changes prove nothing', () => {
  expect(isKept(latencyOf(seen(countedMin - 1)))).toBe(false)
  expect(isKept(latencyOf(createWindows(() => seen(0)).counted()))).toBe(false)
})
