/**
 * Mistakes somebody could make, one each, put into the templates of every environment. `npm run infra:mutants` says which of them the tests in
 * this folder see, snapshots left out (they see everything), and which cfn-lint and CDK's own validation see. `neither` marks those that a
 * trial before this project existed has shown both to miss.
 */
import type { Loose, Resource } from './synthesised.ts'

/** Of one environment: id and resource of every stack. */
export type Stack = { Resources: Record<string, Resource> }

export type Mutant = {
  name: string
  neither?: true
  /** @returns how many places it has changed; 0 in an environment that has none of it */
  mutate: (stacks: Stack[]) => number
}

type Change = (properties: Loose, resource: Resource, id: string) => unknown

/** @param change answers false where it has left a resource alone */
function each(type: string, change: Change) {
  return (stacks: Stack[]): number => {
    let changed = 0
    for (const { Resources } of stacks)
      for (const [id, resource] of Object.entries(Resources ?? {}))
        if (resource.Type === type && change(resource.Properties, resource, id) !== false) changed++
    return changed
  }
}

function without(isMeant: (resource: Resource, id: string) => boolean) {
  return (stacks: Stack[]): number => {
    let changed = 0
    for (const { Resources } of stacks)
      for (const [id, resource] of Object.entries(Resources ?? {}))
        if (isMeant(resource, id)) {
          delete Resources[id]
          changed++
        }
    return changed
  }
}

const endpoint = (kind: 'source' | 'target', change: Change) =>
  each('AWS::DMS::Endpoint', (properties, resource, id) =>
    properties.EndpointType === kind ? change(properties, resource, id) : false,
  )
const kinesisSettings = (change: (settings: Loose) => unknown) =>
  endpoint('target', properties => change(properties.KinesisSettings))
const postgresSettings = (change: (settings: Loose) => unknown) =>
  endpoint('source', properties => change(properties.PostgreSqlSettings))

/** A property that is JSON in a string. */
function json(type: string, property: string, change: (value: Loose) => unknown) {
  return each(type, properties => {
    const value = JSON.parse(properties[property])
    const answer = change(value)
    properties[property] = JSON.stringify(value)
    return answer
  })
}

const TASK = 'AWS::DMS::ReplicationTask'
const taskSettings = (change: (settings: Loose) => unknown) => json(TASK, 'ReplicationTaskSettings', change)
const mappings = (change: (rules: Loose[]) => unknown) =>
  json(TASK, 'TableMappings', ({ rules }) => change(rules))

const consumer = (change: (container: Loose, definition: Loose) => unknown) =>
  each('AWS::ECS::TaskDefinition', properties => {
    const container = properties.ContainerDefinitions.find(({ Name }: Loose) => Name === 'consumer')
    return container ? change(container, properties) : false
  })

const variable = (name: string, change: (variables: Loose[], at: number) => unknown) =>
  consumer(({ Environment: variables }) => {
    const at = variables.findIndex(({ Name }: Loose) => Name === name)
    return at === -1 ? false : change(variables, at)
  })

/** The statement with an action, wherever it stands, of the service's own role. */
const statement = (action: string, change: (statement: Loose, all: Loose[]) => unknown) => (stacks: Stack[]) => {
  let changed = 0
  for (const { Resources } of stacks)
    for (const { Type, Properties: properties } of Object.values(Resources ?? {})) {
      const documents =
        Type === 'AWS::IAM::Policy'
          ? [properties.PolicyDocument]
          : Type === 'AWS::IAM::Role'
            ? (properties.Policies ?? []).map(({ PolicyDocument }: Loose) => PolicyDocument)
            : []
      for (const { Statement: all } of documents) {
        const found = all.find(({ Action }: Loose) => [Action].flat().includes(action))
        if (found && change(found, all) !== false) changed++
      }
    }
  return changed
}

const alarm = (name: string, change: (properties: Loose) => unknown) =>
  each('AWS::CloudWatch::Alarm', properties =>
    String(properties.AlarmName).endsWith(name) ? change(properties) : false,
  )

