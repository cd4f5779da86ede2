/**
 * The full load: every row of every table as the snapshot shows it, in no promised order.
 *
 * Rows come through cursors, a bounded number at a time, from several tables in turn, and each portion is shuffled: DMS loads
 * over several connections, so a consumer must not rely on an order here. The same seed gives the same order.
 */
import type { Client } from 'pg'
import type { SourceTable } from './catalog.ts'
import type { Row } from './records.ts'
import { quoteName, quoteTable } from './source.ts'

/** How many tables DMS loads at a time by default (MaxFullLoadSubTasks). */
const tablesAtOnce = 8

export type LoadSettings = { rowsPerFetch: number; seed: number }

export type LoadEnds = {
  onRow: (table: SourceTable, row: Row) => Promise<void>
  /** All rows of the table were handed over. */
  onTable: (table: SourceTable, rowCount: number) => Promise<void>
}

/** @param client in a transaction on the snapshot; returns early, with tables missing, when the signal is aborted */
export async function loadTables(
  client: Client,
  tables: SourceTable[],
  settings: LoadSettings,
  ends: LoadEnds,
  signal: AbortSignal,
): Promise<void> {
  const random = seededRandom(settings.seed)
  const waiting = [...tables]
  const open: { table: SourceTable; cursor: string; rowCount: number }[] = []
  let cursors = 0
  while (!signal.aborted) {
    while (open.length < tablesAtOnce && waiting.length > 0) {
      const table = waiting.shift()!
      cursors += 1
      open.push({ table, cursor: await openCursor(client, table, cursors), rowCount: 0 })
    }
    const next = open.shift()
    if (next === undefined) return
    const rows = await fetchRows(client, next.cursor, settings.rowsPerFetch)
    for (const row of shuffled(rows, random)) await ends.onRow(next.table, row)
    next.rowCount += rows.length
    if (rows.length === settings.rowsPerFetch) {
      open.push(next)
    } else {
      await client.query(`CLOSE ${next.cursor}`)
      await ends.onTable(next.table, next.rowCount)
    }
  }
}

async function openCursor(client: Client, table: SourceTable, number: number): Promise<string> {
  const cursor = `dms_load_${number}`
  const columns = table.columns.map(column => quoteName(column.name)).join(', ')
  // A partition or child table that is selected too is loaded under its own name.
  const only = table.isPartitioned ? '' : 'ONLY '
  await client.query(
    `DECLARE ${cursor} NO SCROLL CURSOR FOR SELECT ${columns} FROM ${only}${quoteTable(table)}`,
  )
  return cursor
}

async function fetchRows(client: Client, cursor: string, count: number): Promise<Row[]> {
  const { rows } = await client.query<Row>({
    text: `FETCH FORWARD ${count} FROM ${cursor}`,
    rowMode: 'array',
  })
  return rows
}

/** Fisher and Yates. */
export function shuffled<T>(items: T[], random: () => number): T[] {
  const order = [...items]
  for (let last = order.length - 1; last > 0; last -= 1) {
    const pick = Math.floor(random() * (last + 1))
    const moved = order[last]!
    order[last] = order[pick]!
    order[pick] = moved
  }
  return order
}

/** Mulberry32: small, good enough for an order that should look accidental. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
