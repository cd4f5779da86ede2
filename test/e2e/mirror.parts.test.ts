/**
 * The whole way: PostgreSQL, the stand-in for DMS with its defaults (loads by primary key, changes by table), a stream of
 * four shards, two workers, OpenSearch. Every test ends with all tables equal to their indices, document by document.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Comparison, compareAll } from '../../docker/demo/compare.ts'
import { membersOf } from '../../docker/demo/raw-json.ts'
import { documentOf } from './documents.ts'
import { createScene, type Scene } from './harness.ts'
import { comparison, openSource, type Source, sql } from './source.ts'
import type { Worker } from './workers.ts'

let scene: Scene
let source: Source
let workers: Worker[]
let comparisons: Comparison[]
/** Each in a shard of its own. */
let accounts: string
let parts: string
let lines: string
let notes: string

beforeAll(async () => {
  scene = await createScene('mirror')
  const { schema } = scene
  accounts = scene.tableIn(0, 'accounts')
  parts = scene.tableIn(1, 'parts')
  lines = scene.tableIn(2, 'lines')
  notes = scene.tableIn(3, 'notes')
  const { plain, text, moment } = sql
  comparisons = [
    comparison(scene, accounts, 'id::text', {
      id: plain,
      name: text,
      balance: plain,
      attributes: plain,
      active: plain,
      opened_at: moment,
    }),
    comparison(scene, parts, 'code', { code: text, title: text, price: plain, updated_at: moment }),
    // The parts of a composite id are joined by `|`; a `|` or `\` inside them is escaped by `\`.
    comparison(
      scene,
      lines,
      String.raw`order_id::text || '|' || replace(replace(line, '\', '\\'), '|', '\|')`,
      { order_id: plain, line: text, quantity: plain },
    ),
    comparison(scene, notes, 'id::text', { id: plain, body: text, raw: plain }),
  ]
  source = await openSource(
    scene,
    `create table ${accounts} (
       id bigint primary key, name text not null, balance numeric(38,10), attributes jsonb,
       active boolean, opened_at timestamptz(6));
     create table ${parts} (code text primary key, title text, price numeric(12,2), updated_at timestamp(6));
     create table ${lines} (order_id bigint, line text, quantity integer, primary key (order_id, line));
     create table ${notes} (id integer primary key, body text, raw json);
     insert into ${accounts}
       select 9007199254740990 + i,
         (array['Ada', 'Zoë "Z" Müller', '東京 太郎', E'tab\\tand\\nline', '🚲'])[1 + i % 5],
         case when i % 7 <> 0 then i * 12345678901234567.0123456789 end,
         case when i % 4 <> 0 then jsonb_build_object('n', 9007199254740993 + i, 'tags', array['ä', 'b'], 'deep', '{"a":[1.50,null]}'::jsonb) end,
         i % 3 = 0, timestamptz '2026-01-01 00:00:00Z' + i * interval '1.000001 seconds'
       from generate_series(1, 60) as i;
     insert into ${parts} select 'part-' || i, 'Teil ' || i, i * 1.10, timestamp '2026-01-01 00:00' + i * interval '1 day'
       from generate_series(1, 60) as i;
     insert into ${lines} select 9007199254740993 + i / 3, (array['1', 'a|b', 'c\\d'])[1 + i % 3], i
       from generate_series(0, 59) as i;
     insert into ${notes} select i, repeat('é', i), '{"a": 1.0,  "b": [ ] }' from generate_series(1, 40) as i;`,
  )
  const env = {
    TABLE_FILE: scene.tableFile(
      'mirror',
      `  ${schema}.${accounts}: { columns: { attributes: jsonb } }
  ${schema}.${parts}: { key: [code] }
  ${schema}.${lines}: { key: [order_id, line] }
  ${schema}.${notes}: { columns: { raw: json } }
`,
    ),
  }
  workers = [await scene.startWorker('worker-1', env), await scene.startWorker('worker-2', env)]
  await scene.untilShares(workers, [2, 2])
  await source.startDms({ DMS_RESEND_TRANSACTIONS: '8' })
})

afterAll(async () => {
  await source?.close()
  await scene?.close()
})

async function expectMirrored(): Promise<void> {
  await source.quiet()
  const outcomes = await compareAll(comparisons, {
    database: source.database,
    opensearchUrl: scene.parts.endpoints.opensearchUrl,
  })
  expect(outcomes).toEqual(
    outcomes.map(({ table, index, rows }) => ({
      table,
      index,
      rows,
      documents: rows,
      missing: [],
      extra: [],
      different: [],
    })),
  )
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled(workers)
}

