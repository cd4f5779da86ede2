/**
 * The database user of DMS: made or brought up to date, with what DMS needs for `test-decoding` and a heartbeat, and no more.
 *
 * All of it in one transaction. Only what is missing is granted, so that a second run changes nothing but the salt of the password.
 */
import { randomBytes } from 'node:crypto'
import { escapeIdentifier, escapeLiteral } from 'pg'
import { OutsideError } from '../errors.ts'
import { scramVerifier } from './scram-verifier.ts'
import type { SourceDatabase } from './source-database.ts'

export type DmsUser = {
  name: string
  /** Printable ASCII. */
  password: string
  /** Those that exist. */
  schemas: readonly string[]
  /** Whether DMS does not read a table of these. */
  isSkipped: (schema: string, table: string) => boolean
  heartbeatSchema: string
}

export type DmsUserDone = {
  isNew: boolean
  /** By which it may replicate. */
  replication: 'rds_replication' | 'REPLICATION'
  /** Tables it could not read before. */
  granted: number
  /** Roles whose tables to come it will be able to read. */
  owners: string[]
  isHeartbeatNew: boolean
}

type State = {
  database: string
  exists: boolean
  is_super: boolean
  may_connect: boolean
  has_rds_replication: boolean
  is_rds_member: boolean
  may_replicate: boolean
  heartbeat_exists: boolean
  heartbeat_ready: boolean
}

/** Of two bootstraps at once the second waits: PostgreSQL fails where two change one role or one default together. */
const LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('aurora-opensearch-cdc bootstrap', 0))"

/** @throws OutsideError for what the database refuses: then nothing is changed */
export async function prepareDmsUser(
  { ask }: Pick<SourceDatabase, 'ask'>,
  user: DmsUser,
): Promise<DmsUserDone> {
  const role = escapeIdentifier(user.name)

  async function state(): Promise<State> {
    const [row] = await ask<State>('look at its roles', STATE_SQL, [user.name, user.heartbeatSchema])
    return row!
  }

  async function createOrUpdate(before: State): Promise<void> {
    if (before.is_super)
      throw new OutsideError(
        `DMS_USER is ${user.name}, a superuser of the source database: expected a user of its own, who may only read`,
      )
    // The verifier in the password's place: a statement may end up in a log.
    const verifier = escapeLiteral(scramVerifier(user.password, randomBytes(16)))
    await ask(
      before.exists ? `set the password of ${user.name}` : `create the user ${user.name}`,
      `${before.exists ? 'ALTER' : 'CREATE'} ROLE ${role} LOGIN PASSWORD ${verifier}`,
    )
  }

  async function grantReplication(now: State): Promise<DmsUserDone['replication']> {
    if (now.has_rds_replication) {
      if (!now.is_rds_member)
        await ask(`grant rds_replication to ${user.name}`, `GRANT rds_replication TO ${role}`)
      return 'rds_replication'
    }
    if (!now.may_replicate) await ask(`give ${user.name} REPLICATION`, `ALTER ROLE ${role} REPLICATION`)
    return 'REPLICATION'
  }

  async function grantReading(schema: string): Promise<{ granted: number; owners: string[] }> {
    const name = escapeIdentifier(schema)
    const [row] = await ask<{ has_usage: boolean; tables: Grantable[]; owners: string[] }>(
      'look at its tables',
      SCHEMA_SQL,
      [schema, user.name],
    )
    const { has_usage, tables, owners } = row!
    if (!has_usage) await ask(`grant USAGE on schema ${schema}`, `GRANT USAGE ON SCHEMA ${name} TO ${role}`)
    const toGrant = tables.filter(table => table.is_missing && !user.isSkipped(schema, table.name))
    for (const table of toGrant)
      await ask(
        `grant SELECT on ${schema}.${table.name}`,
        `GRANT SELECT ON ${name}.${escapeIdentifier(table.name)} TO ${role}`,
      )
    for (const owner of owners)
      await ask(
        `grant SELECT on tables to come of ${owner} in ${schema}`,
        `ALTER DEFAULT PRIVILEGES FOR ROLE ${escapeIdentifier(owner)} IN SCHEMA ${name} GRANT SELECT ON TABLES TO ${role}`,
      )
    return { granted: toGrant.length, owners }
  }

  async function makeHeartbeat(now: State): Promise<void> {
    const name = escapeIdentifier(user.heartbeatSchema)
    if (!now.heartbeat_exists) await ask(`create the schema ${user.heartbeatSchema}`, `CREATE SCHEMA ${name}`)
    if (!now.heartbeat_ready)
      await ask(
        `grant USAGE and CREATE on schema ${user.heartbeatSchema}`,
        `GRANT USAGE, CREATE ON SCHEMA ${name} TO ${role}`,
      )
  }

  await ask('begin', 'BEGIN')
  try {
    await ask('wait for another bootstrap', LOCK)
    const before = await state()
    await createOrUpdate(before)
    const now = await state()
    if (!now.may_connect)
      await ask(
        `grant CONNECT on the database`,
        `GRANT CONNECT ON DATABASE ${escapeIdentifier(now.database)} TO ${role}`,
      )
    const replication = await grantReplication(now)
    let granted = 0
    const owners = new Set<string>()
    for (const schema of user.schemas) {
      const done = await grantReading(schema)
      granted += done.granted
      for (const owner of done.owners) owners.add(owner)
    }
    await makeHeartbeat(now)
    await ask('commit', 'COMMIT')
    return {
      isNew: !before.exists,
      replication,
      granted,
      owners: [...owners].sort(),
      isHeartbeatNew: !now.heartbeat_exists,
    }
  } catch (error) {
    await ask('roll back', 'ROLLBACK').catch(() => {})
    throw error
  }
}

