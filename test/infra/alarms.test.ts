/** Every alarm: that it exists, whom it tells, what it looks at, what no data means, and that the runbook has it. */
import { readFileSync } from 'node:fs'
import { App, Stack } from 'aws-cdk-lib'
import { Template } from 'aws-cdk-lib/assertions'
import { Key } from 'aws-cdk-lib/aws-kms'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { AlarmEvents, eventTable } from '../../infra/alarm-events.ts'
import { alarmTable, type Watched } from '../../infra/alarm-table.ts'
import { AlarmTopics } from '../../infra/alarm-topics.ts'
import { Alarms } from '../../infra/alarms.ts'
import { PipelineDashboard } from '../../infra/dashboard.ts'
import { EMF_METRICS, emfLine } from '../../src/http/emf.ts'

const WATCHED: Watched = {
  replication: { instance: 'cdc-instance-test', task: 'cdc-task-test', storageGiB: 100, runs: true },
  database: { cluster: 'cdc-database-test' },
  stream: { name: 'cdc-stream-test', retentionHours: 168 },
  service: { namespace: 'cdc', cluster: 'cdc-test', service: 'cdc-consumer-test', bulkTimeoutMs: 30_000 },
  leaseTable: 'cdc-leases-test',
  deadLetterQueue: { name: 'cdc-dlq-test', retentionDays: 14 },
  search: { domain: 'cdc-search-test', account: '111122223333', volumeGiB: 500, hasMasters: true },
}
const ARNS = {
  task: 'arn:aws:dms:eu-central-1:111122223333:task:cdc-task-test',
  instance: 'arn:aws:dms:eu-central-1:111122223333:rep:cdc-instance-test',
  service: 'arn:aws:ecs:eu-central-1:111122223333:service/cdc-test/cdc-consumer-test',
  keys: ['arn:aws:kms:eu-central-1:111122223333:key/1', 'arn:aws:kms:eu-central-1:111122223333:key/2'],
}

type MetricStat = { Namespace: string; MetricName: string; Dimensions: { Name: string; Value: string }[] }
type Alarm = Partial<MetricStat> & {
  AlarmName: string
  AlarmDescription: string
  Threshold: number
  ComparisonOperator: string
  EvaluationPeriods: number
  DatapointsToAlarm: number
  TreatMissingData: string
  Period?: number
  Statistic?: string
  ActionsEnabled?: boolean
  AlarmActions: { Ref: string }[]
  OKActions: { Ref: string }[]
  Metrics?: {
    Id: string
    Expression?: string
    MetricStat?: { Metric: MetricStat; Period: number; Stat: string }
  }[]
}
type Rule = {
  Name: string
  EventPattern: Record<string, unknown>
  Targets: { Arn: { Ref: string }; InputTemplate?: string; Input?: string }[]
}

function templateOf(watched = WATCHED): Template {
  const stack = new Stack(new App(), 'Observability', {
    env: { account: '111122223333', region: 'eu-central-1' },
  })
  const name = (part: string) => `cdc-test-${part}`
  const runbook = 'https://example.com/RUNBOOK.md'
  const { topics } = new AlarmTopics(stack, 'Topics', {
    name,
    key: new Key(stack, 'Key'),
    emails: { page: ['night@example.com'], ticket: [] },
  })
  const { alarms } = new Alarms(stack, 'Alarms', { rows: alarmTable(watched), topics, name, runbook })
  new AlarmEvents(stack, 'Events', { rows: eventTable(ARNS), topics, name, runbook })
  new PipelineDashboard(stack, 'Dashboard', { name: 'cdc-test', watched, alarms })
  return Template.fromStack(stack)
}

const template = templateOf()
const properties = <Of>(type: string, of = template): Of[] =>
  Object.values(of.findResources(type) as Record<string, { Properties: Of }>).map(
    ({ Properties }) => Properties,
  )
const byName = (alarms: Alarm[]) =>
  new Map(alarms.map(alarm => [alarm.AlarmName.replace('cdc-test-', ''), alarm]))
const alarms = byName(properties<Alarm>('AWS::CloudWatch::Alarm'))
const rules = new Map(
  properties<Rule>('AWS::Events::Rule').map(rule => [rule.Name.replace('cdc-test-', ''), rule]),
)

function metricsOf({ Metrics, Namespace, MetricName, Dimensions }: Alarm): MetricStat[] {
  if (Metrics) return Metrics.flatMap(({ MetricStat }) => (MetricStat ? [MetricStat.Metric] : []))
  return [{ Namespace: Namespace!, MetricName: MetricName!, Dimensions: Dimensions! }]
}

