/** The first look: is it keeping up, is it losing anything, who holds what. Then the causes, in the order of a record's path. */
import { leases, process, search, waiting } from './causes.ts'
import { dashboard } from './dashboard.ts'
import { CHOSEN, type Row } from './panel.ts'
import { GOAL_S, good, one, quantiles, RATE, series, stat } from './shorthand.ts'

const firstLook: Row = {
  title: 'Is it keeping up? Is it losing anything? Who holds what?',
  height: 4,
  panels: [
    stat({
      title: 'Indexed within 1.5 s',
      about:
        'Share of the changes of the last hour that were indexed within 1.5 s of their commit. The objective is 99 %.',
      unit: 'percentunit',
      decimals: 2,
      queries: one('min(1 - cdc:commit_to_indexed_late:ratio_rate1h{stream=~"$stream"})'),
      alert: 'CdcLatencyBudgetBurnsFast',
      steps: [
        { from: null, color: 'red' },
        { from: 0.94, color: 'orange' },
        { from: 0.99, color: 'green' },
      ],
    }),
    stat({
      title: 'Largest lag',
      about: 'How far the shard that is furthest behind is from its newest record.',
      unit: 's',
      decimals: 1,
      queries: one(`max(cdc_shard_lag_seconds{${CHOSEN}})`),
      alert: 'CdcShardLags',
      steps: [good, { from: 10, color: 'orange' }, { from: 60, color: 'red' }],
    }),
    stat({
      title: 'Oldest without checkpoint',
      about: 'Age of the oldest record taken in hand that no checkpoint covers.',
      unit: 's',
      decimals: 1,
      queries: one(`max(cdc_checkpoint_age_seconds{${CHOSEN}})`),
      alert: 'CdcCheckpointStuck',
      steps: [good, { from: 30, color: 'orange' }, { from: 120, color: 'red' }],
    }),
    stat({
      title: 'Missing from the books',
      about: 'Read minus settled minus in flight, over all shards. Anything but 0 is a fault of the program.',
      unit: 'short',
      queries: one(`sum(abs(cdc:records_missing:sum{${CHOSEN}}))`),
      alert: 'CdcBooksUnbalanced',
      steps: [good, { from: 1, color: 'red' }],
    }),
    stat({
      title: 'Dead letters, 24 h',
      about: 'Rows that can never be indexed as they are; each is missing from its index.',
      unit: 'short',
      decimals: 0,
      queries: one(`sum(increase(cdc_dead_letters_total{${CHOSEN}}[24h])) or vector(0)`),
      alert: 'CdcDeadLetters',
      steps: [good, { from: 1, color: 'orange' }],
    }),
    stat({
      title: 'Shards held',
      about: 'Shards that stand before a record an operator has to look at.',
      unit: 'short',
      queries: one(`sum(cdc_shard_held{${CHOSEN}}) or vector(0)`),
      alert: 'CdcShardHeld',
      steps: [good, { from: 1, color: 'red' }],
    }),
    stat({
      title: 'Shards without a reader',
      about: 'Leases nobody owns, or whose owner does not renew them.',
      unit: 'short',
      queries: one(`max(cdc_leases_unowned{${CHOSEN}} + cdc_leases_expired{${CHOSEN}})`),
      alert: 'CdcShardUnowned',
      steps: [good, { from: 1, color: 'orange' }],
    }),
    stat({
      title: 'Workers',
      about: 'Workers that are scraped.',
      unit: 'short',
      queries: one(`count(cdc_build_info{${CHOSEN}})`),
      alert: 'CdcNoWorker',
      steps: [
        { from: null, color: 'red' },
        { from: 1, color: 'green' },
      ],
    }),
  ],
}

const objective: Row = {
  title: 'Objective: 99 % of the changes indexed within 1.5 s of their commit',
  height: 9,
  panels: [
    series({
      title: 'From commit to indexed',
      about: 'From the commit at the source to the acknowledgement of OpenSearch. The line is the goal.',
      unit: 's',
      queries: quantiles('cdc_commit_to_indexed_seconds'),
      alert: 'CdcLatencyBudgetBurnsFast',
      steps: [good, { from: GOAL_S, color: 'red' }],
    }),
    {
      kind: 'heatmap',
      width: 8,
      title: 'From commit to indexed, all changes',
      about:
        'How many changes took how long. A second band above the first is one table, shard or worker that is slow.',
      unit: 's',
      queries: one(
        `sum by (le) (increase(cdc_commit_to_indexed_seconds_bucket{${CHOSEN}}${RATE}))`,
        '{{le}}',
      ),
      alert: 'CdcLatencyBudgetBurnsFast',
    },
    series({
      title: 'How fast the budget burns',
      about:
        'Share of late changes over the 1 % allowed. At 1 the month’s budget lasts the month, at 14.4 two days.',
      unit: 'short',
      queries: ['5m', '30m', '1h', '6h'].map(window => ({
        expr: `max(cdc:commit_to_indexed_late:ratio_rate${window}{stream=~"$stream"}) / 0.01`,
        legend: window,
      })),
      alert: 'CdcLatencyBudgetBurns',
      steps: [good, { from: 1, color: 'orange' }, { from: 14.4, color: 'red' }],
    }),
  ],
}

