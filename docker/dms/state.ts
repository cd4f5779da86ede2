/**
 * What a task remembers between starts, in a small schema of the source database and outside every publication: its id, and
 * which tables are loaded. A start during the full load begins the load again; a start after it goes on with changes.
 */
import { randomBytes } from 'node:crypto'
import type { Client } from 'pg'
import { stateSchema } from './catalog.ts'

export type TaskState = { taskId: string; isLoaded: boolean }

export function createState(client: Client, task: string) {
  return {
    async prepare(): Promise<void> {
      await client.query(`CREATE SCHEMA IF NOT EXISTS ${stateSchema}`)
      await client.query(
        `CREATE TABLE IF NOT EXISTS ${stateSchema}.task (
           task text PRIMARY KEY, task_id text NOT NULL, is_loaded boolean NOT NULL, started_at timestamptz NOT NULL)`,
      )
      await client.query(
        `CREATE TABLE IF NOT EXISTS ${stateSchema}.table_load (
           task text, schema_name text, table_name text, row_count bigint NOT NULL, finished_at timestamptz NOT NULL,
           PRIMARY KEY (task, schema_name, table_name))`,
      )
    },

    async read(): Promise<TaskState | null> {
      const { rows } = await client.query<{ task_id: string; is_loaded: string }>(
        `SELECT task_id, is_loaded FROM ${stateSchema}.task WHERE task = $1`,
        [task],
      )
      const row = rows[0]
      return row === undefined ? null : { taskId: row.task_id, isLoaded: row.is_loaded === 't' }
    },

    /** A task that starts anew keeps its id, as a restarted DMS task does. */
    async begin(): Promise<string> {
      await client.query(`DELETE FROM ${stateSchema}.table_load WHERE task = $1`, [task])
      const { rows } = await client.query<{ task_id: string }>(
        `INSERT INTO ${stateSchema}.task VALUES ($1, $2, false, now())
         ON CONFLICT (task) DO UPDATE SET is_loaded = false, started_at = now() RETURNING task_id`,
        [task, newTaskId()],
      )
      return rows[0]!.task_id
    },

    async tableLoaded(table: { schema: string; name: string }, rowCount: number): Promise<void> {
      await client.query(`INSERT INTO ${stateSchema}.table_load VALUES ($1, $2, $3, $4, now())`, [
        task,
        table.schema,
        table.name,
        rowCount,
      ])
    },

    async allLoaded(): Promise<void> {
      await client.query(`UPDATE ${stateSchema}.task SET is_loaded = true WHERE task = $1`, [task])
    },
  }
}

const taskIdAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** 26 letters and digits, the form of the identifiers in DMS's ARNs. */
const newTaskId = (): string => [...randomBytes(26)].map(byte => taskIdAlphabet[byte % 32]).join('')