const dimensionsOf = (metric: MetricStat) =>
  Object.fromEntries(metric.Dimensions.map(({ Name, Value }) => [Name, Value]))

/** Row for row: what has to be watched, from which bound on, and how bad it is. */
const REQUIRED: [what: string, name: string, severity: string, metric: string, bound: string][] = [
  ['source latency over a minute', 'DmsSourceLatency', 'page', 'AWS/DMS CDCLatencySource Average 60', '> 60'],
  ['target latency over 30 s', 'DmsTargetLatency', 'ticket', 'AWS/DMS CDCLatencyTarget Average 60', '> 30'],
  [
    'a task that stopped without a failure',
    'DmsTaskSilent',
    'page',
    'AWS/DMS CDCLatencySource SampleCount 300',
    '< 1',
  ],
  [
    'changes on disk, in rows',
    'DmsChangesOnDisk',
    'ticket',
    'AWS/DMS CDCChangesDiskSource Maximum 300',
    '> 1000000',
  ],
  [
    'disk of the instance, in bytes',
    'DmsStorageLow',
    'ticket',
    'AWS/DMS FreeStorageSpace Minimum 300',
    '< 21474836480',
  ],
  ['swap of the instance', 'DmsSwaps', 'ticket', 'AWS/DMS SwapUsage Average 300', '> 1073741824'],
  [
    'slot disk over 10 GiB',
    'SlotDiskGrows',
    'ticket',
    'AWS/RDS ReplicationSlotDiskUsage Maximum 300 + AWS/RDS TransactionLogsDiskUsage Maximum 300',
    '> 10737418240',
  ],
  [
    'slot disk over 50 GiB',
    'SlotDiskCritical',
    'page',
    'AWS/RDS ReplicationSlotDiskUsage Maximum 300 + AWS/RDS TransactionLogsDiskUsage Maximum 300',
    '> 53687091200',
  ],
  [
    'iterator age over a minute',
    'StreamIteratorAge',
    'page',
    'AWS/Kinesis GetRecords.IteratorAgeMilliseconds Maximum 60',
    '> 60000',
  ],
  [
    'iterator age over half the retention',
    'StreamHalfRetention',
    'page',
    'AWS/Kinesis GetRecords.IteratorAgeMilliseconds Maximum 60',
    '> 302400000',
  ],
  [
    'writes throttled',
    'StreamWriteThrottled',
    'page',
    'AWS/Kinesis WriteProvisionedThroughputExceeded Sum 60',
    '> 0',
  ],
  [
    'reads throttled',
    'StreamReadThrottled',
    'ticket',
    'AWS/Kinesis ReadProvisionedThroughputExceeded Sum 300',
    '> 0',
  ],
  ['no worker', 'CdcNoWorker', 'page', 'cdc LeasesHeld Sum 60', '< 1'],
  ['lag over a minute', 'CdcShardLags', 'page', 'cdc LagSecondsMax Maximum 60', '> 60'],
  ['a shard read by nobody', 'CdcShardUnowned', 'page', 'cdc LeasesUnread Maximum 60', '> 0'],
  [
    'checkpoint age over two minutes',
    'CdcCheckpointStuck',
    'page',
    'cdc CheckpointAgeSecondsMax Maximum 60',
    '> 120',
  ],
  ['a shard held', 'CdcShardHeld', 'page', 'cdc ShardsHeld Maximum 60', '> 0'],
  [
    'records come in and none is settled',
    'ServiceSettlesNothing',
    'page',
    'AWS/Kinesis IncomingRecords Sum 300 + cdc RecordsSettled Sum 300',
    '> 0',
  ],
  ['new dead letters', 'CdcDeadLetters', 'ticket', 'cdc DeadLetters Sum 300', '> 0'],
  [
    'dead letters wait, by the maximum of a gauge',
    'DeadLettersWait',
    'ticket',
    'AWS/SQS ApproximateNumberOfMessagesVisible Maximum 300',
    '> 0',
  ],
  [
    'a dead letter over ten days old',
    'DeadLettersOld',
    'page',
    'AWS/SQS ApproximateAgeOfOldestMessage Maximum 300',
    '> 864000',
  ],
  ['the books do not balance', 'CdcBooksUnbalanced', 'page', 'cdc RecordsUnaccounted Maximum 60', '> 0'],
  ['a fence jumped', 'CdcFenceJumped', 'ticket', 'cdc FenceJumps Sum 300', '> 0'],
  [
    'failed bulk requests over ten a minute',
    'CdcBulkRequestsFail',
    'page',
    'cdc BulkFailures Sum 60',
    '> 10',
  ],
  [
    'slow bulk requests, four fifths of the time-out',
    'CdcBulkSlow',
    'ticket',
    'cdc BulkSecondsP99 Maximum 60',
    '> 24',
  ],
  [
    'tasks missing',
    'ServiceTasksMissing',
    'ticket',
    'ECS/ContainerInsights DesiredTaskCount Maximum 60 + ECS/ContainerInsights RunningTaskCount Minimum 60',
    '> 0',
  ],
  ['processors of the tasks', 'ServiceCpuHigh', 'ticket', 'AWS/ECS CPUUtilization Average 300', '> 80'],
  ['memory of the tasks', 'CdcMemoryHigh', 'ticket', 'AWS/ECS MemoryUtilization Maximum 300', '> 85'],
  [
    'lease table throttled',
    'LeaseTableThrottled',
    'ticket',
    'AWS/DynamoDB ReadThrottleEvents Sum 60 + AWS/DynamoDB WriteThrottleEvents Sum 60',
    '> 0',
  ],
  ['cluster red', 'SearchRed', 'page', 'AWS/ES ClusterStatus.red Maximum 60', '> 0'],
  ['cluster yellow', 'SearchYellow', 'ticket', 'AWS/ES ClusterStatus.yellow Maximum 60', '> 0'],
  [
    'index writes blocked',
    'SearchWritesBlocked',
    'page',
    'AWS/ES ClusterIndexWritesBlocked Maximum 60',
    '> 0',
  ],
  ['heap over 95 %', 'SearchHeapHigh', 'page', 'AWS/ES JVMMemoryPressure Maximum 60', '> 95'],
  ['processors of the domain', 'SearchCpuHigh', 'ticket', 'AWS/ES CPUUtilization Maximum 900', '> 80'],
  [
    'writes refused with 429',
    'SearchRejectsWrites',
    'ticket',
    'AWS/ES ThreadpoolWriteRejected Sum 60 + AWS/ES PrimaryWriteRejected Sum 60 + AWS/ES CoordinatingWriteRejected Sum 60',
    '> 0',
  ],
  [
    'disk of the domain, in MiB of the fullest node',
    'SearchStorageLow',
    'ticket',
    'AWS/ES FreeStorageSpace Minimum 60',
    '< 20480',
  ],
  [
    'key of the domain',
    'SearchKeyUnavailable',
    'page',
    'AWS/ES KMSKeyError Maximum 60 + AWS/ES KMSKeyInaccessible Maximum 60',
    '> 0',
  ],
  [
    'masters of the domain',
    'SearchMasterUnreachable',
    'page',
    'AWS/ES MasterReachableFromNode Maximum 60',
    '< 1',
  ],
  [
    'snapshots of the domain',
    'SearchSnapshotFailed',
    'ticket',
    'AWS/ES AutomatedSnapshotFailure Maximum 60',
    '> 0',
  ],
]

