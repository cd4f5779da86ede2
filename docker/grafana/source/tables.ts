/** One table at a time: what arrives, what becomes of it, how long it takes. */
import { dashboard, query } from './dashboard.ts'
import { CHOSEN, type Row } from './panel.ts'
import { GOAL_S, good, RATE } from './shorthand.ts'

const OF_TABLE = `${CHOSEN}, table=~"$table"`

const latency = (q: number): string =>
  `histogram_quantile(${q}, sum by (table, le) (rate(cdc_table_commit_to_indexed_seconds_bucket{${OF_TABLE}}${RATE})))`

const rows: Row[] = [
  {
    title: 'Latency',
    height: 9,
    panels: [
      {
        kind: 'timeseries',
        width: 8,
        title: 'From commit to indexed, median',
        about:
          'By table. A table partitioned by table lies in one shard and waits for what is before it there.',
        unit: 's',
        queries: [{ expr: latency(0.5), legend: '{{table}}' }],
        steps: [good, { from: GOAL_S, color: 'red' }],
        alert: 'CdcLatencyBudgetBurns',
      },
      {
        kind: 'timeseries',
        width: 8,
        title: 'From commit to indexed, p99',
        about: 'By table. One line above the rest: that table’s index, its shard or the size of its rows.',
        unit: 's',
        queries: [{ expr: latency(0.99), legend: '{{table}}' }],
        steps: [good, { from: GOAL_S, color: 'red' }],
        alert: 'CdcLatencyBudgetBurns',
      },
      {
        kind: 'timeseries',
        width: 8,
        title: 'Later than 1.5 s',
        about: 'Share of the changes of a table. The objective allows 1 %.',
        unit: 'percentunit',
        queries: [
          {
            expr: `1 - sum by (table) (rate(cdc_table_commit_to_indexed_seconds_bucket{${OF_TABLE}, le="1.5"}${RATE})) / sum by (table) (rate(cdc_table_commit_to_indexed_seconds_count{${OF_TABLE}}${RATE}))`,
            legend: '{{table}}',
          },
        ],
        steps: [good, { from: 0.01, color: 'orange' }],
        alert: 'CdcLatencyBudgetBurns',
      },
    ],
  },
  {
    title: 'Records',
    height: 9,
    panels: [
      {
        kind: 'timeseries',
        width: 12,
        title: 'Records by table',
        about:
          'Settled a second. A table carries at most what one shard does, 1,000 records and 1 MB a second, unless it is partitioned by key.',
        unit: 'cps',
        queries: [
          {
            expr: `sum by (table) (rate(cdc_table_records_settled_total{${OF_TABLE}}${RATE}))`,
            legend: '{{table}}',
          },
        ],
        isStacked: true,
        alert: 'CdcShardLags',
      },
      {
        kind: 'timeseries',
        width: 12,
        title: 'Records by operation',
        about: 'Of the tables chosen: load, insert, update, delete; control records of DMS.',
        unit: 'cps',
        queries: [
          {
            expr: `sum by (operation) (rate(cdc_table_records_settled_total{${OF_TABLE}}${RATE}))`,
            legend: '{{operation}}',
          },
        ],
        isStacked: true,
      },
      {
        kind: 'timeseries',
        width: 12,
        title: 'Records by outcome',
        about:
          'Of the tables chosen. Superseded: a newer state of the document came in the same batch, or was there already, as after a restart.',
        unit: 'cps',
        isStacked: true,
        queries: [
          {
            expr: `sum by (outcome) (rate(cdc_table_records_settled_total{${OF_TABLE}}${RATE}))`,
            legend: '{{outcome}}',
          },
        ],
      },
      {
        kind: 'timeseries',
        width: 12,
        title: 'Dead letters by table',
        about:
          'Records of the table in the dead-letter queue since each worker began. Each is a row missing from its index.',
        unit: 'short',
        queries: [
          {
            expr: `sum by (table) (cdc_table_records_settled_total{${OF_TABLE}, outcome="dead_lettered"})`,
            legend: '{{table}}',
          },
        ],
        alert: 'CdcDeadLetters',
        whenEmpty: 'no dead letters',
      },
    ],
  },
]

export const tables = dashboard({
  uid: 'cdc-tables',
  title: 'Aurora to OpenSearch: tables',
  description: 'What arrives of each table, what becomes of it, and how long it takes.',
  variables: [
    query('table', 'Table', 'label_values(cdc_table_records_settled_total{stream=~"$stream"}, table)'),
  ],
  rows,
})
