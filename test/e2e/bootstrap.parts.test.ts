/**
 * `bootstrap` as a process against PostgreSQL with passwords: the user it makes is used as DMS uses it. Roles belong to the whole
 * server, so they are named after this run; tables are in a database of their own.
 */
import { randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'
import { attachParts } from '../../docker/local/parts.ts'
import { freePorts } from '../../docker/local/ports.ts'
import { ask } from './documents.ts'

const { instance, endpoints, instanceDir } = inject('parts')
const parts = attachParts(instance, () => {})
const run = randomUUID().slice(0, 8)
const name = {
  database: `boot_${run}`,
  app: `boot_app_${run}`,
  master: `boot_master_${run}`,
  /** A master user who is no superuser, and the user it makes. */
  limited: `boot_limited_${run}`,
  reader: `boot_reader_${run}`,
  /** Whose name has to be quoted. */
  dms: `boot "dms" ${run}`,
}
const secrets = { master: `hidden-master-${run}`, dms: `hidden 'dms' \\${run}` }
const rules = join(instanceDir, 'postgres/data/pg_hba.conf')
const rulesBefore = readFileSync(rules, 'utf8')
const serverLog = join(instanceDir, 'logs/postgres.log')
const { hostname: host, port } = new URL(endpoints.postgresUrl)

async function session(
  options: { user?: string; password?: string; database?: string } = {},
): Promise<Client> {
  const client = new Client({
    host,
    port: Number(port),
    user: 'postgres',
    database: name.database,
    ...options,
  })
  await client.connect()
  return client
}

async function asUser<Answer>(
  options: Parameters<typeof session>[0],
  use: (client: Client) => Promise<Answer>,
): Promise<Answer> {
  const client = await session(options)
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}
const asSuper = <Answer>(use: (client: Client) => Promise<Answer>) => asUser({}, use)
const asDms = <Answer>(use: (client: Client) => Promise<Answer>, password = secrets.dms) =>
  asUser({ user: name.dms, password }, use)

beforeAll(async () => {
  await asUser({ database: 'postgres' }, async client => {
    await client.query(`CREATE ROLE ${name.app}`)
    await client.query(`CREATE DATABASE ${name.database}`)
    // What is logged of the statements is looked at below.
    await client.query(`ALTER DATABASE ${name.database} SET log_statement = 'all'`)
  })
  await asSuper(client =>
    client.query(
      `CREATE ROLE ${name.master} LOGIN SUPERUSER PASSWORD '${secrets.master}';
       CREATE SCHEMA shop AUTHORIZATION ${name.app};
       SET ROLE ${name.app};
       CREATE TABLE shop.orders (id bigint PRIMARY KEY, note text);
       CREATE TABLE shop.items (order_id bigint, line integer, PRIMARY KEY (order_id, line));
       CREATE TABLE shop."Odd ""name""" (id integer PRIMARY KEY);
       CREATE TABLE shop.audit_log (what text);
       INSERT INTO shop.orders VALUES (1, 'one')`,
    ),
  )
  // Everyone else of these tests comes in without a password.
  const byPassword = [name.dms, name.master].map(role => `"${role.replaceAll('"', '""')}"`).join(',')
  writeFileSync(rules, `host all ${byPassword} 127.0.0.1/32 scram-sha-256\n${rulesBefore}`)
  await asSuper(client => client.query('SELECT pg_reload_conf()'))
})

afterAll(async () => {
  writeFileSync(rules, rulesBefore)
  await asUser({ database: 'postgres' }, async client => {
    await client.query('SELECT pg_reload_conf()')
    await client.query(`DROP DATABASE ${name.database} WITH (FORCE)`)
    for (const role of [
      name.app,
      name.master,
      name.limited,
      name.reader,
      `"${name.dms.replaceAll('"', '""')}"`,
    ])
      await client.query(`DROP ROLE IF EXISTS ${role}`)
  })
  await ask(endpoints.opensearchUrl, 'DELETE', `/boot_${run}_*`)
  await parts.stop()
})

const SKIP_AUDIT = `shop.audit_*: { mode: skip }`
const ITEMS = `shop.items: { key: [order_id, line] }`

let runs = 0
async function bootstrap(
  given: { tables?: string[]; env?: Record<string, string>; onLine?: (line: string) => void } = {},
) {
  const tableFile = join(instanceDir, `bootstrap-${++runs}.yaml`)
  writeFileSync(
    tableFile,
    `tables:\n${(given.tables ?? [SKIP_AUDIT, ITEMS]).map(line => `  ${line}\n`).join('')}`,
  )
  const child = parts.spawn(`bootstrap-${runs}`, [process.execPath, 'src/main.ts', 'bootstrap'], {
    OPENSEARCH_URL: endpoints.opensearchUrl,
    // The tests of other files have this template in common.
    INDEX_PATTERNS: 'e2e_*',
    INDEX_REPLICAS: '0',
    TABLE_FILE: tableFile,
    SOURCE_DATABASE_SECRET: JSON.stringify({
      host,
      port: Number(port),
      dbname: name.database,
      username: name.master,
      password: secrets.master,
    }),
    SOURCE_SCHEMAS: 'shop',
    DMS_USER_SECRET: JSON.stringify({ username: name.dms, password: secrets.dms }),
    ...given.env,
  })
  const lines: string[] = []
  child.onLine(line => {
    lines.push(line)
    given.onLine?.(line)
  })
  const { code } = await child.exited
  expect(lines.join('\n')).not.toContain('hidden')
  return { code, lines, last: lines.at(-1)! }
}

/** All that says who may do what here. */
async function privileges(): Promise<unknown> {
  return asSuper(async client => {
    const { rows } = await client.query(
      `SELECT (SELECT json_agg(c.relname || c.relacl::text ORDER BY 1) FROM pg_class c WHERE c.relacl IS NOT NULL AND c.relkind IN ('r', 'p')) AS tables,
              (SELECT json_agg(n.nspname || n.nspacl::text ORDER BY 1) FROM pg_namespace n) AS schemas,
              (SELECT json_agg(d.defaclrole::regrole::text || d.defaclacl::text ORDER BY 1) FROM pg_default_acl d) AS defaults,
              (SELECT json_agg(to_jsonb(r) - 'rolpassword' ORDER BY r.rolname) FROM pg_roles r WHERE r.rolname LIKE 'boot%') AS roles`,
    )
    return rows[0]
  })
}

describe('the user of DMS', () => {
  test('is made and tried; a second run finds all of it done and changes nothing', async () => {
    const first = await bootstrap()
    expect(first).toMatchObject({ code: 0 })
    expect(first.lines).toEqual([
      expect.stringMatching(`^database ${name.database} at .* wal_level logical`),
      expect.stringMatching(/^database: user boot "dms" \w+ created; replicates by REPLICATION/),
      expect.stringMatching(
        `may read 3 more tables of shop, and those to come of ${name.app}, ${name.master}$`,
      ),
      expect.stringMatching(/^database: schema dms_heartbeat .* created/),
      expect.stringMatching(/^database: 3 tables of shop looked at, 1 skipped/),
      expect.stringMatching(/has signed in and made a slot with test_decoding/),
      expect.stringMatching(/^OpenSearch: index template/),
    ])
    const after = await privileges()
    const second = await bootstrap()
    expect(second).toMatchObject({ code: 0 })
    expect(second.lines).toContainEqual(expect.stringMatching(/was there, its password is set/))
    expect(second.lines).toContainEqual(expect.stringMatching(/may read 0 more tables/))
    expect(await privileges()).toEqual(after)
  })

  test('signs in, decodes changes by a slot of test_decoding, and reads tables, also one made since, and writes none', async () => {
    await asUser({ database: name.database }, client =>
      client.query(
        `SET ROLE ${name.app}; CREATE TABLE shop.later (id integer PRIMARY KEY); INSERT INTO shop.later VALUES (7)`,
      ),
    )
    const slot = `boot_${run}`
    await asDms(async client => {
      await client.query(`SELECT pg_create_logical_replication_slot($1, 'test_decoding')`, [slot])
      try {
        await asSuper(other => other.query(`INSERT INTO shop.orders VALUES (2, 'two')`))
        const { rows } = await client.query(`SELECT data FROM pg_logical_slot_get_changes($1, NULL, NULL)`, [
          slot,
        ])
        expect(rows.map(({ data }) => data)).toContain(
          "table shop.orders: INSERT: id[bigint]:2 note[text]:'two'",
        )
      } finally {
        await client.query('SELECT pg_drop_replication_slot($1)', [slot])
      }
      expect((await client.query('SELECT * FROM shop.later')).rows).toEqual([{ id: 7 }])
      expect((await client.query('SELECT count(*)::int AS n FROM shop."Odd ""name"""')).rows).toEqual([
        { n: 0 },
      ])
      await expect(client.query('SELECT * FROM shop.audit_log')).rejects.toMatchObject({ code: '42501' })
      await expect(client.query('DELETE FROM shop.orders')).rejects.toMatchObject({ code: '42501' })
      await expect(client.query('CREATE TABLE shop.mine (id integer)')).rejects.toMatchObject({
        code: '42501',
      })
      await client.query('CREATE TABLE dms_heartbeat.awsdms_heartbeat (id integer)')
    })
  })

  test('has the password that was last given, and no other; the log of statements has neither', async () => {
    const rotated = `hidden-rotated-${run}`
    const env = { DMS_USER_SECRET: JSON.stringify({ username: name.dms, password: rotated }) }
    expect(await bootstrap({ env })).toMatchObject({ code: 0 })
    await asDms(client => client.query('SELECT 1'), rotated)
    await expect(asDms(client => client.query('SELECT 1'))).rejects.toMatchObject({ code: '28P01' })
    const logged = readFileSync(serverLog, 'utf8')
    expect(logged).toContain(`CREATE ROLE "boot ""dms"" ${run}" LOGIN PASSWORD`)
    for (const secret of [secrets.dms, secrets.dms.replaceAll("'", "''"), rotated])
      expect(logged).not.toContain(secret)
  })

  test('that is a superuser is refused, and keeps its password', async () => {
    const env = { DMS_USER: name.master, DMS_USER_PASSWORD: 'hidden-other', SOURCE_DATABASE_USER: 'postgres' }
    const { code, last } = await bootstrap({ env })
    expect(code).toBe(3)
    expect(last).toMatch(/^DMS_USER is boot_master_\w+, a superuser/)
    await asUser({ user: name.master, password: secrets.master }, client => client.query('SELECT 1'))
  })
})

describe('what is found', () => {
  test('without DMS_USER: all of it, and nothing is changed', async () => {
    const before = await privileges()
    const { code, lines } = await bootstrap({ env: { DMS_USER_SECRET: '' } })
    expect(code).toBe(0)
    expect(lines).toContainEqual(expect.stringMatching(/^database: 4 tables of shop looked at/))
    expect(await privileges()).toEqual(before)
  })

  test('a table without a key: a warning, and an error in the last line where the table file names it', async () => {
    const warned = await bootstrap({ tables: [ITEMS] })
    expect(warned.code).toBe(0)
    expect(warned.lines).toContainEqual(
      expect.stringMatching(/^database warning: no primary key: shop\.audit_log;/),
    )
    const failed = await bootstrap({ tables: [ITEMS, 'shop.audit_log: { key: [what] }'] })
    expect(failed.code).toBe(3)
    expect(failed.last).toMatch(
      /^the source database is not fit for DMS, 1 error: no primary key: shop\.audit_log; .*mode: append/,
    )
  })

  test('a key in the table file that is not the primary key ends it', async () => {
    const { code, last } = await bootstrap({ tables: [SKIP_AUDIT, 'shop.items: { key: [line] }'] })
    expect(code).toBe(3)
    expect(last).toContain('shop.items has `key: [line]` in TABLE_FILE')
    expect(last).toContain('the primary key is order_id, line')
  })

  test('a slot that nobody reads is told with what it keeps and how to drop it', async () => {
    const slot = `boot_left_${run}`
    await asSuper(client =>
      client.query(`SELECT pg_create_logical_replication_slot($1, 'test_decoding')`, [slot]),
    )
    onTestFinished(() =>
      asSuper(async client => void (await client.query('SELECT pg_drop_replication_slot($1)', [slot]))),
    )
    const { code, lines } = await bootstrap()
    expect(code).toBe(0)
    expect(lines).toContainEqual(
      expect.stringMatching(
        `^database warning: replication slot ${slot} is read by nobody and keeps \\d+ MiB .*pg_drop_replication_slot`,
      ),
    )
  })

  test('identities, partitions, unlogged tables, deferrable keys and row level security, as PostgreSQL has them', async () => {
    await asSuper(client =>
      client.query(
        `CREATE SCHEMA odd;
         CREATE TABLE odd.nothing (id integer PRIMARY KEY); ALTER TABLE odd.nothing REPLICA IDENTITY NOTHING;
         CREATE TABLE odd.by_index (id integer PRIMARY KEY, code text NOT NULL);
         CREATE UNIQUE INDEX by_code ON odd.by_index (code) INCLUDE (id); ALTER TABLE odd.by_index REPLICA IDENTITY USING INDEX by_code;
         CREATE TABLE odd.deferred (id integer, PRIMARY KEY (id) DEFERRABLE);
         CREATE TABLE odd.whole (id integer NOT NULL UNIQUE); ALTER TABLE odd.whole REPLICA IDENTITY FULL;
         CREATE TABLE odd.nullable (id integer UNIQUE); ALTER TABLE odd.nullable REPLICA IDENTITY FULL;
         CREATE UNLOGGED TABLE odd.unlogged (id integer PRIMARY KEY);
         CREATE TABLE odd.parts (id integer PRIMARY KEY) PARTITION BY RANGE (id);
         CREATE TABLE odd.part_1 PARTITION OF odd.parts FOR VALUES FROM (1) TO (10);
         CREATE TABLE odd.rows (id integer PRIMARY KEY); ALTER TABLE odd.rows ENABLE ROW LEVEL SECURITY;
         CREATE TABLE odd.awsdms_history (x integer)`,
      ),
    )
    onTestFinished(() => asSuper(async client => void (await client.query('DROP SCHEMA odd CASCADE'))))
    const { code, lines } = await bootstrap({
      tables: ['odd.*: {}'],
      env: { SOURCE_SCHEMAS: 'odd,not_there' },
    })
    expect(code).toBe(3)
    expect(lines.filter(line => /^database (error|warning)/.test(line))).toEqual([
      expect.stringMatching(/error: schema not_there is not in this database/),
      expect.stringMatching(/error: odd\.nullable has `key: \[id\]`.* no unique index/),
      expect.stringMatching(/warning: no primary key: odd\.nullable, odd\.whole; DMS leaves out/),
      expect.stringMatching(
        /error: replica identity without the primary key: odd\.by_index \(an index of code\), odd\.deferred \(DEFAULT, but the key is deferrable\), odd\.nothing \(NOTHING\);/,
      ),
      expect.stringMatching(/error: unlogged: odd\.unlogged;/),
      expect.stringMatching(/warning: partitioned: odd\.parts;/),
      expect.stringMatching(/warning: row level security: odd\.rows;/),
    ])
  })
})

describe('a master user', () => {
  test('with a wrong password: exit code 3, and one line with the settings to look at', async () => {
    const { code, lines } = await bootstrap({ env: { SOURCE_DATABASE_PASSWORD: 'hidden-wrong' } })
    expect(code).toBe(3)
    expect(lines).toEqual([
      expect.stringMatching(
        `^source database at ${host}:${port} refuses user ${name.master} .*: check SOURCE_DATABASE_USER and SOURCE_DATABASE_PASSWORD, or SOURCE_DATABASE_SECRET$`,
      ),
    ])
  })

  test('as Aurora has it, without superuser: rds_replication in place of REPLICATION, and what it may not grant is told with the owner', async () => {
    const { limited, reader } = name
    await asSuper(client =>
      client.query(
        `CREATE ROLE rds_replication; CREATE ROLE ${limited} LOGIN CREATEROLE;
         GRANT CREATE ON DATABASE ${name.database} TO ${limited}; GRANT USAGE ON SCHEMA shop TO ${limited} WITH GRANT OPTION;
         CREATE TABLE shop.its_own (id integer PRIMARY KEY); ALTER TABLE shop.its_own OWNER TO ${limited}`,
      ),
    )
    onTestFinished(() =>
      asSuper(
        async client => void (await client.query('DROP TABLE shop.its_own; DROP ROLE rds_replication')),
      ),
    )
    const env = {
      SOURCE_DATABASE_USER: limited,
      DMS_USER: reader,
      DMS_USER_PASSWORD: 'hidden-reader',
      DMS_HEARTBEAT_SCHEMA: 'beat',
    }
    const { code, lines, last } = await bootstrap({ env })
    expect(code).toBe(3)
    expect(lines).toContainEqual(expect.stringMatching(/created; replicates by rds_replication/))
    expect(lines).toContainEqual(
      expect.stringMatching(`may read 1 more table of shop, and those to come of ${limited}$`),
    )
    expect(last).toMatch(`${reader} may not read shop.Odd "name", shop.items, shop.later, shop.orders, `)
    expect(last).toContain(`(${name.app}): GRANT SELECT ON ... TO ${reader} as the owner`)
    await asSuper(client => client.query(`GRANT ${name.app} TO ${limited}`))
    const again = await bootstrap({ env })
    expect(again.lines).toContainEqual(
      expect.stringMatching(`may read 4 more tables of shop, and those to come of ${name.app}, ${limited}$`),
    )
    // Outside of RDS its role for replication lets nobody replicate.
    expect(again.last).toMatch(
      /does not let boot_reader_\w+ make a replication slot.*: DMS_USER needs rds_replication/,
    )
  })

  test.each([
    ['', 'create the user'],
    // The user is made by then, in a transaction that is given up.
    ['CREATEROLE', 'give'],
  ])(
    'with no right but "%s" is told what it may not, and whom it takes; nothing is left half done',
    async (right, refused) => {
      const weak = `boot_weak_${run}`
      const reader = `boot_never_${run}`
      await asSuper(client => client.query(`CREATE ROLE ${weak} LOGIN ${right}`))
      onTestFinished(() => asSuper(async client => void (await client.query(`DROP ROLE ${weak}`))))
      const env = { SOURCE_DATABASE_USER: weak, DMS_USER: reader, DMS_USER_PASSWORD: 'hidden-never' }
      const { code, last } = await bootstrap({ env })
      expect(code).toBe(3)
      expect(last).toMatch(`does not let ${weak} ${refused} ${reader}`)
      expect(last).toMatch(/\(42501\): expected a member of rds_superuser/)
      await asSuper(async client => {
        const { rows } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [reader])
        expect(rows).toEqual([])
      })
    },
  )
})