const REQUIRED_EVENTS = [
  ['DmsTaskFailed', 'page'],
  ['DmsInstanceFailed', 'ticket'],
  ['ServiceDeploymentFailed', 'ticket'],
  ['KeyDisabled', 'page'],
] as const

test.each(REQUIRED)('req 26: %s: %s, %s', (_what, name, severity, metric, bound) => {
  const alarm = alarms.get(name)!
  const looked = alarm.Metrics
    ? alarm.Metrics.flatMap(({ MetricStat: stat }) =>
        stat ? [`${stat.Metric.Namespace} ${stat.Metric.MetricName} ${stat.Stat} ${stat.Period}`] : [],
      )
    : [`${alarm.Namespace} ${alarm.MetricName} ${alarm.Statistic} ${alarm.Period}`]
  expect(looked.join(' + ')).toBe(metric)
  const operator = { GreaterThanThreshold: '>', LessThanThreshold: '<' }[alarm.ComparisonOperator]
  expect(`${operator} ${alarm.Threshold}`).toBe(bound)
  expect(alarm.AlarmDescription).toMatch(
    new RegExp(`^${severity}: .{20,}\\. https://example.com/RUNBOOK.md#${name.toLowerCase()}$`),
  )
})

test('req 26: there is no alarm beside these', () => {
  expect([...alarms.keys()].sort()).toEqual(REQUIRED.map(([, name]) => name).sort())
  expect([...rules.keys()].sort()).toEqual(REQUIRED_EVENTS.map(([name]) => name).sort())
})

