/** The parts of one environment, in the order data flows through them; then what watches them. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type App, CfnOutput, type Stack } from 'aws-cdk-lib'
import { readConfig } from '../src/config.ts'
import { acknowledge } from './acknowledged.ts'
import { Bootstrap } from './bootstrap.ts'
import { BootstrapRole } from './bootstrap-role.ts'
import { EndpointSetting } from './custom-resources/endpoint-setting.ts'
import { ReplicationControl } from './custom-resources/replication-control.ts'
import { ReplicationTaskRun } from './custom-resources/replication-task-run.ts'
import { ReplicationTaskStop } from './custom-resources/replication-task-stop.ts'
import { databaseAuthorities } from './database-authorities.ts'
import { DeadLetterQueue } from './dead-letter-queue.ts'
import { Discovery } from './discovery.ts'
import { EncryptionKey } from './encryption-key.ts'
import { proveEnvironment } from './environment-faults.ts'
import type { Environment } from './environments.ts'
import { LeaseTable } from './lease-table.ts'
import { namesOf } from './names.ts'
import { Network } from './network.ts'
import { DEPLOYMENT_ALARMS, observe } from './observability.ts'
import { Replication } from './replication.ts'
import { tableMappings } from './replication-mappings.ts'
import { replicationSettings } from './replication-settings.ts'
import { Scaling } from './scaling.ts'
import { SearchDomain } from './search-domain.ts'
import { SecurityGroups } from './security-groups.ts'
import { makeCluster, Service, Task } from './service.ts'
import { bootstrapSettings, inlineTableFile, type Known, serviceSettings } from './service-settings.ts'
import { SourceDatabase } from './source-database.ts'
import { makeStacks, type Stacks } from './stacks.ts'
import { ChangeStream } from './stream.ts'
import { TaskRole } from './task-role.ts'

/** @throws ConfigError where the environment or its table file has mistakes */
export function addPipeline(app: App, environment: Environment): Stacks {
  proveEnvironment(environment)
  const tableFile = fileURLToPath(new URL(`../${environment.tableFile}`, import.meta.url))
  const mappings = tableMappings(
    readFileSync(tableFile, 'utf8'),
    environment.tableFile,
    environment.replication.schemas,
  )
  // What DMS and the service have to agree on.
  const defaults = readConfig({}, ['BEFORE_IMAGE', 'DMS_HEARTBEAT_SCHEMA'])
  const names = namesOf(environment)
  const stacks = makeStacks(app, environment)

  const network = new Network(stacks.network, 'Network', environment)
  const groups = new SecurityGroups(stacks.network, 'SecurityGroups', environment, network)

  const sourceKey = new EncryptionKey(stacks.source, 'Key', environment, 'database, its secrets, DMS')
  sourceKey.allowLogGroups(
    `/aws/rds/cluster/${names.databaseCluster}/`,
    names.replicationLog,
    names.stack('source'),
  )
  const database = new SourceDatabase(stacks.source, 'Database', environment, {
    network,
    groups,
    key: sourceKey,
  })

  const streamKey = new EncryptionKey(stacks.stream, 'Key', environment, 'stream, leases, dead letters')
  const { stream } = new ChangeStream(stacks.stream, 'Stream', environment, streamKey)

  const replication = new Replication(stacks.source, 'Replication', environment, {
    network,
    groups,
    database,
    stream: { streamArn: stream.streamArn, keyArn: streamKey.keyArn },
    key: sourceKey,
    mappings,
    settings: replicationSettings(environment.replication, defaults),
    heartbeatSchema: defaults.DMS_HEARTBEAT_SCHEMA,
  })
  const control = new ReplicationControl(stacks.source, 'ReplicationControl', {
    taskId: names.replicationTask,
    taskResourceIdentifier: names.replicationTask,
    endpointResourceIdentifier: names.targetEndpoint,
    logKey: sourceKey,
  })
  const { run, reload, migrationType } = environment.replication
  const { settingsHash } = new ReplicationTaskStop(stacks.source, 'ReplicationStop', {
    control,
    guarded: replication.guarded,
    run,
  })
  new EndpointSetting(stacks.source, 'LargeIntegers', { control, endpoint: replication.target, settingsHash })

  const { table } = new LeaseTable(stacks.stream, 'Leases', environment, streamKey)
  const { queue } = new DeadLetterQueue(stacks.stream, 'DeadLetters', environment, streamKey)

  const { role: taskRole } = new TaskRole(stacks.search, 'TaskRole', environment, {
    streamArn: stream.streamArn,
    leaseTableArn: table.tableArn,
    deadLetterQueueArn: queue.queueArn,
    key: streamKey,
  })
  const { role: bootstrapRole } = new BootstrapRole(stacks.search, 'BootstrapRole', environment)
  const searchKey = new EncryptionKey(stacks.search, 'Key', environment, 'indices').allowLogGroups(
    names.log('search/'),
  )
  const search = new SearchDomain(stacks.search, 'Search', environment, {
    network,
    groups,
    key: searchKey,
    access: {
      consumerRoleArn: taskRole.roleArn,
      bootstrapRoleArn: bootstrapRole.roleArn,
    },
  })

  observe(stacks.observability, environment, [sourceKey, streamKey, searchKey])

  const logKey = new EncryptionKey(stacks.consumer, 'Key', environment, 'logs of the tasks').allowLogGroups(
    names.log(''),
    names.stack('consumer'),
  )
  const known: Known = {
    region: environment.region,
    streamName: stream.streamName,
    leaseTable: table.tableName,
    deadLetterQueueUrl: queue.queueUrl,
    searchEndpoint: search.endpoint,
    tableFile: inlineTableFile(tableFile),
  }
  const cluster = makeCluster(stacks.consumer, 'Cluster', environment, network)
  const bootstrap = new Bootstrap(stacks.consumer, 'Bootstrap', environment, {
    cluster,
    network,
    groups,
    database,
    role: bootstrapRole,
    settings: bootstrapSettings(
      known,
      {
        taskRoleArn: taskRole.roleArn,
        databaseHost: database.host,
        databasePort: database.port,
        databaseName: database.databaseName,
        databaseAuthorities: databaseAuthorities(environment.region),
        schemas: environment.replication.schemas,
      },
      environment.service.settings,
    ),
    key: logKey,
  })
  const { service } = new Service(stacks.consumer, 'Consumer', environment, {
    cluster,
    task: new Task(stacks.consumer, 'Task', environment, {
      family: names.service,
      name: 'consumer',
      command: ['run'],
      taskRole,
      environment: serviceSettings(known, environment.service.settings),
      secrets: {},
      key: logKey,
      serves: true,
    }),
    subnets: network.subnets,
    group: groups.consumer,
    deploymentAlarms: DEPLOYMENT_ALARMS.map(names.alarm),
  })
  // ECS watches them from the first rollout on.
  stacks.consumer.addStackDependency(stacks.observability)
  service.node.addDependency(bootstrap)
  new Scaling(stacks.consumer, 'Scaling', environment, service)
  new Discovery(stacks.consumer, 'Discovery', environment, { network, service })

  // Last of all: what DMS sends waits in the stream for the service, but its user is there only after the bootstrap.
  new ReplicationTaskRun(stacks.consumer, 'ReplicationRun', {
    control,
    settingsHash,
    migrationType,
    run,
    ...(reload === undefined ? {} : { reload }),
    after: [bootstrap, service],
  })
  tell(stacks.stream, {
    StreamName: stream.streamName,
    LeaseTable: table.tableName,
    DeadLetterQueueUrl: queue.queueUrl,
  })
  tell(stacks.search, { SearchEndpoint: search.endpoint })
  tell(stacks.network, { ScraperSecurityGroup: groups.scraper.securityGroupId })
  acknowledge(stacks, environment)
  return stacks
}

/** Outputs, for people and for a service that runs elsewhere. */
function tell(stack: Stack, values: Record<string, string>): void {
  for (const [name, value] of Object.entries(values)) new CfnOutput(stack, name, { value })
}
