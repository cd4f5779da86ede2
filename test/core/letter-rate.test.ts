import { describe, expect, test } from 'vitest'
import { isCounted, letterRate } from '../../src/core/letter-rate.ts'

const limits = { lettersMax: 1000, shareMax: 0.05, shareFrom: 100 }
const minute = 60_000

describe('letters a minute', () => {
  test('the thousandth letter passes, the next is too many', () => {
    const rate = letterRate(limits)
    rate.add(0, 1_000_000, 999)
    expect(rate.isExceededBy(0, 0)).toBe(false)
    expect(rate.isExceededBy(0, 1)).toBe(false)
    expect(rate.isExceededBy(0, 2)).toBe(true)
  })

  test('asking changes nothing', () => {
    const rate = letterRate(limits)
    expect(rate.isExceededBy(0, 5000)).toBe(true)
    expect(rate.isExceededBy(0, 0)).toBe(false)
  })

  test('a letter counts for 60 seconds of the clock, its own among them', () => {
    const rate = letterRate(limits)
    rate.add(0, 1_000_000, 1000)
    expect(rate.isExceededBy(59_999, 1)).toBe(true)
    expect(rate.isExceededBy(60_000, 1)).toBe(false)
  })

  test('letters of many seconds add up and leave one second after the other', () => {
    const rate = letterRate(limits)
    for (let second = 0; second < 60; second++) rate.add(second * 1000, 100_000, 20)
    expect(rate.isExceededBy(59_000, 0)).toBe(true)
    // Ten seconds have left: 1,000 letters stay.
    expect(rate.isExceededBy(69_999, 0)).toBe(false)
    expect(rate.isExceededBy(69_999, 1)).toBe(true)
    expect(rate.isExceededBy(70_000, 20)).toBe(false)
  })
})

describe('share of the records', () => {
  test('is not looked at below a hundred letters', () => {
    const rate = letterRate(limits)
    rate.add(0, 99, 0)
    expect(rate.isExceededBy(0, 99)).toBe(false)
    rate.add(0, 1, 0)
    expect(rate.isExceededBy(0, 100)).toBe(true)
  })

  test('exactly five percent pass', () => {
    const rate = letterRate(limits)
    rate.add(0, 2000, 0)
    expect(rate.isExceededBy(0, 100)).toBe(false)
    expect(rate.isExceededBy(0, 101)).toBe(true)
  })

  test('records leave with their minute, as letters do', () => {
    const rate = letterRate(limits)
    rate.add(0, 10_000, 0)
    rate.add(30_000, 1000, 100)
    expect(rate.isExceededBy(59_999, 0)).toBe(false)
    expect(rate.isExceededBy(60_000, 0)).toBe(true)
  })
})

describe('time', () => {
  test.each([minute, 61_000, 10 * minute, 1e12])('after a pause of %d ms all is forgotten', pauseMs => {
    const rate = letterRate(limits)
    rate.add(500, 2000, 1000)
    rate.add(500 + pauseMs, 99, 99)
    expect(rate.isExceededBy(500 + pauseMs, 0)).toBe(false)
    expect(rate.isExceededBy(500 + pauseMs, 1)).toBe(true)
  })

  test('an earlier time counts as the time before', () => {
    const rate = letterRate(limits)
    rate.add(100_000, 1_000_000, 500)
    rate.add(20_000, 0, 500)
    expect(rate.isExceededBy(159_999, 1)).toBe(true)
    expect(rate.isExceededBy(160_000, 1)).toBe(false)
  })

  test('the sums do not drift in a day of work', () => {
    const rate = letterRate(limits)
    for (let ms = 0; ms < 86_400_000; ms += 700) rate.add(ms, 1000, 3)
    expect(rate.isExceededBy(86_460_000, 1000)).toBe(true)
    rate.add(86_460_000, 20_000, 0)
    expect(rate.isExceededBy(86_460_000, 1000)).toBe(false)
    expect(rate.isExceededBy(86_460_000, 1001)).toBe(true)
  })
})

test.each([
  ['key-moved', false],
  ['kept-columns-moved', false],
  ['decode', true],
])('letters of the reason %s count: %s', (reason, expected) => expect(isCounted(reason)).toBe(expected))