/** $1 the user, $2 the schema of the heartbeat. Privileges of a role that does not exist cannot be asked for. */
const STATE_SQL = `
SELECT current_database()::text AS database, r.oid IS NOT NULL AS exists,
       COALESCE(r.rolsuper, false) AS is_super,
       COALESCE(has_database_privilege(r.oid, current_database(), 'CONNECT'), false) AS may_connect,
       rds.oid IS NOT NULL AS has_rds_replication,
       COALESCE(pg_has_role(r.oid, rds.oid, 'MEMBER'), false) AS is_rds_member,
       COALESCE(r.rolreplication, false) AS may_replicate,
       h.oid IS NOT NULL AS heartbeat_exists,
       COALESCE(has_schema_privilege(r.oid, h.oid, 'CREATE') AND has_schema_privilege(r.oid, h.oid, 'USAGE'), false) AS heartbeat_ready
  FROM (SELECT) AS one
  LEFT JOIN pg_roles r ON r.rolname = $1
  LEFT JOIN pg_roles rds ON rds.rolname = 'rds_replication'
  LEFT JOIN pg_namespace h ON h.nspname = $2`

type Grantable = { name: string; is_missing: boolean }

/**
 * $1 the schema, $2 the user. Who may grant: the owner of a table, and whoever has the owner's rights. Of the tables the
 * others own nothing is granted here; they are found unreadable afterwards.
 */
const SCHEMA_SQL = `
WITH t AS (
  SELECT c.relname::text AS name, c.relowner, pg_has_role(c.relowner, 'USAGE') AS may_grant,
         has_table_privilege($2, c.oid, 'SELECT') AS is_readable
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't')
SELECT has_schema_privilege($2, $1, 'USAGE') AS has_usage,
       COALESCE((SELECT json_agg(json_build_object('name', name, 'is_missing', may_grant AND NOT is_readable) ORDER BY name) FROM t), '[]') AS tables,
       ARRAY(SELECT DISTINCT pg_get_userbyid(owner)::text
               FROM (SELECT relowner AS owner FROM t WHERE may_grant
                     UNION SELECT oid FROM pg_roles WHERE rolname = current_user) AS o
              WHERE pg_get_userbyid(owner) <> $2 ORDER BY 1) AS owners`
