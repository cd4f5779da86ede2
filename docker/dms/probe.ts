/** A container's health check: exit code 0 while the task's replication slot is being read, which is from the start of the load on. */
import { Client } from 'pg'
import { readSettings } from './settings.ts'

const ANSWER_MS = 4_000

const { sourceUrl, task } = readSettings(process.env)
const database = new Client({
  connectionString: sourceUrl,
  connectionTimeoutMillis: ANSWER_MS,
  query_timeout: ANSWER_MS,
})
try {
  await database.connect()
  const slot = `dms_${task}`
  const { rows } = await database.query<{ active: boolean }>(
    'select active from pg_replication_slots where slot_name = $1',
    [slot],
  )
  const isRead = rows[0]?.active === true
  process.stdout.write(`slot ${slot} ${isRead ? 'is being read' : 'is not being read'}\n`)
  process.exitCode = isRead ? 0 : 1
} catch (error) {
  process.stderr.write(`PostgreSQL does not answer: ${(error as Error).message}\n`)
  process.exitCode = 1
} finally {
  await database.end()
}
