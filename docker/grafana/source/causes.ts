/** The overview's second half: where the time, the memory and the leases go. */
import { CHOSEN, type Row } from './panel.ts'
import { good, one, quantiles, RATE, series } from './shorthand.ts'

export const search: Row = {
  title: 'OpenSearch',
  height: 8,
  panels: [
    series({
      title: 'Bulk requests',
      about:
        'By outcome. Partial: some items were refused, judged one by one. Anything but ok and partial failed as a whole.',
      unit: 'reqps',
      queries: one(`sum by (outcome) (rate(cdc_bulk_requests_total{${CHOSEN}}${RATE}))`, '{{outcome}}'),
      alert: 'CdcBulkRequestsFail',
    }),
    series({
      title: 'Bulk duration',
      about: 'Time to the answer. At 30 s a request is given up and sent again.',
      unit: 's',
      queries: quantiles('cdc_bulk_duration_seconds'),
      alert: 'CdcBulkSlow',
    }),
    series({
      title: 'Documents sent again',
      about:
        'Actions sent again a second, by reason. Steady growth: OpenSearch refuses or an index is blocked.',
      unit: 'cps',
      queries: one(`sum by (reason) (rate(cdc_bulk_retries_total{${CHOSEN}}${RATE}))`, '{{reason}}'),
      whenEmpty: 'nothing was sent again',
      alert: 'CdcRetries',
    }),
    series({
      title: 'Actions in a request',
      about: 'Mean. Small when quiet, full when behind; always full: OpenSearch is the limit.',
      unit: 'short',
      decimals: 1,
      queries: one(
        `sum by (worker) (rate(cdc_bulk_actions_sum{${CHOSEN}}${RATE})) / sum by (worker) (rate(cdc_bulk_actions_count{${CHOSEN}}${RATE}))`,
        '{{worker}}',
      ),
    }),
    series({
      title: 'Bytes in a request',
      about: 'Mean, before compression. BULK_BYTES_MAX is 5 MB as it comes.',
      unit: 'bytes',
      queries: one(
        `sum by (worker) (rate(cdc_bulk_bytes_sum{${CHOSEN}}${RATE})) / sum by (worker) (rate(cdc_bulk_bytes_count{${CHOSEN}}${RATE}))`,
        '{{worker}}',
      ),
    }),
    series({
      title: 'Requests under way, and their limit',
      about:
        'At the moment of the scrape, by worker. The limit begins at two, rises to BULK_IN_FLIGHT_MAX with full requests as long as that brings more, and falls while OpenSearch answers slowly or refuses. Always at a limit of two while it lags: OpenSearch is the bottleneck.',
      unit: 'short',
      decimals: 0,
      queries: [
        { expr: `sum by (worker) (cdc_bulk_in_flight{${CHOSEN}})`, legend: 'under way {{worker}}' },
        { expr: `max by (worker) (cdc_bulk_limit{${CHOSEN}})`, legend: 'limit {{worker}}' },
      ],
      alert: 'CdcBulkSlow',
    }),
  ],
}

export const waiting: Row = {
  title: 'Kinesis, and what waits',
  height: 8,
  panels: [
    series({
      title: 'GetRecords',
      width: 6,
      about: 'Calls by outcome. Throttled: somebody else reads the same shards.',
      unit: 'reqps',
      queries: one(`sum by (outcome) (rate(cdc_getrecords_total{${CHOSEN}}${RATE}))`, '{{outcome}}'),
      alert: 'CdcReadsFail',
    }),
    series({
      title: 'GetRecords duration',
      width: 6,
      about: 'Time of a call that was answered.',
      unit: 's',
      queries: quantiles('cdc_getrecords_duration_seconds'),
      alert: 'CdcReadsFail',
    }),
    series({
      title: 'Bytes held back',
      width: 6,
      about:
        'Waiting: actions without a bulk request. Reserved: the read budget in use; at READ_BUDGET_BYTES (96 MiB) shards wait their turn to read.',
      unit: 'bytes',
      queries: [
        { expr: `sum by (worker) (cdc_queue_bytes{${CHOSEN}})`, legend: 'waiting {{worker}}' },
        { expr: `sum by (worker) (cdc_read_reserved_bytes{${CHOSEN}})`, legend: 'reserved {{worker}}' },
      ],
      alert: 'CdcMemoryHigh',
    }),
    series({
      title: 'Time lost waiting after failures',
      width: 6,
      about:
        'By what failed: bulk is OpenSearch, queue the dead letters, kinesis the reads, lease the lease table. At 100 % one shard does nothing but wait; more: several do.',
      unit: 'percentunit',
      queries: one(`sum by (where) (rate(cdc_backoff_seconds_total{${CHOSEN}}${RATE}))`, '{{where}}'),
      alert: 'CdcCheckpointStuck',
      steps: [good, { from: 1, color: 'orange' }],
    }),
  ],
}

