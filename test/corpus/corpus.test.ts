import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { fuzz } from './fuzzer.ts'
import { CorpusError, type CorpusLine, parseCorpus, parseLine } from './line.ts'
import { tableFileText } from './line-tables.ts'
import { refusalOf } from './refusal.ts'
import { run, sorted } from './runner.ts'

const lines = parseCorpus(readFileSync(new URL('corpus.jsonl', import.meta.url), 'utf8'), 'corpus.jsonl')

describe('the corpus', () => {
  test('has at least 120 lines', () => {
    expect(lines.length).toBeGreaterThanOrEqual(120)
  })

  test.each(lines.map(line => [line.name, line] as const))('%s', async (_name, line) => {
    expect((await run(line)).differences).toEqual([])
  })
})

const METADATA =
  '"metadata":{"record-type":"data","operation":"update","partition-key-type":"schema-table","schema-name":"public","table-name":"t"}'
const keyChange = `{"data":{"id":2,"v":1.10,"ok":"t"},"before-image":{"id":1},${METADATA}}`
const update = `{"data":{"id":2,"v":1.10,"ok":"t"},${METADATA}}`
const removal = update.replace('update', 'delete')
const control =
  '{"control":{"table-def":{"columns":{"id":{"type":"INT32"}},"primary-key":["id"]}},"metadata":{"record-type":"control","operation":"create-table","schema-name":"public","table-name":"t"}}'

const table = { pk: ['id'], types: { ok: 'boolean' } }

function lineOf(given: object): CorpusLine {
  return parseLine(JSON.stringify({ name: 'x', settings: {}, table, ...given }), 'test:1')
}

/** What the runner finds different in a record. */
async function found(raw: string, expect: object, given: object = {}): Promise<string[]> {
  const { differences } = await run(lineOf({ raw, expect, ...given }))
  return differences.map(({ what }) => what)
}

describe('the runner can fail', () => {
  const right = { action: 'index', index: 'public_t', id: '2', doc_json: '{"id":2,"v":1.10,"ok":true}' }

  test('a right line passes', async () => {
    expect(await found(update, right)).toEqual([])
  })

  test.each<[string, string, object, string[]]>([
    ['another action', update, { ...right, action: 'delete' }, ['action']],
    ['an action where there is none', control, right, ['action']],
    ['a letter that is none', update, { action: 'dead-letter' }, ['action']],
    ['a record that was to be ignored', update, { action: 'ignore' }, ['action']],
    ['a document where a letter was due', '{', right, ['action']],
    ['the old half missing', update, { ...right, action: 'delete+index', delete_id: '1' }, ['action']],
    ['the old half too much', keyChange, right, ['action']],
    ['another index', update, { ...right, index: 'public_u' }, ['index of the index']],
    ['another id', update, { ...right, id: '3' }, ['id']],
    ['another digit', update, { ...right, doc_json: '{"id":2,"v":1.1,"ok":true}' }, ['document']],
    ['a type not applied', update, { ...right, doc_json: '{"id":2,"v":1.10,"ok":"t"}' }, ['document']],
    ['a member too few', update, { ...right, doc_json: '{"id":2,"v":1.10}' }, ['document']],
    [
      'another repetition',
      update,
      { action: 'index', doc_repeat: { unit: '[', count: 0, tail: '{}' } },
      ['document'],
    ],
    ['another old id', keyChange, { ...right, action: 'delete+index', delete_id: '9' }, ['id of the delete']],
    ['another id of a delete', removal, { action: 'delete', id: '9' }, ['id of the delete']],
    ['another index of a delete', removal, { action: 'delete', index: 'public_u' }, ['index of the delete']],
    ['another reason of ours', '{', { action: 'dead-letter', our_reason: 'no-key' }, ['reason']],
    [
      'another key of the definition',
      control,
      { action: 'ignore', learn: { primary_key: ['no'] } },
      ['definition'],
    ],
    [
      'another column of it',
      control,
      { action: 'ignore', learn: { columns: { id: 'DATE' } } },
      ['definition'],
    ],
    ['a definition of nothing', update, { ...right, learn: { table: 'public.t' } }, ['definition']],
  ])('%s is a difference', async (_name, raw, expected, differences) => {
    expect(await found(raw, expected)).toEqual(differences)
  })

  test('a difference says what was expected and what was found', async () => {
    const { differences } = await run(lineOf({ raw: update, expect: { ...right, id: '3' } }))
    expect(differences).toEqual([{ what: 'id', expected: '3', found: '2' }])
  })

  test('a held record is a difference that says why', async () => {
    const raw = update.replace('schema-table', 'transaction-id')
    const { differences } = await run(lineOf({ raw, expect: right }))
    expect(differences[0]!.found).toContain('held (partition-contradiction')
  })

  test('a table file the service refuses is a difference', async () => {
    const { differences } = await run(
      lineOf({ raw: update, expect: right, table: { pk: ['id', 'id'], types: {} } }),
    )
    expect(differences[0]!.found).toContain('ConfigError')
  })

  test('a document that is left too much, too few or other, and letters not counted', async () => {
    const sequence = (given: object) => run(lineOf({ raws: [update, removal, keyChange, '{'], ...given }))
    const good = { expect_final: { public_t: { 2: '{"id":2,"v":1.10,"ok":true}' } }, expect_dead_letters: 1 }
    const whats = async (given: object) =>
      (await sequence(given)).differences.map(({ what }) => what.split(',')[0])
    expect(await whats(good)).toEqual([])
    expect(await whats({ ...good, expect_final: {} })).toEqual(['documents left', 'documents left'])
    expect(await whats({ ...good, expect_final: { public_u: { 2: '{}' } } })).toEqual([
      'documents left',
      'documents left',
    ])
    expect(await whats({ ...good, expect_dead_letters: 0 })).toEqual(['dead letters', 'dead letters'])
    const held = await whats({ ...good, raws: [update, update.replace('schema-table', 'transaction-id')] })
    expect(held).toContain('the shard')
  })
})

