import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decode } from '../../src/core/change.ts'
import type { Column } from '../../src/core/column.ts'
import { type DecideContext, type Decision, decide, documentOf } from '../../src/core/document.ts'
import { documentId } from '../../src/core/key.ts'
import { defaultRules, type TableRules } from '../../src/core/table.ts'
import { noTableFile } from '../../src/table-file.ts'
import { decideContext } from '../../src/tables.ts'

const sha256Hex = (text: string) => createHash('sha256').update(text).digest('hex')
const md5 = (text: string) => BigInt(`0x${createHash('md5').update(text).digest('hex')}`)

function rules(given: Partial<TableRules> = {}): TableRules {
  return { ...defaultRules('public', 't'), isNamed: true, ...given }
}

const json: ReadonlyMap<string, Column> = new Map([
  ['j', { type: { kind: 'json' }, onBroken: 'dead-letter' }],
])

function decided(
  record: string | Uint8Array,
  given: Partial<TableRules> = {},
  context: Partial<DecideContext> = {},
  partitionKey = 'public.t',
) {
  const bytes = typeof record === 'string' ? new TextEncoder().encode(record) : record
  return decide(decode(bytes), partitionKey, {
    ...decideContext({
      file: noTableFile,
      indexPatterns: ['*'],
      onUnknownTable: 'hold',
      beforeImage: 'before-image',
      beforeImagePrefix: 'BI_',
    }),
    rulesOf: () => ({ kind: 'rules', rules: rules(given) }),
    range: { start: 0n, end: 2n ** 128n - 1n },
    ...context,
  })
}

function record(
  operation: string,
  data: string,
  given: { before?: string; type?: string; table?: string } = {},
): string {
  const before = given.before ? `,"before-image":${given.before}` : ''
  return `{"data":${data}${before},"metadata":{"timestamp":"2024-07-29T00:58:17.983670Z","record-type":"data","operation":"${operation}","partition-key-type":"${given.type ?? 'schema-table'}","schema-name":"public","table-name":"${given.table ?? 't'}"}}\n`
}

/** The writes, each document as its text. */
const writes = (decision: Decision) =>
  decision.kind === 'write'
    ? decision.writes.map(write => {
        const { start, end, ...rest } = write
        const document = write.bytes ? documentOf(write) : write.document
        // Of one without bytes both are 0.
        return {
          ...rest,
          document,
          bytes: undefined,
          ...(write.bytes || start + end === 0 ? {} : { start, end }),
        }
      })
    : decision
const letterOf = (decision: Decision) => (decision.kind === 'letter' ? decision.letter.reason : decision)

describe('the document is the row, digit for digit', () => {
  test('insert, update and load write the text of the row as it came', () => {
    const row =
      '{"id":9007199254740993,"n":12345678901234567890.0123456789,"s":"Žluťoučký 😀 \\"q\\"","z":null,"a":0}'
    for (const operation of ['insert', 'update', 'load']) {
      expect(writes(decided(record(operation, row)))).toEqual([
        { kind: 'index', index: 'public_t', id: '9007199254740993', document: row },
      ])
    }
  })

  test('the tabbed layout becomes one line with the same digits', () => {
    const tabbed =
      '{\n\t"data":\t{\n\t\t"id":\t3,\n\t\t"n":\t1.10\n\t},\n\t"metadata":\t{\n\t\t"timestamp":\t"2021-01-08T18:59:26.918570Z",\n\t\t"record-type":\t"data",\n\t\t"operation":\t"insert",\n\t\t"partition-key-type":\t"schema-table",\n\t\t"schema-name":\t"public",\n\t\t"table-name":\t"t"\n\t}\n}'
    expect(writes(decided(tabbed))).toEqual([
      { kind: 'index', index: 'public_t', id: '3', document: '{"id":3,"n":1.10}' },
    ])
  })

  test('a delete names the document and carries none', () => {
    expect(writes(decided(record('delete', '{"id":7,"name":null}')))).toEqual([
      { kind: 'delete', index: 'public_t', id: '7' },
    ])
  })

  test('the text of a JSON column becomes JSON, its digits kept; SQL NULL stays null', () => {
    const given = { columns: json }
    const row = '{"id":1,"j":"{\\"big\\": 12345678901234567890, \\"s\\":\\"a\\\\nb\\"}","k":"{\\"x\\":1}"}'
    const document = '{"id":1,"j":{"big": 12345678901234567890, "s":"a\\nb"},"k":"{\\"x\\":1}"}'
    expect(writes(decided(record('insert', row), given))).toMatchObject([{ document }])
    expect(writes(decided(record('insert', '{"id":1,"j":null}'), given))).toMatchObject([
      { document: '{"id":1,"j":null}' },
    ])
    expect(writes(decided(record('insert', '{"id":1,"j":"7"}'), given))).toMatchObject([
      { document: '{"id":1,"j":7}' },
    ])
  })

  test('a line break inside a JSON column does not end the document', () => {
    const decision = decided(record('insert', '{"id":1,"j":"{\\n \\"a\\": 1}"}'), {
      columns: json,
    })
    expect(writes(decision)).toMatchObject([{ document: '{"id":1,"j":{"a":1}}' }])
  })

  test('a JSON column that does not hold JSON, or too deep, is a dead letter', () => {
    const given = { columns: json }
    expect(letterOf(decided(record('insert', '{"id":1,"j":"{\\"cut"}'), given))).toBe('column-unreadable')
    const deep = JSON.stringify(`${'['.repeat(20)}${']'.repeat(20)}`)
    expect(letterOf(decided(record('insert', `{"id":1,"j":${deep}}`), given))).toBe('column-unreadable')
  })
})

