/**
 * A day in the shop, from a seed: the same seed makes the same statements on the same tables in the same order.
 *
 * The workload is the only writer, over one connection, so it knows which keys exist without asking. It is made of what
 * breaks mirrors: keys that change, keys used again, a row deleted and inserted in one transaction, values that become
 * NULL, several changes of one row in one commit.
 */

import type { Client } from 'pg'
import {
  amount,
  attributes,
  type Chance,
  description,
  moment,
  price,
  seededChance,
  texts,
} from './seeded-values.ts'
import { pause } from './wait.ts'

/** Rows changed so far, and the transactions they came in. A changed key counts as a key change, not as an update. */
export type Counts = {
  inserts: number
  updates: number
  deletes: number
  keyChanges: number
  transactions: number
}

type RowKind = Exclude<keyof Counts, 'transactions'>

/** Keys that exist now, and those that have been given up and may come back. */
type Keys = {
  customers: number[]
  /** Customers without an order: the only ones that may leave. */
  guests: number[]
  skus: string[]
  retiredSkus: string[]
  orders: number[]
  items: { orderId: number; line: number }[]
  /** Beyond 2^53: as text, never as a number. */
  ledger: string[]
  pending: string[]
  settled: string[]
  freeReferences: string[]
}

type Shop = {
  keys: Keys
  chance: Chance
  serial(): number
  change(kind: RowKind, sql: string, values: unknown[]): Promise<void>
}

type Step = { weight: number; possible?: (keys: Keys) => boolean; run: (shop: Shop) => Promise<void> }

export function changes(counts: Counts): number {
  return counts.inserts + counts.updates + counts.deletes + counts.keyChanges
}

/**
 * @param serialsFrom new keys are numbered from here on: above those of an earlier workload on the same tables
 * @returns `counts`, which grows while `run` runs.
 */
export async function prepareWorkload(database: Client, seed: number, serialsFrom = 100_000) {
  const counts: Counts = { inserts: 0, updates: 0, deletes: 0, keyChanges: 0, transactions: 0 }
  let lastSerial = serialsFrom
  const shop: Shop = {
    keys: await readKeys(database),
    chance: seededChance(seed),
    serial: () => ++lastSerial,
    async change(kind, sql, values) {
      const { rowCount } = await database.query(sql, values)
      counts[kind] += rowCount ?? 0
    },
  }

  /** Writes until `seconds` are over or the signal comes; the transaction under way is always finished. */
  async function run({
    changesPerSecond,
    seconds,
    signal,
  }: {
    changesPerSecond: number
    seconds: number
    signal: AbortSignal
  }) {
    const startedAt = performance.now()
    for (;;) {
      const dueMs = startedAt + (changes(counts) / changesPerSecond) * 1000 - performance.now()
      if (dueMs > 0) await pause(dueMs, signal)
      if (performance.now() - startedAt >= seconds * 1000) return
      signal.throwIfAborted()
      await database.query('begin')
      await nextStep(shop).run(shop)
      await database.query('commit')
      counts.transactions++
    }
  }

  return { counts, run }
}

async function readKeys(database: Client): Promise<Keys> {
  const { rows: customers } = await database.query<{ id: number; is_guest: boolean }>(
    'select id, not exists (select from orders where customer_id = customers.id) as is_guest from customers order by id',
  )
  const { rows: items } = await database.query<{ order_id: string; line: number }>(
    'select order_id, line from order_items order by order_id, line',
  )
  const column = async (sql: string) => (await database.query<{ key: string }>(sql)).rows.map(row => row.key)
  return {
    customers: customers.map(row => row.id),
    guests: customers.filter(row => row.is_guest).map(row => row.id),
    skus: await column('select sku as key from products order by sku'),
    retiredSkus: [],
    orders: (await column('select id as key from orders order by id')).map(Number),
    items: items.map(row => ({ orderId: Number(row.order_id), line: row.line })),
    ledger: await column('select id::text as key from ledger order by id'),
    pending: await column('select reference as key from payments order by reference'),
    settled: [],
    freeReferences: [],
  }
}

function nextStep({ chance, keys }: Shop): Step {
  const possible = steps.filter(step => step.possible?.(keys) ?? true)
  return chance.pick(possible.flatMap(step => Array<Step>(step.weight).fill(step)))
}