test('full load, inserts, updates, deletes and key changes: all tables equal their indices', async () => {
  const { database } = source
  for (let i = 1; i <= 20; i++) {
    await database.query(`
      begin;
      insert into ${accounts} values (9007199254741993 + ${i}, 'new ${i}', -0.0000000001 * ${i}, '{"list": [1.10, 2.20], "k": null}', true, null);
      update ${accounts} set balance = balance + 0.0000000001, attributes = attributes || '{"seen": true}' where id = 9007199254740990 + ${i};
      update ${accounts} set name = '' where id = 9007199254741993 + ${i - 1};
      delete from ${accounts} where id = 9007199254740990 + ${60 - i};
      insert into ${lines} values (${i}, '|', ${i}), (${i}, '\\', ${i}), (${i}, '|\\|', ${i});
      update ${lines} set line = line || '|moved' where order_id = 9007199254740993 + ${i} and line = 'a|b';
      delete from ${lines} where order_id = ${i} and line = '\\';
      commit;
      update ${parts} set price = price * 2, updated_at = timestamp '2026-02-01 00:00' + ${i} * interval '0.5 seconds' where code = 'part-${i}';
      update ${parts} set code = 'renamed-' || ${i} where code = 'part-${20 + i}';
      delete from ${parts} where code = 'part-${40 + i}';
      insert into ${notes} values (${100 + i}, E'new\\u0001 ${i}', '{"n": ${i}.${i}0}');
      update ${notes} set id = id + 1000 where id = ${i};
      delete from ${notes} where id = ${20 + i};
    `)
  }
  await expectMirrored()
})

test("a document's digits (9007199254740993, 12345678901234567890.0123456789) equal PostgreSQL's own text", async () => {
  await source.database.query(`
    delete from ${accounts} where id = 9007199254740993;
    insert into ${accounts} values (9007199254740993, 'digits', 12345678901234567890.0123456789,
      '{"big": 9007199254740993, "exact": 12345678901234567890.0123456789}', false, now());
  `)
  await source.quiet()
  const found = await documentOf(
    scene.parts.endpoints.opensearchUrl,
    scene.indexOf(accounts),
    '9007199254740993',
  )
  const members = membersOf(found!.text)
  const { rows } = await source.database.query<{ id: string; balance: string }>(
    `select id::text as id, balance::text as balance from ${accounts} where id = 9007199254740993`,
  )
  expect(rows).toEqual([{ id: '9007199254740993', balance: '12345678901234567890.0123456789' }])
  expect(members.get('id')).toBe(rows[0]!.id)
  expect(members.get('balance')).toBe(rows[0]!.balance)
  expect([...membersOf(members.get('attributes')!).values()].sort()).toEqual([
    '12345678901234567890.0123456789',
    '9007199254740993',
  ])
  await expectMirrored()
})

test('a delete then an insert of one key, in one transaction and in two: the new row stays', async () => {
  const { database } = source
  await database.query(
    `insert into ${notes} values (5001, 'old', '{"v": 1}'), (5002, 'old', '{"v": 1}'), (5003, 'old', '{"v": 1}')`,
  )
  await database.query(
    `begin; delete from ${notes} where id = 5001; insert into ${notes} values (5001, 'new', '{"v": 2}'); commit`,
  )
  await database.query(`delete from ${notes} where id = 5002`)
  await database.query(`insert into ${notes} values (5002, 'new', '{"v": 2}')`)
  await source.quiet()
  await database.query(`delete from ${notes} where id = 5003`)
  await source.quiet()
  await database.query(`insert into ${notes} values (5003, 'new', '{"v": 2}')`)
  await expectMirrored()
  const { rows } = await database.query(`select id from ${notes} where body = 'new' and id > 5000`)
  expect(rows).toHaveLength(3)
})

test('a key change and a re-insert of the old key: both rows are there', async () => {
  const { database } = source
  await database.query(`insert into ${parts} values ('a', 'first', 1, null), ('b', 'first', 1, null)`)
  await database.query(
    `begin; update ${parts} set code = 'a2' where code = 'a'; insert into ${parts} values ('a', 'second', 2, null); commit`,
  )
  await database.query(`update ${parts} set code = 'b2' where code = 'b'`)
  await source.quiet()
  await database.query(`insert into ${parts} values ('b', 'second', 2, null)`)
  // A swap of two keys by way of a third, and a key that comes home.
  await database.query(`
    begin;
    update ${parts} set code = 'tmp' where code = 'a';
    update ${parts} set code = 'a' where code = 'a2';
    update ${parts} set code = 'a2' where code = 'tmp';
    commit;
    update ${parts} set code = 'c' where code = 'b2';
    update ${parts} set code = 'b2' where code = 'c';
  `)
  await expectMirrored()
  const { rows } = await database.query(
    `select string_agg(code || ' ' || title, ', ' order by code) as found from ${parts} where code in ('a', 'a2', 'b', 'b2', 'c', 'tmp')`,
  )
  expect(rows).toEqual([{ found: 'a first, a2 second, b second, b2 first' }])
})

test('the stand-in ends, starts again and sends its last transactions a second time: nothing goes back', async () => {
  const { database } = source
  for (const name of ['one', 'two', 'three'])
    await database.query(`update ${accounts} set name = '${name}' where id % 2 = 0`)
  await database.query(`insert into ${parts} values ('twice', 'gone again', 1, null)`)
  await database.query(`delete from ${parts} where code = 'twice'`)
  await source.quiet()
  await source.stopDms()
  await database.query(`update ${accounts} set name = 'in the pause' where id % 3 = 0`)
  await source.resumeDms()
  await expectMirrored()
  const copies = (await scene.stream.readAll()).filter(({ data }) =>
    Buffer.from(data).includes('"code":"twice"'),
  )
  expect(copies, 'inserts and deletes of the row in the stream').toHaveLength(4)
})