const CLUSTER = 'AWS::RDS::DBCluster'
const PARAMETERS = 'AWS::RDS::DBClusterParameterGroup'
const STREAM = 'AWS::Kinesis::Stream'
const DOMAIN = 'AWS::OpenSearchService::Domain'
const SERVICE = 'AWS::ECS::Service'
const QUEUE = 'AWS::SQS::Queue'

export const mutants: Mutant[] = [
  // DMS: what no validator knows.
  { name: 'source endpoint: SslMode is no mode', neither: true, mutate: endpoint('source', p => { p.SslMode = 'required' }) },
  { name: 'source endpoint: SslMode none', mutate: endpoint('source', p => { p.SslMode = 'none' }) },
  { name: 'source endpoint: EngineName misspelt', neither: true, mutate: endpoint('source', p => { p.EngineName = 'aurora-postgres' }) },
  { name: 'target endpoint: EndpointType is no type', neither: true, mutate: endpoint('target', p => { p.EndpointType = 'destination' }) },
  { name: 'source endpoint: PluginName pgoutput', neither: true, mutate: postgresSettings(s => { s.PluginName = 'pgoutput' }) },
  { name: 'target endpoint: MessageFormat in capitals', neither: true, mutate: kinesisSettings(s => { s.MessageFormat = 'JSON_UNFORMATTED' }) },
  { name: 'replication instance: a class there is none of', neither: true, mutate: each('AWS::DMS::ReplicationInstance', p => { p.ReplicationInstanceClass = 'dms.r6g.large' }) },
  { name: 'replication instance: public', mutate: each('AWS::DMS::ReplicationInstance', p => { p.PubliclyAccessible = true }) },
  { name: 'replication instance: in one zone', mutate: each('AWS::DMS::ReplicationInstance', p => p.MultiAZ ? void (p.MultiAZ = false) : false) },
  { name: 'task: TableMappings is no JSON', neither: true, mutate: each(TASK, p => { p.TableMappings = p.TableMappings.slice(0, -1) }) },
  { name: 'task: settings are no JSON', neither: true, mutate: each(TASK, p => { p.ReplicationTaskSettings = p.ReplicationTaskSettings.slice(0, -1) }) },
  { name: 'task: audit tables are no longer left out', mutate: mappings(rules => { const at = rules.findIndex(r => r['rule-action'] === 'exclude' && /audit/.test(r['object-locator']['table-name'])); if (at === -1) return false; rules.splice(at, 1) }) },
  { name: 'task: a table by key that the table file has by table', mutate: mappings(rules => { const rule = rules.find(r => r['mapping-parameters']?.['partition-key-type'] === 'schema-table'); if (!rule) return false; rule['mapping-parameters']['partition-key-type'] = 'primary-key' }) },
  { name: 'task: BatchApplyEnabled', mutate: taskSettings(s => { s.TargetMetadata.BatchApplyEnabled = true }) },
  { name: 'task: ParallelApplyThreads', mutate: taskSettings(s => { s.TargetMetadata.ParallelApplyThreads = 8 }) },
  { name: 'task: no before-image', mutate: taskSettings(s => { s.BeforeImageSettings.EnableBeforeImage = false }) },
  { name: 'task: a failed row is passed over', mutate: taskSettings(s => { s.ErrorBehavior.ApplyErrorInsertPolicy = 'LOG_ERROR' }) },
  { name: 'task: its log is off', mutate: taskSettings(s => { s.Logging.EnableLogging = false }) },
  { name: 'task: another end of its ARN than the alarms have', mutate: each(TASK, p => { p.ResourceIdentifier = 'another-task' }) },
  { name: 'task: does not wait for its stop', mutate: each(TASK, (_p, r) => { const before = [r.DependsOn ?? []].flat(); const after = before.filter(id => !/Stop/.test(id)); if (after.length === before.length) return false; r.DependsOn = after }) },
  { name: 'task: cdc where the environment loads', mutate: each(TASK, p => { p.MigrationType = 'cdc' }) },
  { name: 'target endpoint: IncludeTransactionDetails off', mutate: kinesisSettings(s => { s.IncludeTransactionDetails = false }) },
  { name: 'target endpoint: IncludeNullAndEmpty off', mutate: kinesisSettings(s => { s.IncludeNullAndEmpty = false }) },
  { name: 'target endpoint: no partition value', mutate: kinesisSettings(s => { s.IncludePartitionValue = false }) },
  { name: 'source endpoint: no heartbeat', mutate: postgresSettings(s => { s.HeartbeatEnable = false }) },
  { name: 'source endpoint: MapBooleanAsBoolean off', mutate: postgresSettings(s => { s.MapBooleanAsBoolean = false }) },
  { name: 'source endpoint: captures DDL', mutate: postgresSettings(s => { s.CaptureDdls = true }) },
  { name: 'source endpoint: user and password in the template', mutate: endpoint('source', p => { p.Username = 'dms_user'; p.Password = 'secret' }) },
  { name: 'UseLargeIntegerValue is not set', mutate: without(({ Type }) => Type === 'Custom::DmsEndpointSetting') },
  { name: 'the task is never started', mutate: without(({ Type }) => Type === 'Custom::DmsTaskRun') },
  { name: 'a task stopped for a change is not resumed after a rollback', mutate: without((r, id) => r.Type === 'AWS::Events::Rule' && /Stop/.test(id)) },
  // Database.
  { name: 'cluster parameters: a family there is none of', neither: true, mutate: each(PARAMETERS, p => { p.Family = 'aurora-postgresql-16' }) },
  { name: 'cluster parameters: no logical replication', mutate: each(PARAMETERS, p => { p.Parameters['rds.logical_replication'] = '0' }) },
  { name: 'cluster parameters: connections without TLS', mutate: each(PARAMETERS, p => { p.Parameters['rds.force_ssl'] = '0' }) },
  { name: 'cluster: backups for 40 days', neither: true, mutate: each(CLUSTER, p => { p.BackupRetentionPeriod = 40 }) },
  { name: 'cluster: no protection against deletion', mutate: each(CLUSTER, p => p.DeletionProtection ? void (p.DeletionProtection = false) : false) },
  { name: 'cluster: not encrypted', mutate: each(CLUSTER, p => { p.StorageEncrypted = false; delete p.KmsKeyId }) },
  // Stream.
  { name: 'stream: kept for 12 hours', neither: true, mutate: each(STREAM, p => { p.RetentionPeriodHours = 12 }) },
  { name: 'stream: on demand with a number of shards', neither: true, mutate: each(STREAM, p => p.StreamModeDetails?.StreamMode === 'ON_DEMAND' ? void (p.ShardCount = 4) : false) },
  { name: 'stream: AUTO distribution, which ignores partition keys', mutate: each(STREAM, p => { p.RecordDistributionStrategy = 'AUTO' }) },
  { name: 'stream: deleted with its stack', mutate: each(STREAM, (_p, r) => r.DeletionPolicy === 'Retain' ? void (r.DeletionPolicy = 'Delete') : false) },
  { name: 'stream: not encrypted', mutate: each(STREAM, p => { delete p.StreamEncryption }) },
  { name: 'stream: no metrics by shard', mutate: each(STREAM, p => { delete p.DesiredShardLevelMetrics }) },
  // OpenSearch.
  { name: 'domain: a version there is none of', neither: true, mutate: each(DOMAIN, p => { p.EngineVersion = 'OpenSearch_9.99' }) },
  { name: 'domain: a TLS policy there is none of', neither: true, mutate: each(DOMAIN, p => { p.DomainEndpointOptions.TLSSecurityPolicy = 'Policy-Min-TLS-1-2-PFS-2022-01' }) },
  { name: 'domain: fine-grained access without HTTPS', neither: true, mutate: each(DOMAIN, p => { p.DomainEndpointOptions.EnforceHTTPS = false }) },
  { name: 'domain: fewer subnets than zones', neither: true, mutate: each(DOMAIN, p => p.VPCOptions.SubnetIds.length > 1 ? void p.VPCOptions.SubnetIds.pop() : false) },
  { name: 'domain: Graviton data nodes with other masters', neither: true, mutate: each(DOMAIN, p => p.ClusterConfig.DedicatedMasterType ? void (p.ClusterConfig.DedicatedMasterType = 'm5.large.search') : false) },
  { name: 'domain: es:* for everybody it lets in', mutate: each(DOMAIN, p => { for (const s of p.AccessPolicies.Statement) s.Action = 'es:*' }) },
  { name: 'domain: a standby zone nobody asked for', mutate: each(DOMAIN, p => { p.ClusterConfig.MultiAZWithStandbyEnabled = true }) },
  // Service.
  { name: 'container: StopTimeout 300', neither: true, mutate: consumer(c => { c.StopTimeout = 300 }) },
  { name: 'container: a file system it can write to', mutate: consumer(c => { c.ReadonlyRootFilesystem = false }) },
  { name: 'container: root', mutate: consumer(c => { c.User = 'root' }) },
  { name: 'container: no health check', mutate: consumer(c => { delete c.HealthCheck }) },
  { name: 'container: health check asks for readiness of nothing that is there', mutate: consumer(c => { c.HealthCheck.Command = ['CMD', 'curl', '-f', 'http://localhost:8080/health/ready'] }) },
  { name: 'task definition: x86', mutate: consumer((_c, d) => { d.RuntimePlatform.CpuArchitecture = 'X86_64' }) },
  { name: 'task definition: memory that goes with no such cpu', neither: true, mutate: consumer((_c, d) => { d.Cpu = '1024'; d.Memory = '16384' }) },
  { name: 'service: minimum healthy 300 %', neither: true, mutate: each(SERVICE, p => { p.DeploymentConfiguration.MinimumHealthyPercent = 300 }) },
  { name: 'service: minimum healthy 0 %', mutate: each(SERVICE, p => { p.DeploymentConfiguration.MinimumHealthyPercent = 0 }) },
  { name: 'service: no circuit breaker', mutate: each(SERVICE, p => { delete p.DeploymentConfiguration.DeploymentCircuitBreaker }) },
  { name: 'service: rolls out without its alarms', mutate: each(SERVICE, p => { delete p.DeploymentConfiguration.Alarms }) },
  { name: 'service: does not wait for the bootstrap', mutate: each(SERVICE, (_p, r) => { const before = [r.DependsOn ?? []].flat(); const after = before.filter(id => !/Bootstrap/.test(id)); if (after.length === before.length) return false; r.DependsOn = after }) },
  { name: 'service: with a public address', mutate: each(SERVICE, p => { p.NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp = 'ENABLED' }) },
  { name: 'setting misspelt', mutate: variable('LEASE_TABLE', (all, at) => { all[at].Name = 'LEASES_TABLE' }) },
  { name: 'setting left out', mutate: variable('EMF_NAMESPACE', (all, at) => void all.splice(at, 1)) },
  { name: 'setting with a value the service refuses', mutate: variable('OPENSEARCH_URL', (all, at) => { all[at].Value = 'search.example.com' }) },
  // Who may what.
  { name: 'role: an action misspelt', mutate: statement('kinesis:GetRecords', s => { s.Action = [s.Action].flat().map((a: string) => a.replace('GetRecords', 'GetRecord')) }) },
  { name: 'role: every action', mutate: statement('kinesis:GetRecords', s => { s.Action = '*' }) },
  { name: 'role: every stream', mutate: statement('kinesis:GetRecords', s => { s.Resource = '*' }) },
  { name: 'role: may not decrypt', mutate: statement('kms:Decrypt', (s, all) => void all.splice(all.indexOf(s), 1)) },
  { name: 'role: may not write to the lease table', mutate: statement('dynamodb:UpdateItem', s => { s.Action = [s.Action].flat().filter((a: string) => a !== 'dynamodb:UpdateItem') }) },
  { name: 'role: may empty the dead-letter queue', mutate: statement('sqs:SendMessage', s => { s.Action = [...[s.Action].flat(), 'sqs:PurgeQueue'] }) },
  { name: 'security group: from anywhere', mutate: each('AWS::EC2::SecurityGroup', p => { p.SecurityGroupIngress = [{ CidrIp: '0.0.0.0/0', IpProtocol: 'tcp', FromPort: 443, ToPort: 443 }] }) },
  { name: 'security group: to anywhere', mutate: each('AWS::EC2::SecurityGroup', p => { p.SecurityGroupEgress = [{ CidrIp: '0.0.0.0/0', IpProtocol: '-1' }] }) },
  { name: 'an endpoint that Fargate needs is missing', mutate: without((r, id) => r.Type === 'AWS::EC2::VPCEndpoint' && /EcrDocker/.test(id)) },
  // State.
  { name: 'lease table: a key that is not declared', neither: true, mutate: stacks => tables(p => { p.AttributeDefinitions[0].AttributeName = 'leaseId' })(stacks) },
  { name: 'lease table: another key than the service has', mutate: stacks => tables(p => { p.AttributeDefinitions[0].AttributeName = 'leaseId'; p.KeySchema[0].AttributeName = 'leaseId' })(stacks) },
  { name: 'lease table: no point-in-time recovery', mutate: stacks => tables(p => { if (p.Replicas) for (const one of p.Replicas) one.PointInTimeRecoverySpecification = { PointInTimeRecoveryEnabled: false }; else p.PointInTimeRecoverySpecification = { PointInTimeRecoveryEnabled: false } })(stacks) },
  { name: 'dead letters: kept for an hour', mutate: each(QUEUE, p => { p.MessageRetentionPeriod = 3600 }) },
  { name: 'dead letters: not encrypted', mutate: each(QUEUE, p => { delete p.KmsMasterKeyId }) },
  { name: 'a log group without an end', mutate: each('AWS::Logs::LogGroup', p => { delete p.RetentionInDays }) },
  { name: 'a log group without our key', mutate: each('AWS::Logs::LogGroup', p => { delete p.KmsKeyId }) },
  { name: 'a key that does not rotate', mutate: each('AWS::KMS::Key', p => { p.EnableKeyRotation = false }) },
  // What watches.
  { name: 'alarm: without the second dimension of DMS', mutate: alarm('DmsSourceLatency', p => { p.Dimensions = p.Dimensions.slice(0, 1) }) },
  { name: 'alarm: nobody is told', mutate: alarm('CdcNoWorker', p => { delete p.AlarmActions }) },
  { name: 'alarm: the sum of a gauge', mutate: alarm('DeadLettersWait', p => { p.Statistic = 'Sum' }) },
  { name: 'alarm: no data is well, where it is the outage', mutate: alarm('StreamIteratorAge', p => { p.TreatMissingData = 'notBreaching' }) },
  { name: 'alarm: a metric nobody writes', mutate: alarm('CdcShardHeld', p => { p.MetricName = 'ShardHeld' }) },
  { name: 'alarm: one is missing', mutate: without(r => r.Type === 'AWS::CloudWatch::Alarm' && /SlotDiskCritical/.test(String(r.Properties.AlarmName))) },
  { name: 'alarm: a period of 45 s', mutate: alarm('CdcShardLags', p => { p.Period = 45 }) },
  { name: 'event of a failed task: misspelt', mutate: each('AWS::Events::Rule', p => { const types = p.EventPattern?.detail?.eventType; if (!types?.includes('REPLICATION_TASK_FAILED')) return false; p.EventPattern.detail.eventType = ['REPLICATION_TASK_FAILURE'] }) },
  { name: 'dashboard: no JSON', neither: true, mutate: each('AWS::CloudWatch::Dashboard', p => { const parts = typeof p.DashboardBody === 'string' ? undefined : p.DashboardBody['Fn::Join'][1]; if (parts) parts[parts.length - 1] = parts.at(-1).slice(0, -2); else p.DashboardBody = p.DashboardBody.slice(0, -2) }) },
]

function tables(change: (properties: Loose) => unknown) {
  return (stacks: Stack[]) =>
    each('AWS::DynamoDB::Table', change)(stacks) + each('AWS::DynamoDB::GlobalTable', change)(stacks)
}
