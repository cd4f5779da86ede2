/**
 * Publications and the slot in the source database, by ordinary SQL.
 *
 * Two publications: tables with a replica identity publish inserts, updates and deletes; the others inserts alone, for
 * PostgreSQL refuses to update a table that publishes updates and has no identity, and reading must never stop the writers.
 */
import type { Client } from 'pg'
import type { SourceTable } from './catalog.ts'
import { quoteName, quoteTable, SourceRefusedError } from './source.ts'

/** @property confirmed the position up to which the slot sends nothing again; null when there is no slot */
export type SlotState = { isActive: boolean; confirmed: string | null }

export const publicationNames = (task: string): [changes: string, insertsOnly: string] => [
  `dms_${task}`,
  `dms_${task}_inserts`,
]

export async function publish(client: Client, task: string, tables: SourceTable[]): Promise<void> {
  const hasIdentity = (table: SourceTable): boolean => table.identity !== 'nothing'
  const [changes, insertsOnly] = publicationNames(task)
  await setPublication(client, changes, 'insert, update, delete', tables.filter(hasIdentity))
  await setPublication(
    client,
    insertsOnly,
    'insert',
    tables.filter(table => !hasIdentity(table)),
  )
}

async function setPublication(
  client: Client,
  name: string,
  operations: string,
  tables: SourceTable[],
): Promise<void> {
  const { rows } = await client.query('SELECT 1 FROM pg_publication WHERE pubname = $1', [name])
  if (rows.length === 0) {
    // A TRUNCATE is not published: DMS does not see it.
    await client.query(`CREATE PUBLICATION ${quoteName(name)} WITH (publish = '${operations}')`)
  }
  const { rows: present } = await client.query<{ schema: string; name: string }>(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
       JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.pubname = $1`,
    [name],
  )
  const isAmong = (
    list: { schema: string; name: string }[],
    table: { schema: string; name: string },
  ): boolean => list.some(other => other.schema === table.schema && other.name === table.name)
  for (const table of present.filter(table => !isAmong(tables, table))) {
    await client.query(`ALTER PUBLICATION ${quoteName(name)} DROP TABLE ONLY ${quoteTable(table)}`)
  }
  for (const table of tables.filter(table => !isAmong(present, table))) {
    await client.query(`ALTER PUBLICATION ${quoteName(name)} ADD TABLE ONLY ${quoteTable(table)}`)
  }
}

export async function slotState(client: Client, slot: string): Promise<SlotState> {
  const { rows } = await client.query<{ active: string; confirmed: string }>(
    'SELECT active, confirmed_flush_lsn AS confirmed FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  )
  return { isActive: rows[0]?.active === 't', confirmed: rows[0]?.confirmed ?? null }
}

export async function dropSlot(client: Client, slot: string): Promise<void> {
  await client.query(
    'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  )
}

export async function createPlainSlot(client: Client, slot: string): Promise<void> {
  await client.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [slot])
}

/** Logical decoding is a start-up setting of the server; without it nothing here can work. */
export async function checkLogicalDecoding(client: Client): Promise<void> {
  const { rows } = await client.query<{ wal_level: string }>('SHOW wal_level')
  const level = rows[0]?.wal_level
  if (level !== 'logical') {
    throw new SourceRefusedError(
      `source database has wal_level ${level}: expected logical; set it (rds.logical_replication on RDS) and restart the server`,
    )
  }
}
