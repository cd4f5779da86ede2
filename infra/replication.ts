/** AWS DMS: from the database's slot to the stream. The task is made here; what starts and stops it stands beside it. */
import {
  DmsSslModeValue,
  MessageFormatValue,
  MigrationTypeValue,
  PluginNameValue,
  ReplicationEndpointTypeValue,
} from '@aws-sdk/client-database-migration-service'
import { type CfnResource, Stack } from 'aws-cdk-lib'
import {
  CfnCertificate,
  CfnEndpoint,
  CfnReplicationInstance,
  CfnReplicationSubnetGroup,
  CfnReplicationTask,
} from 'aws-cdk-lib/aws-dms'
import {
  Effect,
  ManagedPolicy,
  PolicyDocument,
  PolicyStatement,
  Role,
  ServicePrincipal,
} from 'aws-cdk-lib/aws-iam'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import { Construct } from 'constructs'
import { databaseAuthorities } from './database-authorities.ts'
import { removalOf } from './encryption-key.ts'
import type { Environment } from './environments.ts'
import { namesOf } from './names.ts'
import type { Network } from './network.ts'
import type { Rule } from './replication-mappings.ts'
import type { SecurityGroups } from './security-groups.ts'
import type { SourceDatabase } from './source-database.ts'

export type ReplicationParts = {
  network: Network
  groups: SecurityGroups
  database: SourceDatabase
  stream: { streamArn: string; keyArn: string }
  /** Of the instance's storage and of the endpoints. */
  key: IKey
  mappings: { rules: Rule[] }
  settings: object
  /** Of the heartbeat's table: `bootstrap` makes it. Not one that is replicated. */
  heartbeatSchema: string
}

export class Replication extends Construct {
  readonly task: CfnReplicationTask
  readonly target: CfnEndpoint
  /** What may not be changed while the task runs. */
  readonly guarded: CfnResource[]

  constructor(scope: Construct, id: string, environment: Environment, parts: ReplicationParts) {
    super(scope, id)
    const names = namesOf(environment)
    const { replication } = environment
    const { network, groups, key } = parts

    const subnetGroup = new CfnReplicationSubnetGroup(this, 'Subnets', {
      replicationSubnetGroupIdentifier: `cdc-${environment.name}`,
      replicationSubnetGroupDescription: 'CDC replication subnets',
      subnetIds: network.vpc.selectSubnets(network.subnets).subnetIds,
    })
    const instance = new CfnReplicationInstance(this, 'Instance', {
      replicationInstanceIdentifier: names.replicationInstance,
      // Makes its ARN known: the alarm for its events is by it.
      resourceIdentifier: names.replicationInstance,
      replicationInstanceClass: replication.instanceClass,
      engineVersion: replication.engineVersion,
      allocatedStorage: replication.storageGiB,
      multiAz: replication.multiAz,
      // CloudFormation's own default is true.
      publiclyAccessible: false,
      kmsKeyId: key.keyArn,
      replicationSubnetGroupIdentifier: subnetGroup.ref,
      vpcSecurityGroupIds: [groups.replication.securityGroupId],
      // A minor version restarts the task at a time nobody chose.
      autoMinorVersionUpgrade: false,
      preferredMaintenanceWindow: 'sun:04:00-sun:04:30',
    })
    if (environment.accountRoles.dms === 'create') this.#accountRoles(subnetGroup, instance)
    // By the name DMS would make it under, without a key and without an end.
    const log = new LogGroup(this, 'Log', {
      logGroupName: names.replicationLog,
      retention: environment.observability.logRetentionDays as RetentionDays,
      encryptionKey: key,
      removalPolicy: removalOf(environment),
    })
    instance.node.addDependency(log)

    const source = this.#source(environment, parts)
    this.target = this.#target(environment, parts)
    this.task = new CfnReplicationTask(this, 'Task', {
      replicationTaskIdentifier: names.replicationTask,
      // Without it the end of the task's ARN is chance, and the dimension of its metrics unknown until after the deploy.
      resourceIdentifier: names.replicationTask,
      replicationInstanceArn: instance.ref,
      sourceEndpointArn: source.ref,
      targetEndpointArn: this.target.ref,
      migrationType:
        replication.migrationType === 'cdc' ? MigrationTypeValue.CDC : MigrationTypeValue.FULL_LOAD_AND_CDC,
      tableMappings: JSON.stringify(parts.mappings),
      replicationTaskSettings: JSON.stringify(parts.settings),
    })
    // The subnets too: on the first deploy they wait for the stop's function, and so give IAM the minute it needs to know `dms-vpc-role`.
    this.guarded = [subnetGroup, instance, source, this.target, this.task]
    this.task.node.addDependency(parts.database)
  }

