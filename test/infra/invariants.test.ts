/** What has to hold in every environment and no validator of templates knows. */
import {
  DmsSslModeValue,
  MessageFormatValue,
  MigrationTypeValue,
  PluginNameValue,
} from '@aws-sdk/client-database-migration-service'
import { describe, expect, test } from 'vitest'
import { isGraviton } from '../../infra/environment-faults.ts'
import { type EnvironmentName, environments } from '../../infra/environments.ts'
import { namesOf } from '../../infra/names.ts'
import { all, type Loose, NAMES, of, one, statements } from './synthesised.ts'

const templatesOf = (name: EnvironmentName) => of(name).templates
const endpoint = (name: EnvironmentName, type: 'source' | 'target'): Loose =>
  all(templatesOf(name), 'AWS::DMS::Endpoint').find(({ Properties }) => Properties.EndpointType === type)!
    .Properties
const task = (name: EnvironmentName): Loose => one(templatesOf(name), 'AWS::DMS::ReplicationTask').Properties
const consumer = (name: EnvironmentName): Loose =>
  all(templatesOf(name), 'AWS::ECS::TaskDefinition').find(
    ({ Properties }) => Properties.Family === namesOf(environments[name]).service,
  )!.Properties

/** Every policy of a template: of roles, beside roles, and of resources. */
function policies(name: EnvironmentName): { where: string; document: { Statement: unknown[] } }[] {
  const templates = templatesOf(name)
  return Object.entries(templates).flatMap(([part, { Resources }]) =>
    Object.entries(Resources).flatMap(([id, { Type, Properties }]) => {
      const where = `${part}/${id} (${Type})`
      const found: unknown[] = [
        Properties?.PolicyDocument,
        Type === 'AWS::KMS::Key' ? undefined : Properties?.KeyPolicy,
        Properties?.AccessPolicies,
        ...(Properties?.Policies ?? []).map((policy: Loose) => policy.PolicyDocument),
      ]
      return found
        .filter(document => typeof document === 'object' && document !== null && 'Statement' in document)
        .map(document => ({ where, document: document as { Statement: unknown[] } }))
    }),
  )
}

