import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { tableFileOf } from '../../src/commands/decide-context.ts'
import { transform } from '../../src/commands/transform.ts'
import { tableFileSchema } from '../../src/table-file-schema.ts'

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname

function record(
  operation: string,
  data: string,
  given: { before?: string; table?: string; type?: string } = {},
) {
  const before = given.before ? `,"before-image":${given.before}` : ''
  return `{"data":${data}${before},"metadata":{"timestamp":"2026-03-02T09:15:01.204518Z","record-type":"data","operation":"${operation}","partition-key-type":"${given.type ?? 'schema-table'}","schema-name":"public","table-name":"${given.table ?? 't'}"}}`
}

async function transformed(lines: string[], tables = '') {
  const file = tables === '' ? '' : join(mkdtempSync(join(tmpdir(), 'tables-')), 'tables.yaml')
  if (file) writeFileSync(file, tables)
  const printed: string[] = []
  const summary = await transform(
    {
      TABLE_FILE: file,
      ON_UNKNOWN_TABLE: 'hold',
      INDEX_PATTERNS: ['public_*'],
      BEFORE_IMAGE: 'before-image',
      BEFORE_IMAGE_PREFIX: 'BI_',
    },
    Readable.from([lines.join('\n')]),
    async line => {
      printed.push(line)
    },
  )
  return { printed, summary }
}

describe('transform', () => {
  test('each record becomes a line with the document digit for digit, its number and a place in the tenure', async () => {
    const { printed, summary } = await transformed([
      record('insert', '{"id":1,"n":12345678901234567890.10}'),
      '',
      record('delete', '{"id":1}'),
    ])
    expect(printed).toEqual([
      '{"line":1,"action":"index","table":"public.t","index":"public_t","id":"1","version":"fence.1","document":{"id":1,"n":12345678901234567890.10}}',
      '{"line":3,"action":"delete","table":"public.t","index":"public_t","id":"1","version":"fence.3"}',
    ])
    expect(summary).toBe('2 records: 1 index, 1 delete')
  })

  test('the table file may be given itself, zipped, in place of its path', async () => {
    const tables = 'tables:\n  public.t: { key: [code], index: public_codes }\n'
    const inline = `data:application/gzip;base64,${gzipSync(tables).toString('base64')}`
    const lines = [record('insert', '{"code":"a"}')]
    const given = {
      ON_UNKNOWN_TABLE: 'hold',
      INDEX_PATTERNS: ['public_*'],
      BEFORE_IMAGE: '',
      BEFORE_IMAGE_PREFIX: '',
    } as const
    const printed: string[] = []
    await transform(
      { ...given, INDEX_PATTERNS: [...given.INDEX_PATTERNS], TABLE_FILE: inline },
      Readable.from(lines),
      async line => {
        printed.push(line)
      },
    )
    expect(printed).toEqual((await transformed(lines, tables)).printed)
    expect(printed[0]).toContain('"index":"public_codes","id":"a"')
  })

  test('a table file given itself and cut is no table file, and a mistake in one is of TABLE_FILE', () => {
    const inline = (text: string) => `data:application/gzip;base64,${gzipSync(text).toString('base64')}`
    expect(() => tableFileOf({ TABLE_FILE: inline('tables: {}').slice(0, -12) })).toThrow(
      /^TABLE_FILE begins with .*not gzip in base64/,
    )
    expect(() => tableFileOf({ TABLE_FILE: inline('tables:\n  public.t: { key: id }') })).toThrow(
      /^TABLE_FILE:2: tables\.public\.t\.key/,
    )
  })

  test('what is not written says why: dead letter, skip, hold with its remedy', async () => {
    const { printed, summary } = await transformed(
      [
        'hello',
        record('insert', '{"x":1}', { table: 'awsdms_status' }),
        record('insert', '{"x":1}', { table: 'unknown' }),
        record('insert', '{"x":1}', { table: 'unwanted' }),
        '{"control":{"table-def":{"columns":{"a":{"type":"BOOL"}},"primary-key":["a"]}},"metadata":{"record-type":"control","operation":"create-table","schema-name":"public","table-name":"u"}}',
      ],
      'tables: { public.unwanted: { mode: skip }, public.u: { key: [b] } }',
    )
    expect(printed.map(line => JSON.parse(line))).toMatchObject([
      { line: 1, action: 'dead-letter', reason: 'not-json' },
      { action: 'skip', reason: 'dms-table' },
      { action: 'hold', reason: 'unknown-table', table: 'public.unknown', remedy: expect.any(String) },
      { action: 'skip', reason: 'not-selected' },
      {
        action: 'skip',
        reason: 'control',
        operation: 'create-table',
        misfits: [expect.stringContaining('key names b'), expect.any(String)],
      },
    ])
    expect(summary).toContain('1 hold (unknown-table)')
  })

  test('a key change is two lines, a kept column is named, a load of another partitioning is below changes', async () => {
    const { printed } = await transformed(
      [
        record('update', '{"id":2,"big":null}', { before: '{"id":1}' }),
        record('load', '{"id":3}', { type: 'primary-key' }),
      ],
      'tables: { public.t: { keepOnNull: [big] } }',
    )
    expect(printed.map(line => JSON.parse(line))).toMatchObject([
      { action: 'index', id: '2', keeps: ['big'] },
      { action: 'delete', id: '1' },
      { action: 'index', id: '3', version: '16' },
    ])
  })

  test('records as the AWS command line prints them are decoded, with their partition key', async () => {
    const data = Buffer.from(
      record('update', '{"id":2}', { before: '{"id":1}', type: 'primary-key' }),
    ).toString('base64')
    const tables = 'tables: { public.t: { partition: key } }'
    const known = await transformed([JSON.stringify({ Data: data, PartitionKey: '2' })], tables)
    expect(known.printed.map(line => JSON.parse(line).action)).toEqual(['index', 'delete'])
    const unknown = await transformed([JSON.stringify({ Data: data })], tables)
    expect(unknown.printed.map(line => JSON.parse(line).reason)).toEqual(['key-moved', 'key-moved'])
  })
})

describe('the command line', () => {
  const main = (args: string[], input = '', env: Record<string, string> = {}) =>
    spawnSync(process.execPath, [MAIN, ...args], { input, env: { ...process.env, ...env }, encoding: 'utf8' })

  test('transform needs no settings; its summary goes to standard error', () => {
    const { status, stdout, stderr } = main(['transform'], record('insert', '{"id":1}'))
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: expect.stringContaining('"document":{"id":1}'),
      stderr: '1 record: 1 index\n',
    })
  })

  test('a mistake in the table file ends it with exit code 2, line and place', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'tables-')), 'tables.yaml')
    writeFileSync(file, 'tables:\n  public.t:\n    key: [a]\n    colour: red\n')
    const { status, stderr } = main(['transform'], '', { TABLE_FILE: file })
    expect(status).toBe(2)
    expect(stderr).toContain(`${file}:4: tables.public.t.colour: unknown; expected one of mode, key, index`)
  })

  test('--print-schema prints the schema that is shipped for editors', () => {
    const shipped = readFileSync(new URL('../../src/table-file.schema.json', import.meta.url), 'utf8')
    expect(JSON.parse(shipped)).toEqual(JSON.parse(JSON.stringify(tableFileSchema)))
    expect(main(['--print-schema']).stdout).toBe(shipped)
  })

  test('transform --help tells the form of the input', () => {
    expect(main(['transform', '--help']).stdout).toContain('transform < records.jsonl')
  })
})
