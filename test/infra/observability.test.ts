/** What is watched in each environment is what is there: every name an alarm looks at is the name of a resource in the same templates. */
import { describe, expect, test } from 'vitest'
import { eventTable } from '../../infra/alarm-events.ts'
import { type AlarmRow, alarmTable, type Watched } from '../../infra/alarm-table.ts'
import { type EnvironmentName, environments } from '../../infra/environments.ts'
import { namesOf } from '../../infra/names.ts'
import { readConfig } from '../../src/config.ts'
import { all, type Loose, NAMES, of, one } from './synthesised.ts'

const templatesOf = (name: EnvironmentName) => of(name).templates

/** From the resources themselves, so that a name that moved in one place only is seen. */
function watchedIn(name: EnvironmentName): Watched {
  const templates = templatesOf(name)
  const properties = (type: string): Loose => one(templates, type).Properties
  const service = namesOf(environments[name]).service
  const [container] = all(templates, 'AWS::ECS::TaskDefinition').find(
    ({ Properties }) => Properties.Family === service,
  )!.Properties.ContainerDefinitions
  const variables = Object.fromEntries(
    container.Environment.map(({ Name, Value }: Loose) => [Name, typeof Value === 'string' ? Value : '']),
  )
  const { DomainName, ClusterConfig, EBSOptions } = properties('AWS::OpenSearchService::Domain')
  const instance = properties('AWS::DMS::ReplicationInstance')
  const stream = properties('AWS::Kinesis::Stream')
  const queue = properties('AWS::SQS::Queue')
  return {
    replication: {
      instance: instance.ReplicationInstanceIdentifier,
      task: properties('AWS::DMS::ReplicationTask').ResourceIdentifier,
      storageGiB: instance.AllocatedStorage,
      runs: properties('Custom::DmsTaskRun').Run === 'true',
    },
    database: { cluster: properties('AWS::RDS::DBCluster').DBClusterIdentifier },
    stream: { name: stream.Name, retentionHours: stream.RetentionPeriodHours },
    service: {
      namespace: variables.EMF_NAMESPACE,
      cluster: properties('AWS::ECS::Cluster').ClusterName,
      service: properties('AWS::ECS::Service').ServiceName,
      bulkTimeoutMs: readConfig(variables, ['BULK_TIMEOUT_MS']).BULK_TIMEOUT_MS,
    },
    leaseTable: properties('AWS::DynamoDB::Table').TableName,
    deadLetterQueue: { name: queue.QueueName, retentionDays: queue.MessageRetentionPeriod / 86_400 },
    search: {
      domain: DomainName,
      account: 'the account',
      volumeGiB: EBSOptions.VolumeSize,
      hasMasters: ClusterConfig.DedicatedMasterEnabled,
    },
  }
}

/** Namespace, name, statistic, seconds and dimensions of each metric; the account is whatever the template has for it. */
function lookedAt(alarm: Loose): string[] {
  const told = (metric: Loose, stat: string, period: number) =>
    JSON.stringify([
      metric.Namespace,
      metric.MetricName,
      stat,
      period,
      metric.Dimensions.map(({ Name, Value }: Loose) => [
        Name,
        Name === 'ClientId' ? 'the account' : Value,
      ]).sort(),
    ])
  if (!alarm.Metrics) return [told(alarm, alarm.Statistic, alarm.Period)]
  return alarm.Metrics.flatMap(({ MetricStat: one }: Loose) =>
    one ? [told(one.Metric, one.Stat, one.Period)] : [],
  )
}

type Plain = {
  namespace?: string
  metricName?: string
  statistic?: string
  period?: { toSeconds(): number }
  dimensions?: Record<string, string>
  usingMetrics?: Record<string, Plain>
}

