/**
 * A message of the change stream to the change DMS would send, or to none.
 *
 * DMS reads with test_decoding; pgoutput is used here because it gives columns and types apart instead of a line of text to be
 * taken to pieces, and needs no extension either. Three differences are known and kept in mind: unchanged TOAST values are
 * missing in both; stored generated columns are missing in pgoutput before PostgreSQL 18; a publication that covers updates
 * makes PostgreSQL refuse updates of tables without a replica identity, which the publications are arranged around.
 */
import type { Pgoutput } from 'pg-logical-replication'
import type { SourceTable } from './catalog.ts'
import type { Operation, Row } from './records.ts'

/**
 * A column's text in a box of its own. Under REPLICA IDENTITY FULL the library fills an unchanged TOAST value in from the old row;
 * then both rows hold the same box. DMS does not fill it in, so it has to be told from a value that was sent.
 */
export type BoxedText = { text: string }

export const boxText = (text: string): BoxedText => ({ text })

type Tuple = Record<string, BoxedText | null | undefined>

export type RowChange = { operation: Operation; row: Row; before: Row | null }

/** Null where DMS sends nothing: it ignores updates and deletes of tables without a primary key, unless the identity is FULL. */
export function rowChange(
  message: Pgoutput.MessageInsert | Pgoutput.MessageUpdate | Pgoutput.MessageDelete,
  table: SourceTable,
): RowChange | null {
  if (message.tag === 'insert') return { operation: 'insert', row: rowOf(table, message.new), before: null }
  if (table.primaryKey.length === 0 && table.identity !== 'full') return null
  const old: Tuple | null = message.old ?? message.key
  if (message.tag === 'delete') return { operation: 'delete', row: rowOf(table, old ?? {}), before: null }
  const row = rowOf(table, withoutUnchanged(message.new, message.old))
  const before = old === null ? null : rowOf(table, old)
  return {
    operation: 'update',
    row,
    before: before !== null && keyDiffers(table, before, row) ? before : null,
  }
}

const rowOf = (table: SourceTable, tuple: Tuple): Row =>
  table.columns.map(({ name }) => {
    const value = tuple[name]
    return value ? value.text : value
  })

function withoutUnchanged(row: Tuple, old: Tuple | null): Tuple {
  if (old === null) return row
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, value && value === old[name] ? undefined : value]),
  )
}

function keyDiffers(table: SourceTable, before: Row, after: Row): boolean {
  return table.columns.some(({ name }, index) => {
    const old = before[index]
    return table.primaryKey.includes(name) && old !== undefined && old !== after[index]
  })
}
