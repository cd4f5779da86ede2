/**
 * What is watched, from what bound on, and how bad it is. Each name is a heading of RUNBOOK.md. One that begins with `Cdc` is also an alert of
 * docker/prometheus/rules.yml, with the same bound: the condition is the same, only told by CloudWatch.
 *
 * `missing` is what no data means. Where it would hide an outage it is taken for one; where another alarm sees the outage, or no data
 * is the quiet state, it is not.
 */
import { Duration } from 'aws-cdk-lib'
import { type IMetric, MathExpression, Metric, Stats, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch'

/** `page`: somebody gets up. `ticket`: this week. */
export type Severity = 'page' | 'ticket'

export type AlarmRow = {
  name: string
  severity: Severity
  summary: string
  metric: IMetric
  /** Beyond this, in the metric's unit. */
  above?: number
  below?: number
  /** Periods with such a value, out of the last so many. */
  periods: [breaching: number, of: number]
  missing: TreatMissingData
}

/** Names as AWS knows them, and what bounds depend on. */
export type Watched = {
  replication: {
    /** replicationInstanceIdentifier */
    instance: string
    /** The end of the task's ARN, which is the dimension: its resourceIdentifier. */
    task: string
    storageGiB: number
    /** false: it is to stand still, and no data is as it should be. */
    runs: boolean
  }
  /** Of the source's cluster. */
  database: { cluster: string }
  stream: { name: string; retentionHours: number }
  service: { namespace: string; cluster: string; service: string; bulkTimeoutMs: number }
  leaseTable: string
  deadLetterQueue: { name: string; retentionDays: number }
  /** account: the number, which the domain's metrics carry as ClientId. */
  search: { domain: string; account: string; volumeGiB: number | undefined; hasMasters: boolean }
}

const { NOT_BREACHING, BREACHING, IGNORE } = TreatMissingData
const GIB = 1024 ** 3

type Dimensions = Record<string, string>

function of(namespace: string, dimensionsMap: Dimensions) {
  return (metricName: string, statistic: string, minutes = 1) =>
    new Metric({ namespace, metricName, dimensionsMap, statistic, period: Duration.minutes(minutes) })
}

function math(expression: string, usingMetrics: Record<string, IMetric>, label: string, minutes: number) {
  return new MathExpression({ expression, usingMetrics, label, period: Duration.minutes(minutes) })
}

/** A quarter of the volume where that is less, or a small one would never be quiet. */
function storageBound(volumeGiB: number): number {
  return Math.min(20, volumeGiB / 4)
}

export function alarmTable(watched: Watched): AlarmRow[] {
  return [
    ...replicationAlarms(watched),
    ...slotAlarms(watched),
    ...streamAlarms(watched),
    ...freshnessAlarms(watched),
    ...lossAlarms(watched),
    ...capacityAlarms(watched),
    ...searchAlarms(watched),
  ]
}

function replicationAlarms({ replication }: Watched): AlarmRow[] {
  const { instance, task, storageGiB, runs } = replication
  // Both, or the alarm waits for data for ever: the metrics of a task carry its instance as well.
  const ofTask = of('AWS/DMS', { ReplicationInstanceIdentifier: instance, ReplicationTaskIdentifier: task })
  const ofInstance = of('AWS/DMS', { ReplicationInstanceIdentifier: instance })
  return [
    {
      name: 'DmsSourceLatency',
      severity: 'page',
      summary: 'DMS reads changes over a minute after their commit, or a transaction has been open that long',
      metric: ofTask('CDCLatencySource', Stats.AVERAGE),
      above: 60,
      periods: [3, 3],
      // DmsTaskSilent sees the missing.
      missing: NOT_BREACHING,
    },
    {
      name: 'DmsTargetLatency',
      severity: 'ticket',
      summary: 'DMS writes changes to Kinesis over 30 s late',
      metric: ofTask('CDCLatencyTarget', Stats.AVERAGE),
      above: 30,
      periods: [3, 3],
      missing: NOT_BREACHING,
    },
    {
      name: 'DmsTaskSilent',
      severity: 'page',
      summary: 'the DMS task says nothing: stopped, also by a deploy or by hand, which is no failure to DMS',
      metric: ofTask('CDCLatencySource', Stats.SAMPLE_COUNT, 5),
      below: 1,
      // Longer than a deploy that stops it for a change.
      periods: [6, 6],
      missing: runs ? BREACHING : NOT_BREACHING,
    },
    {
      name: 'DmsChangesOnDisk',
      severity: 'ticket',
      summary: 'over a million changes wait on the disk of the replication instance',
      // In rows, not bytes.
      metric: ofTask('CDCChangesDiskSource', Stats.MAXIMUM, 5),
      above: 1_000_000,
      periods: [3, 3],
      missing: NOT_BREACHING,
    },
    {
      name: 'DmsStorageLow',
      severity: 'ticket',
      summary: 'the disk of the replication instance runs full, at which its tasks stop',
      metric: ofInstance('FreeStorageSpace', Stats.MINIMUM, 5),
      below: storageBound(storageGiB) * GIB,
      periods: [2, 2],
      missing: IGNORE,
    },
    {
      name: 'DmsSwaps',
      severity: 'ticket',
      summary: 'the replication instance swaps: its memory is too small for the transactions it sorts',
      metric: ofInstance('SwapUsage', Stats.AVERAGE, 5),
      above: GIB,
      periods: [3, 3],
      missing: IGNORE,
    },
  ]
}

function slotAlarms({ database }: Watched): AlarmRow[] {
  const ofCluster = of('AWS/RDS', { DBClusterIdentifier: database.cluster })
  // The highest of the cluster's instances is the writer's: it has the slot, also after a failover.
  const retained = math(
    'MAX([slots, logs])',
    {
      slots: ofCluster('ReplicationSlotDiskUsage', Stats.MAXIMUM, 5),
      logs: ofCluster('TransactionLogsDiskUsage', Stats.MAXIMUM, 5),
    },
    'kept for replication slots',
    5,
  )
  return [
    {
      name: 'SlotDiskGrows',
      severity: 'ticket',
      summary: 'the database keeps over 10 GiB of its log for a replication slot that does not move',
      metric: retained,
      above: 10 * GIB,
      periods: [2, 2],
      // There is no such metric without logical replication.
      missing: IGNORE,
    },
    {
      name: 'SlotDiskCritical',
      severity: 'page',
      summary: 'the database keeps over 50 GiB of its log for a replication slot that does not move',
      metric: retained,
      above: 50 * GIB,
      periods: [2, 2],
      missing: IGNORE,
    },
  ]
}

function streamAlarms({ stream }: Watched): AlarmRow[] {
  const ofStream = of('AWS/Kinesis', { StreamName: stream.name })
  const age = ofStream('GetRecords.IteratorAgeMilliseconds', Stats.MAXIMUM)
  return [
    {
      name: 'StreamIteratorAge',
      severity: 'page',
      summary: 'records are read over a minute after they came, or by nobody',
      metric: age,
      above: 60_000,
      periods: [3, 3],
      // The metric comes from reading: without a reader it vanishes, and that is the worst age of all.
      missing: BREACHING,
    },
    {
      name: 'StreamHalfRetention',
      severity: 'page',
      summary: 'records are read later than half the retention of the stream: soon they are lost',
      metric: age,
      above: (stream.retentionHours * 3_600_000) / 2,
      periods: [1, 1],
      // As it was: a reader that has gone has not caught up.
      missing: IGNORE,
    },
    {
      name: 'StreamWriteThrottled',
      severity: 'page',
      summary: 'Kinesis refuses records of DMS: a shard is at its limit',
      metric: ofStream('WriteProvisionedThroughputExceeded', Stats.SUM),
      above: 0,
      // A single refusal is sent again by DMS, and a stream on demand refuses while it grows.
      periods: [3, 5],
      // No data: nothing was refused.
      missing: NOT_BREACHING,
    },
    {
      name: 'StreamReadThrottled',
      severity: 'ticket',
      summary:
        'Kinesis refuses reads: another reader takes a share of the five calls and 2 MB a second of a shard',
      metric: ofStream('ReadProvisionedThroughputExceeded', Stats.SUM, 5),
      above: 0,
      periods: [3, 3],
      missing: NOT_BREACHING,
    },
  ]
}

function freshnessAlarms({ service, stream }: Watched): AlarmRow[] {
  const told = of(service.namespace, { Stream: stream.name })
  return [
    {
      name: 'CdcNoWorker',
      severity: 'page',
      summary: 'no worker tells of a lease it holds: nothing is read and nothing indexed',
      metric: told('LeasesHeld', Stats.SUM),
      below: 1,
      periods: [3, 3],
      // A line a minute from each worker: none is an outage.
      missing: BREACHING,
    },
    {
      name: 'CdcShardLags',
      severity: 'page',
      summary: 'a shard is read over a minute behind its newest record',
      metric: told('LagSecondsMax', Stats.MAXIMUM),
      above: 60,
      periods: [2, 2],
      // CdcNoWorker sees the missing, here and below.
      missing: NOT_BREACHING,
    },
    {
      name: 'CdcShardUnowned',
      severity: 'page',
      summary: 'a shard is read by nobody: its lease has no owner, or one that does not renew it',
      metric: told('LeasesUnread', Stats.MAXIMUM),
      above: 0,
      periods: [3, 3],
      missing: NOT_BREACHING,
    },
    {
      name: 'CdcCheckpointStuck',
      severity: 'page',
      summary: 'the oldest record without a checkpoint came over two minutes ago',
      metric: told('CheckpointAgeSecondsMax', Stats.MAXIMUM),
      above: 120,
      periods: [2, 2],
      missing: NOT_BREACHING,
    },
    {
      name: 'CdcShardHeld',
      severity: 'page',
      summary: 'a shard waits for an operator; the log line "shard held" says why',
      metric: told('ShardsHeld', Stats.MAXIMUM),
      above: 0,
      periods: [2, 2],
      missing: NOT_BREACHING,
    },
    {
      name: 'ServiceSettlesNothing',
      severity: 'page',
      summary: 'records come in and none is settled, although nothing else complains',
      metric: math(
        'IF(incoming > 0 AND FILL(settled, 0) < 1, 1, 0)',
        {
          incoming: of('AWS/Kinesis', { StreamName: stream.name })('IncomingRecords', Stats.SUM, 5),
          settled: told('RecordsSettled', Stats.SUM, 5),
        },
        'stands still',
        5,
      ),
      above: 0,
      periods: [3, 3],
      // Nothing comes in.
      missing: NOT_BREACHING,
    },
  ]
}

function lossAlarms({ service, stream, deadLetterQueue }: Watched): AlarmRow[] {
  const told = of(service.namespace, { Stream: stream.name })
  const ofQueue = of('AWS/SQS', { QueueName: deadLetterQueue.name })
  return [
    {
      name: 'CdcDeadLetters',
      severity: 'ticket',
      summary: 'rows went to the dead-letter queue in the last five minutes',
      metric: told('DeadLetters', Stats.SUM, 5),
      above: 0,
      periods: [1, 1],
      missing: NOT_BREACHING,
    },
    {
      name: 'DeadLettersWait',
      severity: 'ticket',
      summary: 'letters wait in the dead-letter queue, of rows that are missing or old in their index',
      // A number of messages, told again each minute: their sum would be that number times the minutes.
      metric: ofQueue('ApproximateNumberOfMessagesVisible', Stats.MAXIMUM, 5),
      above: 0,
      periods: [1, 1],
      // A queue without use for hours tells nothing.
      missing: NOT_BREACHING,
    },
    {
      name: 'DeadLettersOld',
      severity: 'page',
      summary: 'the oldest dead letter is lost in a few days: it is the only copy outside the source',
      metric: ofQueue('ApproximateAgeOfOldestMessage', Stats.MAXIMUM, 5),
      above: (deadLetterQueue.retentionDays - 4) * 86_400,
      periods: [1, 1],
      missing: NOT_BREACHING,
    },
    {
      name: 'CdcBooksUnbalanced',
      severity: 'page',
      summary: 'read is not settled plus in flight: a fault of the program',
      metric: told('RecordsUnaccounted', Stats.MAXIMUM),
      above: 0,
      periods: [2, 2],
      missing: NOT_BREACHING,
    },
    {
      name: 'CdcFenceJumped',
      severity: 'ticket',
      summary: 'a document had a version no lease explains: something else writes to the index',
      metric: told('FenceJumps', Stats.SUM, 5),
      above: 0,
      periods: [1, 1],
      missing: NOT_BREACHING,
    },
  ]
}

/** The highest bound of the service's histogram: a slower request is told as this. */
const BULK_SECONDS_TOLD_MAX = 30

function capacityAlarms({ service, stream, leaseTable }: Watched): AlarmRow[] {
  const told = of(service.namespace, { Stream: stream.name })
  const names = { ClusterName: service.cluster, ServiceName: service.service }
  const ofTasks = of('AWS/ECS', names)
  const ofInsights = of('ECS/ContainerInsights', names)
  const ofTable = of('AWS/DynamoDB', { TableName: leaseTable })
  return [
    {
      name: 'CdcBulkRequestsFail',
      severity: 'page',
      summary: 'over ten bulk requests a minute fail as a whole',
      metric: told('BulkFailures', Stats.SUM),
      above: 10,
      periods: [2, 2],
      missing: NOT_BREACHING,
    },
    {
      name: 'CdcBulkSlow',
      severity: 'ticket',
      summary: 'one bulk request in a hundred takes over four fifths of the time it is given',
      metric: told('BulkSecondsP99', Stats.MAXIMUM),
      above: Math.min(0.8 * (service.bulkTimeoutMs / 1000), BULK_SECONDS_TOLD_MAX - 1),
      periods: [5, 5],
      missing: NOT_BREACHING,
    },
    {
      name: 'ServiceTasksMissing',
      severity: 'ticket',
      summary: 'fewer tasks run than should for ten minutes: they end, or cannot start',
      metric: math(
        'desired - running',
        {
          desired: ofInsights('DesiredTaskCount', Stats.MAXIMUM),
          running: ofInsights('RunningTaskCount', Stats.MINIMUM),
        },
        'tasks that do not run',
        1,
      ),
      above: 0,
      periods: [10, 10],
      // Container Insights tells both or none.
      missing: IGNORE,
    },
    {
      name: 'ServiceCpuHigh',
      severity: 'ticket',
      summary: 'the tasks use over 80 % of their processors, and no more can be added by themselves',
      metric: ofTasks('CPUUtilization', Stats.AVERAGE, 5),
      above: 80,
      // Longer than scaling takes.
      periods: [6, 6],
      missing: IGNORE,
    },
    {
      name: 'CdcMemoryHigh',
      severity: 'ticket',
      summary: 'a task uses over 85 % of its memory; at 100 % it is killed',
      metric: ofTasks('MemoryUtilization', Stats.MAXIMUM, 5),
      above: 85,
      periods: [2, 2],
      missing: IGNORE,
    },
    {
      name: 'LeaseTableThrottled',
      severity: 'ticket',
      summary: 'DynamoDB refuses reads or writes of the lease table; a lease that cannot be renewed is lost',
      metric: math(
        'FILL(reads, 0) + FILL(writes, 0)',
        {
          reads: ofTable('ReadThrottleEvents', Stats.SUM),
          writes: ofTable('WriteThrottleEvents', Stats.SUM),
        },
        'refused',
        1,
      ),
      above: 0,
      // A table on demand refuses for moments while it grows.
      periods: [3, 5],
      missing: NOT_BREACHING,
    },
  ]
}

function searchAlarms({ search }: Watched): AlarmRow[] {
  const ofDomain = of('AWS/ES', { DomainName: search.domain, ClientId: search.account })
  const row = (
    name: string,
    severity: Severity,
    metric: IMetric,
    above: number,
    periods: AlarmRow['periods'],
    summary: string,
    // The domain tells its metrics every minute; without any, what was true last is the best guess.
    missing = IGNORE,
  ): AlarmRow => ({ name, severity, summary, metric, above, periods, missing })
  return [
    row(
      'SearchRed',
      'page',
      ofDomain('ClusterStatus.red', Stats.MAXIMUM),
      0,
      [1, 1],
      'a primary shard is away: its index takes no writes',
    ),
    row(
      'SearchYellow',
      'ticket',
      ofDomain('ClusterStatus.yellow', Stats.MAXIMUM),
      0,
      [5, 5],
      'a replica is away: one more node less may lose data',
    ),
    row(
      'SearchWritesBlocked',
      'page',
      ofDomain('ClusterIndexWritesBlocked', Stats.MAXIMUM),
      0,
      [1, 1],
      'the domain takes no writes: its disks are full, or its heap is',
    ),
    row(
      'SearchHeapHigh',
      'page',
      ofDomain('JVMMemoryPressure', Stats.MAXIMUM),
      95,
      [3, 3],
      'the heap of a node is over 95 % full: it is about to fail',
    ),
    row(
      'SearchCpuHigh',
      'ticket',
      ofDomain('CPUUtilization', Stats.MAXIMUM, 15),
      80,
      [3, 3],
      'a node has used over 80 % of its processors for 45 minutes',
    ),
    row(
      'SearchRejectsWrites',
      'ticket',
      // They count since a node's start, so what matters is their growth; a node that starts anew makes it negative.
      math(
        'DIFF(queue) + DIFF(FILL(primary, 0)) + DIFF(FILL(coordinating, 0))',
        {
          queue: ofDomain('ThreadpoolWriteRejected', Stats.SUM),
          primary: ofDomain('PrimaryWriteRejected', Stats.SUM),
          coordinating: ofDomain('CoordinatingWriteRejected', Stats.SUM),
        },
        'writes refused (429)',
        1,
      ),
      0,
      [5, 10],
      'OpenSearch refuses writes with 429: it is the bottleneck, more tasks would make it worse',
    ),
    {
      name: 'SearchStorageLow',
      severity: 'ticket',
      summary: 'the disk of a data node runs full; at the end the domain blocks all writes',
      // In MiB, of the fullest node.
      metric: ofDomain('FreeStorageSpace', Stats.MINIMUM),
      below: storageBound(search.volumeGiB ?? Number.POSITIVE_INFINITY) * 1024,
      periods: [1, 1],
      missing: IGNORE,
    },
    row(
      'SearchKeyUnavailable',
      'page',
      math(
        'MAX([FILL(failing, 0), FILL(gone, 0)])',
        {
          failing: ofDomain('KMSKeyError', Stats.MAXIMUM),
          gone: ofDomain('KMSKeyInaccessible', Stats.MAXIMUM),
        },
        'key faults',
        1,
      ),
      0,
      [1, 1],
      'the domain cannot use its key: disabled, or a grant is gone; it stops, and without its key its data is lost',
      // These two exist only while there is a fault.
      NOT_BREACHING,
    ),
    ...(search.hasMasters
      ? [
          {
            name: 'SearchMasterUnreachable',
            severity: 'page' as const,
            summary:
              'no master node answers: the cluster cannot change, neither make indices nor move shards',
            metric: ofDomain('MasterReachableFromNode', Stats.MAXIMUM),
            below: 1,
            periods: [5, 5] as AlarmRow['periods'],
            missing: IGNORE,
          },
        ]
      : []),
    row(
      'SearchSnapshotFailed',
      'ticket',
      ofDomain('AutomatedSnapshotFailure', Stats.MAXIMUM),
      0,
      [1, 1],
      'an automated snapshot of the domain failed',
    ),
  ]
}