describe('what a line may say', () => {
  const right = { action: 'index', id: '2' }

  test('one of the alternatives is enough, each overriding what it names', async () => {
    expect(await found(update, { action: 'dead-letter', also_ok: [{ action: 'merge' }] })).toEqual([])
    expect(await found(update, { ...right, id: '3', also_ok: [{ id: '2' }] })).toEqual([])
    expect(await found(update, { ...right, id: '3', also_ok: [{ id: '4' }] })).toEqual(['id'])
  })

  test('a reason is a name, an id in brackets a rule, and the order of members nothing', async () => {
    expect(await found('{', { action: 'dead-letter', reason: 'whatever' })).toEqual([])
    expect(await found(update, { action: 'index', id: '<some>' })).toEqual([])
    expect(await found(update, { ...right, doc_json: '{"ok":true,"v":1.10,"id":2}' })).toEqual([])
  })

  test('an id longer than OpenSearch takes is expected as its hash', async () => {
    const id = 'k'.repeat(600)
    expect(await found(update.replace('"id":2', `"id":"${id}"`), { action: 'index', id })).toEqual([])
  })

  test('what nobody can check is noted', () => {
    const line = lineOf({ raw: '{', expect: { action: 'dead-letter', doc_rule: 'nice' } })
    expect(line.notes).toEqual(['expect.doc_rule is not checked: "nice"'])
  })

  test.each([
    ['{', 'not JSON'],
    ['[]', 'expected an object'],
    ['{"raw":"","expect":{"action":"ignore"}}', 'expected `name`'],
    ['{"name":"x","raw":""}', 'expected `expect`'],
    ['{"name":"x","raw":"","expect":{}}', 'expected `expect.action`'],
    ['{"name":"x","raw":"","expect":{"action":"upset"}}', 'unknown action "upset"'],
    ['{"name":"x","expect":{"action":"ignore"}}', 'expected one of `raw`'],
    ['{"name":"x","raw":"","table":{"pk":"id"},"expect":{"action":"ignore"}}', '`table.pk`'],
    ['{"name":"x","raws":[""]}', 'expected `expect_final`'],
    ['{"name":"x","raws":[""],"expect_final":{},"expect_dead_letters":-1}', '-1 is no count'],
  ])('%s is an error that names the line', (text, message) => {
    expect(() => parseCorpus(`\n${text}\n`, 'f.jsonl')).toThrow(CorpusError)
    expect(() => parseCorpus(`\n${text}\n`, 'f.jsonl')).toThrow(`f.jsonl:2: ${message}`)
  })

  test('two lines of one name, and a file without lines, are errors', () => {
    const text = '{"name":"x","raw":"","expect":{"action":"ignore"}}'
    expect(() => parseCorpus(`${text}\n${text}`, 'f')).toThrow('f:2: the name x is also that of f:1')
    expect(() => parseCorpus('\n', 'f')).toThrow('f: no lines')
  })
})

describe('the table file of a line', () => {
  const fileOf = (given: object, kept: 'none' | 'all' = 'none') =>
    tableFileText(lineOf({ expect: right, ...given }), kept)
  const right = { action: 'index' }

  test('names the tables of the records, with partitioning, key and types', () => {
    const raw = update.replace('schema-table', 'primary-key')
    expect(
      JSON.parse(
        fileOf({ raw, table: { pk: ['id'], types: { m: 'mood', ms: 'mood[]', n: 'numeric(3)' } } })!,
      ),
    ).toEqual({
      tables: {
        'public.t': { key: ['id'], columns: { m: 'text', ms: 'text[]', n: 'numeric(3)' }, partition: 'key' },
      },
    })
  })

  test('a merge keeps every column but the key, of the row and of the types', () => {
    expect(
      JSON.parse(fileOf({ raw: update, table: { pk: ['id'], types: { x: 'text' } } }, 'all')!),
    ).toMatchObject({
      tables: { 'public.t': { keepOnNull: ['v', 'ok', 'x'] } },
    })
  })

  test('there is none without a key, and for a name no index can have', () => {
    expect(fileOf({ raw: update, table: { pk: null, types: {} } })).toBeUndefined()
    expect(fileOf({ raw: update.replace('"t"}}', '"a b"}}') })).toBeUndefined()
  })
})

test('two members of one name are refused at any depth, and nothing else', () => {
  for (const text of ['{"a":1,"a":2}', '{"x":[{"a":1,"\\u0061":{}}]}']) expect(refusalOf(text)).toBeDefined()
  for (const text of ['{"a":{"a":1},"b":["a","a"]}', '{"a":"b","b":"a","c":[{"a":1},{"a":1}]}', '{}'])
    expect(refusalOf(text)).toBeUndefined()
})

test('documents are compared by digits and strings, not by layout or order', () => {
  expect(sorted(' {"b" : [1.0, "\\u0061"],\n"a":{} } ')).toBe('{"a":{},"b":[1.0,"a"]}')
  expect(() => sorted('{"a":1')).toThrow(SyntaxError)
})

test('10,000 damaged records are each decided or refused with a reason, in a moment', {
  timeout: 40_000,
}, () => {
  const result = fuzz({ lines, seed: 20_260_302, records: 10_000 })
  expect(result.violations).toEqual([])
  expect(result.records).toBe(10_000)
  expect(result.accepted).toBeGreaterThan(500)
})