describe('keys', () => {
  test('a key change indexes the new document and then deletes the old', () => {
    expect(writes(decided(record('update', '{"id":45,"v":1}', { before: '{"id":46}' })))).toMatchObject([
      { kind: 'index', index: 'public_t', id: '45', document: '{"id":45,"v":1}' },
      { kind: 'delete', index: 'public_t', id: '46' },
    ])
  })

  test('an empty before-image, or one with the same key, is no key change', () => {
    for (const before of ['{}', '{"id":45}']) {
      expect(writes(decided(record('update', '{"id":45,"v":1}', { before })))).toHaveLength(1)
    }
  })

  test('of a composite key a before-image may name one column', () => {
    const decision = decided(record('update', '{"a":1,"b":2}', { before: '{"b":9}' }), { key: ['a', 'b'] })
    expect(writes(decision)).toMatchObject([{ id: '1|2' }, { kind: 'delete', id: '1|9' }])
  })

  test('a missing or null key of a named table is a dead letter', () => {
    expect(letterOf(decided(record('insert', '{"name":"x"}')))).toBe('no-key')
    expect(letterOf(decided(record('insert', '{"id":null}')))).toBe('no-key')
  })

  test('an integer key in exponent form is damaged already and refused', () => {
    expect(letterOf(decided(record('insert', '{"id":1.2345678901234568e+17}')))).toBe('damaged-key')
  })

  test('a key that is an object is refused', () => {
    expect(letterOf(decided(record('insert', '{"id":{"a":1}}')))).toBe('key-not-scalar')
  })

  test('a table without rules and without the default key holds the shard, or what the setting says', () => {
    const unnamed = { isNamed: false }
    expect(decided(record('insert', '{"code":"B"}'), unnamed)).toMatchObject({
      kind: 'hold',
      hold: { reason: 'unknown-table' },
    })
    expect(
      letterOf(decided(record('insert', '{"code":"B"}'), unnamed, { onUnknownTable: 'dead-letter' })),
    ).toBe('unknown-table')
    expect(decided(record('insert', '{"code":"B"}'), unnamed, { onUnknownTable: 'skip' })).toMatchObject({
      kind: 'skip',
    })
  })

  test('ids of composite keys are injective', () => {
    const part = fc.string({ unit: fc.constantFrom('|', '\\', 'a', ''), maxLength: 5 })
    fc.assert(
      fc.property(fc.tuple(part, part), fc.tuple(part, part), (one, other) => {
        const isSame = one[0] === other[0] && one[1] === other[1]
        expect(documentId(one, sha256Hex) === documentId(other, sha256Hex)).toBe(isSame)
      }),
      { numRuns: 10_000 },
    )
  })

  test('an id is at most 512 bytes of UTF-8: a longer one becomes its hash', () => {
    expect(documentId(['x'.repeat(512)], sha256Hex)).toBe('x'.repeat(512))
    expect(documentId(['x'.repeat(513)], sha256Hex)).toBe(`sha256:${sha256Hex('x'.repeat(513))}`)
    expect(documentId(['ž'.repeat(257)], sha256Hex)).toMatch(/^sha256:/)
  })
})