const steps: Step[] = [
  { weight: 6, run: placeOrder },
  { weight: 16, run: moveOrderOn },
  { weight: 3, possible: keys => keys.orders.length > 200, run: cancelOrder },
  { weight: 10, run: priceProduct },
  { weight: 5, run: describeProduct },
  { weight: 5, run: sellProducts },
  { weight: 5, run: renameProduct },
  { weight: 3, possible: keys => keys.retiredSkus.length > 0, run: relistProduct },
  { weight: 3, possible: keys => keys.skus.length > 150, run: dropProduct },
  { weight: 4, run: welcomeCustomer },
  { weight: 8, run: editCustomer },
  { weight: 3, possible: keys => keys.guests.length > 0, run: partWithGuest },
  { weight: 5, run: renumberItem },
  { weight: 4, possible: keys => keys.items.length > 500, run: dropItem },
  { weight: 8, possible: keys => keys.pending.length > 0, run: settlePayment },
  { weight: 3, possible: keys => keys.settled.length > 0, run: refundPayment },
  { weight: 6, run: bookEntry },
  { weight: 6, run: reverseEntry },
  { weight: 3, possible: keys => keys.ledger.length > 100, run: dropEntry },
  { weight: 3, run: rewriteEntry },
]

async function placeOrder({ keys, chance, change, serial }: Shop): Promise<void> {
  const id = serial()
  const customer = chance.pick(keys.customers)
  keys.guests = keys.guests.filter(guest => guest !== customer)
  await change('inserts', 'insert into orders values ($1, $2, $3, $4, $5, $6)', [
    id,
    customer,
    'new',
    attributes(chance, id),
    chance.pick(texts),
    moment(chance),
  ])
  for (let line = 1; line <= 1 + chance.below(4); line++) {
    await change('inserts', 'insert into order_items values ($1, $2, $3, $4, $5)', [
      id,
      line,
      chance.pick(keys.skus),
      1 + chance.below(9),
      price(chance),
    ])
    keys.items.push({ orderId: id, line })
  }
  // A provisional reference that a settled payment has left behind is used again where there is one.
  const reference = keys.freeReferences.length > 0 ? chance.take(keys.freeReferences) : `PENDING-${id}`
  await change('inserts', 'insert into payments values ($1, $2, $3, false, $4, null)', [
    reference,
    id,
    price(chance),
    null,
  ])
  keys.orders.push(id)
  keys.pending.push(reference)
}

async function moveOrderOn({ keys, chance, change }: Shop): Promise<void> {
  const id = chance.pick(keys.orders)
  await change('updates', 'update orders set status = $2, gift_message = $3 where id = $1', [
    id,
    chance.pick(['paid', 'packed', 'shipped', 'returned']),
    chance.pick(texts),
  ])
  if (chance.below(2) === 0) {
    await change('updates', 'update orders set attributes = $2 where id = $1', [id, attributes(chance, id)])
  }
}

async function cancelOrder({ keys, chance, change }: Shop): Promise<void> {
  const id = chance.take(keys.orders)
  keys.items = keys.items.filter(item => item.orderId !== id)
  await change('deletes', 'delete from order_items where order_id = $1', [id])
  await change('deletes', 'delete from orders where id = $1', [id])
}

async function priceProduct({ keys, chance, change }: Shop): Promise<void> {
  await change('updates', 'update products set price = $2, available = $3, updated_at = $4 where sku = $1', [
    chance.pick(keys.skus),
    price(chance),
    chance.pick([true, false, null]),
    moment(chance),
  ])
}

async function describeProduct({ keys, chance, change }: Shop): Promise<void> {
  await change('updates', 'update products set description = $2 where sku = $1', [
    chance.pick(keys.skus),
    description(chance),
  ])
}

/** One statement, several rows. */
async function sellProducts({ keys, chance, change }: Shop): Promise<void> {
  const skus = [chance.pick(keys.skus), chance.pick(keys.skus), chance.pick(keys.skus)]
  await change('updates', 'update products set stock = stock - 1 where sku = any($1)', [skus])
}

async function renameProduct({ keys, chance, change, serial }: Shop): Promise<void> {
  const old = chance.take(keys.skus)
  const sku = `SKU-${serial()} Ü/${chance.below(10)}`
  await change('keyChanges', 'update products set sku = $2 where sku = $1', [old, sku])
  keys.skus.push(sku)
  keys.retiredSkus.push(old)
}

