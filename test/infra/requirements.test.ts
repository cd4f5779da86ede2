/**
 * The requirements of the source design, by number (the table is in infra/README.md), as the templates of production have
 * them. Those with a test file of their own: 14 environments, 16 service-settings, 18, 21, 22, 25, 30 iam, 26 to 28 alarms, 35 cost.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { environments } from '../../infra/environments.ts'
import { readConfig } from '../../src/config.ts'
import { all, type Loose, NAMES, of, one } from './synthesised.ts'

const { templates, stacks } = of('production')
const production = environments.production
const runbook = readFileSync('infra/RUNBOOK.md', 'utf8')

const endpoint = (type: 'source' | 'target'): Loose =>
  all(templates, 'AWS::DMS::Endpoint').find(({ Properties }) => Properties.EndpointType === type)!.Properties
const task = (): Loose => one(templates, 'AWS::DMS::ReplicationTask').Properties
const domain = (): Loose => one(templates, 'AWS::OpenSearchService::Domain').Properties
const definition = (family: string): Loose =>
  all(templates, 'AWS::ECS::TaskDefinition').find(({ Properties }) => Properties.Family === family)!
    .Properties

/** Of a resource of the consumer's stack: whether CloudFormation makes the other one first. */
function waitsFor(type: string, other: string): boolean {
  const { Resources } = templates.consumer
  const seen = new Set<string>()
  const before = (id: string): boolean =>
    (Resources[id]!.DependsOn ?? []).some(next => {
      if (seen.has(next)) return false
      seen.add(next)
      return Resources[next]!.Type === other || before(next)
    })
  return Object.entries(Resources).some(([id, resource]) => resource.Type === type && before(id))
}

