/**
 * Where a change stands: its transaction, its number in it, the transaction before, and the position in the log.
 *
 * PostgreSQL sends a transaction only once it is committed, in the order of commits, so the position of the commit never goes
 * back from one record to the next. `n` in `LSN.n.LSN` counts the messages of the transaction, `begin` being the first and a
 * table's description one more: a first insert of a session is 3, a later change 2, as in captured records.
 */
import type { TransactionDetails } from './records.ts'

export function createTransactions() {
  let current: { id: number; commitMicros: number; lsn: string; messages: number; records: number } | null =
    null
  let previous: { id: number; recordId: number } | null = null

  return {
    /** @param id unsigned; the library reads xids as signed numbers */
    begin({ id, commitMicros, lsn }: { id: number; commitMicros: number; lsn: string }): void {
      current = { id: id >>> 0, commitMicros, lsn, messages: 1, records: 0 }
    },

    /** Descriptions of tables and changes between `begin` and `commit` pass here, also those that become no record. */
    countMessage(): void {
      if (current !== null) current.messages += 1
    },

    /** Details for the next record of this transaction. */
    nextRecord(): TransactionDetails {
      if (current === null)
        throw new Error('a change arrived outside a transaction: expected a begin message first')
      current.records += 1
      return {
        id: current.id,
        recordId: current.records,
        previous,
        commitMicros: current.commitMicros,
        position: `${current.lsn}.${current.messages}.${current.lsn}`,
      }
    },

    /** A transaction that wrote no record is nobody's predecessor. */
    commit(): void {
      if (current !== null && current.records > 0) previous = { id: current.id, recordId: current.records }
      current = null
    },

    isOpen: (): boolean => current !== null,
  }
}

export type Transactions = ReturnType<typeof createTransactions>
