import { describe, expect, test } from 'vitest'
import { noTableFile, parseTableFile } from '../../src/table-file.ts'
import { tableRules } from '../../src/tables.ts'

function faults(text: string): string {
  try {
    parseTableFile(text, 'tables.yaml')
    return ''
  } catch (error) {
    return (error as Error).message
  }
}

describe('table file', () => {
  test('a table gets what the file says and the defaults for the rest', () => {
    const tables = parseTableFile(
      'tables:\n  public.order_items: { key: [order_id, line], partition: key, columns: { a: jsonb, b: text } }\n  Public.Users:\n',
      'f',
    )
    expect(tables.rulesOf('public', 'order_items')).toEqual({
      name: 'public.order_items',
      isNamed: true,
      key: ['order_id', 'line'],
      index: 'public_order_items',
      partition: 'key',
      columns: new Map([['a', { type: { kind: 'json' }, onBroken: 'dead-letter' }]]),
      mode: 'mirror',
      idPrefix: '',
      routing: undefined,
      excluded: new Set(),
      keepOnNull: new Set(),
    })
    expect(tables.rulesOf('Public', 'Users')).toMatchObject({
      key: ['id'],
      index: 'public_users',
      partition: 'table',
    })
  })

  test('every mistake is reported with its place', () => {
    const found = faults(
      'tables:\n  orders: {}\n  public.a: { key: id, partition: hash, colour: red, columns: { x: integer } }\n  public.b: { index: B, columns: { x: intger } }\nother: 1\n',
    )
    for (const part of [
      'tables.orders: expected `schema.table`',
      'tables.public.a.key:',
      'tables.public.a.partition:',
      'tables.public.a.colour: unknown',
      'tables.yaml:4: tables.public.b.columns.x: unknown type "intger"',
      'tables.public.b.index:',
      'other: unknown',
    ]) {
      expect(found).toContain(part)
    }
  })

  test('text that is not YAML, or has no tables, is refused', () => {
    expect(faults('{')).toContain('tables.yaml:1: not YAML')
    expect(faults('')).toContain('expected one member `tables`')
  })

  test('two tables of one index are refused, in the file and as they are met', () => {
    expect(faults('tables:\n  a.b_c: {}\n  a_b.c: {}\n')).toContain('also that of a.b_c')
    const rulesOf = tableRules({ file: noTableFile, indexPatterns: ['*'] })
    expect(rulesOf('a', 'b_c').kind).toBe('rules')
    expect(rulesOf('a_b', 'c')).toMatchObject({
      kind: 'hold',
      hold: { reason: 'index-shared', table: 'a_b.c', found: expect.stringContaining('a.b_c') },
    })
  })

  test('an index no pattern of the template covers holds the shard', () => {
    const rulesOf = tableRules({ file: noTableFile, indexPatterns: ['public_*'] })
    expect(rulesOf('sales', 'orders')).toMatchObject({
      kind: 'hold',
      hold: { reason: 'index-without-template' },
    })
  })

  test('a name OpenSearch would refuse is a dead letter', () => {
    expect(tableRules({ file: noTableFile, indexPatterns: ['*'] })('public', 'a b')).toMatchObject({
      kind: 'letter',
      letter: { reason: 'illegal-index-name' },
    })
  })
})
