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

  test('a table by its own name goes before patterns, of patterns the first that fits; names stand in for the index', () => {
    const file = parseTableFile(
      'tables:\n  public.part_1: { index: one }\n  public.part_*: { index: "parts_{table}", key: [a] }\n  public.*: { key: [b] }\n  "*.Log": { index: "{schema}-log", idPrefix: "{table}:" }\n',
      'f',
    )
    expect(file.rulesOf('public', 'part_1')).toMatchObject({ index: 'one', key: ['id'] })
    expect(file.rulesOf('public', 'part_2')).toMatchObject({ index: 'parts_part_2', key: ['a'] })
    expect(file.rulesOf('public', 'other')).toMatchObject({ index: 'public_other', key: ['b'] })
    expect(file.rulesOf('Sales', 'EU.Log')).toMatchObject({ index: 'sales-log', idPrefix: 'EU.Log:' })
    expect(file.rulesOf('other', 'x')).toBeUndefined()
  })

  test('what contradicts itself is refused with its line', () => {
    const found = faults(
      [
        'tables:',
        '  public.a: { routing: b }',
        '  public.b: { keepOnNull: [id, x], exclude: [x] }',
        '  public.c: { mode: append, keepOnNull: [x] }',
        '  public.d: { columns: { x: { type: text, as: text }, y: { type: boolean, onBroken: text } } }',
        '  public.p*: { index: all }',
        '  public.e: { columns: { x: { type: jsonb, onBroken: maybe } } }',
        '  public.f: 7',
      ].join('\n'),
    )
    for (const part of [
      ':2: tables.public.a.routing: expected one of the key columns (id)',
      ':3: tables.public.b.keepOnNull: id is a key column',
      ':3: tables.public.b.keepOnNull: x is also in `exclude`',
      ':4: tables.public.c.keepOnNull: a table of mode append',
      ':5: tables.public.d.columns.x: `as` is for numeric',
      ':5: tables.public.d.columns.y: `onBroken` is for json',
      ':6: tables.public.p*.index: several tables can fit the pattern',
      ':7: tables.public.e.columns.x.onBroken: expected one of dead-letter, text',
      ':8: tables.public.f: expected an object or nothing',
    ])
      expect(found).toContain(part)
  })

  test('JSON is a table file as well, and a name used twice is a mistake', () => {
    const file = parseTableFile('{"tables":{"public.a":{"key":["x"]}}}', 'f')
    expect(file.rulesOf('public', 'a')).toMatchObject({ key: ['x'] })
    expect(faults('tables:\n  public.a: {}\n  public.a: {}\n')).toContain('tables.yaml:3: not YAML')
  })

  test('tables may share an index when their id prefixes keep them apart, else the second one is held', () => {
    const file = parseTableFile(
      'tables: { "public.part_*": { index: public_parts, idPrefix: "{table}|" } }',
      'f',
    )
    const rulesOf = tableRules({ file, indexPatterns: ['*'] })
    expect(rulesOf('public', 'part_1').kind).toBe('rules')
    expect(rulesOf('public', 'part_2').kind).toBe('rules')
    expect(faults('tables: { a.x: { index: i, idPrefix: p }, a.y: { index: i, idPrefix: pq } }')).toContain(
      'also that of a.x',
    )
    expect(faults('tables: { a.x: { index: i, idPrefix: "x:" }, a.y: { index: i, idPrefix: "y:" } }')).toBe(
      '',
    )
  })
})