describe('partitioning', () => {
  test('a load partitioned otherwise than its table is written below any change', () => {
    expect(decided(record('load', '{"id":1}', { type: 'primary-key' }))).toMatchObject({
      kind: 'write',
      isBelowChanges: true,
    })
    expect(decided(record('load', '{"id":1}'))).toMatchObject({ kind: 'write', isBelowChanges: false })
  })

  test('a change partitioned otherwise than the table file says holds the shard and names both', () => {
    const decision = decided(record('insert', '{"id":1}', { type: 'primary-key' }))
    expect(decision).toMatchObject({
      kind: 'hold',
      hold: {
        reason: 'partition-contradiction',
        table: 'public.t',
        found: expect.stringContaining('primary-key'),
        expected: expect.stringContaining('schema-table'),
      },
    })
  })

  const byKey = { partition: 'key' as const }
  const keyChange = record('update', '{"id":2,"v":1}', { before: '{"id":1}', type: 'primary-key' })
  const only = (key: string) => ({ range: { start: md5(key), end: md5(key) } })

  test('by key, both halves of a key change are written when both are at home', () => {
    expect(decided(keyChange, byKey, {}, '2')).toMatchObject({
      writes: [{ kind: 'index' }, { kind: 'delete' }],
      letters: [],
    })
  })

  test('by key, the foreign half of a key change is a letter, whichever key the record was partitioned by', () => {
    for (const partitionKey of ['1', '2']) {
      expect(decided(keyChange, byKey, only('2'), partitionKey)).toMatchObject({
        writes: [{ kind: 'index', id: '2' }],
        letters: [{ reason: 'key-moved', id: '1' }],
      })
      expect(decided(keyChange, byKey, only('1'), partitionKey)).toMatchObject({
        writes: [{ kind: 'delete', id: '1' }],
        letters: [{ reason: 'key-moved', id: '2' }],
      })
    }
  })

  test('by key with the prefixed form of the partition key', () => {
    expect(decided(keyChange, byKey, only('public.t.2'), 'public.t.2')).toMatchObject({
      writes: [{ id: '2' }],
      letters: [{ id: '1' }],
    })
  })

  test('a partition key of unknown form leaves both halves to letters', () => {
    expect(decided(keyChange, byKey, {}, 'something')).toMatchObject({
      writes: [],
      letters: [{ id: '2' }, { id: '1' }],
    })
  })
})

describe('what is not a row', () => {
  test('control records are skipped whatever they say, before any other check', () => {
    const control =
      '{"control":{},"metadata":{"timestamp":"2025-06-21T12:06:50.209026Z","record-type":"control","operation":"drop-table","partition-key-type":"task-id","schema-name":"public","table-name":"films"}}\n'
    expect(decided(control)).toMatchObject({ kind: 'control', operation: 'drop-table', misfits: [] })
  })

  test('tables of DMS itself are skipped', () => {
    expect(decided(record('insert', '{"x":1}', { table: 'awsdms_status' }))).toMatchObject({
      kind: 'skip',
      reason: 'dms-table',
    })
  })

  test('each kind of damage has its reason', () => {
    expect(letterOf(decided(new Uint8Array([0x7b, 0xff, 0x7d])))).toBe('not-utf8')
    expect(letterOf(decided('{"data":'))).toBe('not-json')
    expect(letterOf(decided(''))).toBe('not-json')
    for (const text of ['null', '[]', '"x"', '{}', '{"metadata":{}}', '{"data":{"id":1}}'])
      expect(letterOf(decided(text))).toBe('not-a-dms-record')
    expect(letterOf(decided(record('insert', '[1]')))).toBe('not-a-dms-record')
    expect(letterOf(decided(record('upsert', '{"id":1}')))).toBe('unknown-operation')
    expect(letterOf(decided(record('insert', `{"id":1,"x":${'['.repeat(5000)}${']'.repeat(5000)}}`)))).toBe(
      'too-deep',
    )
    expect(letterOf(decided(record('insert', `{"id":1,"x":${'9'.repeat(1001)}}`)))).toBe('number-too-long')
  })

  test('no bytes make decoding throw, and none are accepted that JSON.parse refuses', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        expect(['letter', 'skip']).toContain(decided(bytes).kind)
      }),
      { numRuns: 10_000 },
    )
  })

  // What is remembered of a record must not lie in the memory that the next page is written into.
  test('a record in the place of an earlier one is of its own table', () => {
    const memory = Buffer.alloc(1000)
    const tables = ['ta', 'tb', 'ta', 'tb', 'tc'].map(table => {
      const end = memory.write(record('insert', '{"id":1}', { table }))
      const found = decode(memory.subarray(0, end))
      return found.kind === 'change' && found.table
    })
    expect(tables).toEqual(['ta', 'tb', 'ta', 'tb', 'tc'])
  })

  test('a member named __proto__ is a column like any other', () => {
    const row = '{"__proto__":{"id":9},"id":1}'
    expect(writes(decided(record('insert', row)))).toMatchObject([{ id: '1', document: row }])
  })
})
