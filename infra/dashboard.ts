/** The pipeline on one page, in the order data flows: source, stream, service, index, and what was left over. */
import { Duration } from 'aws-cdk-lib'
import {
  type Alarm,
  AlarmStatusWidget,
  Dashboard,
  GraphWidget,
  type IMetric,
  type IWidget,
  Metric,
  PeriodOverride,
  Stats,
} from 'aws-cdk-lib/aws-cloudwatch'
import { Construct } from 'constructs'
import type { Watched } from './alarm-table.ts'

export type DashboardProps = {
  name: string
  watched: Watched
  alarms: readonly Alarm[]
}

const HALF = 12
const HEIGHT = 6

export class PipelineDashboard extends Construct {
  constructor(scope: Construct, id: string, { name, watched, alarms }: DashboardProps) {
    super(scope, id)
    new Dashboard(this, 'Resource', {
      dashboardName: name,
      defaultInterval: Duration.hours(3),
      // Minutes as they were told, however long the interval: a peak of a minute is what is looked for.
      periodOverride: PeriodOverride.INHERIT,
      widgets: [
        [new AlarmStatusWidget({ title: 'Alarms', alarms: [...alarms], width: 2 * HALF, height: 4 })],
        ...pairs(graphs(watched)),
      ],
    })
  }
}

function pairs(widgets: readonly IWidget[]): IWidget[][] {
  return Array.from({ length: Math.ceil(widgets.length / 2) }, (_, row) =>
    widgets.slice(2 * row, 2 * row + 2),
  )
}

type Line = [metricName: string, statistic: string, label: string]

/** Metrics with the same namespace and dimensions. */
function lines(namespace: string, dimensionsMap: Record<string, string>, ...names: Line[]): IMetric[] {
  return names.map(
    ([metricName, statistic, label]) =>
      new Metric({ namespace, metricName, dimensionsMap, statistic, label, period: Duration.minutes(1) }),
  )
}

function graph(title: string, left: IMetric[], right: IMetric[] = []): IWidget {
  return new GraphWidget({ title, left, right, width: HALF, height: HEIGHT })
}