describe('source and DMS', () => {
  test('req 1: the cluster has logical replication, slots, senders and a time-out DMS takes, and only TLS', () => {
    expect(one(templates, 'AWS::RDS::DBClusterParameterGroup').Properties.Parameters).toEqual({
      'rds.logical_replication': '1',
      max_replication_slots: '10',
      max_wal_senders: '10',
      wal_sender_timeout: '30000',
      'rds.force_ssl': '1',
    })
    expect(one(templates, 'AWS::RDS::DBCluster').Properties).toMatchObject({
      Engine: 'aurora-postgresql',
      EngineVersion: '16.11',
    })
  })

  test('req 2: the user of DMS is made by bootstrap, as the database master, with the password DMS reads', () => {
    const [container] = definition('cdc-bootstrap-production').ContainerDefinitions
    expect(container.Command).toEqual(['node', 'src/main.ts', 'bootstrap'])
    expect(container.Secrets.map(({ Name }: Loose) => Name).sort()).toEqual([
      'DMS_USER_SECRET',
      'SOURCE_DATABASE_SECRET',
    ])
    const dms = container.Secrets.find(({ Name }: Loose) => Name === 'DMS_USER_SECRET').ValueFrom[
      'Fn::ImportValue'
    ]
    const [, secret] = dms.split('ExportsOutputRef')
    expect(secret).toMatch(/^DatabaseDmsSecretAttachment/)
    expect(endpoint('source').PostgreSqlSettings.SecretsManagerSecretId.Ref).toMatch(
      /^DatabaseDmsSecretAttachment/,
    )
  })

  test('req 3: keys are checked before anything is replicated or indexed: task and service wait for bootstrap', () => {
    expect(waitsFor('AWS::ECS::Service', 'Custom::OneOffTask')).toBe(true)
    expect(waitsFor('Custom::DmsTaskRun', 'Custom::OneOffTask')).toBe(true)
    expect(waitsFor('Custom::DmsTaskRun', 'AWS::ECS::Service')).toBe(true)
  })

  test('req 4: the replication instance is of a class DMS has, in two zones, private, in the VPC of the database', () => {
    const { Properties } = one(templates, 'AWS::DMS::ReplicationInstance')
    expect(Properties).toMatchObject({
      ReplicationInstanceClass: 'dms.r6i.large',
      AllocatedStorage: 100,
      MultiAZ: true,
      PubliclyAccessible: false,
      EngineVersion: '3.6.1',
    })
    expect(one(templates, 'AWS::DMS::ReplicationSubnetGroup').Properties.SubnetIds).toEqual(
      one(templates, 'AWS::RDS::DBSubnetGroup').Properties.SubnetIds,
    )
  })

  test('req 5: the source endpoint verifies the database, captures no DDL, keeps an idle slot moving, and has real booleans', () => {
    expect(endpoint('source')).toMatchObject({
      EngineName: 'aurora-postgresql',
      DatabaseName: 'app',
      SslMode: 'verify-full',
    })
    expect(endpoint('source').CertificateArn.Ref).toMatch(/^ReplicationAuthorities/)
    const { DMS_HEARTBEAT_SCHEMA } = readConfig({}, ['DMS_HEARTBEAT_SCHEMA'])
    expect(endpoint('source').PostgreSqlSettings).toMatchObject({
      PluginName: 'test-decoding',
      CaptureDdls: false,
      HeartbeatEnable: true,
      HeartbeatFrequency: 5,
      HeartbeatSchema: DMS_HEARTBEAT_SCHEMA,
      MapBooleanAsBoolean: true,
    })
    // A slot of a fixed name has to be there before, with a position; without both DMS makes its own.
    expect(endpoint('source').PostgreSqlSettings).not.toHaveProperty('SlotName')
  })

  test('req 6: the target endpoint writes what the service reads, and no schema changes', () => {
    expect(endpoint('target').KinesisSettings).toMatchObject({
      MessageFormat: 'json-unformatted',
      IncludeTransactionDetails: true,
      IncludePartitionValue: true,
      PartitionIncludeSchemaTable: true,
      IncludeTableAlterOperations: false,
      IncludeControlDetails: false,
      IncludeNullAndEmpty: true,
      NoHexPrefix: false,
    })
  })

  test('req 7: the task takes public.% without audit_%, changes as they come, with the tuning of the design', () => {
    expect(task().MigrationType).toBe('full-load-and-cdc')
    const { rules } = JSON.parse(task().TableMappings)
    const located = (action: string) =>
      rules
        .filter((rule: Loose) => rule['rule-action'] === action)
        .map(
          (rule: Loose) => `${rule['object-locator']['schema-name']}.${rule['object-locator']['table-name']}`,
        )
    expect(located('include')).toEqual(['public.%'])
    expect(located('exclude')).toEqual(['public.audit[_]%', 'public.awsdms[_]%'])
    expect(located('map-record-to-record')).toEqual(['public.%'])
    const settings = JSON.parse(task().ReplicationTaskSettings)
    expect(settings.ChangeProcessingTuning).toEqual({
      CommitTimeout: 1,
      MinTransactionSize: 1000,
      MemoryLimitTotal: 1024,
      MemoryKeepTime: 60,
      StatementCacheSize: 50,
    })
    expect(settings.TargetMetadata).toMatchObject({ ParallelLoadThreads: 4, ParallelLoadBufferSize: 500 })
    expect(settings.FullLoadSettings.TargetTablePrepMode).toBe('DO_NOTHING')
    expect(settings.StreamBufferSettings).toEqual({ StreamBufferCount: 3, StreamBufferSizeInMB: 8 })
  })

  test('req 7: a row that cannot be carried stops the task, where it is seen, and is never passed over', () => {
    const { ErrorBehavior } = JSON.parse(task().ReplicationTaskSettings)
    for (const policy of [
      'DataErrorPolicy',
      'TableErrorPolicy',
      'ApplyErrorInsertPolicy',
      'ApplyErrorUpdatePolicy',
      'ApplyErrorDeletePolicy',
    ])
      expect(ErrorBehavior[policy], policy).toBe('STOP_TASK')
    expect(ErrorBehavior.RecoverableErrorCount).toBe(-1)
  })

  test('req 8: DMS logs what it captures, sorts and applies, with the role it needs for it', () => {
    const { Logging } = JSON.parse(task().ReplicationTaskSettings)
    expect(Logging.EnableLogging).toBe(true)
    expect(Logging.LogComponents.map(({ Id }: Loose) => Id)).toEqual(
      expect.arrayContaining(['SOURCE_CAPTURE', 'TARGET_APPLY', 'SORTER', 'TASK_MANAGER']),
    )
    expect(all(templates, 'AWS::IAM::Role').map(({ Properties }) => Properties.RoleName)).toEqual(
      expect.arrayContaining(['dms-vpc-role', 'dms-cloudwatch-logs-role']),
    )
    const { ReplicationInstanceIdentifier } = one(templates, 'AWS::DMS::ReplicationInstance').Properties
    expect(all(templates, 'AWS::Logs::LogGroup').map(({ Properties }) => Properties.LogGroupName)).toContain(
      `dms-tasks-${ReplicationInstanceIdentifier}`,
    )
  })
})

