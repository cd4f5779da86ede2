/** Mistakes in what holds data: stream, leases, letters, index, logs, keys. */
import type { Loose } from '../synthesised.ts'
import { each, type Mutant } from './change.ts'

const STREAM = 'AWS::Kinesis::Stream'
const DOMAIN = 'AWS::OpenSearchService::Domain'
const QUEUE = 'AWS::SQS::Queue'

const tables = (change: (properties: Loose) => void): Mutant['mutate'] => each('AWS::DynamoDB::Table', change)

export const storeMutants: Mutant[] = [
  {
    name: 'stream: kept for 12 hours',
    neither: true,
    mutate: each(STREAM, p => {
      p.RetentionPeriodHours = 12
    }),
  },
  {
    name: 'stream: on demand with a number of shards',
    neither: true,
    mutate: each(STREAM, p => {
      if (p.StreamModeDetails?.StreamMode === 'ON_DEMAND') p.ShardCount = 4
    }),
  },
  {
    name: 'stream: AUTO distribution, which ignores partition keys',
    mutate: each(STREAM, p => {
      p.RecordDistributionStrategy = 'AUTO'
    }),
  },
  {
    name: 'stream: deleted with its stack',
    mutate: each(STREAM, (_p, r) => {
      if (r.DeletionPolicy === 'Retain') r.DeletionPolicy = 'Delete'
    }),
  },
  {
    name: 'stream: not encrypted',
    mutate: each(STREAM, p => {
      delete p.StreamEncryption
    }),
  },
  {
    name: 'stream: no metrics by shard',
    mutate: each(STREAM, p => {
      delete p.DesiredShardLevelMetrics
    }),
  },
  {
    name: 'domain: a version there is none of',
    neither: true,
    mutate: each(DOMAIN, p => {
      p.EngineVersion = 'OpenSearch_9.99'
    }),
  },
  {
    name: 'domain: a TLS policy there is none of',
    neither: true,
    mutate: each(DOMAIN, p => {
      p.DomainEndpointOptions.TLSSecurityPolicy = 'Policy-Min-TLS-1-2-PFS-2022-01'
    }),
  },
  {
    name: 'domain: fine-grained access without HTTPS',
    neither: true,
    mutate: each(DOMAIN, p => {
      p.DomainEndpointOptions.EnforceHTTPS = false
    }),
  },
  {
    name: 'domain: fewer subnets than zones',
    neither: true,
    mutate: each(DOMAIN, p => {
      if (p.VPCOptions.SubnetIds.length > 1) p.VPCOptions.SubnetIds.pop()
    }),
  },
  {
    name: 'domain: Graviton data nodes with other masters',
    neither: true,
    mutate: each(DOMAIN, p => {
      if (p.ClusterConfig.DedicatedMasterType) p.ClusterConfig.DedicatedMasterType = 'm5.large.search'
    }),
  },
  {
    name: 'domain: es:* for everybody it lets in',
    mutate: each(DOMAIN, p => {
      for (const s of p.AccessPolicies.Statement) s.Action = 'es:*'
    }),
  },
  {
    name: 'domain: a standby zone nobody asked for',
    mutate: each(DOMAIN, p => {
      p.ClusterConfig.MultiAZWithStandbyEnabled = true
    }),
  },
  {
    name: 'lease table: a key that is not declared',
    neither: true,
    mutate: tables(p => {
      p.AttributeDefinitions[0].AttributeName = 'leaseId'
    }),
  },
  {
    name: 'lease table: another key than the service has',
    mutate: tables(p => {
      p.AttributeDefinitions[0].AttributeName = 'leaseId'
      p.KeySchema[0].AttributeName = 'leaseId'
    }),
  },
  {
    name: 'lease table: no point-in-time recovery',
    mutate: tables(p => {
      p.PointInTimeRecoverySpecification = { PointInTimeRecoveryEnabled: false }
    }),
  },
  {
    name: 'dead letters: kept for an hour',
    mutate: each(QUEUE, p => {
      p.MessageRetentionPeriod = 3600
    }),
  },
  {
    name: 'dead letters: not encrypted',
    mutate: each(QUEUE, p => {
      delete p.KmsMasterKeyId
    }),
  },
  {
    name: 'a log group without an end',
    mutate: each('AWS::Logs::LogGroup', p => {
      delete p.RetentionInDays
    }),
  },
  {
    name: 'a log group without our key',
    mutate: each('AWS::Logs::LogGroup', p => {
      delete p.KmsKeyId
    }),
  },
  {
    name: 'a key that does not rotate',
    mutate: each('AWS::KMS::Key', p => {
      p.EnableKeyRotation = false
    }),
  },
  {
    name: 'domain: nodes speak in the clear',
    mutate: each(DOMAIN, p => {
      p.NodeToNodeEncryptionOptions.Enabled = false
    }),
  },
  {
    name: 'domain: no fine-grained access',
    mutate: each(DOMAIN, p => {
      p.AdvancedSecurityOptions = { Enabled: false }
    }),
  },
  {
    name: 'domain: outside the VPC',
    mutate: each(DOMAIN, p => {
      delete p.VPCOptions
    }),
  },
  {
    name: 'domain: users of its own beside the roles',
    mutate: each(DOMAIN, p => {
      p.AdvancedSecurityOptions.InternalUserDatabaseEnabled = true
    }),
  },
  {
    name: 'a key for everybody',
    mutate: each('AWS::KMS::Key', p => {
      p.KeyPolicy.Statement[0].Principal = { AWS: '*' }
    }),
  },
]
