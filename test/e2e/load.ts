/**
 * A load for tests that need no database: changes of four tables, one in each shard, put straight into the stream.
 *
 * The same numbers give the same changes. What the tables then are is kept here as it is put, record by record, so that
 * the indices can be compared with the whole stream or with any prefix of its shards.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { expect } from 'vitest'
import { canonical } from '../../docker/demo/raw-json.ts'
import { type Documents, documentsOf } from './documents.ts'
import type { Scene } from './harness.ts'
import { covers } from './leases.ts'
import { dmsRecord, type Operation } from './records.ts'
import type { PutRecord } from './stream.ts'

type Change = {
  table: string
  operation: Operation
  id: number
  /** Updates that change the key. */
  oldId?: number
  row: string
}

export type Load = {
  /** Puts the next changes, so many of each table, in one request. */
  put(changesPerTable: number): Promise<void>
  /** Puts small batches one after the other until stopped. */
  start(): { stop(): Promise<void> }
  recordsPut(): number
  /** The last record put into each shard. */
  lastPut(): Map<string, string>
  /** Every index holds exactly what the stream implies. */
  expectMirrored(): Promise<void>
  /** Every index holds exactly what the records up to these checkpoints imply. */
  expectMirroredUpTo(checkpoints: ReadonlyMap<string, string>): Promise<void>
}

const IDS = 17
const BATCH_CHANGES = 3
/** The emulator takes a few hundred records a second from everybody; 12 each 80 ms leave it room to be read. */
const BATCH_EVERY_MS = 80

export function createLoad(scene: Scene): Load {
  const puts: { change: Change; record: PutRecord }[] = []
  const present = new Map(scene.tables.map(table => [table, new Set<number>()]))
  let step = 0

  /** Inserts what is absent; of what is there every fifth is deleted, every seventh gets another key, the rest is updated. */
  function nextChange(table: string): Change {
    const ids = present.get(table)!
    const n = step++
    const id = (n * 7) % IDS
    const row = rowText(id, n)
    if (!ids.has(id)) {
      ids.add(id)
      return { table, operation: 'insert', id, row }
    }
    if (n % 5 === 0) {
      ids.delete(id)
      return { table, operation: 'delete', id, row }
    }
    const free = Array.from({ length: IDS }, (_, i) => (id + i) % IDS).find(other => !ids.has(other))
    if (n % 7 === 0 && free !== undefined) {
      ids.delete(id)
      ids.add(free)
      return { table, operation: 'update', id: free, oldId: id, row: rowText(free, n) }
    }
    return { table, operation: 'update', id, row }
  }

  async function put(changesPerTable: number): Promise<void> {
    const changes = Array.from({ length: changesPerTable }, () => scene.tables.map(nextChange)).flat()
    const records = await scene.stream.put(
      changes.map(({ table, operation, oldId, row }) => ({
        partitionKey: `${scene.schema}.${table}`,
        data: dmsRecord({
          operation,
          schema: scene.schema,
          table,
          row,
          ...(oldId === undefined ? {} : { before: `{"id":${oldId}}` }),
        }),
      })),
    )
    for (const [at, change] of changes.entries()) puts.push({ change, record: records[at]! })
  }

  async function expectState(isIncluded: (record: PutRecord) => boolean): Promise<void> {
    const expected = new Map<string, Documents>(scene.tables.map(table => [table, new Map()]))
    for (const { change, record } of puts) {
      if (!isIncluded(record)) continue
      const documents = expected.get(change.table)!
      if (change.oldId !== undefined) documents.delete(String(change.oldId))
      if (change.operation === 'delete') documents.delete(String(change.id))
      else documents.set(String(change.id), canonical(change.row))
    }
    for (const [table, documents] of expected) {
      const index = scene.indexOf(table)
      const found = await documentsOf(scene.parts.endpoints.opensearchUrl, index)
      expect(sorted(found), `documents of ${index}`).toEqual(sorted(documents))
    }
  }

  return {
    put,
    recordsPut: () => puts.length,
    lastPut: () => new Map(puts.map(({ record }) => [record.shardId, record.sequenceNumber])),
    expectMirrored: () => expectState(() => true),
    expectMirroredUpTo: checkpoints =>
      expectState(({ shardId, sequenceNumber }) =>
        covers(checkpoints.get(shardId) ?? 'TRIM_HORIZON', sequenceNumber),
      ),

    start() {
      let isStopping = false
      const running = (async () => {
        while (!isStopping) {
          await put(BATCH_CHANGES)
          await pause(BATCH_EVERY_MS)
        }
      })()
      // A put that fails is told by `stop`; until then it must not end the test run as unhandled.
      running.catch(() => {})
      return {
        async stop() {
          isStopping = true
          await running
        },
      }
    },
  }
}

function rowText(id: number, n: number): string {
  return `{"id":${id},"name":"row ${id} naïve 東京","counter":${9007199254740993n + BigInt(n)},"amount":12345678901234567890.${String(n).padStart(10, '0')},"note":${n % 3 === 0 ? 'null' : '"a \\"b\\"\\n\\\\c"'}}`
}

function sorted(documents: Documents): [string, string][] {
  return [...documents].sort(([a], [b]) => (a < b ? -1 : 1))
}
