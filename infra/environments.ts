/**
 * What differs between dev, staging and production, and nothing else: one typed record each, proved at synth.
 *
 * Whoever deploys this writes here, in `tables.yaml`, and nowhere else.
 */
import type { TunableSetting } from './service-settings.ts'

export type EnvironmentName = 'dev' | 'staging' | 'production'

export type Environment = {
  name: EnvironmentName
  /** Account number. Given, a deploy into any other account is refused; left out, the account of the credentials is taken. */
  account?: string
  region: string
  /** Named, so that synth asks nobody. OpenSearch takes 1, 2 or 3 of them. */
  availabilityZones: readonly string[]
  /** `keep`: resources that hold data outlive their stack, deletion and termination protection are on. `destroy`: nothing does. */
  data: 'keep' | 'destroy'
  /** The table file: read at synth for the DMS object mapping, and delivered to the tasks. Path from the project's root. */
  tableFile: string
  network: CreatedNetwork | ExistingNetwork
  database: CreatedDatabase | ExistingDatabase
  replication: Replication
  stream: StreamSettings
  search: CreatedSearch | ExistingSearch
  service: Service
  observability: Observability
  /** Roles of which an account has one. `exist`: another environment, or somebody by hand, has made them. */
  accountRoles: { dms: 'create' | 'exist'; openSearch: 'create' | 'exist' }
}

/**
 * Lists of the addresses of S3 and DynamoDB in the region, which belong to AWS: `aws ec2 describe-managed-prefix-lists`.
 * A wrong one fails the deploy, it opens nothing.
 */
type PrefixLists = { prefixLists: { s3: string; dynamodb: string } }

export type CreatedNetwork = PrefixLists & {
  kind: 'create'
  cidr: string
  /** In how many of the zones the interface endpoints stand: each costs in each. */
  endpointZones: number
}

export type ExistingNetwork = PrefixLists & {
  kind: 'existing'
  vpcId: string
  /** Private subnets, one a zone, in the order of `availabilityZones`. */
  subnetIds: readonly string[]
  /** Of the subnets, in the same order. They have the gateway endpoints of S3 and DynamoDB. */
  routeTableIds: readonly string[]
  /** Security group of the interface endpoints that are there (kinesis-streams, sqs, secretsmanager, logs, ecr.api, ecr.dkr); left out, they are made. */
  endpointSecurityGroupId?: string
}

export type CreatedDatabase = {
  kind: 'create'
  /** Aurora PostgreSQL, such as 16.11. */
  version: string
  /** Such as r6g.xlarge. */
  instanceType: string
  readers: number
  name: string
}

export type ExistingDatabase = {
  kind: 'existing'
  name: string
  /** Writer endpoint: a reader has no slot. */
  host: string
  port: number
  /** The security group of the cluster; rules for DMS and the bootstrap task are added to it. */
  securityGroupId: string
  /** Secret with host, port, username and password of the user DMS comes as, in the form DMS reads. */
  dmsSecretArn: string
  /** Secret with username and password of a user that may create users: the bootstrap task's. */
  adminSecretArn: string
  /** Customer managed keys of the two secrets, where they have any. */
  secretKeyArns: readonly string[]
  /** For the alarms on the slot. */
  clusterIdentifier: string
}

export type Replication = {
  /** Such as dms.r6i.large. */
  instanceClass: string
  engineVersion: string
  storageGiB: number
  multiAz: boolean
  /** `full-load-and-cdc` brings the rows that are there already; `cdc` only what changes from now on. */
  migrationType: 'cdc' | 'full-load-and-cdc'
  /** Schemas whose tables are replicated. */
  schemas: readonly string[]
  /** A longer text, json or array is cut there, and becomes a dead letter. A record with all its columns has to fit 1 MiB. */
  lobKiB: number
  /** Certificate in DMS that the database is verified by. Left out, one is made of the region's roots of Amazon RDS. */
  certificateArn?: string
  /** false: the task is stopped, and stays so over deploys. */
  run: boolean
  /** A date or time, such as 2026-11-24T16:00. A later one than before loads all tables once more. */
  reload?: string
}

export type StreamSettings = {
  capacity: { mode: 'on-demand' } | { mode: 'provisioned'; shards: number }
  /** How long the service may stand still before changes are lost. 24 to 8760. */
  retentionHours: number
}

export type CreatedSearch = {
  kind: 'create'
  /** OpenSearch, such as 2.19. */
  version: string
  dataNodes: { type: string; count: number }
  masterNodes?: { type: string; count: 3 }
  /** gp3, of each data node. */
  volumeGiB: number
}

export type ExistingSearch = {
  kind: 'existing'
  /** Name of the domain: the statements of the roles are about it. */
  domainName: string
  endpoint: string
  securityGroupId: string
  /** The domain's master role: only it can map others. The bootstrap task takes it, so it has to trust ecs-tasks.amazonaws.com. */
  masterRoleArn: string
}

export type Service = {
  /** Units of Fargate: 1024 is one vCPU. */
  cpu: 256 | 512 | 1024 | 2048 | 4096
  memoryMiB: number
  minTasks: number
  /** A shard is read by one task: more tasks than shards stand idle. */
  maxTasks: number
  /** Left out, the image is built from this project at deploy. */
  image?: { repositoryArn: string; digest: string }
  /** Settings of the service in place of their defaults. */
  settings: Partial<Record<TunableSetting, string>>
}

