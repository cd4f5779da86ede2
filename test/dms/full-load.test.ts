/** The accidental order of a full load is the same for the same seed. */
import { expect, test } from 'vitest'
import { seededRandom, shuffled } from '../../docker/dms/full-load.ts'

const numbers = Array.from({ length: 50 }, (_, number) => number)

test('shuffling keeps every row, changes the order, and repeats with the seed', () => {
  const order = shuffled(numbers, seededRandom(1))
  expect(order).not.toEqual(numbers)
  expect([...order].sort((a, b) => a - b)).toEqual(numbers)
  expect(shuffled(numbers, seededRandom(1))).toEqual(order)
  expect(shuffled(numbers, seededRandom(2))).not.toEqual(order)
})
