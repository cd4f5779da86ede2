/**
 * PostgreSQL as the source database: logical decoding on, TCP on the loopback address, user `postgres` without a password.
 *
 * It forgets nothing when it is stopped in order, and may lose all when the machine dies: fsync is off.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { CALL_MS, GRACE_MS, type Part } from './part.ts'
import { runCommand } from './run-command.ts'
import { giveAway, unprivileged } from './unprivileged.ts'

const SETTINGS = [
  'wal_level=logical',
  'max_replication_slots=20',
  'max_wal_senders=20',
  'max_connections=100',
  'listen_addresses=127.0.0.1',
  // The usual folder for sockets is not writable for everyone.
  'unix_socket_directories=',
  'fsync=off',
]

export const postgres: Part = {
  name: 'postgres',
  downloads: [],
  portNames: ['sql'],

  async prepare({ dir, ports, tools, signal }) {
    const data = join(dir, 'data')
    mkdirSync(data, { recursive: true })
    giveAway(dir)
    if (!existsSync(join(data, 'PG_VERSION'))) {
      const initdb = [join(tools.postgresBin, 'initdb'), '-D', data, '-U', 'postgres', '-A', 'trust']
      await runCommand(unprivileged([...initdb, '-E', 'UTF8', '--locale=C', '--no-sync'], dir), {
        signal,
        cwd: dir,
      })
    }
    const settings = [...SETTINGS, `port=${ports.sql}`].flatMap(setting => ['-c', setting])
    return { argv: unprivileged([join(tools.postgresBin, 'postgres'), '-D', data, ...settings], dir) }
  },

  async callOnce({ ports }) {
    const client = new Client({
      connectionString: postgresUrl(ports.sql!),
      connectionTimeoutMillis: CALL_MS,
      query_timeout: CALL_MS,
    })
    // A server that goes away again while we are connected is told by the query; the event alone would end this process.
    client.on('error', () => {})
    try {
      await client.connect()
      await client.query('select 1')
    } finally {
      await client.end()
    }
  },

  // "Fast shutdown": connections are ended, data is written. SIGTERM would wait for every client to leave.
  stop: { signal: 'SIGINT', graceMs: GRACE_MS },
}

export function postgresUrl(port: number): string {
  return `postgres://postgres@127.0.0.1:${port}/postgres`
}
