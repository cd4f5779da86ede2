/** Every metric of the service, once (those of the leases in lease-metrics.ts): name, unit, labels, and what a bad value tells the operator. */
import { totalmem } from 'node:os'
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { BackoffPlace } from '../core/backoff.ts'
import { CountedHistogram } from './counted-histogram.ts'
import { leaseMetrics } from './lease-metrics.ts'

/** Beyond so many tables the rest is one: a database of thousands must not become as many series. */
const TABLES_MAX = 200
const OTHER_TABLES = 'other'

/** Series that live as long as a shard is held. */
const SHARD_LABEL = ['shard'] as const

/** Operations of control records by DMS's guide: a label must not grow with what a stream says. */
const CONTROL_OPERATIONS = new Set([
  'create-table',
  'drop-table',
  'rename-table',
  'change-columns',
  'add-column',
  'drop-column',
  'rename-column',
  'column-type-change',
])

/** What a shard answers at each scrape. */
type Asked = { inFlight: () => number; parked: () => number; checkpointAgeSeconds: () => number }

export function serviceMetrics(build: { version: string; workerId: string; stream: string }) {
  const registry = new Registry()
  const registers = [registry]
  // On every series, so that a question about one worker or stream needs no join, wherever they are collected.
  registry.setDefaultLabels({ stream: build.stream, worker: build.workerId })
  // The default, 10 ms, wakes a worker that waits a hundred times a second. The alert is for half a second.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 50 })
  const asked = new Map<string, Asked>()
  const heldReasons = new Map<string, string>()

  const buildInfo = new Gauge({
    name: 'cdc_build_info',
    help: 'Always 1; which version runs, on which Node.',
    labelNames: ['version', 'node'],
    registers,
  })
  buildInfo.set({ version: build.version, node: process.version }, 1)
  const memoryLimit = new Gauge({
    name: 'cdc_memory_limit_bytes',
    help: 'What the process may use: the limit of its container, else the memory of the machine.',
    registers,
  })
  memoryLimit.set(Math.min(process.constrainedMemory() || totalmem(), totalmem()))

  const received = new Counter({
    name: 'cdc_records_received_total',
    help: 'Records read from Kinesis. received = settled (all outcomes) + in flight, for each shard.',
    labelNames: SHARD_LABEL,
    registers,
  })
  const receivedBytes = new Counter({
    name: 'cdc_received_bytes_total',
    help: 'Bytes of record data read from Kinesis.',
    labelNames: SHARD_LABEL,
    registers,
  })
  const settled = new Counter({
    name: 'cdc_records_settled_total',
    help: 'Records done with, by outcome: indexed, deleted, superseded, skipped, dead_lettered.',
    labelNames: ['shard', 'outcome'],
    registers,
  })
  const inFlight = new Gauge({
    name: 'cdc_records_in_flight',
    help: 'Records read and not settled, counted where they wait. High and rising: OpenSearch or the queue does not keep up.',
    labelNames: SHARD_LABEL,
    registers,
    collect() {
      for (const [shard, ask] of asked) this.set({ shard }, ask.inFlight())
    },
  })
  const parked = new Gauge({
    name: 'cdc_parked_records',
    help: 'Records of those in flight that wait for a blocked index. No checkpoint passes the oldest of them.',
    labelNames: SHARD_LABEL,
    registers,
    collect() {
      for (const [shard, ask] of asked) this.set({ shard }, ask.parked())
    },
  })
  const tableSettled = new Counter({
    name: 'cdc_table_records_settled_total',
    help: `Records done with, by table, operation (load, insert, update, delete, control, unreadable) and outcome. Tables beyond ${TABLES_MAX} are \`${OTHER_TABLES}\`.`,
    labelNames: ['table', 'operation', 'outcome'],
    registers,
  })
  const tableLatency = new CountedHistogram({
    name: 'cdc_table_commit_to_indexed_seconds',
    help: 'As cdc_commit_to_indexed_seconds, by table, in fewer steps.',
    labelNames: ['table'],
    buckets: [0.25, 0.5, 1, 1.5, 2.5, 5, 30],
    registers,
  })
  const tablesSeen = new Set<string>()
  const tableLabel = (table: string): string => {
    if (!tablesSeen.has(table) && tablesSeen.size >= TABLES_MAX) return OTHER_TABLES
    tablesSeen.add(table)
    return table
  }
  const skipped = new Counter({
    name: 'cdc_records_skipped_total',
    help: 'Records skipped by rule, by reason.',
    labelNames: ['reason'],
    registers,
  })
  const controls = new Counter({
    name: 'cdc_control_records_total',
    help: 'Control records of DMS, skipped, by operation.',
    labelNames: ['operation'],
    registers,
  })
  const deadLetters = new Counter({
    name: 'cdc_dead_letters_total',
    help: 'Letters confirmed by the dead-letter queue, by reason. Any is a row missing from the index.',
    labelNames: ['reason'],
    registers,
  })
  const lag = new Gauge({
    name: 'cdc_shard_lag_seconds',
    help: 'How far behind the newest record of the shard the last read was (MillisBehindLatest).',
    labelNames: SHARD_LABEL,
    registers,
  })
  const checkpointAge = new Gauge({
    name: 'cdc_checkpoint_age_seconds',
    help: 'Age of the oldest record read that no checkpoint covers; 0 when all is covered. Rising: the shard is stuck, held, or OpenSearch is away.',
    labelNames: SHARD_LABEL,
    registers,
    collect() {
      for (const [shard, ask] of asked) this.set({ shard }, ask.checkpointAgeSeconds())
    },
  })
  const held = new Gauge({
    name: 'cdc_shard_held',
    help: '1 while the shard waits before a record an operator has to look at; the log names table and remedy.',
    labelNames: ['shard', 'reason'],
    registers,
  })
  const latency = new CountedHistogram({
    name: 'cdc_commit_to_indexed_seconds',
    help: 'From commit at the source (else from when DMS built the record) to acknowledged by OpenSearch.',
    buckets: [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60, 300],
    registers,
  })
  const fence = new Gauge({
    name: 'cdc_tenure_fence',
    help: 'Fence of the current tenure of the shard.',
    labelNames: SHARD_LABEL,
    registers,
  })
  const jumps = new Counter({
    name: 'cdc_fence_jumps_total',
    help: 'Times a tenure went above a document fence no lease explains. Any: something else writes to the index, or a clock was wrong.',
    registers,
  })
  const checkpoints = new Counter({
    name: 'cdc_checkpoints_total',
    help: 'Checkpoints written, by outcome: ok, lost (the lease was no longer ours).',
    labelNames: ['outcome'],
    registers,
  })

  const bulkRequests = new Counter({
    name: 'cdc_bulk_requests_total',
    help: 'Bulk requests by outcome: ok, partial, timeout, connection, malformed-answer, status-N.',
    labelNames: ['outcome'],
    registers,
  })
  const bulkSeconds = new CountedHistogram({
    name: 'cdc_bulk_duration_seconds',
    help: 'Time to the answer of a bulk request.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  })
  const bulkActions = new CountedHistogram({
    name: 'cdc_bulk_actions',
    help: 'Actions in a bulk request.',
    buckets: [1, 5, 10, 50, 100, 500, 1000, 5000],
    registers,
  })
  const bulkBytes = new CountedHistogram({
    name: 'cdc_bulk_bytes',
    help: 'Size of a bulk request before compression.',
    buckets: [1e3, 1e4, 1e5, 1e6, 2.5e6, 5e6, 1e7],
    registers,
  })
  const retries = new Counter({
    name: 'cdc_bulk_retries_total',
    help: 'Actions sent again, by reason. Steady growth: OpenSearch refuses or an index is blocked.',
    labelNames: ['reason'],
    registers,
  })
  /** What the parts of a worker answer at each scrape; set where the parts are made. */
  const gauges = {
    queueBytes: () => 0,
    bulksInFlight: () => 0,
    bulkLimit: () => 0,
    reservedBytes: () => 0,
    parkedBytes: () => 0,
    /** Index -> reason. */
    blockedIndices: (): ReadonlyMap<string, string> => new Map(),
  }
  const asks: [name: string, help: string, of: Exclude<keyof typeof gauges, 'blockedIndices'>][] = [
    ['cdc_queue_bytes', 'Bytes of actions that wait for a bulk request.', 'queueBytes'],
    ['cdc_bulk_in_flight', 'Bulk requests under way.', 'bulksInFlight'],
    [
      'cdc_bulk_limit',
      'Bulk requests that may be under way at once, by how OpenSearch answers. At its least, four, under load: it is the bottleneck.',
      'bulkLimit',
    ],
    ['cdc_read_reserved_bytes', 'Bytes of the read budget in use.', 'reservedBytes'],
    [
      'cdc_parked_bytes',
      'What the parked records take of PARKED_BYTES_MAX; near it their shards stop reading.',
      'parkedBytes',
    ],
  ]
  for (const [name, help, of] of asks)
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(gauges[of]())
      },
    })
  new Gauge({
    name: 'cdc_index_blocked',
    help: '1 while OpenSearch cannot write to the index: closed, blocked, or without a shard. Its records are parked.',
    labelNames: ['index', 'reason'],
    registers,
    collect() {
      this.reset()
      for (const [index, reason] of gauges.blockedIndices()) this.set({ index, reason }, 1)
    },
  })

  const reads = new Counter({
    name: 'cdc_getrecords_total',
    help: 'GetRecords calls by outcome: ok, expired, throttled, failed.',
    labelNames: ['outcome'],
    registers,
  })
  const decodedBySdk = new Counter({
    name: 'cdc_getrecords_decoded_by_sdk_total',
    help: 'Answers of GetRecords read by the AWS SDK: all with GET_RECORDS_DECODER=sdk, else the last of a shard. Growing: Kinesis answers in a form unknown here, and each read costs twice the CPU.',
    registers,
  })
  // From the start, or the first failure after a quiet time would be no increase.
  for (const outcome of ['ok', 'expired', 'throttled', 'failed']) reads.inc({ outcome }, 0)
  for (const outcome of ['ok', 'lost']) checkpoints.inc({ outcome }, 0)
  const readSeconds = new CountedHistogram({
    name: 'cdc_getrecords_duration_seconds',
    help: 'Time of a GetRecords call that was answered.',
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })

  const backedOff = new Counter({
    name: 'cdc_backoff_seconds_total',
    help: 'Time spent waiting after failures, of all shards together: bulk (OpenSearch), queue (dead letters), kinesis (reads), lease (lease table).',
    labelNames: ['where'],
    registers,
  })
  for (const where of ['bulk', 'queue', 'kinesis', 'lease']) backedOff.inc({ where }, 0)
  const backoff = (where: BackoffPlace, seconds: number): void => backedOff.inc({ where }, seconds)

  return {
    registry,
    gauges,
    shard: {
      backoff,
      received(shard: string, records: number, bytes: number): void {
        received.inc({ shard }, records)
        receivedBytes.inc({ shard }, bytes)
      },
      behind: (shard: string, seconds: number): void => lag.set({ shard }, seconds),
      watch(shard: string, ask: Asked, fenceOfTenure: number): () => void {
        asked.set(shard, ask)
        fence.set({ shard }, fenceOfTenure)
        return () => {
          asked.delete(shard)
          removeSeries(shard)
        }
      },
      checkpointed: (_shard: string, outcome: 'ok' | 'lost'): void => checkpoints.inc({ outcome }),
      settled: (shard: string, outcome: string, records: number): void =>
        settled.inc({ shard, outcome }, records),
      tableSettled(settledNow: {
        table: string
        operation: string
        outcome: string
        records: number
        latencies: readonly number[]
      }): void {
        const { operation, outcome, records, latencies } = settledNow
        const table = tableLabel(settledNow.table)
        tableSettled.inc({ table, operation, outcome }, records)
        if (latencies.length === 0) return
        tableLatency.observeAll(latencies, table)
      },
      skipped: (reason: string, records: number): void => skipped.inc({ reason }, records),
      control: (operation: string, records: number): void =>
        controls.inc({ operation: CONTROL_OPERATIONS.has(operation) ? operation : 'other' }, records),
      deadLetters: (reason: string, letters: number): void => deadLetters.inc({ reason }, letters),
      retries: (reason: string, actions: number): void => retries.inc({ reason }, actions),
      fenceJumped(shard: string, fenceOfTenure: number): void {
        jumps.inc()
        fence.set({ shard }, fenceOfTenure)
      },
      latency: (seconds: readonly number[]): void => latency.observeAll(seconds),
      held(shard: string, reason: string | undefined): void {
        removeHeld(shard)
        if (reason) {
          held.set({ shard, reason }, 1)
          heldReasons.set(shard, reason)
        }
      },
    },
    /** What is held now: shard -> reason. */
    heldShards: (): ReadonlyMap<string, string> => heldReasons,
    bulkRequest(request: { outcome: string; seconds: number; actions: number; bytes: number }): void {
      bulkRequests.inc({ outcome: request.outcome })
      bulkSeconds.observeAll([request.seconds])
      bulkActions.observeAll([request.actions])
      bulkBytes.observeAll([request.bytes])
    },
    read(read: { outcome: 'ok' | 'expired' | 'throttled' | 'failed'; seconds: number }): void {
      reads.inc({ outcome: read.outcome })
      if (read.outcome === 'ok') readSeconds.observeAll([read.seconds])
    },
    decodedBySdk: (): void => decodedBySdk.inc(),
    worker: { ...leaseMetrics(registers), backoff },
  }

  function removeHeld(shard: string): void {
    const reason = heldReasons.get(shard)
    if (reason === undefined) return
    held.remove({ shard, reason })
    heldReasons.delete(shard)
  }

  /** A gauge of a shard that was given up would page for ever; its counters begin anew with the next tenure. */
  function removeSeries(shard: string): void {
    removeHeld(shard)
    for (const metric of [received, receivedBytes, inFlight, parked, lag, checkpointAge, fence])
      metric.remove({ shard })
    for (const outcome of ['indexed', 'deleted', 'superseded', 'skipped', 'dead_lettered'])
      settled.remove({ shard, outcome })
  }
}

export type ServiceMetrics = ReturnType<typeof serviceMetrics>
