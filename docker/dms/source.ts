/**
 * Sessions with the source database. Every value is read as the text PostgreSQL prints, under settings that make that text the same
 * for a snapshot and for the change stream.
 */
import { Client, type ClientConfig, type CustomTypesConfig } from 'pg'

/** The source is missing, refuses, or is not set up; `message` says which and what to do. */
export class SourceRefusedError extends Error {}

const sessionSettings: Record<string, string> = {
  datestyle: 'ISO',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  extra_float_digits: '1',
  bytea_output: 'hex',
  lc_monetary: 'C',
  application_name: 'dms-stand-in',
  statement_timeout: '0',
  idle_in_transaction_session_timeout: '0',
}

/** `pg` would make numbers, dates and buffers of the values; here all stay text. */
const textOnly = { getTypeParser: () => (text: string) => text } as unknown as CustomTypesConfig

const connectMsMax = 10_000

export function sessionConfig(url: string): ClientConfig {
  return {
    connectionString: url,
    connectionTimeoutMillis: connectMsMax,
    keepAlive: true,
    types: textOnly,
    options: Object.entries(sessionSettings)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
  }
}

/** @param onLost called at most once, when the server ends the session behind our back */
export async function openSession(config: ClientConfig, onLost: (error: Error) => void): Promise<Client> {
  const client = new Client(config)
  client.once('error', onLost)
  // Later errors of a lost session say nothing new, but without a listener they would end the process.
  client.on('error', () => {})
  try {
    await client.connect()
    return client
  } catch (error) {
    throw new SourceRefusedError(`source database does not take the session: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`

export const quoteTable = (table: { schema: string; name: string }): string =>
  `${quoteName(table.schema)}.${quoteName(table.name)}`