function graphs(watched: Watched): IWidget[] {
  const { replication, database, stream, service, leaseTable, deadLetterQueue, search } = watched
  const task = {
    ReplicationInstanceIdentifier: replication.instance,
    ReplicationTaskIdentifier: replication.task,
  }
  const instance = { ReplicationInstanceIdentifier: replication.instance }
  const cluster = { DBClusterIdentifier: database.cluster }
  const ofStream = { StreamName: stream.name }
  const told = { Stream: stream.name }
  const tasks = { ClusterName: service.cluster, ServiceName: service.service }
  const table = { TableName: leaseTable }
  const queue = { QueueName: deadLetterQueue.name }
  const domain = { DomainName: search.domain, ClientId: search.account }
  return [
    graph(
      'DMS: latency (s), changes waiting on disk (rows)',
      lines(
        'AWS/DMS',
        task,
        ['CDCLatencySource', Stats.AVERAGE, 'source'],
        ['CDCLatencyTarget', Stats.AVERAGE, 'target'],
      ),
      lines('AWS/DMS', task, ['CDCChangesDiskSource', Stats.MAXIMUM, 'on disk']),
    ),
    graph(
      'Source: log kept for the slot (bytes); replication instance: free disk (bytes)',
      lines(
        'AWS/RDS',
        cluster,
        ['ReplicationSlotDiskUsage', Stats.MAXIMUM, 'slots'],
        ['TransactionLogsDiskUsage', Stats.MAXIMUM, 'logs'],
      ),
      lines(
        'AWS/DMS',
        instance,
        ['FreeStorageSpace', Stats.MINIMUM, 'free'],
        ['SwapUsage', Stats.AVERAGE, 'swap'],
      ),
    ),
    graph(
      'Stream: bytes and records a minute',
      lines(
        'AWS/Kinesis',
        ofStream,
        ['IncomingBytes', Stats.SUM, 'in'],
        ['GetRecords.Bytes', Stats.SUM, 'read'],
      ),
      lines('AWS/Kinesis', ofStream, ['IncomingRecords', Stats.SUM, 'records in']),
    ),
    graph(
      'Stream: age of the records read (ms), refusals',
      lines('AWS/Kinesis', ofStream, ['GetRecords.IteratorAgeMilliseconds', Stats.MAXIMUM, 'age']),
      lines(
        'AWS/Kinesis',
        ofStream,
        ['WriteProvisionedThroughputExceeded', Stats.SUM, 'writes refused'],
        ['ReadProvisionedThroughputExceeded', Stats.SUM, 'reads refused'],
      ),
    ),
    graph(
      'Service: lag and oldest record without a checkpoint (s)',
      lines(
        service.namespace,
        told,
        ['LagSecondsMax', Stats.MAXIMUM, 'lag'],
        ['CheckpointAgeSecondsMax', Stats.MAXIMUM, 'checkpoint age'],
      ),
      lines(
        service.namespace,
        told,
        ['ShardsHeld', Stats.MAXIMUM, 'shards held'],
        ['LeasesUnread', Stats.MAXIMUM, 'leases read by nobody'],
        ['LeasesHeld', Stats.SUM, 'leases held'],
      ),
    ),
    graph(
      'Service: records settled a minute, and not accounted for',
      lines(service.namespace, told, ['RecordsSettled', Stats.SUM, 'settled']),
      lines(
        service.namespace,
        told,
        ['RecordsUnaccounted', Stats.MAXIMUM, 'not accounted for'],
        ['FenceJumps', Stats.SUM, 'fence jumps'],
      ),
    ),
    graph(
      'Service: bulk requests',
      lines(service.namespace, told, ['BulkSecondsP99', Stats.MAXIMUM, 'slowest in a hundred (s)']),
      lines(service.namespace, told, ['BulkFailures', Stats.SUM, 'failed a minute']),
    ),
    graph(
      'Service: tasks',
      lines(
        'AWS/ECS',
        tasks,
        ['CPUUtilization', Stats.AVERAGE, 'processor (%)'],
        ['MemoryUtilization', Stats.MAXIMUM, 'memory (%)'],
      ),
      lines('ECS/ContainerInsights', tasks, ['RunningTaskCount', Stats.MINIMUM, 'running']),
    ),
    graph(
      'OpenSearch: indexing and search a minute',
      lines('AWS/ES', domain, ['IndexingRate', Stats.AVERAGE, 'indexing']),
      lines('AWS/ES', domain, ['SearchRate', Stats.AVERAGE, 'search']),
    ),
    graph(
      'OpenSearch: processor and heap of the fullest node (%), free disk of the fullest (MiB)',
      lines(
        'AWS/ES',
        domain,
        ['CPUUtilization', Stats.MAXIMUM, 'processor'],
        ['JVMMemoryPressure', Stats.MAXIMUM, 'heap'],
      ),
      lines('AWS/ES', domain, ['FreeStorageSpace', Stats.MINIMUM, 'free']),
    ),
    graph(
      'Dead letters',
      lines(
        'AWS/SQS',
        queue,
        ['ApproximateNumberOfMessagesVisible', Stats.MAXIMUM, 'waiting'],
        ['ApproximateAgeOfOldestMessage', Stats.MAXIMUM, 'oldest (s)'],
      ),
      lines(service.namespace, told, ['DeadLetters', Stats.SUM, 'new']),
    ),
    graph(
      'Lease table: units used and refusals a minute',
      lines(
        'AWS/DynamoDB',
        table,
        ['ConsumedWriteCapacityUnits', Stats.SUM, 'writes'],
        ['ConsumedReadCapacityUnits', Stats.SUM, 'reads'],
      ),
      lines(
        'AWS/DynamoDB',
        table,
        ['WriteThrottleEvents', Stats.SUM, 'writes refused'],
        ['ReadThrottleEvents', Stats.SUM, 'reads refused'],
      ),
    ),
  ]
}
