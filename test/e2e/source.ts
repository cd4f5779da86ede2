/** The source of a scene: its schema in PostgreSQL, and the stand-in for AWS DMS that replicates it. */
import pg from 'pg'
import { expect } from 'vitest'
import type { Comparison } from '../../docker/demo/compare.ts'
import { markerIds } from '../../docker/demo/marker.ts'
import type { Child } from '../../docker/local/parts.ts'
import { documentOf } from './documents.ts'
import type { Scene } from './harness.ts'
import { MARKER_TABLE } from './records.ts'

export type Source = {
  /** A session in UTC whose search path is the scene's schema. */
  database: pg.Client
  /** Resolves once the full load is finished. */
  startDms(env?: Record<string, string>): Promise<void>
  /** It confirms what it has sent and ends. */
  stopDms(): Promise<void>
  /** A new process with the same settings, from where its slot stands. */
  resumeDms(): Promise<void>
  /** What was committed so far is in the indices, or nowhere: markers through the stand-in, then the scene's own. */
  quiet(): Promise<void>
  close(): Promise<void>
}

const START_MS = 60_000
const ARRIVAL_MS = 45_000
/** Far from the ids of the scene's own markers, which go into the same index. */
const FIRST_MARKER_ID = 1_000_000

export async function openSource(scene: Scene, ddl: string): Promise<Source> {
  const { endpoints, env } = scene.parts
  const { schema } = scene
  const database = new pg.Client({
    connectionString: endpoints.postgresUrl,
    options: `-c timezone=UTC -c search_path=${schema}`,
  })
  await database.connect()
  await database.query(
    `create schema ${schema}; create table ${MARKER_TABLE} (id integer primary key);\n${ddl}`,
  )
  const task = schema
  let dms: Child | undefined
  let dmsEnv: Record<string, string> = {}
  let nextMarkerId = FIRST_MARKER_ID

  const runDms = (): Child => scene.spawn('dms', [process.execPath, 'docker/dms/main.ts'], dmsEnv)

  return {
    database,

    async startDms(more = {}) {
      dmsEnv = {
        ...env,
        DMS_SOURCE_URL: endpoints.postgresUrl,
        DMS_STREAM: scene.stream.name,
        DMS_TABLES: `${schema}.%`,
        DMS_TASK: task,
        DMS_PARTITION_BY_KEY: `${schema}.${MARKER_TABLE}`,
        ...more,
      }
      dms = runDms()
      await dms.line(line => line.includes('"all full loads finished"'), START_MS)
    },

    async stopDms() {
      dms?.kill('SIGTERM')
      expect(await dms?.exited).toEqual({ code: 0, signal: null })
    },

    async resumeDms() {
      dms = runDms()
      await dms.line(line => line.includes('"streaming"'), START_MS)
    },

    async quiet() {
      const ids = markerIds(await scene.stream.openShards(), { from: nextMarkerId })
      nextMarkerId = Math.max(...ids.values()) + 1
      await database.query(`insert into ${MARKER_TABLE} select unnest($1::integer[])`, [[...ids.values()]])
      for (const [shardId, id] of ids) {
        await scene.until(
          `the marker row ${id}, which travels through ${shardId}, to become a document`,
          () => documentOf(endpoints.opensearchUrl, scene.indexOf(MARKER_TABLE), String(id)),
          { deadlineMs: ARRIVAL_MS },
        )
      }
      await scene.quiet()
    },

    async close() {
      dms?.kill('SIGTERM')
      await dms?.exited
      // A slot that stays keeps the write-ahead log of everything after it.
      await database.query(
        `select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1`,
        [`dms_${task}`],
      )
      await database.query(`drop publication if exists dms_${task}, dms_${task}_inserts`)
      await database.query(`drop schema ${schema} cascade`)
      await database.end()
    },
  }
}

/** How a column becomes JSON text, in SQL. */
export const sql = {
  /** integer, bigint, numeric, boolean, json, jsonb: PostgreSQL's own text. */
  plain: (column: string): string => `${column}::text`,
  text: (column: string): string => `to_json(${column}::text)::text`,
  /** Six digits and Z, no fraction where it is zero; the session is in UTC. */
  moment: (column: string): string =>
    `'"' || replace(to_char(${column}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z') || '"'`,
}

/**
 * @param id SQL of the document's id
 * @param columns in the order of the table, each with its SQL
 */
export function comparison(
  scene: Scene,
  table: string,
  id: string,
  columns: Record<string, (column: string) => string>,
): Comparison {
  const members = Object.entries(columns).map(
    ([column, textOf]) => `'"${column}":' || coalesce(${textOf(column)}, 'null')`,
  )
  return {
    table: `${scene.schema}.${table}`,
    index: scene.indexOf(table),
    expectationSql: `select ${id} as id, '{' || ${members.join(" || ',' || ")} || '}' as document from ${table}`,
  }
}