const topicOf = (severity: string) =>
  Object.entries(template.findResources('AWS::SNS::Topic')).find(
    ([, { Properties }]) => Properties.TopicName === `cdc-test-${severity}`,
  )![0]

test('req 28: every alarm tells the topic of its severity, when it begins and when it is over', () => {
  for (const [name, alarm] of alarms) {
    const [severity] = alarm.AlarmDescription.split(':')
    expect(alarm.AlarmActions, name).toEqual([{ Ref: topicOf(severity!) }])
    expect(alarm.OKActions, name).toEqual(alarm.AlarmActions)
    expect(alarm.ActionsEnabled, name).not.toBe(false)
    expect(alarm.DatapointsToAlarm, name).toBeLessThanOrEqual(alarm.EvaluationPeriods)
  }
})

test.each(REQUIRED_EVENTS)('%s is an event of AWS and tells its topic with the runbook', (name, severity) => {
  const [target, ...others] = rules.get(name)!.Targets
  expect(others).toEqual([])
  expect(target!.Arn).toEqual({ Ref: topicOf(severity) })
  expect(JSON.parse(target!.Input!)).toMatchObject({
    severity,
    runbook: `https://example.com/RUNBOOK.md#${name.toLowerCase()}`,
  })
})

test('req 26: a failed task is this task, by the event DMS writes', () => {
  expect(rules.get('DmsTaskFailed')!.EventPattern).toEqual({
    source: ['aws.dms'],
    'detail-type': ['DMS Replication Task State Change'],
    resources: [ARNS.task],
    detail: { eventType: ['REPLICATION_TASK_FAILED', 'READING_PAUSED_SWAP_FILES_LIMIT_REACHED'] },
  })
  expect(rules.get('KeyDisabled')!.EventPattern).toMatchObject({ detail: { resources: { ARN: ARNS.keys } } })
})

test('every metric has exactly the dimensions AWS tells it with', () => {
  const expected: Record<string, Record<string, string>> = {
    'AWS/RDS': { DBClusterIdentifier: 'cdc-database-test' },
    'AWS/Kinesis': { StreamName: 'cdc-stream-test' },
    cdc: { Stream: 'cdc-stream-test' },
    'AWS/SQS': { QueueName: 'cdc-dlq-test' },
    'AWS/ECS': { ClusterName: 'cdc-test', ServiceName: 'cdc-consumer-test' },
    'ECS/ContainerInsights': { ClusterName: 'cdc-test', ServiceName: 'cdc-consumer-test' },
    'AWS/DynamoDB': { TableName: 'cdc-leases-test' },
    'AWS/ES': { DomainName: 'cdc-search-test', ClientId: '111122223333' },
  }
  const instance = { ReplicationInstanceIdentifier: 'cdc-instance-test' }
  const seen = new Set<string>()
  for (const [name, alarm] of alarms)
    for (const metric of metricsOf(alarm)) {
      const dms = metric.MetricName.startsWith('CDC')
        ? { ...instance, ReplicationTaskIdentifier: 'cdc-task-test' }
        : instance
      expect(dimensionsOf(metric), `${name} ${metric.MetricName}`).toEqual(
        metric.Namespace === 'AWS/DMS' ? dms : expected[metric.Namespace],
      )
      seen.add(metric.Namespace)
    }
  expect([...seen].sort()).toEqual(['AWS/DMS', ...Object.keys(expected)].sort())
})

test('the metrics of the service are those it writes, all of them, for the stream as a whole', () => {
  const told = JSON.parse(emfLine({ namespace: 'cdc', stream: 's', worker: 'w' }, 0, { ShardsHeld: 0 })) as {
    _aws: { CloudWatchMetrics: { Dimensions: string[][] }[] }
  }
  expect(told._aws.CloudWatchMetrics[0]!.Dimensions).toContainEqual(['Stream'])
  const watched = [...alarms.values()].flatMap(metricsOf).filter(({ Namespace }) => Namespace === 'cdc')
  expect([...new Set(watched.map(({ MetricName }) => MetricName))].sort()).toEqual([...EMF_METRICS].sort())
})

