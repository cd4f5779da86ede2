/**
 * What a table file can say of a table, and keys of every kind, from real tables by way of the stand-in for DMS: full
 * load, then one round of changes. Each test looks at some of the tables; the letters are those of all.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { canonical, membersOf } from '../../docker/demo/raw-json.ts'
import { total } from '../../docker/demo/scrape.ts'
import { ask } from './documents.ts'
import { openTypesScene, type TypesScene } from './types-scene.ts'

/** Of a JSON scalar OpenSearch makes a field of its kind, so one column has scalars of one kind. */
const SCALARS = {
  scalar_numbers: '12345678901234567890.0123456789',
  scalar_texts: '"é \\"7\\""',
  scalar_flags: 'true',
}
const TENANTS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
const LONG_CODES = `(repeat('k', 512), 2), (repeat('k', 513), 3), (repeat('é', 257), 4)`

const DDL = String.raw`
  create table lines (order_id bigint, line text, quantity integer, primary key (order_id, line));
  insert into lines values (9007199254740993, 'a|b', 1), (9007199254740993, 'c\d', 2), (1, 'plain', 3), (1, '', 4);
  create table bigs (id bigint primary key, name text);
  insert into bigs values (999999999999999999, 'the longest whose digits are kept'), (-999999999999999999, 'the lowest'),
    (9007199254740993, 'no double'), (9223372036854775807, 'damaged'), (17, 'to be damaged');
  create table exacts (id numeric(38,10) primary key, n integer);
  insert into exacts values (12345678901234567890.0123456789, 1), (0.5, 2);
  create table codes (code text primary key, n integer);
  insert into codes values ('', 1), ${LONG_CODES}, ('a|b\c', 5);
  create table wide (id integer primary key, body text);
  insert into wide values (1, repeat('é', 450000)), (2, 'short');
  ${Object.entries(SCALARS)
    .map(
      ([table, value]) =>
        `create table ${table} (id integer primary key, doc jsonb); insert into ${table} values (1, '${value}'), (2, 'null');`,
    )
    .join('\n')}
  create table twice (id integer primary key, doc json);
  create table people (id integer primary key, name text, secret text, born date);
  insert into people values (1, 'Ada', 'hidden', '1815-12-10'), (2, 'Zoë', null, null), (3, 'to be deleted', 'hidden', null);
  create table routed (tenant text, id integer, name text, primary key (tenant, id));
  insert into routed values ${TENANTS.map((tenant, at) => `('${tenant}', ${at}, 'of ${tenant}')`).join()};
  create table part_a (code text primary key, n integer);
  create table part_b (code text primary key, n integer);
  insert into part_a values ('x', 1), ('gone', 2);
  insert into part_b values ('x', 3), ('gone', 4);
  create table audit (id integer primary key, what text);
  insert into audit values (1, 'loaded');
  create table noise (id integer primary key, what text);
  insert into noise values (1, 'loaded');`

const tablesYaml = (schema: string): string => `
  ${schema}.lines: { key: [order_id, line] }
  ${schema}.codes: { key: [code] }
${Object.keys(SCALARS)
  .map(table => `  ${schema}.${table}: { columns: { doc: jsonb } }\n`)
  .join('')}
  ${schema}.twice: { columns: { doc: json } }
  ${schema}.people: { index: "{schema}_persons", idPrefix: person-, exclude: [secret, born] }
  ${schema}.routed: { key: [tenant, id], routing: tenant }
  ${schema}.part_*: { key: [code], index: "{schema}_parts", idPrefix: "{table}:" }
  ${schema}.audit: { mode: append }
  ${schema}.noise: { mode: skip }
`