describe.each(NAMES)('%s', name => {
  test('DMS applies change by change, in order: no batches, and no threads unless every table is by key', () => {
    const { TargetMetadata } = JSON.parse(task(name).ReplicationTaskSettings)
    expect(TargetMetadata.BatchApplyEnabled).toBe(false)
    expect(TargetMetadata.ParallelApplyThreads).toBe(0)
  })

  test('the words DMS knows are spelt as its SDK has them', () => {
    const { PostgreSqlSettings, SslMode } = endpoint(name, 'source')
    expect(Object.values(PluginNameValue)).toContain(PostgreSqlSettings.PluginName)
    expect(Object.values(DmsSslModeValue)).toContain(SslMode)
    expect(SslMode).not.toBe('none')
    expect(Object.values(MigrationTypeValue)).toContain(task(name).MigrationType)
    expect(Object.values(MessageFormatValue)).toContain(
      endpoint(name, 'target').KinesisSettings.MessageFormat,
    )
  })

  test('records are flat JSON in one line, with their transaction, NULLs and no rounded integers', () => {
    expect(endpoint(name, 'target').KinesisSettings).toMatchObject({
      MessageFormat: 'json-unformatted',
      IncludeTransactionDetails: true,
      IncludeNullAndEmpty: true,
      PartitionIncludeSchemaTable: true,
    })
    expect(all(templatesOf(name), 'Custom::DmsEndpointSetting')).toHaveLength(1)
  })

  test('table mappings and settings of the task are JSON, and leave audit tables out', () => {
    const { rules } = JSON.parse(task(name).TableMappings)
    expect(rules).toContainEqual(
      expect.objectContaining({
        'rule-action': 'exclude',
        'object-locator': { 'schema-name': 'public', 'table-name': 'audit[_]%' },
      }),
    )
    expect(JSON.parse(task(name).ReplicationTaskSettings).BeforeImageSettings).toEqual({
      EnableBeforeImage: true,
      FieldName: 'before-image',
      ColumnFilter: 'pk-only',
    })
  })

  test('no endpoint holds a password, a user or a host: the secret does', () => {
    for (const { Properties } of all(templatesOf(name), 'AWS::DMS::Endpoint'))
      for (const secret of ['Username', 'Password', 'ServerName', 'Port'])
        expect(Properties).not.toHaveProperty(secret)
    expect(endpoint(name, 'source').PostgreSqlSettings).toHaveProperty('SecretsManagerSecretId')
    expect(endpoint(name, 'source').PostgreSqlSettings).toHaveProperty('SecretsManagerAccessRoleArn')
  })

  test('nothing has a public address', () => {
    expect(one(templatesOf(name), 'AWS::DMS::ReplicationInstance').Properties.PubliclyAccessible).toBe(false)
    for (const { Properties } of all(templatesOf(name), 'AWS::RDS::DBInstance'))
      expect(Properties.PubliclyAccessible).toBe(false)
    expect(
      one(templatesOf(name), 'AWS::ECS::Service').Properties.NetworkConfiguration.AwsvpcConfiguration,
    ).toMatchObject({
      AssignPublicIp: 'DISABLED',
    })
    expect(all(templatesOf(name), 'AWS::EC2::InternetGateway')).toEqual([])
    expect(all(templatesOf(name), 'AWS::EC2::NatGateway')).toEqual([])
  })

  test('the task waits for database and endpoints, and every change of it for its stop', () => {
    const { Resources } = templatesOf(name).source
    const { DependsOn = [] } = one(templatesOf(name), 'AWS::DMS::ReplicationTask')
    const typesOf = (ids: string[]) => ids.map(id => Resources[id]!.Type)
    expect(typesOf(DependsOn)).toEqual(
      expect.arrayContaining(['AWS::RDS::DBCluster', 'AWS::RDS::DBInstance', 'Custom::DmsTaskStop']),
    )
    const instance = one(templatesOf(name), 'AWS::DMS::ReplicationInstance')
    expect(typesOf(instance.DependsOn ?? [])).toEqual(
      expect.arrayContaining(['AWS::IAM::Role', 'Custom::DmsTaskStop']),
    )
    const subnets = one(templatesOf(name), 'AWS::DMS::ReplicationSubnetGroup')
    expect(typesOf(subnets.DependsOn ?? [])).toContain('AWS::IAM::Role')
  })

  test('alarms on the task look at the identifiers the task and its instance really have', () => {
    const alarms = all(templatesOf(name), 'AWS::CloudWatch::Alarm').filter(
      ({ Properties }) => Properties.Namespace === 'AWS/DMS' && /^CDC/.test(Properties.MetricName),
    )
    expect(alarms.length).toBeGreaterThanOrEqual(3)
    const instance = one(templatesOf(name), 'AWS::DMS::ReplicationInstance').Properties
    for (const { Properties } of alarms)
      expect(
        Object.fromEntries(Properties.Dimensions.map(({ Name, Value }: Loose) => [Name, Value])),
      ).toEqual({
        ReplicationInstanceIdentifier: instance.ReplicationInstanceIdentifier,
        ReplicationTaskIdentifier: task(name).ResourceIdentifier,
      })
    expect(task(name).ResourceIdentifier).toMatch(/^[A-Za-z][A-Za-z0-9-]{0,30}$/)
  })

  test('partition keys decide the shard, so a row has an order', () => {
    const { StreamModeDetails, RecordDistributionStrategy } = one(
      templatesOf(name),
      'AWS::Kinesis::Stream',
    ).Properties
    // Kinesis refuses the member for a provisioned stream, which knows no other way.
    expect(RecordDistributionStrategy).toBe(
      StreamModeDetails.StreamMode === 'ON_DEMAND' ? 'USER_PARTITION_KEY' : undefined,
    )
  })

  test('all that is stored is encrypted with a key of the account', () => {
    const templates = templatesOf(name)
    const stored: [type: string, ...path: string[]][] = [
      ['AWS::Kinesis::Stream', 'StreamEncryption', 'KeyId'],
      ['AWS::SQS::Queue', 'KmsMasterKeyId'],
      ['AWS::SNS::Topic', 'KmsMasterKeyId'],
      ['AWS::DynamoDB::Table', 'SSESpecification', 'KMSMasterKeyId'],
      ['AWS::RDS::DBCluster', 'KmsKeyId'],
      ['AWS::DMS::ReplicationInstance', 'KmsKeyId'],
      ['AWS::DMS::Endpoint', 'KmsKeyId'],
      ['AWS::SecretsManager::Secret', 'KmsKeyId'],
      ['AWS::OpenSearchService::Domain', 'EncryptionAtRestOptions', 'KmsKeyId'],
      ['AWS::Logs::LogGroup', 'KmsKeyId'],
    ]
    for (const [type, ...path] of stored) {
      expect(all(templates, type).length, type).toBeGreaterThan(0)
      for (const { Properties } of all(templates, type))
        expect(
          path.reduce((at: Loose, member) => at?.[member], Properties),
          `${type} ${path.join('.')}`,
        ).toBeDefined()
    }
    expect(one(templates, 'AWS::RDS::DBCluster').Properties.StorageEncrypted).toBe(true)
    for (const { Properties } of all(templates, 'AWS::Logs::LogGroup'))
      expect(Properties.RetentionInDays).toBeGreaterThan(0)
    for (const { Properties } of all(templates, 'AWS::KMS::Key'))
      expect(Properties.EnableKeyRotation).toBe(true)
  })

  test('no statement allows every action, and only calls that know no resource allow every resource', () => {
    const RESOURCELESS = [
      'ecr:GetAuthorizationToken',
      'dms:DescribeReplicationTasks',
      'dms:DescribeEndpoints',
    ]
    for (const { where, document } of policies(name))
      for (const { Action, Resource, Effect } of statements(document)) {
        if (Effect !== 'Allow') continue
        for (const action of Action) expect(action, where).not.toMatch(/^\*$|:\*$/)
        if (Resource.includes('*'))
          expect(RESOURCELESS, `${where}: ${Action}`).toEqual(expect.arrayContaining(Action))
      }
  })

  test('no rule of a security group is about anywhere, and every way out names where it goes', () => {
    const rules = [
      ...all(templatesOf(name), 'AWS::EC2::SecurityGroupIngress'),
      ...all(templatesOf(name), 'AWS::EC2::SecurityGroupEgress'),
    ].map(({ Properties }) => Properties)
    const inline = all(templatesOf(name), 'AWS::EC2::SecurityGroup').flatMap(({ Properties }) => [
      ...(Properties.SecurityGroupIngress ?? []),
      ...(Properties.SecurityGroupEgress ?? []),
    ])
    expect(rules.length).toBeGreaterThan(10)
    for (const rule of [...rules, ...inline]) {
      // CDK's way to write "no way out": an address that is none, by a protocol that is not spoken.
      if (rule.CidrIp === '255.255.255.255/32') continue
      expect(rule).not.toHaveProperty('CidrIp')
      expect(rule).not.toHaveProperty('CidrIpv6')
      expect(
        rule.SourceSecurityGroupId ?? rule.DestinationSecurityGroupId ?? rule.DestinationPrefixListId,
      ).toBeDefined()
      expect(rule.Description).not.toBe('')
      expect(rule.FromPort).toBe(rule.ToPort)
    }
  })

  test('the domain has one kind of nodes, a subnet a zone, HTTPS alone and modern TLS', () => {
    const { ClusterConfig, VPCOptions, DomainEndpointOptions } = one(
      templatesOf(name),
      'AWS::OpenSearchService::Domain',
    ).Properties
    const types = [ClusterConfig.InstanceType, ClusterConfig.DedicatedMasterType].filter(Boolean)
    expect(new Set(types.map(isGraviton)).size).toBe(1)
    expect(VPCOptions.SubnetIds).toHaveLength(ClusterConfig.ZoneAwarenessConfig?.AvailabilityZoneCount ?? 1)
    expect(DomainEndpointOptions).toMatchObject({
      EnforceHTTPS: true,
      TLSSecurityPolicy: 'Policy-Min-TLS-1-2-PFS-2023-10',
    })
  })

  test('a container is an ARM one, not root, writes no file, has no capability, and two minutes to stop', () => {
    expect(all(templatesOf(name), 'AWS::ECS::TaskDefinition')).toHaveLength(2)
    for (const { Properties } of all(templatesOf(name), 'AWS::ECS::TaskDefinition')) {
      expect(Properties.RuntimePlatform).toEqual({ CpuArchitecture: 'ARM64', OperatingSystemFamily: 'LINUX' })
      for (const container of Properties.ContainerDefinitions)
        expect(container).toMatchObject({
          User: '1000:1000',
          ReadonlyRootFilesystem: true,
          StopTimeout: 120,
          LinuxParameters: { Capabilities: { Drop: ['ALL'] }, InitProcessEnabled: true },
        })
    }
  })

  test('the container of the service has a health check, which is all ECS sees of a rollout', () => {
    expect(consumer(name).ContainerDefinitions[0].HealthCheck).toEqual({
      Command: ['CMD', 'node', 'src/http/probe.ts'],
      Interval: 10,
      Retries: 3,
      StartPeriod: 60,
      Timeout: 5,
    })
  })

  test('a rollout keeps every task until the new ones are healthy, and is rolled back by itself', () => {
    const { DeploymentConfiguration, LaunchType } = one(templatesOf(name), 'AWS::ECS::Service').Properties
    const { MinimumHealthyPercent: min, MaximumPercent: max } = DeploymentConfiguration
    expect(LaunchType).toBe('FARGATE')
    expect(min).toBe(100)
    expect(max).toBeGreaterThanOrEqual(200)
    expect(DeploymentConfiguration).toMatchObject({
      Strategy: 'ROLLING',
      BakeTimeInMinutes: 10,
      DeploymentCircuitBreaker: { Enable: true, Rollback: true },
      Alarms: { Enable: true, Rollback: true },
    })
  })

  test('the alarms that roll back are there before the service', () => {
    const { AlarmNames } = one(templatesOf(name), 'AWS::ECS::Service').Properties.DeploymentConfiguration
      .Alarms
    const made = all(templatesOf(name), 'AWS::CloudWatch::Alarm').map(
      ({ Properties }) => Properties.AlarmName,
    )
    expect(AlarmNames.length).toBeGreaterThan(0)
    expect(made).toEqual(expect.arrayContaining(AlarmNames))
    const { stacks } = of(name)
    expect(stacks.consumer.dependencies).toContain(stacks.observability)
  })

  test('every alarm tells a topic, when it begins and when it is over', () => {
    const alarms = all(templatesOf(name), 'AWS::CloudWatch::Alarm')
    const ours = alarms.filter(({ Properties }) => Properties.AlarmName !== undefined)
    expect(ours.length).toBeGreaterThan(30)
    for (const { Properties } of ours) {
      expect(Properties.AlarmActions).toHaveLength(1)
      expect(Properties.OKActions).toHaveLength(1)
      expect(Properties.TreatMissingData).toBeDefined()
    }
  })

  test('the service has every name it needs, and its log goes where ECS writes it', () => {
    const [container] = consumer(name).ContainerDefinitions
    expect(container.LogConfiguration.Options).toMatchObject({
      mode: 'non-blocking',
      'awslogs-stream-prefix': 'task',
    })
    expect(container.Secrets ?? []).toEqual([])
  })

  const keeps = environments[name].data === 'keep'
  test(
    keeps ? 'what holds data outlives its stack and cannot be deleted' : 'everything goes with its stack',
    () => {
      const templates = templatesOf(name)
      const HOLDING = [
        'AWS::Kinesis::Stream',
        'AWS::DynamoDB::Table',
        'AWS::SQS::Queue',
        'AWS::RDS::DBCluster',
        'AWS::OpenSearchService::Domain',
        'AWS::KMS::Key',
      ]
      for (const type of HOLDING)
        for (const { DeletionPolicy, UpdateReplacePolicy } of all(templates, type)) {
          expect(DeletionPolicy, type).toBe(keeps ? 'Retain' : 'Delete')
          expect(UpdateReplacePolicy, type).toBe(keeps ? 'Retain' : 'Delete')
        }
      expect(one(templates, 'AWS::RDS::DBCluster').Properties.DeletionProtection).toBe(keeps)
      expect(one(templates, 'AWS::DynamoDB::Table').Properties.DeletionProtectionEnabled).toBe(keeps)
      const { stacks } = of(name)
      for (const part of ['network', 'stream', 'search', 'source'] as const)
        expect(stacks[part].terminationProtection, part).toBe(keeps)
      for (const part of ['consumer', 'observability'] as const)
        expect(stacks[part].terminationProtection, part).toBe(false)
    },
  )

  test('no stack needs one that comes after it: state first, then alarms, then the service', () => {
    const { stacks } = of(name)
    const order = ['network', 'stream', 'search', 'source', 'observability', 'consumer'] as const
    for (const [at, part] of order.entries())
      for (const needed of stacks[part].dependencies)
        expect(order.slice(0, at).map(before => stacks[before])).toContain(needed)
  })

  test('every fixed name carries the environment, so that two can share an account', () => {
    const NAMED: [type: string, member: string][] = [
      ['AWS::Kinesis::Stream', 'Name'],
      ['AWS::DynamoDB::Table', 'TableName'],
      ['AWS::SQS::Queue', 'QueueName'],
      ['AWS::OpenSearchService::Domain', 'DomainName'],
      ['AWS::DMS::ReplicationTask', 'ReplicationTaskIdentifier'],
      ['AWS::DMS::ReplicationInstance', 'ReplicationInstanceIdentifier'],
      ['AWS::SecretsManager::Secret', 'Name'],
      ['AWS::ECS::Cluster', 'ClusterName'],
      ['AWS::ECS::Service', 'ServiceName'],
      ['AWS::CloudWatch::Dashboard', 'DashboardName'],
      ['AWS::SNS::Topic', 'TopicName'],
    ]
    for (const [type, member] of NAMED)
      for (const { Properties } of all(templatesOf(name), type))
        expect(Properties[member], type).toContain(name)
  })
})