describe('stream and service', () => {
  test('req 9: the stream is on demand, keeps a week in production, has a key of ours and metrics of each shard', () => {
    expect(one(templates, 'AWS::Kinesis::Stream').Properties).toMatchObject({
      Name: 'cdc-stream-production',
      StreamModeDetails: { StreamMode: 'ON_DEMAND' },
      RetentionPeriodHours: 168,
      StreamEncryption: { EncryptionType: 'KMS' },
      DesiredShardLevelMetrics: ['ALL'],
    })
    expect(one(of('dev').templates, 'AWS::Kinesis::Stream').Properties).toMatchObject({
      StreamModeDetails: { StreamMode: 'PROVISIONED' },
      ShardCount: 1,
    })
  })

  test('req 10: tasks of one vCPU and 2 GB, two at least, no more than shards, more when busy, none more when OpenSearch refuses', () => {
    expect(definition('cdc-consumer-production')).toMatchObject({ Cpu: '1024', Memory: '2048' })
    const target = one(templates, 'AWS::ApplicationAutoScaling::ScalableTarget').Properties
    expect(target).toMatchObject({ MinCapacity: 2, MaxCapacity: 4 })
    const policies = all(templates, 'AWS::ApplicationAutoScaling::ScalingPolicy').map(
      ({ Properties }) => Properties,
    )
    const byCpu = policies.find(({ PolicyType }) => PolicyType === 'TargetTrackingScaling')!
    expect(byCpu.TargetTrackingScalingPolicyConfiguration).toMatchObject({
      TargetValue: 60,
      ScaleInCooldown: 900,
    })
    const steps = policies
      .filter(({ PolicyType }) => PolicyType === 'StepScaling')
      .flatMap(({ StepScalingPolicyConfiguration }) => StepScalingPolicyConfiguration.StepAdjustments)
    expect(steps.length).toBeGreaterThan(0)
    for (const { ScalingAdjustment } of steps) expect(ScalingAdjustment).toBeGreaterThan(0)
    const alarm = Object.values(templates.consumer.Resources).find(
      ({ Type }) => Type === 'AWS::CloudWatch::Alarm',
    )!
    expect(JSON.stringify(alarm.Properties.Metrics)).toContain('IF(FILL(refused, 0) > 0, 0, age)')
  })

  test('req 10: the number of tasks is scaling alone to say, so a deploy does not set it back', () => {
    expect(one(templates, 'AWS::ECS::Service').Properties).not.toHaveProperty('DesiredCount')
  })

  test('req 15: everything that can be tagged says which environment it is of, and what for', () => {
    for (const type of [
      'AWS::Kinesis::Stream',
      'AWS::DynamoDB::Table',
      'AWS::OpenSearchService::Domain',
      'AWS::RDS::DBCluster',
      'AWS::DMS::ReplicationInstance',
      'AWS::ECS::Service',
    ])
      expect(one(templates, type).Properties.Tags, type).toEqual(
        expect.arrayContaining([
          { Key: 'Environment', Value: 'production' },
          { Key: 'Purpose', Value: 'CDC Pipeline' },
        ]),
      )
    expect(one(templates, 'AWS::ECS::Service').Properties.PropagateTags).toBe('SERVICE')
  })

  test('req 16: dead letters are kept two weeks, may be as large as SQS takes, and no queue may move into theirs', () => {
    expect(one(templates, 'AWS::SQS::Queue').Properties).toMatchObject({
      QueueName: 'cdc-dlq-production',
      MessageRetentionPeriod: 14 * 86_400,
      MaximumMessageSize: 1_048_576,
      RedriveAllowPolicy: { redrivePermission: 'denyAll' },
    })
  })
})

