import { describe, expect, test } from 'vitest'
import { backoffMs } from '../../src/core/backoff.ts'
import { letterBatches, letterMessages, PAYLOAD_CHARS_MAX } from '../../src/core/letter.ts'
import { defaultIndex, indexNameFault, matches } from '../../src/core/table.ts'
import { indexTemplate, templateDifferences } from '../../src/core/template.ts'
import { timestampMs } from '../../src/core/timestamp.ts'
import { actionText } from '../fakes/action-text.ts'

describe('backoff', () => {
  const limits = { firstMs: 100, maxMs: 30_000 }

  test('the ceilings double from the first to the highest', () => {
    const ceilings = [0, 1, 2, 8, 9, 1000].map(attempt => backoffMs(attempt, 0.999999, limits))
    expect(ceilings).toEqual([99, 199, 399, 25_599, 29_999, 29_999])
  })

  test('jitter is full: the wait may be nothing', () => {
    expect(backoffMs(9, 0, limits)).toBe(0)
  })
})

describe('timestamps', () => {
  test.each([
    '2024-07-29T00:58:17.974340Z',
    '1969-12-31T23:59:59.500000Z',
    '2000-02-29T12:00:00Z',
    '2026-12-31T23:59:59.999999Z',
  ])('%s is read as the calendar has it', text => {
    expect(Math.floor(timestampMs(new TextEncoder().encode(text), 0, text.length)!)).toBe(Date.parse(text))
  })

  test('other text is no timestamp', () => {
    for (const text of ['', '2024-07-29', '2024-07-29 00:58:17', 'infinity', '0044-03-15T00:00:00Z BC'])
      expect(timestampMs(new TextEncoder().encode(text), 0, text.length)).toBeUndefined()
  })
})

describe('bulk action', () => {
  test('an action carries id and index as JSON and the version as text', () => {
    expect(
      actionText({ kind: 'index', index: 'i', id: 'a"b\n', document: '{"x":1}' }, '9007199254740993'),
    ).toBe(
      '{"index":{"_index":"i","_id":"a\\"b\\n","version":"9007199254740993","version_type":"external"}}\n{"x":1}\n',
    )
    expect(actionText({ kind: 'delete', index: 'i', id: '1' }, '16')).toBe(
      '{"delete":{"_index":"i","_id":"1","version":"16","version_type":"external"}}\n',
    )
  })
})

describe('index names', () => {
  test('schema and table in lower case, dots as underscores', () => {
    expect(defaultIndex('Public', 'Order.Items')).toBe('public_order_items')
  })

  test.each([
    '_x',
    '-x',
    '+x',
    '.x',
    '..',
    '',
    'A',
    'a b',
    'a/b',
    'a*b',
    'a?b',
    'a"b',
    'a<b',
    'a|b',
    'a,b',
    'a#b',
    'a:b',
    'x'.repeat(256),
  ])('%s would be refused', name => {
    expect(indexNameFault(name)).toBeTypeOf('string')
  })

  test('what OpenSearch takes is taken', () => {
    for (const name of ['public_orders', 'a.b-c', 'žluť', 'x'.repeat(255)])
      expect(indexNameFault(name)).toBeUndefined()
  })

  test('a pattern matches any text at its stars, linearly', () => {
    expect(matches('public_*', 'public_orders')).toBe(true)
    expect(matches('public_*', 'private_orders')).toBe(false)
    expect(matches('a', 'a')).toBe(true)
    expect(matches('a', 'ab')).toBe(false)
    expect(matches('a*b*c', 'axxbyyc')).toBe(true)
    expect(matches('a*a', 'a')).toBe(false)
    expect(matches(`${'*a'.repeat(50)}*b`, 'a'.repeat(5000))).toBe(false)
  })
})

describe('letters', () => {
  const context = {
    stream: 's',
    shardId: 'shardId-000000000000',
    sequenceNumber: '1',
    partitionKey: 'k',
    arrivedAt: '',
    table: 'public.t',
    version: undefined,
    attempts: 0,
    at: '',
    service: '0',
  }

  test('a large payload is cut into parts that join to it again', () => {
    const payload = 'x'.repeat(PAYLOAD_CHARS_MAX * 2 + 5)
    const parts = letterMessages({ reason: 'not-json' }, context, payload).map(text => JSON.parse(text))
    expect(parts.map(({ part, parts: count }) => [part, count])).toEqual([
      [1, 3],
      [2, 3],
      [3, 3],
    ])
    expect(parts.map(part => part.payload).join('')).toBe(payload)
  })

  test('an empty payload still is one letter', () => {
    expect(letterMessages({ reason: 'not-json' }, context, '')).toHaveLength(1)
  })

  test('batches keep to ten messages and one MiB', () => {
    const sizes = letterBatches(new Array(23).fill('x'), text => text.length).map(batch => batch.length)
    expect(sizes).toEqual([10, 10, 3])
    expect(letterBatches(['a', 'b', 'c'], () => 600_000).map(batch => batch.length)).toEqual([1, 1, 1])
  })
})

describe('template', () => {
  const options = { patterns: ['public_*'], shards: 1, replicas: 1 }

  test('numbers answered as text are no difference', () => {
    const answered = JSON.parse(
      JSON.stringify(indexTemplate(options)).replace('"number_of_shards":1', '"number_of_shards":"1"'),
    )
    expect(templateDifferences(indexTemplate(options), answered)).toEqual([])
  })

  test('a difference is named by its path, also one that was added', () => {
    const changed = structuredClone(indexTemplate(options)) as {
      template: { settings: { index: Record<string, unknown> } }
    }
    changed.template.settings.index.gc_deletes = '60s'
    changed.template.settings.index.codec = 'best'
    expect(templateDifferences(indexTemplate(options), changed)).toEqual([
      'template.settings.index.gc_deletes',
      'template.settings.index.codec',
    ])
  })
})
