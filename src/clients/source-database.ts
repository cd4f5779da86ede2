/** The source database: one session, and what the database is like. One attempt a call; the caller retries. */
import { checkServerIdentity } from 'node:tls'
import { Client, DatabaseError } from 'pg'
import type { ServerFacts, TableFacts } from '../core/database-check.ts'
import { OutsideError } from '../errors.ts'
import { certificateFault } from './certificate-fault.ts'
import {
  SERVER_SQL,
  type ServerRow,
  serverFacts,
  TABLES_SQL,
  type TableRow,
  tableFacts,
} from './source-catalogue.ts'

export type SourceDatabaseOptions = {
  host: string
  port: number
  database: string
  user: string
  password: string
  /** undefined: without TLS, to this machine alone. `pem`: authorities in place of the system's. */
  tls: { pem?: string } | undefined
}

/** For whom it does not let in, or does not let do something: what to look at. Each ends a sentence. */
export type Advice = { refused: string; forbidden: string }

const CONNECT_TIMEOUT_MS = 10_000
const STATEMENT_TIMEOUT_MS = 60_000
const LOCK_TIMEOUT_MS = 10_000
const SLOT_PREFIX = 'cdc_bootstrap_'

const CANCELLED = '57014'
const INSUFFICIENT_PRIVILEGE = '42501'
/** Starting up, or too many connections: it may let us in later. */
const NOT_YET = new Set(['57P03', '53300', '57P01'])

export type SourceDatabase = Awaited<ReturnType<typeof openSourceDatabase>>

/** @throws OutsideError where it refuses for good; other failures as Error: it may answer later */
export async function openSourceDatabase(options: SourceDatabaseOptions, advice: Advice) {
  const { host, port, database, user, password, tls } = options
  const address = `${host}:${port}`
  const client = new Client({
    host,
    port,
    database,
    user,
    password,
    // Said outright, so that neither PGSSLMODE nor NODE_TLS_REJECT_UNAUTHORIZED can loosen it.
    ssl: tls && {
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
      checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
      ...(tls.pem === undefined ? {} : { ca: tls.pem }),
    },
    application_name: 'aurora-opensearch-cdc bootstrap',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: STATEMENT_TIMEOUT_MS + CONNECT_TIMEOUT_MS,
  })
  // A broken connection is told by the statement it breaks; the event alone would end the process.
  client.on('error', () => {})
  try {
    await client.connect()
    // Names in our statements mean PostgreSQL's own, whatever somebody put into `public`.
    await client.query(
      `SET search_path = pg_catalog; SET statement_timeout = ${STATEMENT_TIMEOUT_MS}; SET lock_timeout = ${LOCK_TIMEOUT_MS}`,
    )
  } catch (cause) {
    await client.end().catch(() => {})
    throw explained(cause as NodeJS.ErrnoException)
  }

  function explained(cause: NodeJS.ErrnoException): Error {
    const { code = '', message } = cause
    const refused = (text: string) => new OutsideError(`source database at ${address} ${text}`, { cause })
    if (cause instanceof DatabaseError && !NOT_YET.has(code)) {
      if (code.startsWith('28')) return refused(`refuses user ${user} (${message}): ${advice.refused}`)
      if (code === '3D000') return refused(`has no database ${database}: check SOURCE_DATABASE_NAME`)
      return refused(`does not take the session: ${message} (${code})`)
    }
    const fault = certificateFault(code)
    if (fault === 'untrusted')
      return refused(
        `has a certificate that is not trusted (${code}): put the PEM of its authority into SOURCE_DATABASE_CA, for Aurora the certificate bundle of its region`,
      )
    if (fault === 'unfit')
      return refused(
        `has a certificate that does not fit (${code}): expected one for ${host} and for today; name the host as its certificate does`,
      )
    if (message === 'The server does not support SSL connections')
      return refused(
        `offers no TLS, and without it rows and passwords would cross the network in the clear: set \`ssl = on\` there`,
      )
    return new Error(`source database at ${address} does not answer: ${message || code}`, { cause })
  }

  /** @param what completes "does not let USER ..." @throws OutsideError, also for a connection that broke: run it again then */
  async function ask<Row extends object>(what: string, sql: string, values: unknown[] = []): Promise<Row[]> {
    try {
      return (await client.query<Row>(sql, values)).rows
    } catch (cause) {
      const { message, code = '' } = cause as NodeJS.ErrnoException
      const shown = code === '' ? message : `${message} (${code})`
      if (!(cause instanceof DatabaseError))
        throw new OutsideError(
          `source database at ${address} broke off as it was to ${what}: ${shown}; run it again`,
          { cause },
        )
      const remedy = code === INSUFFICIENT_PRIVILEGE ? `: ${advice.forbidden}` : ''
      throw new OutsideError(
        `source database at ${address} does not let ${user} ${what}: ${shown}${remedy}`,
        { cause },
      )
    }
  }

  return {
    ask,

    async server(): Promise<ServerFacts> {
      const [row] = await ask<ServerRow>('read its settings', SERVER_SQL)
      return serverFacts(row!)
    },

    /** @returns which of them exist */
    async schemas(names: readonly string[]): Promise<{ name: string; isThere: boolean }[]> {
      const sql = 'SELECT nspname::text AS name FROM pg_namespace WHERE nspname = ANY($1)'
      const rows = await ask<{ name: string }>('list its schemas', sql, [names])
      const there = new Set(rows.map(({ name }) => name))
      return names.map(name => ({ name, isThere: there.has(name) }))
    },

    /** @param reader the user of DMS, who exists; undefined: none is asked for */
    async tables(schemas: readonly string[], reader: string | undefined): Promise<TableFacts[]> {
      const rows = await ask<TableRow>('list its tables', TABLES_SQL, [schemas, reader])
      return rows.map(tableFacts)
    },

    /**
     * Makes a slot as DMS will, which ends with the session. It waits for every transaction that was open before.
     *
     * @param waitMs for these
     * @returns false when transactions that were open before did not end in time
     */
    async trySlot(waitMs: number): Promise<boolean> {
      await ask('set a limit of time', `SET statement_timeout = ${waitMs}`)
      // Names of slots are the server's: that of another session must not be in the way.
      const name = `'${SLOT_PREFIX}' || pg_backend_pid()`
      const sql = `SELECT pg_create_logical_replication_slot(${name}, 'test_decoding', true)`
      try {
        await ask('make a replication slot with test_decoding', sql)
        return true
      } catch (error) {
        if (((error as Error).cause as { code?: string }).code === CANCELLED) return false
        throw error
      }
    },

    close: () => client.end(),
  }
}