describe('OpenSearch', () => {
  test('req 11: three data and three master nodes in three zones, 500 GB each, versions and sizes by the environment', () => {
    expect(domain()).toMatchObject({
      DomainName: 'cdc-search-production',
      EngineVersion: 'OpenSearch_2.19',
      ClusterConfig: {
        InstanceType: 'r6g.large.search',
        InstanceCount: 3,
        DedicatedMasterEnabled: true,
        DedicatedMasterType: 'm6g.large.search',
        DedicatedMasterCount: 3,
        ZoneAwarenessEnabled: true,
        ZoneAwarenessConfig: { AvailabilityZoneCount: 3 },
        MultiAZWithStandbyEnabled: false,
      },
      EBSOptions: { EBSEnabled: true, VolumeType: 'gp3', VolumeSize: 500, Iops: 3000, Throughput: 125 },
      NodeToNodeEncryptionOptions: { Enabled: true },
      EncryptionAtRestOptions: { Enabled: true },
    })
  })

  test('req 12: the index template is put before the service starts, by the same version of it', () => {
    expect(waitsFor('AWS::ECS::Service', 'Custom::OneOffTask')).toBe(true)
    const images = all(templates, 'AWS::ECS::TaskDefinition').map(
      ({ Properties }) => Properties.ContainerDefinitions[0].Image,
    )
    expect(images).toHaveLength(2)
    expect(images[0]).toEqual(images[1])
  })

  test('req 13: refused: nothing rolls over or deletes an index that mirrors a table', () => {
    expect(JSON.stringify(templates)).not.toMatch(/rollover|_plugins\/_ism/)
  })

  test('req 17: TLS 1.2 with forward secrecy, and no plain HTTP', () => {
    expect(domain().DomainEndpointOptions).toEqual({
      EnforceHTTPS: true,
      TLSSecurityPolicy: 'Policy-Min-TLS-1-2-PFS-2023-10',
    })
  })

  test('req 19: fine-grained access with a role as its master, which the tasks of the service are not', () => {
    const { Enabled, InternalUserDatabaseEnabled, MasterUserOptions } = domain().AdvancedSecurityOptions
    expect({ Enabled, InternalUserDatabaseEnabled }).toEqual({
      Enabled: true,
      InternalUserDatabaseEnabled: false,
    })
    expect(MasterUserOptions.MasterUserARN['Fn::GetAtt'][0]).toMatch(/^BootstrapRole/)
    const roleOf = (family: string) => definition(family).TaskRoleArn['Fn::ImportValue']
    expect(roleOf('cdc-bootstrap-production')).toContain('BootstrapRole')
    expect(roleOf('cdc-consumer-production')).toContain('TaskRole')
  })
})

describe('network and secrets', () => {
  test('req 20: private subnets in three zones, an endpoint for each service that is used from inside, in the zones paid for', () => {
    const endpoints = all(templates, 'AWS::EC2::VPCEndpoint').map(({ Properties }) => Properties)
    const named = (type: string) =>
      endpoints
        .filter(({ VpcEndpointType }) => VpcEndpointType === type)
        .map(({ ServiceName }) =>
          typeof ServiceName === 'string' ? ServiceName : ServiceName['Fn::Join'][1].at(-1),
        )
        .map(name => name.replace(/^(com\.amazonaws\.us-east-1)?\./, ''))
        .sort()
    expect(named('Interface')).toEqual([
      'ecr.api',
      'ecr.dkr',
      'kinesis-streams',
      'logs',
      'secretsmanager',
      'sqs',
    ])
    expect(named('Gateway')).toEqual(['dynamodb', 's3'])
    expect(all(templates, 'AWS::EC2::Subnet').map(({ Properties }) => Properties.AvailabilityZone)).toEqual(
      production.availabilityZones,
    )
    for (const name of NAMES) {
      const { network } = environments[name]
      for (const { Properties } of all(of(name).templates, 'AWS::EC2::VPCEndpoint'))
        if (Properties.VpcEndpointType === 'Interface')
          expect(Properties.SubnetIds, name).toHaveLength(
            network.kind === 'create' ? network.endpointZones : 0,
          )
    }
  })

  test('req 23: database, stream, domain, secrets, leases, letters and logs: each stack with a key of its own', () => {
    const keys = (part: keyof typeof templates) =>
      Object.values(templates[part].Resources).filter(({ Type }) => Type === 'AWS::KMS::Key').length
    for (const part of Object.keys(stacks) as (keyof typeof templates)[]) expect(keys(part), part).toBe(1)
  })

  test('req 24: who may reach whom is this list, and nobody else', () => {
    const groups = Object.fromEntries(
      Object.entries(templates.network.Resources)
        .filter(([, { Type }]) => Type === 'AWS::EC2::SecurityGroup')
        .map(([id, { Properties }]) => [id, Properties.GroupDescription.split(' ')[0]]),
    )
    const nameOf = (reference: Loose): string =>
      typeof reference === 'string' ? reference : groups[reference['Fn::GetAtt'][0]]!
    const ingress = all(templates, 'AWS::EC2::SecurityGroupIngress')
      .map(
        ({ Properties: rule }) =>
          `${nameOf(rule.SourceSecurityGroupId)} -> ${nameOf(rule.GroupId)} ${rule.ToPort}`,
      )
      .sort()
    expect(ingress).toEqual([
      'DMS -> Aurora 5432',
      'DMS -> Interface 443',
      'One-off -> Aurora 5432',
      'One-off -> Interface 443',
      'One-off -> OpenSearch 443',
      'Tasks -> Interface 443',
      'Tasks -> OpenSearch 443',
      'Who -> Tasks 8080',
    ])
    const gateways = all(templates, 'AWS::EC2::SecurityGroupEgress')
      .filter(({ Properties: rule }) => rule.DestinationPrefixListId)
      .map(
        ({ Properties: rule }) => `${nameOf(rule.GroupId)} -> ${rule.DestinationPrefixListId} ${rule.ToPort}`,
      )
    expect(gateways.sort()).toEqual([
      'One-off -> pl-63a5400a 443',
      'Tasks -> pl-02cd2c6b 443',
      'Tasks -> pl-63a5400a 443',
    ])
  })

  test('req 25: the secret of DMS has the environment in its name, a made password and, by its attachment, host and port', () => {
    const secret = all(templates, 'AWS::SecretsManager::Secret').find(({ Properties }) =>
      Properties.Name.startsWith('cdc/dms/'),
    )!
    expect(secret.Properties.Name).toBe('cdc/dms/aurora-credentials/production')
    expect(secret.Properties.GenerateSecretString).toMatchObject({
      SecretStringTemplate: '{"username":"dms_user"}',
      PasswordLength: 40,
      ExcludePunctuation: true,
    })
    expect(all(templates, 'AWS::SecretsManager::SecretTargetAttachment')).toHaveLength(2)
  })
})