test('a database that is away is waited for', async () => {
  const [awayPort] = await freePorts(1)
  const front = createServer(socket => {
    const onward = connect({ host, port: Number(port) })
    for (const end of [socket, onward]) end.on('error', () => onward.destroy())
    socket.pipe(onward).pipe(socket)
  })
  onTestFinished(() => void front.close())
  const { code, lines } = await bootstrap({
    env: { SOURCE_DATABASE_PORT: String(awayPort) },
    onLine: line => {
      if (line.includes('does not answer yet') && !front.listening) front.listen(awayPort, '127.0.0.1')
    },
  })
  expect(code).toBe(0)
  expect(lines[0]).toContain(`source database at ${host}:${awayPort} does not answer yet`)
  expect(lines).toContainEqual(expect.stringMatching(/has signed in and made a slot/))
})

test('--help says what it does, by which settings, and the exit codes', async () => {
  const child = parts.spawn('bootstrap-help', [process.execPath, 'src/main.ts', 'bootstrap', '--help'], {})
  const lines: string[] = []
  child.onLine(line => lines.push(line))
  expect(await child.exited).toMatchObject({ code: 0 })
  const text = lines.join('\n')
  for (const word of [
    'usage: ',
    'SOURCE_DATABASE_SECRET',
    'DMS_USER',
    'OPENSEARCH_BACKEND_ROLE',
    'exit codes: 0 done',
  ])
    expect(text).toContain(word)
})