export const leases: Row = {
  title: 'Leases',
  height: 8,
  panels: [
    series({
      title: 'Leases held',
      about: 'By worker. They share evenly, but for one.',
      unit: 'short',
      queries: one(`max by (worker) (cdc_leases_held{${CHOSEN}})`, '{{worker}}'),
      alert: 'CdcShardUnowned',
      isStacked: true,
    }),
    series({
      title: 'Nobody reads',
      about:
        'Leases without an owner, or whose owner has not renewed them. Seconds in a deployment, else somebody is needed.',
      unit: 'short',
      queries: [
        { expr: `max(cdc_leases_unowned{${CHOSEN}})`, legend: 'unowned' },
        { expr: `max(cdc_leases_expired{${CHOSEN}})`, legend: 'expired' },
        { expr: `max(cdc_leases_corrupt{${CHOSEN}})`, legend: 'unreadable' },
      ],
      alert: 'CdcLeaseExpired',
    }),
    series({
      title: 'What happened to leases',
      about: 'Since each worker began. Lost and stolen should stand still.',
      unit: 'short',
      queries: one(`sum by (event) (cdc_lease_events_total{${CHOSEN}})`, '{{event}}'),
      alert: 'CdcLeasesLost',
    }),
    series({
      title: 'Renewal duration',
      about: 'Time of a successful renewal. A third of LEASE_MS is its limit.',
      unit: 's',
      queries: quantiles('cdc_lease_renew_duration_seconds'),
      alert: 'CdcLeaseWritesFail',
    }),
    series({
      title: 'Writes to the lease table that failed',
      about: 'Tried again. Failing for a whole lease time costs the lease.',
      unit: 'cps',
      queries: one(`sum by (worker) (rate(cdc_lease_write_failures_total{${CHOSEN}}${RATE}))`, '{{worker}}'),
      alert: 'CdcLeaseWritesFail',
    }),
    series({
      title: 'Clocks and fences',
      about: 'Clock of the lease table minus the worker’s; how far the newest fence is ahead of the clock.',
      unit: 's',
      queries: [
        { expr: `max by (worker) (abs(cdc_clock_offset_seconds{${CHOSEN}}))`, legend: 'offset {{worker}}' },
        { expr: `max by (worker) (cdc_fence_ahead_seconds{${CHOSEN}})`, legend: 'fence ahead {{worker}}' },
        { expr: `sum by (worker) (cdc_fence_jumps_total{${CHOSEN}})`, legend: 'jumps {{worker}}' },
      ],
      alert: 'CdcClockOff',
    }),
  ],
}

export const process: Row = {
  title: 'Process',
  height: 8,
  panels: [
    series({
      title: 'Memory',
      about: 'Resident, by worker. An alert stands at 85 % of the limit.',
      unit: 'bytes',
      width: 6,
      queries: one(`max by (worker) (process_resident_memory_bytes{${CHOSEN}})`, '{{worker}}'),
      alert: 'CdcMemoryHigh',
    }),
    series({
      title: 'Memory of the limit',
      about: 'Resident memory as a share of what the container or the machine has.',
      unit: 'percentunit',
      width: 6,
      queries: one(
        `max by (worker) (process_resident_memory_bytes{${CHOSEN}} / cdc_memory_limit_bytes{${CHOSEN}})`,
        '{{worker}}',
      ),
      alert: 'CdcMemoryHigh',
      steps: [good, { from: 0.85, color: 'red' }],
    }),
    series({
      title: 'CPU',
      about: 'Cores in use. JavaScript has one; above that is garbage collection and the network.',
      unit: 'short',
      decimals: 2,
      width: 6,
      queries: one(`max by (worker) (rate(process_cpu_seconds_total{${CHOSEN}}${RATE}))`, '{{worker}}'),
      alert: 'CdcEventLoopBlocked',
    }),
    series({
      title: 'Event loop and garbage collection',
      about: 'The longest the loop was late (p99), and the share of time spent collecting garbage.',
      unit: 's',
      width: 6,
      queries: [
        { expr: `max by (worker) (nodejs_eventloop_lag_p99_seconds{${CHOSEN}})`, legend: 'loop {{worker}}' },
        {
          expr: `sum by (worker) (rate(nodejs_gc_duration_seconds_sum{${CHOSEN}}${RATE}))`,
          legend: 'gc {{worker}}',
        },
      ],
      alert: 'CdcEventLoopBlocked',
      steps: [good, { from: 0.5, color: 'red' }],
    }),
  ],
}
