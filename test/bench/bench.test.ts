import { expect, test } from 'vitest'
import { createFigures, medianOf } from './figures.ts'
import { readOptions, UsageError } from './options.ts'

const NAMES = ['one', 'two']

test('options of the bench: defaults, a number of runs, some measures, help', () => {
  expect(readOptions([], NAMES)).toEqual({ runs: 5, only: NAMES })
  expect(readOptions(['--runs', '7', '--only', 'two'], NAMES)).toEqual({ runs: 7, only: ['two'] })
  expect(readOptions(['--help'], NAMES)).toBe('help')
})

test.each([[['--runs', '0']], [['--runs', 'many']], [['--only', 'three']], [['--fast']], [['one']]])(
  'a mistake in the options of the bench is told: %j',
  argv => {
    expect(() => readOptions(argv, NAMES)).toThrow(UsageError)
  },
)

test('a bound holds for the largest value, not for the median', () => {
  const figures = createFigures(() => {})
  for (const value of [1, 1, 2.001]) figures.add('gap', value, 's', 2)
  expect(figures.beyondBounds()).toEqual(['gap'])
  expect(figures.lines()).toEqual(['gap_median: 1 s', 'gap_max: 2.001 s   ABOVE THE BOUND OF 2'])
})

test('what is exactly at its bound is within, and what has none is only told', () => {
  const figures = createFigures(() => {})
  figures.add('gap', 2, 's', 2)
  figures.add('looks', 1_000_000, 'looks')
  figures.add('rate', 5, 'records/s', { min: 5 })
  expect(figures.beyondBounds()).toEqual([])
})

test('a bound from below holds for the smallest value; what could not be measured is beyond every bound', () => {
  const figures = createFigures(() => {})
  for (const value of [6, 6, 4.9]) figures.add('rate', value, 'records/s', { min: 5 })
  figures.add('wait', Number.NaN, 'ms', 9)
  expect(figures.beyondBounds()).toEqual(['rate', 'wait'])
  expect(figures.lines().slice(0, 2)).toEqual([
    'rate_median: 6 records/s',
    'rate_min: 4.9 records/s   BELOW THE BOUND OF 5',
  ])
})

test('the median is a value that was measured', () => {
  expect(medianOf([4, 1, 3])).toBe(3)
  expect(medianOf([4, 1, 3, 2])).toBe(2)
})