describe('recovery and limits', () => {
  test('req 29: what could break the promise of no loss is alarmed: the slot, the age of records, half the retention', () => {
    const names = all(templates, 'AWS::CloudWatch::Alarm').map(({ Properties }) => Properties.AlarmName)
    for (const alarm of [
      'SlotDiskGrows',
      'SlotDiskCritical',
      'StreamIteratorAge',
      'StreamHalfRetention',
      'CdcCheckpointStuck',
    ])
      expect(names).toContain(`cdc-production-${alarm}`)
    expect(runbook).toContain('## What may be lost, and how long it takes')
  })

  test('req 31: 35 days of the database to any second, the lease table too, images by their content', () => {
    expect(one(templates, 'AWS::RDS::DBCluster').Properties).toMatchObject({
      BackupRetentionPeriod: 35,
      CopyTagsToSnapshot: true,
    })
    expect(one(templates, 'AWS::DynamoDB::Table').Properties.PointInTimeRecoverySpecification).toEqual({
      PointInTimeRecoveryEnabled: true,
    })
    for (const { Properties } of all(templates, 'AWS::ECS::TaskDefinition'))
      expect(JSON.stringify(Properties.ContainerDefinitions[0].Image)).toMatch(/:[0-9a-f]{64}"/)
  })

  test('req 31: lease items are of KCL: a hash key leaseKey, and capacity that follows the load', () => {
    expect(one(templates, 'AWS::DynamoDB::Table').Properties).toMatchObject({
      TableName: 'cdc-leases-production',
      KeySchema: [{ AttributeName: 'leaseKey', KeyType: 'HASH' }],
      AttributeDefinitions: [{ AttributeName: 'leaseKey', AttributeType: 'S' }],
      BillingMode: 'PAY_PER_REQUEST',
    })
  })

  test('req 32: the runbook has full recovery, in the words of this system', () => {
    const [recovery = ''] = (runbook.split('\n## Full recovery\n')[1] ?? '').split('\n## ')
    expect(recovery).toContain('resume-processing')
    for (const heading of [
      'Rolling back',
      'Replaying the stream',
      'Loading all tables anew',
      'Schema change',
      'Another region',
    ])
      expect(runbook).toContain(`## ${heading}`)
    expect(runbook).toContain('pg_replication_slots')
    expect(recovery).not.toContain('_forcemerge')
  })

  test('req 33: production takes 1,000 records and 1 MB a second, and more: four shards from the start', () => {
    expect(one(templates, 'AWS::Kinesis::Stream').Properties.StreamModeDetails.StreamMode).toBe('ON_DEMAND')
    expect(production.service.maxTasks).toBeLessThanOrEqual(4)
  })

  test('req 34: the promise of 1.5 s is watched, and no setting of the stack spends it on waiting', () => {
    const rules = parse(readFileSync('docker/prometheus/rules.yml', 'utf8')) as Loose
    expect(JSON.stringify(rules)).toContain('CdcLatencyBudgetBurnsFast')
    for (const name of NAMES) {
      const config = readConfig(environments[name].service.settings, ['POLL_MS', 'CHECKPOINT_MS'])
      expect(config.POLL_MS).toBeLessThanOrEqual(250)
    }
    const addresses = all(templates, 'AWS::ServiceDiscovery::Service').map(
      ({ Properties }) => Properties.DnsConfig.DnsRecords,
    )
    expect(addresses).toEqual([[{ TTL: 10, Type: 'A' }]])
  })
})
