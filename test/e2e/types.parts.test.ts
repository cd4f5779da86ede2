/**
 * Every type of PostgreSQL, and values an update does not carry, from a real table by way of the stand-in for DMS to
 * documents: as the project's stack sets DMS, and as DMS is where it is left to its own settings. What is expected is
 * PostgreSQL's own text or written by hand.
 */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { total } from '../../docker/demo/scrape.ts'
import { openTypesScene, type TypesScene } from './types-scene.ts'
import {
  columnsYaml,
  documentsSql,
  EXTENSIONS,
  insertRows,
  TYPE_COLUMNS,
  TYPES_DDL,
  type TypeColumn,
  tableDdl,
  VALUES,
} from './types-table.ts'

/** DMS's own: nothing for NULL, numbers through a double, booleans as text, tabs; and LobMaxSize as its console has it. */
const LOB_BYTES_MAX = 32_768
const DMS_DEFAULTS = {
  DMS_MESSAGE_FORMAT: 'json',
  DMS_INCLUDE_NULL_AND_EMPTY: 'false',
  DMS_INCLUDE_TRANSACTION_DETAILS: 'false',
  DMS_MAP_BOOLEAN_AS_BOOLEAN: 'false',
  DMS_USE_LARGE_INTEGER_VALUE: 'false',
  DMS_NUMERIC: 'double',
  DMS_NO_HEX_PREFIX: 'true',
  DMS_LOB_BYTES_MAX: String(LOB_BYTES_MAX),
}

const TABLES = ['untyped', 'typed']
const ARTICLES = ['articles', 'bare_articles']
/** Past the 8 KB of a page, and stored outside the row as it is, so that an update of another column does not carry it. */
const BODY = "repeat('Ünveränderter Text. ', 500)"
const DOC = `jsonb_build_object('digits', 12345678901234567890.0123456789, 'pad', repeat('x', 10000))`

const DDL = [
  ...ARTICLES.map(
    table => `
  create table ${table} (id integer primary key, title text, body text, doc jsonb);
  alter table ${table} alter body set storage external, alter doc set storage external;
  insert into ${table} values (1, 'loaded', ${BODY}, ${DOC}), (4, 'to move', ${BODY}, ${DOC});`,
  ),
  ...['cut', 'cut_text'].map(
    table => `
  create table ${table} (id integer primary key, doc jsonb, words text[]);`,
  ),
].join('\n')

const tablesYaml = (columns: readonly TypeColumn[]) => (schema: string) =>
  `
  ${schema}.typed:
    columns:
${columnsYaml(columns)}
  ${schema}.articles: { columns: { doc: jsonb }, keepOnNull: [body, doc] }
  ${schema}.bare_articles: { columns: { doc: jsonb } }
  ${schema}.cut: { columns: { doc: jsonb, words: "text[]" } }
  ${schema}.cut_text: { columns: { doc: { type: jsonb, onBroken: text }, words: { type: "text[]", onBroken: text } } }
`

/** The types of extensions are left out where the server does not have the extension. */
async function extensionsThere(): Promise<string[]> {
  const database = new pg.Client({ connectionString: inject('parts').endpoints.postgresUrl })
  await database.connect()
  const { rows } = await database.query<{ name: string }>(
    'select name from pg_available_extensions where name = any($1)',
    [EXTENSIONS],
  )
  await database.end()
  return rows.map(({ name }) => name)
}