const CHANGES = String.raw`
  insert into lines values (2, '|', 5), (2, '\', 6), (2, '|\|', 7);
  update lines set line = 'moved|x' where line = 'a|b';
  update lines set order_id = order_id + 1 where line = 'c\d';
  update lines set quantity = 30 where line = 'plain';
  delete from lines where line = '\';
  insert into bigs values (123456789012345678, 'inserted'), (-9223372036854775808, 'damaged too');
  update bigs set id = 999999999999999998 where id = 999999999999999999;
  update bigs set name = 'updated' where id = 9007199254740993;
  update bigs set id = 9223372036854775806 where id = 17;
  update bigs set id = 18 where id = 9223372036854775807;
  update exacts set id = id + 0.0000000001 where n = 1;
  insert into exacts values (-0.0000000001, 3);
  update codes set n = 10 where code = '';
  update codes set n = 30 where n in (2, 3);
  insert into codes values ('é 東京/?#%"', 6), ('sha256:no', 7);
  update codes set code = 'short' where n = 4;
  insert into wide values (3, repeat('ab"', 225000));
  update wide set body = repeat('東', 300000) where id = 2;
  ${Object.entries(SCALARS)
    .map(
      ([table, value]) =>
        `insert into ${table} values (3, '${value}'), (4, null); update ${table} set doc = '${value}' where id = 2;`,
    )
    .join('\n')}
  insert into twice values (1, '{"a": 1}'), (2, '{"a": 1, "b": {"c": 1, "c": 2}}'), (3, '{"a": 2}');
  update people set name = 'Ada L.' where id = 1;
  update people set id = 20 where id = 2;
  delete from people where id = 3;
  delete from routed where tenant in ('a', 'b');
  update routed set tenant = 'other' where tenant = 'c';
  update routed set name = 'updated' where tenant = 'd';
  insert into routed values ('i', 9, 'inserted');
  insert into part_a values ('y', 5);
  update part_a set n = 10 where code = 'x';
  delete from part_b where code = 'gone';
  update part_b set code = 'z' where code = 'x';
  insert into audit values (2, 'inserted');
  update audit set what = 'rewritten' where id = 1;
  delete from audit where id = 2;
  insert into noise values (2, 'inserted');
  update noise set what = 'updated' where id = 1;`

let types: TypesScene

beforeAll(async () => {
  types = await openTypesScene('types-rules', {
    ddl: DDL,
    tables: tablesYaml,
    // Several shards, or a routing would make no difference.
    async before({ parts, indexOf }) {
      await ask(parts.endpoints.opensearchUrl, 'PUT', `/${indexOf('routed')}`, {
        body: { settings: { 'index.number_of_shards': 4 } },
      })
    },
  })
})
afterAll(() => types?.close())

/** @param members name -> SQL of its JSON */
const rowsSql = (table: string, id: string, members: Record<string, string>, where = 'true'): string =>
  `select ${id} as id, '{' || concat_ws(',', ${Object.entries(members)
    .map(([name, json]) => `'"${name}":' || coalesce(${json}, 'null')`)
    .join(', ')}) || '}' as document from ${table} where ${where}`
const text = (column: string): string => `to_json(${column})::text`

/** A document as a reader asks for it, by its id with a routing or without. */
async function read(id: string, routing?: string): Promise<{ text: string; routing: string } | undefined> {
  const { scene } = types
  const query = routing === undefined ? '' : `?routing=${routing}`
  const path = `/${scene.indexOf('routed')}/_doc/${encodeURIComponent(id)}${query}`
  const answer = membersOf(await ask(scene.parts.endpoints.opensearchUrl, 'GET', path))
  const source = answer.get('_source')
  return source === undefined
    ? undefined
    : { text: canonical(source), routing: JSON.parse(answer.get('_routing')!) as string }
}

test('with a routing a document is found by it and not without; and the changes go where the load went', async () => {
  await types.source.quiet()
  const withoutRouting: string[] = []
  for (const [at, tenant] of TENANTS.entries()) {
    const id = `${tenant}|${at}`
    const document = `{"tenant":"${tenant}","id":${at},"name":"of ${tenant}"}`
    expect(await read(id, tenant), id).toEqual({ text: document, routing: tenant })
    if (await read(id)) withoutRouting.push(id)
  }
  expect(withoutRouting.length, 'documents that happen to lie where no routing looks').toBeLessThan(
    TENANTS.length / 2,
  )

  await types.source.database.query(CHANGES)
  await types.source.quiet()
  await types.expectIndex(
    'routed',
    rowsSql('routed', `tenant || '|' || id`, { tenant: text('tenant'), id: 'id::text', name: text('name') }),
  )
  expect(await read('other|2', 'other')).toMatchObject({ routing: 'other' })
  expect(await read('c|2', 'c'), 'the document under the old key').toBeUndefined()
  expect(await read('a|0', 'a'), 'the document of a deleted row').toBeUndefined()
})

