/** The table file -> what DMS is told. */
import { describe, expect, test } from 'vitest'
import { type Rule, tableMappings } from '../../infra/replication-mappings.ts'

function mapped(tables: string, schemas: readonly string[] = ['public']): Rule[] {
  return tableMappings(`tables:\n${tables}\n`, 'tables.yaml', schemas).rules
}

function partitions(rules: readonly Rule[]): Record<string, string> {
  return Object.fromEntries(
    rules.flatMap(rule =>
      rule['rule-type'] === 'object-mapping'
        ? [[locatorText(rule), rule['mapping-parameters']['partition-key-type']]]
        : [],
    ),
  )
}

function locatorText({ 'object-locator': at }: Rule): string {
  return `${at['schema-name']}.${at['table-name']}`
}

function selected(rules: readonly Rule[], action: 'include' | 'exclude'): string[] {
  return rules
    .filter(rule => rule['rule-type'] === 'selection' && rule['rule-action'] === action)
    .map(locatorText)
}

test('every table of each schema is included, audit and DMS tables are not, and _ is a real underscore', () => {
  const rules = mapped('  public.orders: {}', ['public', 'sales_eu'])
  expect(selected(rules, 'include')).toEqual(['public.%', 'sales[_]eu.%'])
  expect(selected(rules, 'exclude')).toEqual([
    'public.audit[_]%',
    'public.awsdms[_]%',
    'sales[_]eu.audit[_]%',
    'sales[_]eu.awsdms[_]%',
  ])
})

test('without a table by key, one mapping a schema has every table by table, named or not, load and change alike', () => {
  expect(partitions(mapped('  public.orders: {}\n  public.items: { partition: table }'))).toEqual({
    'public.%': 'schema-table',
  })
})

test('with a table by key, each entry has a mapping of its own and none fits a table of another', () => {
  const rules = mapped('  public.orders: {}\n  public.view_counts: { partition: key }\n  public.part_*: {}')
  expect(partitions(rules)).toEqual({
    'public.orders': 'schema-table',
    'public.view[_]counts': 'primary-key',
    'public.part[_]%': 'schema-table',
  })
})

test('an entry that a pattern of the same partition covers has no mapping of its own', () => {
  const rules = mapped('  public.part_1: { partition: key }\n  public.part_*: { partition: key }')
  expect(partitions(rules)).toEqual({ 'public.part[_]%': 'primary-key' })
})

test('numbers and names of rules are each their own, and names are letters, digits and hyphens', () => {
  const rules = mapped('  public.a_b: { partition: key }\n  public.a-b: {}', ['public', 'other'])
  expect(new Set(rules.map(rule => rule['rule-id'])).size).toBe(rules.length)
  expect(new Set(rules.map(rule => rule['rule-name'])).size).toBe(rules.length)
  for (const rule of rules) expect(rule['rule-name']).toMatch(/^[A-Za-z0-9-]+$/)
})

describe('what DMS cannot be told fails, with the table and the reason', () => {
  test.each([
    ['a * in the schema', '  pub*.orders: {}', 'pub*.orders: a * in the schema also stands for dots'],
    [
      'a sign that is a wildcard of DMS',
      '  "public.50%": {}',
      'public.50%: %, [ and ] mean something to DMS',
    ],
    ['a schema that is not replicated', '  sales.orders: {}', 'sales.orders: schema sales is not replicated'],
    [
      'a table that is never replicated',
      '  public.audit_log: {}',
      'tables public.audit_* are never replicated',
    ],
    [
      'a table by key that a pattern by table fits',
      '  public.orders: { partition: key }\n  public.*: {}',
      'public.orders (partition: key) and public.* (partition: table) can fit one table',
    ],
    [
      'two patterns that can fit one table and disagree',
      '  public.a*: { partition: key }\n  public.*z: {}',
      'can fit one table',
    ],
    ['a mistake of the table file itself', '  public.orders: { key: id }', 'tables.yaml:2:'],
  ])('%s', (_, tables, message) => {
    expect(() => mapped(tables)).toThrow(message)
  })

  test('every mistake is named at once', () => {
    const mistakes = () => mapped('  pub*.orders: {}\n  sales.orders: {}')
    expect(mistakes).toThrow('pub*.orders')
    expect(mistakes).toThrow('sales.orders')
  })
})

test('tables that are skipped are not mapped, whatever their schema', () => {
  expect(partitions(mapped('  audit.*: { mode: skip }\n  public.x: { partition: key }'))).toEqual({
    'public.x': 'primary-key',
  })
})

test('patterns that can fit no table in common may disagree', () => {
  expect(partitions(mapped('  public.a_*: { partition: key }\n  public.b_*: {}'))).toEqual({
    'public.a[_]%': 'primary-key',
    'public.b[_]%': 'schema-table',
  })
})
