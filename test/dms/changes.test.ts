/** Messages of the change stream to changes, positions and confirmations. */
import type { Pgoutput } from 'pg-logical-replication'
import { describe, expect, test } from 'vitest'
import type { ReplicaIdentity, SourceTable } from '../../docker/dms/catalog.ts'
import { boxText, rowChange } from '../../docker/dms/changes.ts'
import { createConfirmations } from '../../docker/dms/confirmations.ts'
import { formatLsn, parseLsn } from '../../docker/dms/lsn.ts'
import { createTransactions } from '../../docker/dms/transactions.ts'
import { tableDef } from './table-def.ts'

const orders = (identity: ReplicaIdentity, primaryKey = ['id']): SourceTable => ({
  ...tableDef('public.orders', { id: 'int4', body: 'text' }, primaryKey),
  isPartitioned: false,
  identity,
})
const relation = {} as Pgoutput.MessageRelation
const box = boxText

const update = (parts: Partial<Pgoutput.MessageUpdate>): Pgoutput.MessageUpdate => ({
  tag: 'update',
  relation,
  key: null,
  old: null,
  new: {},
  ...parts,
})

describe('changes', () => {
  test('an update whose key did not change has no before row', () => {
    const message = update({ new: { id: box('1'), body: box('b') } })
    expect(rowChange(message, orders('default'))).toEqual({
      operation: 'update',
      row: ['1', 'b'],
      before: null,
    })
  })

  test('an update whose key changed has the old key', () => {
    const message = update({ key: { id: box('1') }, new: { id: box('2'), body: null } })
    expect(rowChange(message, orders('default'))).toEqual({
      operation: 'update',
      row: ['2', null],
      before: ['1', undefined],
    })
  })

  test('under FULL the old row counts as a changed key only when the key changed', () => {
    const same = update({ old: { id: box('1'), body: box('a') }, new: { id: box('1'), body: box('b') } })
    expect(rowChange(same, orders('full'))).toMatchObject({ before: null })
    const moved = update({ old: { id: box('1'), body: box('a') }, new: { id: box('2'), body: box('a') } })
    expect(rowChange(moved, orders('full'))).toMatchObject({ before: ['1', 'a'] })
  })

  test('an unchanged TOAST value stays missing, under FULL too where the library fills it in', () => {
    const missing = update({ new: { id: box('1'), body: undefined } })
    expect(rowChange(missing, orders('default'))!.row).toEqual(['1', undefined])
    const body = box('long')
    const filled = update({ old: { id: box('1'), body }, new: { id: box('1'), body } })
    expect(rowChange(filled, orders('full'))!.row).toEqual(['1', undefined])
    const sent = update({ old: { id: box('1'), body }, new: { id: box('1'), body: box('long') } })
    expect(rowChange(sent, orders('full'))!.row).toEqual(['1', 'long'])
  })

  test('a delete has the key, under FULL the whole old row', () => {
    const gone: Pgoutput.MessageDelete = { tag: 'delete', relation, key: { id: box('1') }, old: null }
    expect(rowChange(gone, orders('default'))!.row).toEqual(['1', undefined])
    const whole: Pgoutput.MessageDelete = { ...gone, key: null, old: { id: box('1'), body: box('b') } }
    expect(rowChange(whole, orders('full'))!.row).toEqual(['1', 'b'])
  })

  test('a table without a primary key has inserts alone, unless its identity is FULL', () => {
    const insert: Pgoutput.MessageInsert = { tag: 'insert', relation, new: { id: box('1'), body: null } }
    const gone: Pgoutput.MessageDelete = { tag: 'delete', relation, key: { id: box('1') }, old: null }
    for (const identity of ['default', 'nothing', 'index'] as const) {
      expect(rowChange(insert, orders(identity, []))).not.toBeNull()
      expect(rowChange(update({}), orders(identity, []))).toBeNull()
      expect(rowChange(gone, orders(identity, []))).toBeNull()
    }
    expect(rowChange(update({ old: {}, new: {} }), orders('full', []))).not.toBeNull()
  })
})

describe('transactions', () => {
  test('records are numbered, and know the transaction before that had records', () => {
    const transactions = createTransactions()
    transactions.begin({ id: 7, commitMicros: 1, lsn: '0/1' })
    transactions.countMessage()
    transactions.countMessage()
    expect(transactions.nextRecord()).toEqual({
      id: 7,
      recordId: 1,
      previous: null,
      commitMicros: 1,
      position: '0/1.3.0/1',
    })
    transactions.countMessage()
    expect(transactions.nextRecord()).toMatchObject({ recordId: 2, position: '0/1.4.0/1' })
    transactions.commit()
    transactions.begin({ id: 8, commitMicros: 2, lsn: '0/2' })
    transactions.commit()
    transactions.begin({ id: 9, commitMicros: 3, lsn: '0/3' })
    transactions.countMessage()
    expect(transactions.nextRecord()).toMatchObject({
      id: 9,
      previous: { id: 7, recordId: 2 },
      position: '0/3.2.0/3',
    })
  })

  test('a transaction id above 2^31 stays positive', () => {
    const transactions = createTransactions()
    transactions.begin({ id: -2, commitMicros: 1, lsn: '0/1' })
    expect(transactions.nextRecord().id).toBe(4294967294)
  })
})

describe('confirmed positions', () => {
  test('follow the transactions that were put, and the idle server', () => {
    const confirmations = createConfirmations({ heldBack: 0, start: 5n })
    expect(confirmations.position()).toBe(5n)
    confirmations.transactionPut(7n)
    expect(confirmations.position()).toBe(7n)
    confirmations.idleAt(9n)
    expect(confirmations.position()).toBe(9n)
  })

  test('never go back', () => {
    const confirmations = createConfirmations({ heldBack: 0, start: 5n })
    confirmations.idleAt(3n)
    confirmations.transactionPut(4n)
    expect(confirmations.position()).toBe(5n)
  })

  test('stay behind by as many transactions as are to be sent again, idle or not', () => {
    const confirmations = createConfirmations({ heldBack: 2, start: 0n })
    for (const lsn of [1n, 2n, 3n]) confirmations.transactionPut(lsn)
    confirmations.idleAt(9n)
    expect(confirmations.position()).toBe(1n)
  })

  test('positions read and print as PostgreSQL has them', () => {
    expect(parseLsn('2/7C007178')).toBe(0x27c007178n)
    expect(formatLsn(0x27c007178n)).toBe('00000002/7C007178')
  })
})
