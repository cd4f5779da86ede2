/**
 * Which position may be confirmed to PostgreSQL: never one before everything up to it is in Kinesis.
 *
 * After a restart the slot sends everything after the confirmed position again. `heldBack` transactions are left
 * unconfirmed on purpose, so that a restart repeats them: the duplicates DMS makes after a failover.
 *
 * @param start what the slot has confirmed already. It must never go back: PostgreSQL before 17 would follow.
 */
export function createConfirmations({ heldBack, start }: { heldBack: number; start: bigint }) {
  const unconfirmed: bigint[] = []
  let confirmed = start

  return {
    /** All records of the transaction that ends at `endLsn` were put. */
    transactionPut(endLsn: bigint): void {
      unconfirmed.push(endLsn)
      while (unconfirmed.length > heldBack) confirmed = maxOf(confirmed, unconfirmed.shift() as bigint)
    },

    /** The server has nothing up to `lsn` that was not put; lets an idle slot move on. Means nothing while something is held back. */
    idleAt(lsn: bigint): void {
      if (unconfirmed.length === 0) confirmed = maxOf(confirmed, lsn)
    },

    position: (): bigint => confirmed,
  }
}

const maxOf = (a: bigint, b: bigint): bigint => (a > b ? a : b)
