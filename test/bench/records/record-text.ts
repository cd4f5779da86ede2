/**
 * A change as DMS writes it to Kinesis: MessageFormat json-unformatted, transaction details on, before-image of the primary
 * key, a line end. About 950 bytes on average: 19 columns with ids, text beyond ASCII in some, NUMERIC, timestamps with
 * microseconds, a jsonb column as escaped text, a null.
 */
import { numbersFrom, type RowChange } from './changes.ts'

export const SCHEMA = 'bench'

/** One table a shard. */
export function tableOf(shard: number): string {
  return `orders_${shard}`
}

/** The index that DMS's schema and table fall on by default. */
export function indexOf(shard: number): string {
  return `${SCHEMA}_${tableOf(shard)}`
}

const STATUSES = ['pending', 'paid', 'packed', 'shipped', 'delivered', 'returned']
const CHANNELS = ['web', 'app', 'store', 'phone', 'marketplace']
const PEOPLE = ['Anna Schmidt', 'Zoë Müller', 'John Carter', 'Łukasz Wójcik', 'Mary Ellen Jones', '山田 太郎']
const STREETS = [
  'Main Street',
  'Gartenstraße',
  'Rue de la République',
  'Elm Road',
  'Karl-Marx-Allee',
  'High Street',
]
const CITIES = ['Springfield', 'Köln', 'Kraków', 'Leeds', 'Montréal', 'Portland']
const NOTES = [
  'Leave it with the neighbour, the bell does not work.',
  'Gift: "Happy birthday" on the card, no invoice.',
  'Call before delivery; closed after 18:00.',
]

/** `revision` comes second, so that an index of the bench can read it at a fixed place. */
function rowOf({ id, revision }: RowChange, shard: number): Record<string, unknown> {
  const random = numbersFrom(revision * 31 + shard)
  const one = <Value>(values: readonly Value[]): Value => values[random(values.length)]!
  const cents = 1_000 + random(900_000)
  const day = String(1 + random(28)).padStart(2, '0')
  const second = String(random(60)).padStart(2, '0')
  const micros = String(random(1_000_000)).padStart(6, '0')
  return {
    id,
    revision,
    customer_id: 7_000_000_000 + random(50_000_000),
    order_number: `SO-2026-${String(id).padStart(9, '0')}`,
    status: one(STATUSES),
    currency: 'EUR',
    net_amount: cents / 100,
    tax_amount: Math.round(cents * 0.19) / 100,
    weight_kg: random(30_000) / 1_000,
    is_gift: random(10) === 0,
    email: `customer.${random(1_000_000)}@example.com`,
    ship_name: one(PEOPLE),
    ship_street: `${one(STREETS)} ${1 + random(240)}`,
    ship_city: one(CITIES),
    attributes: JSON.stringify({
      tags: ['new', one(CHANNELS)],
      campaign: { id: random(9_999), source: 'mail' },
    }),
    note: one(NOTES),
    cancelled_at: null,
    created_at: `2026-01-${day}T08:15:${second}.${micros}Z`,
    updated_at: `2026-02-${day}T17:42:${second}.${micros}Z`,
  }
}

/** PostgreSQL's default replica identity names the key only: DMS sends the other columns of a deleted row as null. */
function deletedRowOf(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, name === 'id' ? value : null]))
}

/** The text of a row as it stands in a record, and so in the document. */
export function rowText(change: RowChange, shard: number): string {
  const row = rowOf(change, shard)
  // NUMERIC(12,2) keeps its two digits on the wire; JSON.stringify would drop a last zero.
  return JSON.stringify(change.kind === 'delete' ? deletedRowOf(row) : row).replace(
    /"(net_amount|tax_amount)":([\d.]+)/g,
    (_, name: string, amount: string) => `"${name}":${Number(amount).toFixed(2)}`,
  )
}

/** @param committedAt ISO 8601 with microseconds */
export function recordText(change: RowChange, shard: number, committedAt?: string): string {
  const { kind, revision } = change
  const micros = String(revision % 1_000_000).padStart(6, '0')
  const position = revision.toString(16).toUpperCase().padStart(8, '0')
  const metadata = {
    timestamp: `2026-02-20T17:43:01.${micros}Z`,
    'record-type': 'data',
    operation: kind,
    'partition-key-type': 'schema-table',
    'schema-name': SCHEMA,
    'table-name': tableOf(shard),
    'transaction-id': 900_000 + Math.floor(revision / 3),
    'transaction-record-id': 1 + (revision % 3),
    'prev-transaction-id': 899_999 + Math.floor(revision / 3),
    'prev-transaction-record-id': 3,
    'commit-timestamp': committedAt ?? `2026-02-20T17:43:00.${micros}Z`,
    'stream-position': `00000002/${position}.${revision % 3}.00000002/${position}`,
  }
  const beforeImage = kind === 'update' ? '"before-image":{},' : ''
  return `{"data":${rowText(change, shard)},${beforeImage}"metadata":${JSON.stringify(metadata)}}\n`
}