test('no data is an outage where nothing else would see it, and no outage where it is the quiet state', () => {
  const missing = (kind: string) =>
    [...alarms].filter(([, { TreatMissingData }]) => TreatMissingData === kind).map(([name]) => name)
  expect(missing('breaching').sort()).toEqual(['CdcNoWorker', 'DmsTaskSilent', 'StreamIteratorAge'])
  // Of these the last known state is the best guess: they are told every minute or not at all.
  for (const name of missing('ignore'))
    expect(name).toMatch(/^(Search|Slot|DmsS|Service|CdcMemoryHigh|StreamHalfRetention)/)
  expect(missing('missing')).toEqual([])
  expect(new Set([...alarms.values()].map(({ TreatMissingData }) => TreatMissingData)).size).toBe(3)
})

test('a task that is to stand still is not missed', () => {
  const resting = byName(
    properties<Alarm>(
      'AWS::CloudWatch::Alarm',
      templateOf({ ...WATCHED, replication: { ...WATCHED.replication, runs: false } }),
    ),
  )
  expect(resting.get('DmsTaskSilent')!.TreatMissingData).toBe('notBreaching')
})

test('bounds follow what they are about: small disks, retention, time-outs, a domain without masters', () => {
  const small = byName(
    properties<Alarm>(
      'AWS::CloudWatch::Alarm',
      templateOf({
        ...WATCHED,
        replication: { ...WATCHED.replication, storageGiB: 40 },
        stream: { ...WATCHED.stream, retentionHours: 24 },
        service: { ...WATCHED.service, bulkTimeoutMs: 60_000 },
        deadLetterQueue: { ...WATCHED.deadLetterQueue, retentionDays: 7 },
        search: { ...WATCHED.search, volumeGiB: 20, hasMasters: false },
      }),
    ),
  )
  expect(small.get('DmsStorageLow')!.Threshold).toBe(10 * 1024 ** 3)
  expect(small.get('StreamHalfRetention')!.Threshold).toBe(43_200_000)
  // The service tells of no request slower than 30 s.
  expect(small.get('CdcBulkSlow')!.Threshold).toBe(29)
  expect(small.get('DeadLettersOld')!.Threshold).toBe(3 * 86_400)
  expect(small.get('SearchStorageLow')!.Threshold).toBe(5 * 1024)
  expect(small.has('SearchMasterUnreachable')).toBe(false)
  const foreign = byName(
    properties<Alarm>(
      'AWS::CloudWatch::Alarm',
      templateOf({ ...WATCHED, search: { ...WATCHED.search, volumeGiB: undefined } }),
    ),
  )
  expect(foreign.get('SearchStorageLow')!.Threshold).toBe(20_480)
})

