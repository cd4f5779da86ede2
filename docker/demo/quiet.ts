/**
 * Knowing that the stream is quiet: everything written before now is in the indices.
 *
 * A marker row for each open shard is written last. When its documents are there, every shard has been read up to them;
 * when then nothing is in flight either, nothing older is still waiting for a second try.
 */
import type { Client } from 'pg'
import type { Parts } from '../local/parts.ts'
import type { Fleet } from './fleet.ts'
import { markerIds, type ShardRange } from './marker.ts'
import { logsDir } from './pipeline.ts'
import { markerTable } from './shop.ts'
import { waitFor } from './wait.ts'

export function createMarkers({
  database,
  shards,
  fleet,
  parts,
  signal,
}: {
  database: Client
  shards: ShardRange[]
  fleet: Fleet
  parts: Parts
  signal: AbortSignal
}) {
  let nextId = 1

  /** Writes one round of markers and waits for their documents: whatever was committed before has been read and sent. */
  async function untilPassed({ deadlineMs }: { deadlineMs: number }): Promise<void> {
    const ids = markerIds(shards, { from: nextId })
    nextId = Math.max(...ids.values()) + 1
    await database.query(`insert into ${markerTable} select unnest($1::integer[]), clock_timestamp()`, [
      [...ids.values()],
    ])
    for (const [shardId, id] of ids) {
      await waitFor({
        what: `the marker row ${id}, which travels through ${shardId}, to become a document`,
        see: `dms.log and those of the workers in ${logsDir(parts)}`,
        deadlineMs,
        signal,
        look: () => exists(id),
      })
    }
  }

  /** The same, and nothing is left in flight. Only with all writers at rest does this come to an end. */
  async function untilQuiet({ deadlineMs }: { deadlineMs: number }): Promise<void> {
    await untilPassed({ deadlineMs })
    await waitFor({
      what: 'the workers to have no record in flight',
      see: `their logs in ${logsDir(parts)}`,
      deadlineMs,
      signal,
      async look() {
        await fleet.look()
        return fleet.inFlight() === 0
      },
    })
  }

  async function exists(id: number): Promise<boolean> {
    const response = await fetch(
      new URL(`/public_${markerTable}/_doc/${id}?_source=false`, parts.endpoints.opensearchUrl),
      {
        signal: AbortSignal.any([signal, AbortSignal.timeout(5000)]),
      },
    )
    await response.arrayBuffer()
    return response.ok
  }

  return { untilPassed, untilQuiet }
}

export type Markers = ReturnType<typeof createMarkers>