async function relistProduct({ keys, chance, change }: Shop): Promise<void> {
  const sku = chance.take(keys.retiredSkus)
  await change('inserts', 'insert into products values ($1, $2, $3, $4, 0, $5, $6)', [
    sku,
    `Again: ${sku}`,
    description(chance),
    price(chance),
    null,
    moment(chance),
  ])
  keys.skus.push(sku)
}

async function dropProduct({ keys, chance, change }: Shop): Promise<void> {
  const sku = chance.take(keys.skus)
  await change('deletes', 'delete from products where sku = $1', [sku])
  keys.retiredSkus.push(sku)
}

async function welcomeCustomer({ keys, chance, change, serial }: Shop): Promise<void> {
  const id = serial()
  await change('inserts', 'insert into customers values ($1, $2, $3, true, $4, $5, $6)', [
    id,
    `Nora Ünal ${id}`,
    `customer${id}@example.com`,
    chance.pick(texts),
    chance.pick(['1990-02-28', '1900-01-01', null]),
    moment(chance),
  ])
  keys.customers.push(id)
  keys.guests.push(id)
}

async function editCustomer({ keys, chance, change }: Shop): Promise<void> {
  await change('updates', 'update customers set active = not active, note = $2 where id = $1', [
    chance.pick(keys.customers),
    chance.pick(texts),
  ])
}

async function partWithGuest({ keys, chance, change }: Shop): Promise<void> {
  const id = chance.take(keys.guests)
  keys.customers = keys.customers.filter(customer => customer !== id)
  await change('deletes', 'delete from customers where id = $1', [id])
}

/** A change of half a composite key. Lines start below 10 and are moved up by 10 at most twelve times. */
async function renumberItem({ keys, chance, change }: Shop): Promise<void> {
  const item = chance.pick(keys.items)
  await change('keyChanges', 'update order_items set line = line + 10 where order_id = $1 and line = $2', [
    item.orderId,
    item.line,
  ])
  item.line += 10
}

async function dropItem({ keys, chance, change }: Shop): Promise<void> {
  const item = chance.take(keys.items)
  await change('deletes', 'delete from order_items where order_id = $1 and line = $2', [
    item.orderId,
    item.line,
  ])
}

async function settlePayment({ keys, chance, change, serial }: Shop): Promise<void> {
  const provisional = chance.take(keys.pending)
  const reference = `PAY-${serial()}`
  await change(
    'keyChanges',
    'update payments set reference = $2, is_settled = true, paid_at = $3, details = $4 where reference = $1',
    [
      provisional,
      reference,
      moment(chance),
      JSON.stringify({ method: chance.pick(['card', 'transfer', 'voucher "X"']), attempts: chance.below(5) }),
    ],
  )
  keys.settled.push(reference)
  keys.freeReferences.push(provisional)
}

async function refundPayment({ keys, chance, change }: Shop): Promise<void> {
  await change('deletes', 'delete from payments where reference = $1', [chance.take(keys.settled)])
}

async function bookEntry({ keys, chance, change, serial }: Shop): Promise<void> {
  // Odd numbers above 2^53, which no double can hold.
  const id = String(9_007_199_254_740_993n + 2n * BigInt(serial()))
  await change('inserts', 'insert into ledger values ($1, $2, $3, false, $4)', [
    id,
    amount(chance),
    chance.pick(texts),
    moment(chance),
  ])
  keys.ledger.push(id)
}

async function reverseEntry({ keys, chance, change }: Shop): Promise<void> {
  await change(
    'updates',
    'update ledger set is_reversed = not is_reversed, amount = -amount, memo = $2 where id = $1',
    [chance.pick(keys.ledger), chance.pick(texts)],
  )
}

async function dropEntry({ keys, chance, change }: Shop): Promise<void> {
  await change('deletes', 'delete from ledger where id = $1', [chance.take(keys.ledger)])
}

/** Deleted and inserted again in one transaction: the document must end as the second row. */
async function rewriteEntry({ keys, chance, change }: Shop): Promise<void> {
  const id = chance.pick(keys.ledger)
  await change('deletes', 'delete from ledger where id = $1', [id])
  await change('inserts', 'insert into ledger values ($1, $2, $3, false, $4)', [
    id,
    amount(chance),
    'rewritten',
    moment(chance),
  ])
}