function metricsOf({ metric }: AlarmRow): string[] {
  const plain = metric as unknown as Plain
  return Object.values(plain.usingMetrics ?? { metric: plain }).map(
    ({ namespace, metricName, statistic, period, dimensions }) =>
      JSON.stringify([
        namespace,
        metricName,
        statistic,
        period!.toSeconds(),
        Object.entries(dimensions ?? {}).sort(),
      ]),
  )
}

describe.each(NAMES)('%s', name => {
  const ours = () =>
    all(templatesOf(name), 'AWS::CloudWatch::Alarm').filter(
      ({ Properties }) => Properties.AlarmName !== undefined,
    )

  test('req 26: every alarm of the table is there, about what is there, with its bound, its topic and what no data means', () => {
    const rows = alarmTable(watchedIn(name))
    expect(ours()).toHaveLength(rows.length)
    const topics = all(templatesOf(name), 'AWS::SNS::Topic')
    expect(topics).toHaveLength(2)
    const { observability } = templatesOf(name)
    for (const row of rows) {
      const alarm: Loose = ours().find(
        ({ Properties }) => Properties.AlarmName === namesOf(environments[name]).alarm(row.name),
      )?.Properties
      expect(alarm, row.name).toBeDefined()
      expect(lookedAt(alarm).sort(), row.name).toEqual(metricsOf(row).sort())
      expect(alarm.Threshold, row.name).toBe(row.above ?? row.below)
      expect(alarm.ComparisonOperator, row.name).toBe(
        row.above === undefined ? 'LessThanThreshold' : 'GreaterThanThreshold',
      )
      expect([alarm.DatapointsToAlarm, alarm.EvaluationPeriods], row.name).toEqual(row.periods)
      expect(alarm.TreatMissingData, row.name).toBe(row.missing)
      expect(alarm.ActionsEnabled, row.name).not.toBe(false)
      for (const actions of [alarm.AlarmActions, alarm.OKActions]) {
        expect(actions, row.name).toHaveLength(1)
        const topic = observability.Resources[actions[0].Ref]!
        expect(topic.Properties.TopicName, row.name).toContain(row.severity)
      }
      expect(alarm.AlarmDescription, row.name).toContain(`RUNBOOK.md#${row.name.toLowerCase()}`)
    }
  })

  test('req 28: those who alarm may publish to the topics and use their key', () => {
    const alarming = ['cloudwatch.amazonaws.com', 'events.amazonaws.com']
    const { Resources } = templatesOf(name).observability
    const of = (type: string): [string, Loose][] =>
      Object.entries(Resources).flatMap(([id, { Type, Properties }]) =>
        Type === type ? [[id, Properties] as [string, Loose]] : [],
      )
    const lets = (document: Loose, action: string) =>
      alarming.every(service =>
        document.Statement.some(
          ({ Effect, Action, Principal, Condition }: Loose) =>
            Effect === 'Allow' &&
            [Action].flat().includes(action) &&
            Principal.Service === service &&
            (Condition === undefined) === (service === 'events.amazonaws.com'),
        ),
      )
    for (const [id, { KmsMasterKeyId }] of of('AWS::SNS::Topic')) {
      const policies = of('AWS::SNS::TopicPolicy').filter(([, { Topics }]) =>
        Topics.some(({ Ref }: Loose) => Ref === id),
      )
      expect(
        policies.some(([, { PolicyDocument: document }]) => lets(document, 'sns:Publish')),
        id,
      ).toBe(true)
      const key: Loose = Resources[KmsMasterKeyId['Fn::GetAtt'][0]]!.Properties
      for (const action of ['kms:Decrypt', 'kms:GenerateDataKey'])
        expect(lets(key.KeyPolicy, action), id).toBe(true)
    }
  })

  test('req 26: what is an event and no metric tells a topic', () => {
    const rules = all(templatesOf(name), 'AWS::Events::Rule')
    for (const { name: event, severity, pattern } of eventTable({
      task: '',
      instance: '',
      service: '',
      keys: [],
    })) {
      const rule: Loose = rules.find(
        ({ Properties }) => Properties.Name === namesOf(environments[name]).alarm(event),
      )?.Properties
      expect(rule, event).toBeDefined()
      expect(rule.State, event).toBe('ENABLED')
      expect(rule.EventPattern['detail-type'], event).toEqual(pattern.detailType)
      const { resources: _keys, ...detail } = rule.EventPattern.detail
      const { resources: _none, ...expected } = pattern.detail!
      expect(detail, event).toEqual(expected)
      const [target] = rule.Targets
      expect(templatesOf(name).observability.Resources[target.Arn.Ref]!.Properties.TopicName).toContain(
        severity,
      )
    }
  })

  test('the periods of the alarms are ones CloudWatch has', () => {
    for (const { Properties } of ours())
      for (const looked of lookedAt(Properties))
        expect((JSON.parse(looked) as [string, string, string, number])[3] % 60).toBe(0)
  })

  test('req 27: the dashboard is JSON once CloudFormation has put it together, and shows this environment alone', () => {
    const { DashboardBody: body, DashboardName } = one(
      templatesOf(name),
      'AWS::CloudWatch::Dashboard',
    ).Properties
    const parts = typeof body === 'string' ? [body] : body['Fn::Join'][1]
    const text = parts.map((part: Loose) => (typeof part === 'string' ? part : 'resolved')).join('')
    const { widgets } = JSON.parse(text) as { widgets: unknown[] }
    expect(widgets.length).toBeGreaterThan(10)
    expect(DashboardName).toBe(namesOf(environments[name]).dashboard)
    for (const other of NAMES.filter(one => one !== name)) expect(text).not.toContain(`-${other}`)
  })

  test('a DMS task is resumed when its stack comes to rest, by a function that may start it', () => {
    const rule: Loose = all(templatesOf(name), 'AWS::Events::Rule').find(
      ({ Properties }) => Properties.EventPattern?.source?.[0] === 'aws.cloudformation',
    )?.Properties
    expect(rule.EventPattern.detail['status-details'].status).toContain('UPDATE_ROLLBACK_COMPLETE')
    expect(JSON.parse(rule.Targets[0].Input)).toEqual({ TaskId: namesOf(environments[name]).replicationTask })
    const called = rule.Targets[0].Arn['Fn::GetAtt'][0]
    expect(templatesOf(name).source.Resources[called]!.Properties.Handler).toBe('index.resume')
    const allowed = all(templatesOf(name), 'AWS::Lambda::Permission').filter(
      ({ Properties }) =>
        Properties.Principal === 'events.amazonaws.com' &&
        Properties.FunctionName['Fn::GetAtt'][0] === called,
    )
    expect(allowed).toHaveLength(1)
  })

  test('the task is started after the database is ready for it, and its endpoint completed in the same stack', () => {
    const { consumer, source } = templatesOf(name)
    const [run] = Object.values(consumer.Resources).filter(({ Type }) => Type === 'Custom::DmsTaskRun')
    const waitsFor = (run?.DependsOn ?? []).map(id => consumer.Resources[id]!.Type)
    expect(waitsFor).toEqual(expect.arrayContaining(['Custom::OneOffTask', 'AWS::ECS::Service']))
    const settings = Object.values(source.Resources).filter(
      ({ Type }) => Type === 'Custom::DmsEndpointSetting',
    )
    expect(
      settings.flatMap(({ DependsOn }) => DependsOn ?? []).map(id => source.Resources[id]!.Type),
    ).toContain('AWS::DMS::Endpoint')
    const hashes = [...Object.values(source.Resources), ...Object.values(consumer.Resources)]
      .filter(({ Type }) => /^Custom::Dms/.test(Type))
      .map(({ Properties }) => Properties.SettingsHash)
    expect(hashes).toHaveLength(3)
    expect(new Set(hashes).size).toBe(1)
  })
})
