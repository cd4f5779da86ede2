/** What is asked of PostgreSQL's catalogue, and its answers as facts. */
import type { ReplicaIdentity, ServerFacts, TableFacts } from '../core/database-check.ts'

/**
 * `wal_status` by way of JSON, since it came with PostgreSQL 13. The end of the log is not to be had from a replica, nor from
 * Aurora without logical replication.
 */
export const SERVER_SQL = `
SELECT current_setting('server_version') AS version,
       pg_is_in_recovery() AS is_replica,
       EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_replication') AS is_managed,
       current_setting('wal_level') AS wal_level,
       current_setting('max_replication_slots')::int AS slots_max,
       current_setting('max_wal_senders')::int AS senders_max,
       (SELECT setting::int FROM pg_settings WHERE name = 'wal_sender_timeout') AS sender_timeout_ms,
       COALESCE((SELECT json_agg(json_build_object(
           'name', s.slot_name,
           'is_active', s.active,
           'retained', CASE WHEN pg_is_in_recovery() OR current_setting('wal_level') <> 'logical' THEN NULL
                            ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn) END,
           'status', to_jsonb(s) ->> 'wal_status') ORDER BY s.slot_name)
         FROM pg_replication_slots s WHERE NOT s.temporary), '[]') AS slots`

export type ServerRow = {
  version: string
  is_replica: boolean
  is_managed: boolean
  wal_level: string
  slots_max: number
  senders_max: number
  sender_timeout_ms: number
  slots: { name: string; is_active: boolean; retained: number | null; status: string | null }[]
}

export function serverFacts(row: ServerRow): ServerFacts {
  return {
    version: row.version,
    isReplica: row.is_replica,
    isManaged: row.is_managed,
    walLevel: row.wal_level,
    slotsMax: row.slots_max,
    sendersMax: row.senders_max,
    senderTimeoutMs: row.sender_timeout_ms,
    slots: row.slots.map(({ name, is_active, retained, status }) => ({
      name,
      isActive: is_active,
      retainedBytes: retained ?? undefined,
      isLost: status === 'lost',
    })),
  }
}

/**
 * $1 the schemas, $2 the user of DMS or null. Keys: unique indexes over whole columns without NULL and of all rows.
 * Tables that DMS makes itself are left out.
 */
export const TABLES_SQL = `
SELECT n.nspname::text AS schema, c.relname::text AS name, pg_get_userbyid(c.relowner)::text AS owner,
       c.relkind = 'p' AS is_partitioned, c.relpersistence = 'u' AS is_unlogged, c.relrowsecurity AS has_row_security,
       c.relreplident::text AS identity,
       $2::text IS NULL OR (has_schema_privilege($2, n.oid, 'USAGE') AND has_table_privilege($2, c.oid, 'SELECT')) AS is_readable,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns,
       COALESCE((SELECT json_agg(json_build_object(
           'is_primary', i.indisprimary, 'is_immediate', i.indimmediate, 'is_identity', i.indisreplident, 'columns', k.columns))
         FROM pg_index i
        CROSS JOIN LATERAL (
          SELECT array_agg(a.attname::text ORDER BY p.place) AS columns, bool_and(a.attnotnull) AS is_whole
            FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS p(attnum, place)
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = p.attnum
           WHERE p.place <= i.indnkeyatts) AS k
        WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
          AND k.is_whole), '[]') AS keys
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.relname NOT LIKE 'awsdms\\_%'
 ORDER BY 1, 2`

type KeyRow = { is_primary: boolean; is_immediate: boolean; is_identity: boolean; columns: string[] }

export type TableRow = {
  schema: string
  name: string
  owner: string
  is_partitioned: boolean
  is_unlogged: boolean
  has_row_security: boolean
  identity: string
  is_readable: boolean
  columns: string[]
  keys: KeyRow[]
}

const IDENTITIES: Record<string, ReplicaIdentity> = { d: 'default', f: 'full', n: 'nothing', i: 'index' }

export function tableFacts(row: TableRow): TableFacts {
  const primary = row.keys.find(key => key.is_primary)
  const replicaIdentity = IDENTITIES[row.identity] ?? 'nothing'
  return {
    schema: row.schema,
    name: row.name,
    owner: row.owner,
    columns: row.columns,
    primaryKey: primary?.columns ?? [],
    uniqueKeys: row.keys.filter(key => !key.is_primary).map(key => key.columns),
    replicaIdentity,
    identityColumns: identityColumns(row, replicaIdentity, primary),
    isUnlogged: row.is_unlogged,
    isPartitioned: row.is_partitioned,
    hasRowSecurity: row.has_row_security,
    isReadable: row.is_readable,
  }
}

function identityColumns(row: TableRow, identity: ReplicaIdentity, primary: KeyRow | undefined): string[] {
  if (identity === 'full') return row.columns
  if (identity === 'index') return row.keys.find(key => key.is_identity)?.columns ?? []
  // A deferrable key does not count as one here.
  return identity === 'default' && primary?.is_immediate ? primary.columns : []
}