export type Observability = {
  /** What CloudWatch Logs takes: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 ... days. */
  logRetentionDays: number
  /** Who is woken. */
  pageEmails: readonly string[]
  /** Who reads it in the morning. */
  ticketEmails: readonly string[]
  /** Where the runbook is read: a URL that a pager can open. Each alarm ends it with its heading. */
  runbook: string
  /** More detailed, dearer metrics of the tasks. */
  containerInsights: 'enabled' | 'enhanced'
}

const US_EAST_1 = {
  region: 'us-east-1',
  prefixLists: { s3: 'pl-63a5400a', dynamodb: 'pl-02cd2c6b' },
}

const RUNBOOK = 'infra/RUNBOOK.md'

export const environments: Record<EnvironmentName, Environment> = {
  dev: {
    name: 'dev',
    region: US_EAST_1.region,
    availabilityZones: ['us-east-1a', 'us-east-1b'],
    data: 'destroy',
    tableFile: 'infra/tables.yaml',
    network: { kind: 'create', cidr: '10.40.0.0/20', endpointZones: 1, prefixLists: US_EAST_1.prefixLists },
    database: { kind: 'create', version: '16.11', instanceType: 't4g.medium', readers: 0, name: 'app' },
    replication: {
      instanceClass: 'dms.t3.medium',
      engineVersion: '3.6.1',
      storageGiB: 50,
      multiAz: false,
      migrationType: 'full-load-and-cdc',
      schemas: ['public'],
      lobKiB: 512,
      run: true,
    },
    stream: { capacity: { mode: 'provisioned', shards: 1 }, retentionHours: 24 },
    search: {
      kind: 'create',
      version: '2.19',
      dataNodes: { type: 't3.small.search', count: 1 },
      volumeGiB: 20,
    },
    service: { cpu: 512, memoryMiB: 1024, minTasks: 1, maxTasks: 1, settings: { INDEX_REPLICAS: '0' } },
    observability: {
      logRetentionDays: 14,
      pageEmails: [],
      ticketEmails: [],
      runbook: RUNBOOK,
      containerInsights: 'enabled',
    },
    accountRoles: { dms: 'create', openSearch: 'create' },
  },
  // Production's shape in a smaller size, so that what fails there fails here first.
  staging: {
    name: 'staging',
    region: US_EAST_1.region,
    availabilityZones: ['us-east-1a', 'us-east-1b', 'us-east-1c'],
    data: 'destroy',
    tableFile: 'infra/tables.yaml',
    network: { kind: 'create', cidr: '10.41.0.0/20', endpointZones: 2, prefixLists: US_EAST_1.prefixLists },
    database: { kind: 'create', version: '16.11', instanceType: 'r6g.large', readers: 1, name: 'app' },
    replication: {
      instanceClass: 'dms.c6i.large',
      engineVersion: '3.6.1',
      storageGiB: 100,
      multiAz: true,
      migrationType: 'full-load-and-cdc',
      schemas: ['public'],
      lobKiB: 512,
      run: true,
    },
    stream: { capacity: { mode: 'on-demand' }, retentionHours: 24 },
    search: {
      kind: 'create',
      version: '2.19',
      dataNodes: { type: 'm6g.large.search', count: 3 },
      masterNodes: { type: 'm6g.large.search', count: 3 },
      volumeGiB: 100,
    },
    service: { cpu: 1024, memoryMiB: 2048, minTasks: 2, maxTasks: 4, settings: {} },
    observability: {
      logRetentionDays: 30,
      pageEmails: [],
      ticketEmails: [],
      runbook: RUNBOOK,
      containerInsights: 'enabled',
    },
    accountRoles: { dms: 'create', openSearch: 'create' },
  },
  production: {
    name: 'production',
    region: US_EAST_1.region,
    availabilityZones: ['us-east-1a', 'us-east-1b', 'us-east-1c'],
    data: 'keep',
    tableFile: 'infra/tables.yaml',
    network: { kind: 'create', cidr: '10.42.0.0/20', endpointZones: 3, prefixLists: US_EAST_1.prefixLists },
    database: { kind: 'create', version: '16.11', instanceType: 'r6g.xlarge', readers: 1, name: 'app' },
    replication: {
      instanceClass: 'dms.r6i.large',
      engineVersion: '3.6.1',
      storageGiB: 100,
      multiAz: true,
      migrationType: 'full-load-and-cdc',
      schemas: ['public'],
      lobKiB: 512,
      run: true,
    },
    // A week: a weekend's outage must lose nothing.
    stream: { capacity: { mode: 'on-demand' }, retentionHours: 168 },
    search: {
      kind: 'create',
      version: '2.19',
      dataNodes: { type: 'r6g.large.search', count: 3 },
      masterNodes: { type: 'm6g.large.search', count: 3 },
      volumeGiB: 500,
    },
    service: { cpu: 1024, memoryMiB: 2048, minTasks: 2, maxTasks: 4, settings: {} },
    observability: {
      logRetentionDays: 365,
      pageEmails: [],
      ticketEmails: [],
      runbook: RUNBOOK,
      containerInsights: 'enhanced',
    },
    accountRoles: { dms: 'create', openSearch: 'create' },
  },
}
