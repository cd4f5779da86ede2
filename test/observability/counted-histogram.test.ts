import { Histogram, Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { CountedHistogram } from '../../src/http/counted-histogram.ts'

test('it shows what prom-client shows of the same values, label by label', async () => {
  const [theirs, ours] = [new Registry(), new Registry()]
  for (const registry of [theirs, ours]) registry.setDefaultLabels({ stream: 's' })
  const buckets = [0.25, 1, 30]
  const plain = { name: 'cdc_seconds', help: 'Of all.', buckets }
  const labelled = { name: 'cdc_table_seconds', help: 'By table.', buckets, labelNames: ['table'] as const }
  const values = [0, 0.25, 0.2500001, 40, 1, 0.5, 1e9, 0.1]
  const expected = new Histogram({ ...plain, registers: [theirs] })
  const found = new CountedHistogram({ ...plain, registers: [ours] })
  const expectedOf = new Histogram({ ...labelled, registers: [theirs] })
  const foundOf = new CountedHistogram({ ...labelled, registers: [ours] })
  expect(await ours.metrics()).toBe(await theirs.metrics())
  for (const [table, seconds] of [
    ['a', values],
    ['b "quoted"', [2]],
    ['a', [7, 0]],
  ] as const) {
    found.observeAll(seconds)
    foundOf.observeAll(seconds, table)
    for (const value of seconds) {
      expected.observe(value)
      expectedOf.observe({ table }, value)
    }
  }
  // But for the order of labels, which means nothing.
  const sorted = async (registry: Registry) =>
    (await registry.metrics()).replace(/\{(.*)\}/g, (_, labels: string) => labels.split(',').sort().join())
  expect(await sorted(ours)).toBe(await sorted(theirs))
})
