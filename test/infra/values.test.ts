/** Values that validators of templates let through although AWS refuses them, or the pipeline would lose or reorder changes by them. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { environments } from '../../infra/environments.ts'
import { namesOf } from '../../infra/names.ts'
import { readConfig, type SettingName, settings } from '../../src/config.ts'
import { all, type Loose, NAMES, of, one } from './synthesised.ts'

/** What DMS's guide lists; it takes no Graviton. */
const DMS_CLASS = /^dms\.(t3\.(micro|small|medium|large)|(c5|c6i|r5|r6i)\.(large|\d*xlarge))$/
/** Of Amazon RDS: engine and major version. */
const AURORA_FAMILY = /^aurora-postgresql(1[2-9]|[2-9]\d)$/
/** Fargate: processor units -> MiB. */
const FARGATE: Record<string, [min: number, max: number, step: number]> = {
  '256': [512, 2048, 512],
  '512': [1024, 4096, 1024],
  '1024': [2048, 8192, 1024],
  '2048': [4096, 16_384, 1024],
  '4096': [8192, 30_720, 1024],
}

describe.each(NAMES)('%s', name => {
  const environment = environments[name]
  const templates = () => of(name).templates
  const only = (type: string): Loose => one(templates(), type).Properties
  const endpoint = (type: 'source' | 'target'): Loose =>
    all(templates(), 'AWS::DMS::Endpoint').find(({ Properties }) => Properties.EndpointType === type)!
      .Properties
  const task = () => only('AWS::DMS::ReplicationTask')

  test('req 1: the cluster writes a logical log, keeps a slot for DMS, asks for TLS, in a family there is', () => {
    const { Family, Parameters } = only('AWS::RDS::DBClusterParameterGroup')
    expect(Family).toMatch(AURORA_FAMILY)
    const { EngineVersion, BackupRetentionPeriod } = only('AWS::RDS::DBCluster')
    expect(Family).toBe(`aurora-postgresql${EngineVersion.split('.')[0]}`)
    expect(Parameters).toMatchObject({ 'rds.logical_replication': '1', 'rds.force_ssl': '1' })
    expect(Number(Parameters.max_replication_slots)).toBeGreaterThanOrEqual(10)
    expect(Number(Parameters.max_wal_senders)).toBeGreaterThanOrEqual(10)
    // DMS wants none, or between ten seconds and five minutes.
    expect(Number(Parameters.wal_sender_timeout)).toBeGreaterThanOrEqual(10_000)
    expect(Number(Parameters.wal_sender_timeout)).toBeLessThan(300_000)
    // Aurora's longest.
    expect(BackupRetentionPeriod).toBeGreaterThanOrEqual(1)
    expect(BackupRetentionPeriod).toBeLessThanOrEqual(35)
    if (environment.data === 'keep') expect(BackupRetentionPeriod).toBe(35)
  })

  test('req 4: the replication instance is of a class DMS has, in as many zones as the environment says', () => {
    const instance = only('AWS::DMS::ReplicationInstance')
    expect(instance.ReplicationInstanceClass).toMatch(DMS_CLASS)
    expect(instance.MultiAZ).toBe(environment.replication.multiAz)
  })

  test('req 5: the source endpoint is of Aurora PostgreSQL, moves its slot when idle, gives booleans as such and leaves no trace in the source', () => {
    const source = endpoint('source')
    expect(source.EngineName).toBe('aurora-postgresql')
    expect(source.PostgreSqlSettings).toMatchObject({
      PluginName: 'test-decoding',
      CaptureDdls: false,
      MapBooleanAsBoolean: true,
      HeartbeatEnable: true,
    })
    expect(source.PostgreSqlSettings.HeartbeatFrequency).toBeGreaterThan(0)
  })

  test('req 6: the target endpoint says which shard a record was meant for', () => {
    expect(endpoint('target').EngineName).toBe('kinesis')
    expect(endpoint('target').KinesisSettings.IncludePartitionValue).toBe(true)
  })

  test('req 7: each table of the table file is mapped once, by the partition the file has, for load and change alike', () => {
    const { tables = {} } = parse(readFileSync(environment.tableFile, 'utf8')) as {
      tables?: Record<string, { partition?: string }>
    }
    const { rules } = JSON.parse(task().TableMappings) as { rules: Loose[] }
    const mapped = rules.filter(rule => rule['rule-type'] === 'object-mapping')
    for (const rule of mapped) {
      const { 'table-name': table, 'schema-name': schema } = rule['object-locator']
      const entry = Object.entries(tables).find(([key]) => key === `${schema}.${table}`)?.[1]
      const expected = entry?.partition === 'key' ? 'primary-key' : 'schema-table'
      expect(rule['mapping-parameters']['partition-key-type'], `${schema}.${table}`).toBe(expected)
    }
    expect(mapped.length).toBeGreaterThan(0)
    expect(new Set(rules.map(rule => rule['rule-id'])).size).toBe(rules.length)
  })

  test('req 7: the task is of the type the environment has, and a row it cannot apply stops it rather than being passed over', () => {
    expect(task().MigrationType).toBe(environment.replication.migrationType)
    const { ErrorBehavior, FullLoadSettings } = JSON.parse(task().ReplicationTaskSettings)
    for (const policy of [
      'DataErrorPolicy',
      'TableErrorPolicy',
      'ApplyErrorInsertPolicy',
      'ApplyErrorUpdatePolicy',
      'ApplyErrorDeletePolicy',
    ])
      expect(ErrorBehavior[policy], policy).toBe('STOP_TASK')
    expect(FullLoadSettings.TargetTablePrepMode).toBe('DO_NOTHING')
  })

  test('req 7: large values come with their row, cut where the environment says; a cut one is seen by the service', () => {
    const { TargetMetadata } = JSON.parse(task().ReplicationTaskSettings)
    expect(TargetMetadata).toMatchObject({
      SupportLobs: true,
      LimitedSizeLobMode: true,
      FullLobMode: false,
      LobMaxSize: environment.replication.lobKiB,
    })
  })

  test('req 8: the task writes its log, with the components a failure is found by', () => {
    const { Logging } = JSON.parse(task().ReplicationTaskSettings)
    expect(Logging.EnableLogging).toBe(true)
    expect(Logging.LogComponents.map(({ Id }: Loose) => Id)).toEqual(
      expect.arrayContaining(['SOURCE_CAPTURE', 'TARGET_APPLY', 'SORTER', 'TASK_MANAGER']),
    )
  })

  test('req 9: the stream keeps a day at least, has a number of shards only where it is not on demand, and metrics of each', () => {
    const stream = only('AWS::Kinesis::Stream')
    expect(stream.RetentionPeriodHours).toBe(environment.stream.retentionHours)
    expect(stream.RetentionPeriodHours).toBeGreaterThanOrEqual(24)
    expect(stream.RetentionPeriodHours).toBeLessThanOrEqual(8760)
    if (environment.stream.capacity.mode === 'on-demand') expect(stream).not.toHaveProperty('ShardCount')
    else expect(stream.ShardCount).toBe(environment.stream.capacity.shards)
    expect(stream.DesiredShardLevelMetrics).toEqual(['ALL'])
  })

  test('req 11: the domain is of a version there is, with a volume each node, and no standby zone', () => {
    const domain = only('AWS::OpenSearchService::Domain')
    // The newest of 2.x is 2.19; 3.x is taken from 3.1 on.
    expect(domain.EngineVersion).toMatch(/^OpenSearch_(2\.(11|13|15|17|19)|3\.[1-9])$/)
    expect(domain.ClusterConfig.MultiAZWithStandbyEnabled).toBe(false)
    expect(domain.EBSOptions).toMatchObject({ EBSEnabled: true, VolumeType: 'gp3' })
  })

  test('req 18: the domain lets its two roles ask, and none of them everything', () => {
    const { Statement: allowed } = only('AWS::OpenSearchService::Domain').AccessPolicies
    expect(allowed).toHaveLength(2)
    for (const { Action, Principal } of allowed) {
      for (const action of [Action].flat()) expect(action).toMatch(/^es:ESHttp(Get|Post|Put|Head)$/)
      expect(Principal).toHaveProperty('AWS')
      expect(Principal.AWS).not.toBe('*')
    }
  })

  test('req 10: memory and processors of a task go together, as Fargate has them', () => {
    for (const { Properties } of all(templates(), 'AWS::ECS::TaskDefinition')) {
      const [min, max, step] = FARGATE[Properties.Cpu]!
      expect(Number(Properties.Memory)).toBeGreaterThanOrEqual(min)
      expect(Number(Properties.Memory)).toBeLessThanOrEqual(max)
      expect(Number(Properties.Memory) % step).toBe(0)
    }
  })

  test('req 10: the service runs, is waited for by nobody outside, and Prometheus finds its tasks', () => {
    const [container] = all(templates(), 'AWS::ECS::TaskDefinition').find(
      ({ Properties }) => Properties.Family === namesOf(environment).service,
    )!.Properties.ContainerDefinitions
    expect(container.Command).toEqual(['node', 'src/main.ts', 'run'])
    const { ServiceRegistries, LoadBalancers } = only('AWS::ECS::Service')
    expect(LoadBalancers ?? []).toEqual([])
    expect(ServiceRegistries).toHaveLength(1)
    expect(only('AWS::ServiceDiscovery::Service').Name).toBe('consumer')
  })

  test('req 10: the service waits for its bootstrap', () => {
    const { DependsOn = [] } = one(templates(), 'AWS::ECS::Service')
    expect(DependsOn.map(id => templates().consumer.Resources[id]!.Type)).toContain('Custom::OneOffTask')
  })

  test('req 10: the service can start with what it is given', () => {
    const [{ Environment: given }] = all(templates(), 'AWS::ECS::TaskDefinition').find(
      ({ Properties }) => Properties.Family === namesOf(environment).service,
    )!.Properties.ContainerDefinitions
    const stood = (value: Loose) => {
      if (typeof value === 'string') return value
      // What CloudFormation puts together, with something in the place of what it knows later.
      if (value['Fn::Join'])
        return value['Fn::Join'][1]
          .map((part: Loose) => (typeof part === 'string' ? part : 'known-later'))
          .join('')
      return 'https://known-later'
    }
    const variables = Object.fromEntries(given.map(({ Name, Value }: Loose) => [Name, stood(Value)]))
    const names = (Object.keys(settings) as SettingName[]).filter(
      setting => setting in variables || settings[setting].default === undefined,
    )
    expect(() => readConfig(variables, names)).not.toThrow()
    expect(variables.EMF_NAMESPACE).toBe('cdc')
    expect(new URL(variables.OPENSEARCH_URL!).protocol).toBe('https:')
  })

  test('req 20: inside, everything the tasks and DMS ask has an endpoint, in the zones that are paid for', () => {
    const endpoints = all(templates(), 'AWS::EC2::VPCEndpoint').map(({ Properties }) => Properties)
    const services = (kind: string) =>
      endpoints
        .filter(({ VpcEndpointType }) => VpcEndpointType === kind)
        .map(({ ServiceName }) =>
          JSON.stringify(ServiceName)
            .match(/([a-z0-9.-]+)[\]"}]*$/)![1]!
            .replace(/^.*?(?=kinesis|sqs|secrets|logs|ecr|s3|dynamodb)/, ''),
        )
    expect(services('Interface').sort()).toEqual([
      'ecr.api',
      'ecr.dkr',
      'kinesis-streams',
      'logs',
      'secretsmanager',
      'sqs',
    ])
    expect(services('Gateway').sort()).toEqual(['dynamodb', 's3'])
  })

  test('req 30: letters are kept for fourteen days', () => {
    expect(only('AWS::SQS::Queue').MessageRetentionPeriod).toBe(14 * 86_400)
  })

  test('req 31: the lease table is keyed as the service asks, and can be restored to a point in time', () => {
    const table = only('AWS::DynamoDB::Table')
    expect(table.KeySchema).toEqual([{ AttributeName: 'leaseKey', KeyType: 'HASH' }])
    expect(table.AttributeDefinitions).toEqual([{ AttributeName: 'leaseKey', AttributeType: 'S' }])
    expect(table.PointInTimeRecoverySpecification).toEqual({ PointInTimeRecoveryEnabled: true })
    expect(table.BillingMode).toBe('PAY_PER_REQUEST')
  })

  test('req 24: each way from one group to another is open at both ends, and the ways the pipeline needs are there', () => {
    const rules = (type: string) => all(templates(), type).map(({ Properties }) => Properties)
    const idOf = (group: Loose) =>
      JSON.stringify(group['Fn::GetAtt']?.[0] ?? group['Fn::ImportValue'] ?? group)
    const partOf = (group: Loose) =>
      /(Replication|Bootstrap|Consumer|Scraper|Database|Search|Endpoints)/.exec(idOf(group))![1]!
    const out = rules('AWS::EC2::SecurityGroupEgress')
    const ways = out
      .filter(({ DestinationSecurityGroupId }) => DestinationSecurityGroupId !== undefined)
      .map(
        ({ GroupId, DestinationSecurityGroupId, ToPort }) =>
          `${partOf(GroupId)} -> ${partOf(DestinationSecurityGroupId)}:${ToPort}`,
      )
    const back = rules('AWS::EC2::SecurityGroupIngress').map(
      ({ GroupId, SourceSecurityGroupId, ToPort }) =>
        `${partOf(SourceSecurityGroupId)} -> ${partOf(GroupId)}:${ToPort}`,
    )
    expect(back.sort()).toEqual(ways.sort())
    expect(ways).toEqual([
      'Bootstrap -> Database:5432',
      'Bootstrap -> Endpoints:443',
      'Bootstrap -> Search:443',
      'Consumer -> Endpoints:443',
      'Consumer -> Search:443',
      'Replication -> Database:5432',
      'Replication -> Endpoints:443',
      'Scraper -> Consumer:8080',
    ])
    const lists = out.filter(({ DestinationPrefixListId }) => DestinationPrefixListId !== undefined)
    expect(lists.map(({ GroupId }) => partOf(GroupId)).sort()).toEqual(['Bootstrap', 'Consumer', 'Consumer'])
  })

  test('req 23: a key obeys its account, and services of AWS, under conditions where they can meet one', () => {
    for (const { Properties } of all(templates(), 'AWS::KMS::Key'))
      for (const { Principal, Condition } of Properties.KeyPolicy.Statement) {
        expect(Principal).not.toBe('*')
        const principals = JSON.stringify(Principal.AWS ?? Principal.Service)
        expect(principals).not.toContain('"*"')
        if (Condition === undefined && Principal.Service !== 'events.amazonaws.com')
          expect(principals).toMatch(/:root"/)
      }
  })

  test('the functions of a deploy are ones their code has', async () => {
    const functions = Object.values(templates()).flatMap(({ Resources }) =>
      Object.entries(Resources).filter(
        ([, { Type, Properties }]) => Type === 'AWS::Lambda::Function' && /^index\./.test(Properties.Handler),
      ),
    )
    expect(functions).toHaveLength(5)
    for (const [id, { Properties }] of functions) {
      const folder = id.startsWith('ReplicationControl') ? 'replication' : 'one-off-task'
      const exported = Object.keys(await import(`../../infra/custom-resources/lambda/${folder}/index.mjs`))
      expect(
        exported.map(name => `index.${name}`),
        id,
      ).toContain(Properties.Handler)
    }
  })

  test('every log ends', () => {
    const logs = all(templates(), 'AWS::Logs::LogGroup')
    expect(logs.length).toBeGreaterThan(4)
    for (const { Properties } of logs) expect(Properties.RetentionInDays).toBeGreaterThan(0)
  })
})