test('req 28: the topics are encrypted with our key; CloudWatch of this account may use both, and EventBridge, which tells no account', () => {
  type Policy = {
    Statement: {
      Sid?: string
      Principal: { Service?: string }
      Action: unknown
      Condition?: unknown
      Effect: string
    }[]
  }
  const lets = ({ Statement: statements }: Policy, service: string) =>
    statements
      .filter(({ Principal: principal, Effect }) => Effect === 'Allow' && principal.Service === service)
      .map(({ Action, Condition }) => ({ Action, Condition }))
  const account = { StringEquals: { 'aws:SourceAccount': '111122223333' } }
  const [key] = properties<{ KeyPolicy: Policy }>('AWS::KMS::Key')
  const policies = properties<{ PolicyDocument: Policy }>('AWS::SNS::TopicPolicy')
  expect(policies).toHaveLength(2)
  for (const [document, Action] of [
    [key!.KeyPolicy, ['kms:Decrypt', 'kms:GenerateDataKey']],
    ...policies.map(({ PolicyDocument }) => [PolicyDocument, 'sns:Publish'] as const),
  ] as const) {
    expect(lets(document, 'cloudwatch.amazonaws.com')).toEqual([{ Action, Condition: account }])
    expect(lets(document, 'events.amazonaws.com'), 'a condition would refuse it').toEqual([
      { Action, Condition: undefined },
    ])
  }
  const topics = properties<{ KmsMasterKeyId: unknown }>('AWS::SNS::Topic')
  expect(topics).toHaveLength(2)
  for (const topic of topics)
    expect(topic.KmsMasterKeyId).toEqual({ 'Fn::GetAtt': [expect.stringMatching(/^Key/), 'Arn'] })
  for (const {
    PolicyDocument: { Statement: statements },
  } of policies)
    expect(statements).toContainEqual(
      expect.objectContaining({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
    )
  template.hasResourceProperties('AWS::SNS::Subscription', {
    Protocol: 'email',
    Endpoint: 'night@example.com',
    TopicArn: { Ref: topicOf('page') },
  })
})

test('an alarm with no bound, or with two, is refused', () => {
  const [row] = alarmTable(WATCHED)
  const { above: _above, ...unbound } = row!
  for (const wrong of [unbound, { ...row!, below: 1 }]) {
    const stack = new Stack(new App(), 'S')
    const { topics } = new AlarmTopics(stack, 'T', {
      name: String,
      key: new Key(stack, 'K'),
      emails: { page: [], ticket: [] },
    })
    expect(() => new Alarms(stack, 'A', { rows: [wrong], topics, name: String, runbook: '' })).toThrow(
      /one bound/,
    )
  }
})

const project = new URL('../../', import.meta.url)
const runbook = readFileSync(new URL('infra/RUNBOOK.md', project), 'utf8')
const headings = Array.from(runbook.matchAll(/^### (\w+)$/gm), ([, heading]) => heading!)
const alerts = (
  parse(readFileSync(new URL('docker/prometheus/rules.yml', project), 'utf8')) as {
    groups: { rules: { alert?: string; labels?: { severity: string } }[] }[]
  }
).groups.flatMap(({ rules: all }) => all.filter(({ alert }) => alert !== undefined))

test('every alarm has a heading in the runbook, and every heading an alarm or an alert', () => {
  const known = [...alarms.keys(), ...rules.keys(), ...alerts.map(({ alert }) => alert!)]
  expect(headings.toSorted()).toEqual([...new Set(known)].toSorted())
})

test.each([...alarms.keys(), ...rules.keys()])(
  '%s: the runbook says what it means, where to look and how to mend it',
  name => {
    const [, after = ''] = runbook.split(new RegExp(`^### ${name}$`, 'm'))
    for (const part of ['**Meaning.**', '**Look.**', '**Mend.**'])
      expect(after.split(/^##/m)[0]).toContain(part)
  },
)

test('every link of the runbook leads to a heading of it', () => {
  // As GitHub makes them: what is no letter, digit, space or hyphen is left out.
  const anchors = Array.from(runbook.matchAll(/^#+ (.+)$/gm), ([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^a-z0-9 -]/g, '')
      .replaceAll(' ', '-'),
  )
  const links = Array.from(runbook.matchAll(/\]\(#([^)]+)\)/g), ([, link]) => link!)
  expect(links.length).toBeGreaterThan(50)
  expect(links.filter(link => !anchors.includes(link))).toEqual([])
})

test('what CloudWatch and Prometheus both alarm on is as bad for both', () => {
  const shared = alerts.filter(({ alert }) => alarms.has(alert!))
  expect(shared.length).toBeGreaterThan(8)
  for (const { alert, labels } of shared)
    expect(alarms.get(alert!)!.AlarmDescription, alert).toMatch(new RegExp(`^${labels!.severity}:`))
})

test('req 27: the dashboard shows every part in the order data flows, and every metric an alarm looks at, with the same dimensions', () => {
  const [dashboard] = properties<{ DashboardName: string; DashboardBody: unknown }>(
    'AWS::CloudWatch::Dashboard',
  )
  expect(dashboard!.DashboardName).toBe('cdc-test')
  const body = JSON.stringify(dashboard!.DashboardBody)
  const titles = Array.from(body.matchAll(/\\"title\\":\\"([^\\"]+)\\"/g), ([, title]) => title!)
  expect(titles.map(title => title.split(/[: ]/)[0])).toEqual([
    'Alarms',
    'DMS',
    'Source',
    'Stream',
    'Stream',
    'Service',
    'Service',
    'Service',
    'Service',
    'OpenSearch',
    'OpenSearch',
    'Dead',
    'Lease',
  ])
  for (const [name, alarm] of alarms)
    for (const metric of metricsOf(alarm)) {
      if (
        /^(ClusterStatus|ClusterIndex|KMSKey|MasterReach|Automated|.*WriteRejected|DesiredTask)/.test(
          metric.MetricName,
        )
      )
        continue
      const line = [
        metric.Namespace,
        metric.MetricName,
        ...metric.Dimensions.flatMap(({ Name, Value }) => [Name, Value]),
      ]
      // Dimensions in any order.
      const found = Array.from(body.matchAll(/\[((?:\\"[^"\\]*\\",?)+)/g), ([, list]) =>
        list!
          .replaceAll('\\"', '')
          .split(',')
          .filter(part => part !== ''),
      )
      expect(
        found.some(parts => line.every(part => parts.includes(part))),
        `${name}: ${metric.MetricName}`,
      ).toBe(true)
    }
})