const shards: Row = {
  title: 'Shards',
  height: 9,
  panels: [
    series({
      title: 'Lag of each shard',
      about:
        'How far behind the newest record of the shard the last read was. Rising steadily: it cannot keep up, or stands.',
      unit: 's',
      queries: one(`max by (shard) (cdc_shard_lag_seconds{${CHOSEN}})`, '{{shard}}'),
      alert: 'CdcShardLags',
      steps: [good, { from: 60, color: 'red' }],
    }),
    series({
      title: 'Oldest record without checkpoint',
      about:
        'For each shard; 0 when all that was read is covered. Rising: the shard is stuck, held, or OpenSearch is away.',
      unit: 's',
      queries: one(`max by (shard) (cdc_checkpoint_age_seconds{${CHOSEN}})`, '{{shard}}'),
      alert: 'CdcCheckpointStuck',
      steps: [good, { from: 120, color: 'red' }],
    }),
    series({
      title: 'Records in flight',
      about:
        'Read and not settled, counted where they wait. High and rising: OpenSearch or the queue does not keep up.',
      unit: 'short',
      queries: one(`sum by (shard) (cdc_records_in_flight{${CHOSEN}})`, '{{shard}}'),
      alert: 'CdcCheckpointStuck',
      isStacked: true,
    }),
    {
      kind: 'state-timeline',
      width: 16,
      title: 'Who holds which shard',
      about:
        'One bar for each tenure. A shard without a bar is read by nobody; bars that change often are leases lost.',
      unit: 'short',
      queries: one(`max by (shard, worker) (cdc_tenure_fence{${CHOSEN}}) > bool 0`, '{{shard}} {{worker}}'),
      alert: 'CdcLeasesLost',
    },
    series({
      title: 'Shards held',
      about: 'Shards that wait for an operator, by reason; the log line "shard held" names table and remedy.',
      unit: 'short',
      queries: one(`sum by (shard, reason) (cdc_shard_held{${CHOSEN}})`, '{{shard}} {{reason}}'),
      whenEmpty: 'no shard is held',
      alert: 'CdcShardHeld',
    }),
    series({
      title: 'Records parked',
      about: 'Records that wait for an index OpenSearch cannot write to; no checkpoint passes them.',
      unit: 'short',
      queries: one(`sum by (shard) (cdc_parked_records{${CHOSEN}}) > 0`, '{{shard}}'),
      whenEmpty: 'nothing is parked',
      alert: 'CdcIndexBlocked',
    }),
  ],
}

const throughput: Row = {
  title: 'Throughput',
  height: 8,
  panels: [
    series({
      title: 'Records by operation',
      about:
        'Records settled a second: load, insert, update, delete; control records of DMS; unreadable ones.',
      unit: 'cps',
      queries: one(
        `sum by (operation) (rate(cdc_table_records_settled_total{${CHOSEN}}${RATE}))`,
        '{{operation}}',
      ),
      isStacked: true,
    }),
    series({
      title: 'Records by outcome',
      about:
        'Superseded: a newer state of the document came in the same batch, or was there already, as after a restart. Dead-lettered: any is a row missing.',
      unit: 'cps',
      queries: one(`sum by (outcome) (rate(cdc_records_settled_total{${CHOSEN}}${RATE}))`, '{{outcome}}'),
      isStacked: true,
    }),
    series({
      title: 'Bytes read',
      about: 'By shard. Kinesis takes 1 MB a second a shard and gives 2 MB; the line is what it takes.',
      unit: 'Bps',
      queries: one(`sum by (shard) (rate(cdc_received_bytes_total{${CHOSEN}}${RATE}))`, '{{shard}}'),
      steps: [good, { from: 1e6, color: 'orange' }],
      alert: 'CdcShardLags',
    }),
    series({
      title: 'Records skipped',
      width: 6,
      about:
        'Since each worker began, by rule: control records, DMS’s own tables, unknown tables where the settings say so.',
      unit: 'short',
      queries: one(`sum by (reason) (cdc_records_skipped_total{${CHOSEN}})`, '{{reason}}'),
    }),
    series({
      title: 'Control records',
      width: 6,
      about:
        'Of DMS, by operation, since each worker began: a table was made, dropped, renamed or its columns changed. None is written; after a change of columns look whether the table file still fits.',
      unit: 'short',
      decimals: 0,
      queries: one(`sum by (operation) (cdc_control_records_total{${CHOSEN}})`, '{{operation}}'),
      whenEmpty: 'no control record',
    }),
    series({
      title: 'Dead letters',
      width: 6,
      about: 'Letters confirmed by the queue, by reason, since each worker began.',
      unit: 'short',
      queries: one(`sum by (reason) (cdc_dead_letters_total{${CHOSEN}})`, '{{reason}}'),
      whenEmpty: 'no dead letters',
      alert: 'CdcDeadLetters',
    }),
    series({
      title: 'Checkpoints',
      width: 6,
      about: 'Written a second; lost: the lease was no longer ours.',
      unit: 'cps',
      queries: one(`sum by (outcome) (rate(cdc_checkpoints_total{${CHOSEN}}${RATE}))`, '{{outcome}}'),
      alert: 'CdcCheckpointStuck',
    }),
  ],
}

export const overview = dashboard({
  uid: 'cdc-overview',
  title: 'Aurora to OpenSearch: overview',
  description:
    'Is it keeping up, is it losing anything, who holds what; then the causes along the path of a record.',
  variables: [],
  rows: [firstLook, objective, shards, throughput, search, waiting, leases, process],
})
