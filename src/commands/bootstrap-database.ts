/** The part of `bootstrap` at the source database: the user of DMS, and what would keep DMS or the mirror from working. */
import { prepareDmsUser } from '../clients/dms-user.ts'
import type { Advice, SourceDatabase, SourceDatabaseOptions } from '../clients/source-database.ts'
import {
  type Finding,
  hasFreeSlot,
  type ServerFacts,
  serverFindings,
  tableFindings,
} from '../core/database-check.ts'
import { defaultRules } from '../core/table.ts'
import { OutsideError } from '../errors.ts'
import type { TableFile } from '../table-file.ts'
import type { DatabaseSettings } from './database-options.ts'

const MASTER = {
  refused: 'check SOURCE_DATABASE_USER and SOURCE_DATABASE_PASSWORD, or SOURCE_DATABASE_SECRET',
  forbidden:
    'expected a member of rds_superuser, or a superuser, in SOURCE_DATABASE_USER; or do this by hand as one who may',
}
const DMS = {
  refused: 'check that the server lets DMS_USER in (pg_hba.conf), with a password by SCRAM-SHA-256',
  forbidden: 'DMS_USER needs rds_replication, or REPLICATION where there is no such role',
}

const SLOT_WAIT_MS = 15_000

export type DatabaseTask = DatabaseSettings & {
  schemas: readonly string[]
  heartbeatSchema: string
  tableFile: TableFile
}

/** Waits for a database that is away; rejects where it refuses. */
export type Open = (options: SourceDatabaseOptions, advice: Advice) => Promise<SourceDatabase>

/**
 * May be run again after any error.
 *
 * @param print of a line of the report
 * @throws OutsideError where the database refuses, or a finding is an error; its one line says all of them
 */
export async function bootstrapDatabase(
  task: DatabaseTask,
  open: Open,
  print: (line: string) => void,
): Promise<void> {
  const { database, dmsUser } = task
  const session = await open(database, MASTER)
  try {
    const server = await session.server()
    print(`database ${database.database} at ${database.host}:${database.port}: ${serverText(server)}`)
    report(serverFindings(server), print)
    const schemas = await session.schemas(task.schemas)
    if (dmsUser) {
      const present = schemas.filter(({ isThere }) => isThere).map(({ name }) => name)
      await prepare(session, task, { ...dmsUser, schemas: present }, print)
    }
    const tables = await session.tables(task.schemas, dmsUser?.name)
    const rulesOf = (schema: string, table: string) =>
      task.tableFile.rulesOf(schema, table) ?? defaultRules(schema, table)
    const skipped = tables.filter(({ schema, name }) => rulesOf(schema, name).mode === 'skip').length
    print(
      `database: ${counted(tables.length - skipped, 'table')} of ${task.schemas.join(', ')} looked at${skipped > 0 ? `, ${skipped} skipped by TABLE_FILE` : ''}`,
    )
    report(
      tableFindings({ schemas, tables, rulesOf, named: task.tableFile.named, reader: dmsUser?.name ?? '' }),
      print,
    )
    if (dmsUser && hasFreeSlot(server))
      await trySlot(open, { ...database, user: dmsUser.name, password: dmsUser.password }, print)
  } finally {
    await session.close()
  }
}

async function prepare(
  session: SourceDatabase,
  { heartbeatSchema, tableFile }: DatabaseTask,
  user: { name: string; password: string; schemas: readonly string[] },
  print: (line: string) => void,
): Promise<void> {
  const { name, schemas } = user
  const isSkipped = (schema: string, table: string) => tableFile.rulesOf(schema, table)?.mode === 'skip'
  const done = await prepareDmsUser(session, { ...user, isSkipped, heartbeatSchema })
  print(
    `database: user ${name} ${done.isNew ? 'created' : 'was there, its password is set'}; replicates by ${done.replication}`,
  )
  print(
    `database: ${name} may read ${counted(done.granted, 'more table')} of ${schemas.join(', ')}, and those to come of ${done.owners.join(', ')}`,
  )
  print(
    `database: schema ${heartbeatSchema} for the heartbeat of DMS ${done.isHeartbeatNew ? 'created' : 'was there'}`,
  )
}

async function trySlot(
  open: Open,
  options: SourceDatabaseOptions,
  print: (line: string) => void,
): Promise<void> {
  const session = await open(options, DMS)
  try {
    const isMade = await session.trySlot(SLOT_WAIT_MS)
    print(
      isMade
        ? `database: ${options.user} has signed in and made a slot with test_decoding, now gone`
        : `database warning: ${options.user} could make no replication slot within ${SLOT_WAIT_MS / 1000} s, since it waits for transactions that are open, and a DMS task would as well: end the old ones of pg_stat_activity (xact_start)`,
    )
  } finally {
    await session.close()
  }
}

/** @throws OutsideError when one is an error */
function report(findings: readonly Finding[], print: (line: string) => void): void {
  for (const { severity, text } of findings) print(`database ${severity}: ${text}`)
  const errors = findings.filter(({ severity }) => severity === 'error').map(({ text }) => text)
  if (errors.length > 0)
    throw new OutsideError(
      `the source database is not fit for DMS, ${counted(errors.length, 'error')}: ${errors.join('; ')}`,
    )
}

function serverText(server: ServerFacts): string {
  const { version, walLevel, slots, slotsMax, senderTimeoutMs } = server
  return `PostgreSQL ${version}, wal_level ${walLevel}, ${slots.length} of ${slotsMax} replication slots taken, wal_sender_timeout ${senderTimeoutMs / 1000} s`
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
