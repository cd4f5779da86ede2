/** Mistakes between the database and the stream. */
import type { Loose } from '../synthesised.ts'
import { each, json, type Mutant, statement, without } from './change.ts'

const TASK = 'AWS::DMS::ReplicationTask'
const CLUSTER = 'AWS::RDS::DBCluster'
const PARAMETERS = 'AWS::RDS::DBClusterParameterGroup'

const endpoint = (kind: 'source' | 'target', change: (properties: Loose) => void) =>
  each('AWS::DMS::Endpoint', properties => {
    if (properties.EndpointType === kind) change(properties)
  })
const kinesisSettings = (change: (settings: Loose) => void) =>
  endpoint('target', properties => change(properties.KinesisSettings))
const postgresSettings = (change: (settings: Loose) => void) =>
  endpoint('source', properties => change(properties.PostgreSqlSettings))
const taskSettings = (change: (settings: Loose) => void) => json(TASK, 'ReplicationTaskSettings', change)
const mappings = (change: (rules: Loose[]) => void) =>
  json(TASK, 'TableMappings', ({ rules }) => change(rules))

export const replicationMutants: Mutant[] = [
  {
    name: 'source endpoint: SslMode is no mode',
    neither: true,
    mutate: endpoint('source', p => {
      p.SslMode = 'required'
    }),
  },
  {
    name: 'source endpoint: SslMode none',
    mutate: endpoint('source', p => {
      p.SslMode = 'none'
    }),
  },
  {
    name: 'source endpoint: EngineName misspelt',
    neither: true,
    mutate: endpoint('source', p => {
      p.EngineName = 'aurora-postgres'
    }),
  },
  {
    name: 'target endpoint: EndpointType is no type',
    neither: true,
    mutate: endpoint('target', p => {
      p.EndpointType = 'destination'
    }),
  },
  {
    name: 'source endpoint: PluginName pgoutput',
    neither: true,
    mutate: postgresSettings(s => {
      s.PluginName = 'pgoutput'
    }),
  },
  {
    name: 'target endpoint: MessageFormat in capitals',
    neither: true,
    mutate: kinesisSettings(s => {
      s.MessageFormat = 'JSON_UNFORMATTED'
    }),
  },
  {
    name: 'replication instance: a class there is none of',
    neither: true,
    mutate: each('AWS::DMS::ReplicationInstance', p => {
      p.ReplicationInstanceClass = 'dms.r6g.large'
    }),
  },
  {
    name: 'replication instance: public',
    mutate: each('AWS::DMS::ReplicationInstance', p => {
      p.PubliclyAccessible = true
    }),
  },
  {
    name: 'replication instance: in one zone',
    mutate: each('AWS::DMS::ReplicationInstance', p => {
      if (p.MultiAZ) p.MultiAZ = false
    }),
  },
  {
    name: 'task: TableMappings is no JSON',
    neither: true,
    mutate: each(TASK, p => {
      p.TableMappings = p.TableMappings.slice(0, -1)
    }),
  },
  {
    name: 'task: settings are no JSON',
    neither: true,
    mutate: each(TASK, p => {
      p.ReplicationTaskSettings = p.ReplicationTaskSettings.slice(0, -1)
    }),
  },
  {
    name: 'task: audit tables are no longer left out',
    mutate: mappings(rules => {
      const at = rules.findIndex(
        r => r['rule-action'] === 'exclude' && /audit/.test(r['object-locator']['table-name']),
      )
      if (at !== -1) rules.splice(at, 1)
    }),
  },
  {
    name: 'task: a table by key that the table file has by table',
    mutate: mappings(rules => {
      const rule = rules.find(r => r['mapping-parameters']?.['partition-key-type'] === 'schema-table')
      if (rule) rule['mapping-parameters']['partition-key-type'] = 'primary-key'
    }),
  },
  {
    name: 'task: BatchApplyEnabled',
    mutate: taskSettings(s => {
      s.TargetMetadata.BatchApplyEnabled = true
    }),
  },
  {
    name: 'task: ParallelApplyThreads',
    mutate: taskSettings(s => {
      s.TargetMetadata.ParallelApplyThreads = 8
    }),
  },
  {
    name: 'task: no before-image',
    mutate: taskSettings(s => {
      s.BeforeImageSettings.EnableBeforeImage = false
    }),
  },
  {
    name: 'task: a failed row is passed over',
    mutate: taskSettings(s => {
      s.ErrorBehavior.ApplyErrorInsertPolicy = 'LOG_ERROR'
    }),
  },
  {
    name: 'task: its log is off',
    mutate: taskSettings(s => {
      s.Logging.EnableLogging = false
    }),
  },
  {
    name: 'task: another end of its ARN than the alarms have',
    mutate: each(TASK, p => {
      p.ResourceIdentifier = 'another-task'
    }),
  },
  {
    name: 'task: does not wait for its stop',
    mutate: each(TASK, (_p, r) => {
      r.DependsOn = [r.DependsOn ?? []].flat().filter(id => !/Stop/.test(id))
    }),
  },
  {
    name: 'task: cdc where the environment loads',
    mutate: each(TASK, p => {
      p.MigrationType = 'cdc'
    }),
  },
  {
    name: 'target endpoint: IncludeTransactionDetails off',
    mutate: kinesisSettings(s => {
      s.IncludeTransactionDetails = false
    }),
  },
  {
    name: 'target endpoint: IncludeNullAndEmpty off',
    mutate: kinesisSettings(s => {
      s.IncludeNullAndEmpty = false
    }),
  },
  {
    name: 'target endpoint: no partition value',
    mutate: kinesisSettings(s => {
      s.IncludePartitionValue = false
    }),
  },
  {
    name: 'source endpoint: no heartbeat',
    mutate: postgresSettings(s => {
      s.HeartbeatEnable = false
    }),
  },
  {
    name: 'source endpoint: MapBooleanAsBoolean off',
    mutate: postgresSettings(s => {
      s.MapBooleanAsBoolean = false
    }),
  },
  {
    name: 'source endpoint: captures DDL',
    mutate: postgresSettings(s => {
      s.CaptureDdls = true
    }),
  },
  {
    name: 'source endpoint: user and password in the template',
    mutate: endpoint('source', p => {
      p.Username = 'dms_user'
      p.Password = 'secret'
    }),
  },
  {
    name: 'UseLargeIntegerValue is not set',
    mutate: without(({ Type }) => Type === 'Custom::DmsEndpointSetting'),
  },
  { name: 'the task is never started', mutate: without(({ Type }) => Type === 'Custom::DmsTaskRun') },
  {
    name: 'a task stopped for a change is not resumed after a rollback',
    mutate: without((r, id) => r.Type === 'AWS::Events::Rule' && /Stop/.test(id)),
  },
  {
    name: 'cluster parameters: a family there is none of',
    neither: true,
    mutate: each(PARAMETERS, p => {
      p.Family = 'aurora-postgresql-16'
    }),
  },
  {
    name: 'cluster parameters: no logical replication',
    mutate: each(PARAMETERS, p => {
      p.Parameters['rds.logical_replication'] = '0'
    }),
  },
  {
    name: 'cluster parameters: connections without TLS',
    mutate: each(PARAMETERS, p => {
      p.Parameters['rds.force_ssl'] = '0'
    }),
  },
  {
    name: 'cluster: backups for 40 days',
    neither: true,
    mutate: each(CLUSTER, p => {
      p.BackupRetentionPeriod = 40
    }),
  },
  {
    name: 'cluster: no protection against deletion',
    mutate: each(CLUSTER, p => {
      if (p.DeletionProtection) p.DeletionProtection = false
    }),
  },
  {
    name: 'cluster: not encrypted',
    mutate: each(CLUSTER, p => {
      p.StorageEncrypted = false
      delete p.KmsKeyId
    }),
  },
  {
    name: 'task: large values are not taken along',
    mutate: taskSettings(s => {
      s.TargetMetadata.SupportLobs = false
    }),
  },
  {
    name: 'task: large values one by one, which Kinesis cannot take',
    mutate: taskSettings(s => {
      s.TargetMetadata.FullLobMode = true
      s.TargetMetadata.LimitedSizeLobMode = false
    }),
  },
  {
    name: 'task: the before-image under a name the service does not look for',
    mutate: taskSettings(s => {
      s.BeforeImageSettings.FieldName = 'before_image'
    }),
  },
  {
    name: 'task: no object mapping, so that loads go by key and changes by table',
    mutate: mappings(rules => {
      rules.splice(0, rules.length, ...rules.filter(r => r['rule-type'] !== 'object-mapping'))
    }),
  },
  {
    name: 'source endpoint: a heartbeat in a schema the service does not skip',
    mutate: postgresSettings(s => {
      s.HeartbeatSchema = 'app'
    }),
  },
  {
    name: 'source endpoint: its secret role for the wrong principal',
    mutate: each('AWS::IAM::Role', p => {
      const [s] = p.AssumeRolePolicyDocument.Statement
      if (/^dms\.[a-z]+-/.test(String(s.Principal.Service))) s.Principal.Service = 'dms.amazonaws.com'
    }),
  },
  {
    name: 'target endpoint: its role may not use the key of the stream',
    mutate: statement('kms:GenerateDataKey', (s, all) => {
      if (all.some(one => [one.Action].flat().includes('kinesis:PutRecords'))) all.splice(all.indexOf(s), 1)
    }),
  },
  {
    name: 'database instance: public',
    mutate: each('AWS::RDS::DBInstance', p => {
      p.PubliclyAccessible = true
    }),
  },
  {
    name: 'the functions may not start the task',
    mutate: statement('dms:StartReplicationTask', s => {
      s.Action = 'dms:StopReplicationTask'
    }),
  },
  {
    name: 'a function by a name its code does not have',
    mutate: each('AWS::Lambda::Function', p => {
      if (p.Handler === 'index.isComplete') p.Handler = 'index.isCompleted'
    }),
  },
]
