/** The source: Aurora PostgreSQL with logical replication on; or the cluster that is there, and two secrets for it. */
import { Duration, RemovalPolicy } from 'aws-cdk-lib'
import { InstanceType } from 'aws-cdk-lib/aws-ec2'
import { ManagedPolicy, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import {
  AuroraPostgresEngineVersion,
  ClusterInstance,
  Credentials,
  DatabaseCluster,
  DatabaseClusterEngine,
  ParameterGroup,
} from 'aws-cdk-lib/aws-rds'
import { type ISecret, Secret } from 'aws-cdk-lib/aws-secretsmanager'
import { Construct } from 'constructs'
import { removalOf } from './encryption-key.ts'
import type { CreatedDatabase, Environment, ExistingDatabase } from './environments.ts'
import { namesOf } from './names.ts'
import type { Network } from './network.ts'
import type { SecurityGroups } from './security-groups.ts'

export const DMS_USER = 'dms_user'

/** Cluster parameters DMS needs. The first three take effect with a restart: on a cluster of your own, set them and restart the writer. */
const PARAMETERS = {
  'rds.logical_replication': '1',
  max_replication_slots: '10',
  max_wal_senders: '10',
  // Milliseconds. DMS wants 10 s or more, and under 5 min.
  wal_sender_timeout: '30000',
  'rds.force_ssl': '1',
}

export class SourceDatabase extends Construct {
  readonly host: string
  readonly port: number
  readonly databaseName: string
  /** host, port, username, password: what DMS reads at each start of the task. */
  readonly dmsSecret: ISecret
  /** username, password of a user that may create users. */
  readonly adminSecret: ISecret
  readonly secretKeyArns: readonly string[]

  constructor(
    scope: Construct,
    id: string,
    environment: Environment,
    parts: { network: Network; groups: SecurityGroups; key: IKey },
  ) {
    super(scope, id)
    const { database } = environment
    const { host, port, dmsSecret, adminSecret, secretKeyArns } =
      database.kind === 'create' ? this.#create(environment, database, parts) : this.#adopt(database)
    this.host = host
    this.port = port
    this.databaseName = database.name
    this.dmsSecret = dmsSecret
    this.adminSecret = adminSecret
    this.secretKeyArns = secretKeyArns
  }

  #adopt({ host, port, dmsSecretArn, adminSecretArn, secretKeyArns }: ExistingDatabase) {
    return {
      host,
      port,
      dmsSecret: Secret.fromSecretCompleteArn(this, 'DmsSecret', dmsSecretArn),
      adminSecret: Secret.fromSecretCompleteArn(this, 'AdminSecret', adminSecretArn),
      secretKeyArns,
    }
  }

  #create(
    environment: Environment,
    database: CreatedDatabase,
    { network, groups, key }: { network: Network; groups: SecurityGroups; key: IKey },
  ) {
    const names = namesOf(environment)
    const engine = DatabaseClusterEngine.auroraPostgres({
      version: AuroraPostgresEngineVersion.of(database.version, database.version.split('.')[0]!),
    })
    const instance = {
      instanceType: new InstanceType(database.instanceType),
      publiclyAccessible: false,
      autoMinorVersionUpgrade: true,
      enablePerformanceInsights: true,
      performanceInsightEncryptionKey: key,
    }
    // Made here, so that it has a key and an end; Aurora would make it with neither.
    const log = new LogGroup(this, 'Log', {
      logGroupName: `/aws/rds/cluster/${names.databaseCluster}/postgresql`,
      retention: environment.observability.logRetentionDays as RetentionDays,
      encryptionKey: key,
      removalPolicy: removalOf(environment),
    })
    const cluster = new DatabaseCluster(this, 'Cluster', {
      clusterIdentifier: names.databaseCluster,
      engine,
      defaultDatabaseName: database.name,
      parameterGroup: new ParameterGroup(this, 'Parameters', {
        engine,
        description: 'Logical replication for DMS',
        parameters: PARAMETERS,
      }),
      writer: ClusterInstance.provisioned('Writer', instance),
      readers: Array.from({ length: database.readers }, (_, at) =>
        ClusterInstance.provisioned(`Reader${at + 1}`, { ...instance, promotionTier: 1 }),
      ),
      vpc: network.vpc,
      vpcSubnets: network.subnets,
      securityGroups: [groups.database],
      credentials: Credentials.fromGeneratedSecret('postgres', {
        secretName: names.adminSecret,
        encryptionKey: key,
      }),
      storageEncrypted: true,
      storageEncryptionKey: key,
      iamAuthentication: true,
      backup: { retention: Duration.days(35) },
      copyTagsToSnapshot: true,
      cloudwatchLogsExports: ['postgresql'],
      monitoringInterval: Duration.seconds(60),
      monitoringRole: new Role(this, 'Monitoring', {
        assumedBy: new ServicePrincipal('monitoring.rds.amazonaws.com'),
        managedPolicies: [
          ManagedPolicy.fromAwsManagedPolicyName('service-role/AmazonRDSEnhancedMonitoringRole'),
        ],
      }),
      deletionProtection: environment.data === 'keep',
      removalPolicy: environment.data === 'keep' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    })
    cluster.node.addDependency(log)
    const dmsSecret = new Secret(this, 'DmsSecret', {
      secretName: names.dmsSecret,
      description: `User ${DMS_USER}: DMS reads changes and rows with it`,
      encryptionKey: key,
      generateSecretString: {
        secretStringTemplate: JSON.stringify({ username: DMS_USER }),
        generateStringKey: 'password',
        passwordLength: 40,
        // DMS cuts connection strings at some signs.
        excludePunctuation: true,
      },
    })
    // Writes host and port of the writer beside the user: DMS wants all four in one secret.
    const attached = dmsSecret.attach(cluster)
    return {
      host: cluster.clusterEndpoint.hostname,
      port: 5432,
      dmsSecret: attached,
      adminSecret: cluster.secret!,
      secretKeyArns: [key.keyArn],
    }
  }
}
