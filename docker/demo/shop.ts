/**
 * The shop as the comparison sees it: for each table the index it feeds and the document each row should be.
 *
 * The expectation is put together by PostgreSQL from text casts, column by column in the order of the table, following
 * what DMS is documented to write. It shares nothing with the code that is compared.
 */
import { readFile } from 'node:fs/promises'
import type { Comparison } from './compare.ts'

/** All in schema `public`, in the order of shop.sql. */
export const shopTables = ['customers', 'products', 'orders', 'order_items', 'ledger', 'payments'] as const
export const markerTable = 'marker'
export const tableFile = new URL('tables.yaml', import.meta.url)

export type ShopTable = (typeof shopTables)[number]

export async function shopSql(): Promise<string> {
  return readFile(new URL('shop.sql', import.meta.url), 'utf8')
}

/** How a column's value becomes JSON text, as SQL. NULL becomes `null` in one place, at the end. */
type ColumnText = (column: string) => string

/** integer, bigint, numeric: PostgreSQL's own digits. */
const digits: ColumnText = column => `${column}::text`
/** boolean: PostgreSQL's text is `true` and `false` already. */
const truth: ColumnText = column => `${column}::text`
/** json, jsonb: the value itself, not a string that holds it. */
const json: ColumnText = column => `${column}::text`
/** text, varchar, date. */
const text: ColumnText = column => `to_json(${column}::text)::text`
/** timestamp, timestamptz in UTC: six digits and Z, no fraction where it is zero. Needs a session in UTC. */
const moment: ColumnText = column =>
  `'"' || replace(to_char(${column}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z') || '"'`

/** All comparisons ask for `TimeZone` UTC in the session. */
export const comparisons: Comparison[] = [
  comparison('customers', 'id::text', {
    id: digits,
    name: text,
    email: text,
    active: truth,
    note: text,
    born: text,
    created_at: moment,
  }),
  comparison('products', 'sku', {
    sku: text,
    title: text,
    description: text,
    price: digits,
    stock: digits,
    available: truth,
    updated_at: moment,
  }),
  comparison('orders', 'id::text', {
    id: digits,
    customer_id: digits,
    status: text,
    attributes: json,
    gift_message: text,
    placed_at: moment,
  }),
  comparison('order_items', `order_id::text || '|' || line::text`, {
    order_id: digits,
    line: digits,
    sku: text,
    quantity: digits,
    unit_price: digits,
  }),
  comparison('ledger', 'id::text', {
    id: digits,
    amount: digits,
    memo: text,
    is_reversed: truth,
    booked_at: moment,
  }),
  comparison('payments', 'reference', {
    reference: text,
    order_id: digits,
    amount: digits,
    is_settled: truth,
    details: json,
    paid_at: moment,
  }),
  comparison(markerTable, 'id::text', { id: digits, written_at: moment }),
]

function comparison(table: string, id: string, columns: Record<string, ColumnText>): Comparison {
  const members = Object.entries(columns).map(
    ([column, textOf]) => `'"${column}":' || coalesce(${textOf(column)}, 'null')`,
  )
  return {
    table: `public.${table}`,
    index: `public_${table}`,
    expectationSql: `select ${id} as id, '{' || ${members.join(" || ',' || ")} || '}' as document from public.${table}`,
  }
}