test('every dead letter has its reason, and there is no other', async () => {
  await types.expectLetters([
    { reason: 'damaged-key', table: 'bigs', detail: 'key column id' },
    { reason: 'damaged-key', table: 'bigs', detail: 'key column id' },
    { reason: 'damaged-key', table: 'bigs', detail: 'key column id' },
    { reason: 'damaged-key', table: 'bigs', detail: 'key column id' },
    { reason: 'no-key', table: 'codes', detail: 'key column code' },
    { reason: 'no-key', table: 'codes', detail: 'key column code' },
    { reason: 'rejected', table: 'twice', id: '2' },
    { reason: 'append-only', table: 'audit', detail: 'update' },
    { reason: 'append-only', table: 'audit', detail: 'delete' },
  ])
})

test('composite keys: their parts joined and escaped; a changed key leaves no document behind', async () => {
  await types.expectIndex(
    'lines',
    rowsSql('lines', String.raw`order_id || '|' || replace(replace(line, '\', '\\'), '|', '\|')`, {
      order_id: 'order_id::text',
      line: text('line'),
      quantity: 'quantity::text',
    }),
  )
  const found = [...(await types.scene.documents('lines')).keys()]
  expect(found.sort()).toEqual(
    [
      '1|',
      '1|plain',
      '2|\\|',
      '2|\\|\\\\\\|',
      '9007199254740993|moved\\|x',
      '9007199254740994|c\\\\d',
    ].sort(),
  )
})

test('big keys keep their digits; what went through a double at the source is no key', async () => {
  await types.expectIndex(
    'bigs',
    rowsSql('bigs', 'id::text', { id: 'id::text', name: text('name') }, 'abs(id::numeric) < 1e18'),
  )
  await types.expectIndex('exacts', rowsSql('exacts', 'id::text', { id: 'id::text', n: 'n::text' }))
  expect([...(await types.scene.documents('exacts')).keys()]).toContain('12345678901234567890.0123456790')
})

test('a key of any text is an id as it is, and one over 512 bytes its SHA-256', async () => {
  const id = `case when octet_length(code) <= 512 then code else 'sha256:' || encode(sha256(convert_to(code, 'UTF8')), 'hex') end`
  await types.expectIndex('codes', rowsSql('codes', id, { code: text('code'), n: 'n::text' }, `code <> ''`))
})

test('a row of 900 KB', async () => {
  await types.expectIndex('wide', rowsSql('wide', 'id::text', { id: 'id::text', body: text('body') }))
  const { rows } = await types.source.database.query(
    'select min(octet_length(to_json(body)::text)) - 2 as bytes from wide',
  )
  expect(rows).toEqual([{ bytes: 900_000 }])
})

test('JSON scalars in a column that has nothing else', async () => {
  for (const table of Object.keys(SCALARS))
    await types.expectIndex(table, rowsSql(table, 'id::text', { id: 'id::text', doc: 'doc::text' }))
  await types.expectIndex(
    'twice',
    rowsSql('twice', 'id::text', { id: 'id::text', doc: 'doc::text' }, 'id <> 2'),
  )
})

test('exclude, idPrefix, index, patterns, append and skip', async () => {
  await types.expectIndex(
    'persons',
    rowsSql('people', `'person-' || id`, { id: 'id::text', name: text('name') }),
  )
  const parts = ['part_a', 'part_b'].map(table =>
    rowsSql(table, `'${table}:' || code`, { code: text('code'), n: 'n::text' }),
  )
  await types.expectIndex('parts', parts.join(' union all '))
  await types.expectIndex('audit', { 1: '{"id":1,"what":"loaded"}', 2: '{"id":2,"what":"inserted"}' })
  expect((await types.scene.documents('noise')).size).toBe(0)
  const samples = await types.worker.samples()
  expect(total(samples, 'cdc_records_skipped_total', { reason: 'not-selected' })).toBe(3)
  await types.scene.expectSettled([types.worker])
})
