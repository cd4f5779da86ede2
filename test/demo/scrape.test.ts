/** Prometheus text to numbers, and numbers to latencies. */
import { describe, expect, test } from 'vitest'
import {
  difference,
  growth,
  type Histogram,
  histogram,
  observations,
  observationsUpTo,
  parseMetrics,
  quantile,
  sum,
  total,
  totalsBy,
} from '../../docker/demo/scrape.ts'

const scrape = `# HELP cdc_records_settled_total Records settled
# TYPE cdc_records_settled_total counter
cdc_records_settled_total{shard="shardId-0",outcome="indexed"} 12
cdc_records_settled_total{shard="shardId-0",outcome="deleted"} 3
cdc_records_settled_total{shard="shardId-1",outcome="indexed"} 1.5e3 1732430000000
cdc_leases_held 2
cdc_odd{text="a \\"b\\", c=\\"d\\" \\\\ \\n"} NaN

cdc_seconds_bucket{le="0.1"} 5
cdc_seconds_bucket{le="1"} 9
cdc_seconds_bucket{le="+Inf"} 10
cdc_seconds_sum 7.5
cdc_seconds_count 10
`

describe('parseMetrics', () => {
  const samples = parseMetrics(scrape)

  test('adds up what the labels select', () => {
    expect(total(samples, 'cdc_records_settled_total')).toBe(1515)
    expect(total(samples, 'cdc_records_settled_total', { shard: 'shardId-0' })).toBe(15)
    expect(total(samples, 'cdc_records_settled_total', { outcome: 'indexed', shard: 'shardId-1' })).toBe(1500)
    expect(total(samples, 'cdc_leases_held')).toBe(2)
    expect(total(samples, 'cdc_not_there')).toBe(0)
  })

  test('sums by one label', () => {
    expect([...totalsBy(samples, 'cdc_records_settled_total', 'shard')]).toEqual([
      ['shardId-0', 15],
      ['shardId-1', 1500],
    ])
  })

  test('reads quotes, commas and escapes inside a label', () => {
    expect(samples.find(sample => sample.name === 'cdc_odd')).toEqual({
      name: 'cdc_odd',
      labels: { text: 'a "b", c="d" \\ \n' },
      value: Number.NaN,
    })
  })

  test('a line that is neither sample nor comment is an error', () => {
    expect(() => parseMetrics('<html>')).toThrow('<html>')
  })

  test('a histogram is its cumulative buckets in order of their bounds', () => {
    expect(histogram(samples, 'cdc_seconds')).toEqual({
      bounds: [0.1, 1, Number.POSITIVE_INFINITY],
      counts: [5, 9, 10],
    })
  })
})

test('a counter that began anew has grown by all it says', () => {
  const of = (shard: string, value: number) => ({ name: 'settled', labels: { shard }, value })
  const grown = growth([of('0', 7), of('1', 3), of('2', 4)], [of('0', 5), of('1', 9)], 'settled')
  expect(grown.map(sample => sample.value)).toEqual([2, 3, 4])
})

describe('histograms', () => {
  const inf = Number.POSITIVE_INFINITY
  const of = (...counts: number[]): Histogram => ({ bounds: [0.1, 0.5, 1, inf], counts })

  test('two scrapes are subtracted, two workers added', () => {
    expect(difference(of(4, 6, 7, 9), of(1, 2, 2, 3))).toEqual(of(3, 4, 5, 6))
    expect(sum(of(1, 2, 3, 4), of(1, 1, 1, 1))).toEqual(of(2, 3, 4, 5))
  })

  test('a worker that has seen nothing yet counts as zeros', () => {
    const nothing = histogram([], 'cdc_seconds')
    expect(difference(of(1, 2, 3, 4), nothing)).toEqual(of(1, 2, 3, 4))
    expect(sum(nothing, of(1, 2, 3, 4))).toEqual(of(1, 2, 3, 4))
    expect(observations(nothing)).toBe(0)
  })

  test('histograms with different buckets are not combined', () => {
    expect(() => sum(of(1, 2, 3, 4), { bounds: [1, inf], counts: [1, 2] })).toThrow('different buckets')
  })

  test('a quantile lies on a straight line inside its bucket', () => {
    expect(quantile(of(50, 100, 100, 100), 0.5)).toBeCloseTo(0.1)
    expect(quantile(of(50, 100, 100, 100), 0.75)).toBeCloseTo(0.3)
    expect(quantile(of(0, 0, 10, 10), 0.99)).toBeCloseTo(0.995)
  })

  test('a quantile in the open bucket is the last bound, and without observations it is no number', () => {
    expect(quantile(of(1, 1, 1, 10), 0.99)).toBe(1)
    expect(quantile(of(0, 0, 0, 0), 0.5)).toBeNaN()
    expect(quantile({ bounds: [], counts: [] }, 0.5)).toBeNaN()
  })

  test('how many were within a limit is exact, and only a bucket end can be asked for', () => {
    expect(observationsUpTo(of(1, 2, 3, 4), 1)).toBe(3)
    expect(() => observationsUpTo(of(1, 2, 3, 4), 0.7)).toThrow('no bucket ends at 0.7')
  })
})