  #source(environment: Environment, { database, key, heartbeatSchema }: ReplicationParts): CfnEndpoint {
    const { region } = Stack.of(this)
    const role = new Role(this, 'SecretRole', {
      description: 'DMS reads the secret of its database user',
      // The one service principal of DMS that is the region's. Nothing says that it tells for which account it comes, so no condition asks.
      assumedBy: new ServicePrincipal(`dms.${region}.amazonaws.com`),
      // In the role itself: whoever waits for the role waits for its rights.
      inlinePolicies: {
        secret: new PolicyDocument({
          statements: [
            new PolicyStatement({
              sid: 'ReadSecret',
              actions: ['secretsmanager:GetSecretValue', 'secretsmanager:DescribeSecret'],
              resources: [database.dmsSecret.secretArn],
            }),
            ...(database.secretKeyArns.length > 0
              ? [
                  new PolicyStatement({
                    sid: 'DecryptSecret',
                    actions: ['kms:Decrypt'],
                    resources: [...database.secretKeyArns],
                  }),
                ]
              : []),
          ],
        }),
      },
    })
    const certificateArn =
      environment.replication.certificateArn ??
      new CfnCertificate(this, 'Authorities', {
        certificateIdentifier: namesOf(environment).databaseAuthorities,
        certificatePem: databaseAuthorities(region),
      }).ref
    return new CfnEndpoint(this, 'Source', {
      endpointIdentifier: namesOf(environment).sourceEndpoint,
      endpointType: ReplicationEndpointTypeValue.SOURCE,
      engineName: 'aurora-postgresql',
      databaseName: database.databaseName,
      kmsKeyId: key.keyArn,
      // `require` would encrypt, but talk to anybody.
      sslMode: DmsSslModeValue.VERIFY_FULL,
      certificateArn,
      postgreSqlSettings: {
        secretsManagerSecretId: database.dmsSecret.secretArn,
        secretsManagerAccessRoleArn: role.roleArn,
        // DMS has no pgoutput; this one needs nothing installed and takes REPLICA IDENTITY FULL.
        pluginName: PluginNameValue.TEST_DECODING,
        // No event trigger and no table in the source; DDL is not needed, the table file says what a table is.
        captureDdls: false,
        mapBooleanAsBoolean: true,
        // The slot of an idle database would keep the whole cluster's log. The frequency is given: without it the heartbeat has run in a tight loop.
        heartbeatEnable: true,
        heartbeatFrequency: 5,
        heartbeatSchema,
        failTasksOnLobTruncation: false,
        executeTimeout: 60,
      },
    })
  }

  #target(environment: Environment, { stream, key }: ReplicationParts): CfnEndpoint {
    const { account } = Stack.of(this)
    const role = new Role(this, 'StreamRole', {
      description: 'DMS writes to the stream',
      assumedBy: new ServicePrincipal('dms.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': account } },
      }),
      inlinePolicies: {
        stream: new PolicyDocument({
          statements: [
            new PolicyStatement({
              sid: 'WriteStream',
              effect: Effect.ALLOW,
              actions: ['kinesis:PutRecord', 'kinesis:PutRecords', 'kinesis:DescribeStream'],
              resources: [stream.streamArn],
            }),
            new PolicyStatement({
              sid: 'EncryptRecords',
              actions: ['kms:GenerateDataKey', 'kms:Decrypt'],
              resources: [stream.keyArn],
            }),
          ],
        }),
      },
    })
    return new CfnEndpoint(this, 'Target', {
      endpointIdentifier: namesOf(environment).targetEndpoint,
      // Makes its ARN known: the one setting CloudFormation lacks is put by it.
      resourceIdentifier: namesOf(environment).targetEndpoint,
      endpointType: ReplicationEndpointTypeValue.TARGET,
      engineName: 'kinesis',
      kmsKeyId: key.keyArn,
      kinesisSettings: {
        streamArn: stream.streamArn,
        serviceAccessRoleArn: role.roleArn,
        // CloudFormation's schema spells it in lower case, as the API does.
        messageFormat: MessageFormatValue.JSON_UNFORMATTED,
        // The time of the commit: the latency promised ends where it began.
        includeTransactionDetails: true,
        // Otherwise a column set to NULL keeps its old value in the document.
        includeNullAndEmpty: true,
        includePartitionValue: true,
        // Before the values of tables by key: equal keys of two tables do not crowd one shard.
        partitionIncludeSchemaTable: true,
        includeTableAlterOperations: false,
        includeControlDetails: false,
        noHexPrefix: false,
      },
    })
  }

  /** Names fixed by DMS; an account has one of each. */
  #accountRoles(subnetGroup: CfnReplicationSubnetGroup, instance: CfnReplicationInstance): void {
    const make = (name: string, policy: string) =>
      new Role(this, name, {
        roleName: name,
        assumedBy: new ServicePrincipal('dms.amazonaws.com'),
        managedPolicies: [ManagedPolicy.fromAwsManagedPolicyName(`service-role/${policy}`)],
      })
    subnetGroup.node.addDependency(make('dms-vpc-role', 'AmazonDMSVPCManagementRole'))
    instance.node.addDependency(make('dms-cloudwatch-logs-role', 'AmazonDMSCloudWatchLogsRole'))
  }
}
