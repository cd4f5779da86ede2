/** The tables behind the real samples, as far as their records and definitions show them; columns the records lack are LOBs or guesses. */
import { tableDef } from './table-def.ts'

export const films = tableDef(
  'public.films',
  {
    code: 'char(5) not null',
    title: 'varchar(40) not null',
    did: 'int4 not null',
    date_prod: 'date',
    kind: 'varchar(10)',
    len: 'interval hour to minute',
  },
  ['code'],
)
export const alltypes = tableDef('public.functional_alltypes', {
  id: 'int4',
  bool_col: 'bool',
  tinyint_col: 'int2',
  smallint_col: 'int2',
  int_col: 'int4',
  bigint_col: 'int8',
  float_col: 'float4',
  double_col: 'float8',
  date_string_col: 'text',
  string_col: 'text',
  timestamp_col: 'timestamp',
  year: 'int4',
  month: 'int4',
})
export const intervals = tableDef('public.intervals', {
  c: 'interval day',
  d: 'interval hour',
  e: 'interval minute',
  f: 'interval second',
  h: 'interval day to hour',
  i: 'interval day to minute',
  j: 'interval day to second',
  k: 'interval hour to minute',
  l: 'interval hour to second',
  m: 'interval minute to second',
})
const battingColumns = 'yearID stint G AB R H X2B X3B HR RBI SB CS BB SO IBB HBP SH SF GIDP'.split(' ')
export const batting = tableDef('public.batting', {
  playerID: 'text',
  ...Object.fromEntries(battingColumns.slice(0, 2).map(name => [name, 'int8'])),
  teamID: 'text',
  ...Object.fromEntries(battingColumns.slice(2).map(name => [name, 'int8'])),
})
export const diamonds = tableDef('public.diamonds', {
  carat: 'float8',
  cut: 'text',
  color: 'text',
  clarity: 'text',
  depth: 'float8',
  table: 'float8',
  price: 'int8',
  x: 'float8',
  y: 'float8',
  z: 'float8',
})
export const foo = tableDef(
  'public.foo',
  { id: 'int4 not null', name: 'text', age: 'int4', attributes: 'jsonb' },
  ['id'],
)
export const status = tableDef(
  '.awsdms_status',
  {
    server_name: 'varchar(128)',
    task_name: 'varchar(128)',
    task_status: 'varchar(32)',
    status_time: 'timestamp',
    pending_changes: 'int8',
    disk_swap_size: 'int8',
    task_memory: 'int8',
    source_current_position: 'varchar(128)',
    source_current_timestamp: 'timestamp',
    source_tail_position: 'varchar(128)',
    source_tail_timestamp: 'timestamp',
    source_timestamp_applied: 'timestamp',
  },
  ['server_name', 'task_name'],
)
export const suspended = tableDef(
  '.awsdms_suspended_tables',
  { server_name: 'varchar(128)', task_name: 'varchar(128)', table_owner: 'varchar(128)' },
  ['server_name', 'task_name', 'table_owner'],
)
export const inventory = tableDef(
  'awakening.inv_bucket_date_time',
  {
    id: 'int4',
    inv_bucket_id: 'varchar(20)',
    inv_date: 'date',
    time_zone: 'varchar(40)',
    max_inventory: 'int4',
    soft_inventory_limit: 'int4',
    curr_inventory: 'int4',
    last_updated: 'timestamp',
    update_usr: 'varchar(20)',
    created_on: 'timestamp',
    created_usr: 'varchar(20)',
    is_active: 'int2',
    is_reservable: 'int2',
  },
  ['id'],
)
export const taskInstance = tableDef(
  'public.task_instance',
  {
    task_id: 'varchar(250)',
    dag_id: 'varchar(250)',
    run_id: 'varchar(250)',
    start_date: 'timestamptz',
    try_number: 'int4',
    hostname: 'varchar(1000)',
    unixname: 'varchar(1000)',
    pool: 'varchar(256)',
    queue: 'varchar(256)',
    priority_weight: 'int4',
    operator: 'varchar(1000)',
    max_tries: 'int4',
    executor_config: 'bytea',
    pool_slots: 'int4',
    map_index: 'int4',
  },
  ['dag_id', 'task_id', 'run_id', 'map_index'],
)
export const dagRun = tableDef(
  'public.dag_run',
  {
    id: 'int4',
    dag_id: 'varchar(250)',
    execution_date: 'timestamptz',
    state: 'varchar(50)',
    run_id: 'varchar(250)',
    external_trigger: 'bool',
    conf: 'bytea',
    end_date: 'timestamptz',
    run_type: 'varchar(50)',
    dag_hash: 'varchar(32)',
    queued_at: 'timestamptz',
    data_interval_start: 'timestamptz',
    data_interval_end: 'timestamptz',
    log_template_id: 'int4',
  },
  ['id'],
)
