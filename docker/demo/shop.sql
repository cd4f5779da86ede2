-- A small shop: its tables and what is in it before the workload starts (2,330 rows).
-- Every column is here because some change stream gets it wrong: keys above 2^53, 38 digits, jsonb, unicode, NULL, '' and
-- timestamps with and without a fraction.

create table customers (
  id integer primary key,
  name text not null,
  email varchar(120) not null,
  active boolean not null,
  note text,
  born date,
  created_at timestamptz not null
);

-- A text key that changes (a new sku for the same thing). The description has about 1,500 characters on purpose: below
-- 2 kB a value stays in its row. A longer one is moved out (TOAST), DMS then sends NULL for it with every update that
-- does not touch it, and the document would lose it.
create table products (
  sku text primary key,
  title text not null,
  description text not null,
  price numeric(12, 2) not null,
  stock integer not null,
  available boolean,
  updated_at timestamp not null
);

create table orders (
  id bigint primary key,
  customer_id integer not null references customers,
  status text not null,
  attributes jsonb,
  gift_message text,
  placed_at timestamptz not null
);

create table order_items (
  order_id bigint not null references orders,
  line smallint not null,
  sku text not null,
  quantity integer not null,
  unit_price numeric(12, 2) not null,
  primary key (order_id, line)
);

-- Keys from 2^53 + 1 on, where a double counts in twos, and amounts of 38 digits, where it keeps sixteen.
create table ledger (
  id bigint primary key,
  amount numeric(38, 10) not null,
  memo text,
  is_reversed boolean not null,
  booked_at timestamp(6) not null
);

-- The reference is provisional until the bank gives one: a key change, and a provisional one may be used again.
create table payments (
  reference text primary key,
  order_id bigint not null,
  amount numeric(12, 2) not null,
  is_settled boolean not null,
  details jsonb,
  paid_at timestamptz
);

-- One row for each shard, written when something must be known to have arrived. Partitioned by key, unlike the rest.
create table marker (
  id integer primary key,
  written_at timestamptz not null
);

insert into customers
select i,
  (array['Ada Lovelace', 'Zoë Müller', 'Łukasz Żółć', '東京 太郎', 'O''Brien, "Pat"', 'نور'])[1 + i % 6] || ' ' || i,
  'customer' || i || '@example.com',
  i % 7 <> 0,
  (array[null, '', E'first line\nsecond line\ttabbed', 'C:\shop\new "quoted"', 'likes 🚲 and naïve café', E'a bell \x07 rings'])[1 + i % 6],
  case when i % 5 = 0 then null else date '1950-01-01' + i * 31 end,
  timestamptz '2024-01-01 00:00:00Z' + i * interval '1 hour' + (i % 3) * interval '123.456 milliseconds'
from generate_series(1, 300) as i;

insert into products
select 'SKU-' || lpad(i::text, 5, '0'),
  'Bicycle part № ' || i,
  (select string_agg(md5(i || '/' || n) || case n % 4 when 0 then E'.\n' when 1 then ', "so" ' else ' – ' end, '' order by n)
   from generate_series(1, 42) as n),
  (i % 97) + (i % 100) / 100.0,
  i % 40,
  case i % 3 when 0 then null when 1 then true else false end,
  timestamp '2024-03-01 12:00:00' + i * interval '90.5 seconds'
from generate_series(1, 250) as i;

insert into orders
select i,
  1 + (i * 7) % 300,
  (array['new', 'paid', 'shipped'])[1 + i % 3],
  case when i % 11 = 0 then null else
    format('{"channel": "web", "weight": %s.50, "tracking": 90071992547%s93, "tags": ["a", "%s"], "gift": %s, "route": {"leg": null, "hub": "Köln \"Süd\""}}',
      i, 10000 + i, i % 9, (i % 2 = 0)::text)::jsonb end,
  case when i % 4 = 0 then 'Happy birthday! 🎂' end,
  timestamptz '2024-06-01 08:00:00Z' + i * interval '7 minutes' + (i % 2) * interval '1 microsecond'
from generate_series(1, 400) as i;

insert into order_items
select i, line, 'SKU-' || lpad((1 + (i * 13 + line) % 250)::text, 5, '0'), 1 + (i + line) % 5, line * 10 + (i % 100) / 100.0
from generate_series(1, 400) as i, generate_series(1, 1 + i % 4) as line;

insert into ledger
select 9007199254740993 + i,
  (case when i % 2 = 0 then -1 else 1 end) * (1234567890123456789012345678.0123456789 + i),
  case when i % 3 = 0 then null else 'entry ' || i end,
  false,
  timestamp '2024-06-01 00:00:00' + i * interval '1.000001 seconds'
from generate_series(1, 200) as i;

insert into payments
select 'PENDING-' || i, 1 + i % 400, 10 + (i % 500) / 100.0, false,
  case when i % 5 = 0 then null else jsonb_build_object('method', (array['card', 'transfer'])[1 + i % 2], 'attempts', i % 3) end,
  case when i % 2 = 0 then timestamptz '2024-06-02 09:30:00Z' + i * interval '1 minute' end
from generate_series(1, 180) as i;