describe.each([
  { settings: "of the project's stack", dms: {}, isByDefault: false },
  { settings: "of DMS's own", dms: DMS_DEFAULTS, isByDefault: true },
])('settings $settings', ({ dms, isByDefault }) => {
  let types: TypesScene
  let columns: readonly TypeColumn[]

  beforeAll(async () => {
    const extensions = await extensionsThere()
    const isMissing = (ddl: string): boolean =>
      EXTENSIONS.some(name => name === ddl) && !extensions.includes(ddl)
    columns = TYPE_COLUMNS.filter(({ ddl }) => !isMissing(ddl))
    const typesDdl = [
      ...extensions.map(name => `create extension ${name};`),
      TYPES_DDL,
      ...TABLES.map(
        table => `${tableDdl(table, columns)}
          ${insertRows(table, columns)}
          insert into ${table} (id) select id + 20 from ${table};
          insert into ${table} select 32, ${columns.map(({ name }) => name).join()} from ${table} where id = ${VALUES.typical};`,
      ),
    ]
    types = await openTypesScene(isByDefault ? 'types-default' : 'types', {
      ddl: `${typesDdl.join('\n')}\n${DDL}`,
      tables: tablesYaml(columns),
      dms,
    })
  })
  afterAll(() => types?.close())

  /** @param body, doc SQL of what they are expected to be; NULLs are there or not, by the settings */
  function articlesSql(table: string, where: string, [body, doc] = ['body', 'doc']): string {
    const member = (name: string, json: string): string =>
      isByDefault ? `'"${name}":' || ${json}` : `'"${name}":' || coalesce(${json}, 'null')`
    return `select id::text as id, '{' || concat_ws(',', '"id":' || id, '"title":' || to_json(title),
      ${member('body', `to_json(${body})::text`)}, ${member('doc', `(${doc})::text`)}) || '}' as document from ${table} where ${where}`
  }

  test('a column of every type, loaded, inserted, updated and set to NULL, without a table file and with one', async () => {
    const { scene, source } = types
    const names = columns.map(({ name }) => name)
    for (const table of TABLES) {
      await source.database.query(`
        insert into ${table} select id + 10, ${names.join()} from ${table} where id < 10;
        update ${table} as t set (${names.join()}) = (select ${names.join()} from ${table} as s where s.id = t.id - 20)
          where id between 21 and 25;
        update ${table} set ${names.map(name => `${name} = null`).join()} where id = 32;`)
    }
    await source.quiet()
    for (const table of TABLES) {
      const sql = documentsSql(table, columns, { isTyped: table === 'typed', isByDefault })
      await types.expectIndex(table, sql)
    }
    await types.expectLetters([])
    const records = (await scene.stream.readAll()).map(({ data }) => Buffer.from(data).toString())
    for (const table of TABLES) {
      const own = records.filter(text => new RegExp(`"table-name":\\s*"${table}"`).test(text))
      const count = (operation: string): number =>
        own.filter(text => new RegExp(`"operation":\\s*"${operation}"`).test(text)).length
      expect(['load', 'insert', 'update'].map(count), `records of ${table} by operation`).toEqual([11, 5, 6])
    }
  })

  test('an update that does not carry a value stored outside the row: kept by keepOnNull, else gone from the document', async () => {
    const { source, worker } = types
    const { database } = source
    for (const table of ARTICLES)
      await database.query(`insert into ${table} values (2, 'inserted', ${BODY}, ${DOC})`)
    await source.quiet()
    for (const table of ARTICLES) {
      await database.query(`
        update ${table} set title = title || ', updated';
        begin;
        insert into ${table} values (3, 'one batch', ${BODY}, ${DOC});
        update ${table} set title = title || ', updated' where id = 3;
        update ${table} set title = title || ' twice' where id = 3;
        commit;`)
    }
    await source.quiet()
    await types.expectIndex('articles', articlesSql('articles', 'true'))
    await types.expectIndex(
      'bare_articles',
      articlesSql('bare_articles', 'true', ['null::text', 'null::jsonb']),
    )

    // In later batches: two updates at once, a new value, and one that is set to NULL, which looks like one not sent.
    const before = await types.expectedOf(articlesSql('articles', 'id = 2'))
    await database.query(`
      begin;
      update articles set title = 'first of two' where id = 3;
      update articles set title = 'second of two' where id = 3;
      commit;
      update articles set body = 'short now' where id = 1;
      update articles set title = 'after the short one' where id = 1;
      update articles set body = null where id = 2;`)
    await source.quiet()
    await types.expectIndex('articles', {
      ...(await types.expectedOf(articlesSql('articles', 'id <> 2'))),
      ...before,
    })
    await types.expectLetters([])

    // An insert says NULL and means it. At a key change the value is the old document's; a letter says to settle the new one.
    await database.query(`
      begin; delete from articles where id = 2; insert into articles values (2, 'anew', null, null); commit;
      update articles set id = 40 where id = 4;`)
    await source.quiet()
    await types.expectIndex('articles', articlesSql('articles', 'true'))
    await types.expectLetters([{ reason: 'kept-columns-moved', table: 'articles', id: '40' }])
    expect(total(await worker.samples(), 'cdc_kept_columns_unknown_total')).toBe(0)
  })

  if (isByDefault)
    test('JSON and arrays cut at LobMaxSize: a dead letter, or their text in a sibling field', async () => {
      const { source } = types
      const long = LOB_BYTES_MAX * 2
      for (const table of ['cut', 'cut_text']) {
        await source.database.query(`
        insert into ${table} values (1, jsonb_build_object('a', repeat('x', ${long})), '{"a b"}');
        insert into ${table} values (2, '{"whole": true}', array[repeat('y z', ${long})]);
        insert into ${table} values (3, '{"whole": 1.50}', '{"whole",NULL}');
        insert into ${table} values (4, jsonb_build_object('e', repeat('é', ${long})), '{}');
        insert into ${table} values (5, '{}', '{}');
        update ${table} set id = 50, doc = jsonb_build_object('a', repeat('x', ${long})) where id = 5;`)
      }
      await source.quiet()
      const cut = (column: string): string => `to_json(left(${column}::text, ${LOB_BYTES_MAX}))::text`
      const whole = `'{"id":' || id || ',"doc":' || doc::text || ',"words":' || to_json(words)::text || '}'`
      await types.expectIndex('cut', `select id::text as id, ${whole} as document from cut where id = 3`)
      await types.expectIndex(
        'cut_text',
        `select id::text as id, case
         when id in (1, 50) then '{"id":' || id || ',"doc":null,"doc_text":' || ${cut('doc')} || ',"words":' || to_json(words)::text || '}'
         when id = 2 then '{"id":2,"doc":' || doc::text || ',"words":null,"words_text":' || ${cut('words')} || '}'
         else ${whole} end as document
       from cut_text where id <> 4`,
      )
      await types.expectLetters([
        { reason: 'column-unreadable', table: 'cut', id: '1', detail: 'column doc' },
        { reason: 'column-unreadable', table: 'cut', id: '2', detail: 'column words' },
        // The new half of a key change; the document under the old key is deleted all the same.
        { reason: 'column-unreadable', table: 'cut', id: '50', detail: 'column doc' },
        // Cut in the middle of a character, so that the whole record is no text.
        { reason: 'not-utf8' },
        { reason: 'not-utf8' },
      ])
    })
})
