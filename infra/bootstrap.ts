/**
 * `bootstrap`, run once for each version of the service before it: the domain's template and roles, and the database's user
 * for DMS. The service depends on it, so a database that is not fit for replication fails the deploy with what is wrong.
 */
import { Duration } from 'aws-cdk-lib'
import { type Cluster, Secret } from 'aws-cdk-lib/aws-ecs'
import { type IRole, PolicyStatement } from 'aws-cdk-lib/aws-iam'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import { type ISecret, Secret as SecretsManagerSecret } from 'aws-cdk-lib/aws-secretsmanager'
import { Construct } from 'constructs'
import { OneOffTask } from './custom-resources/one-off-task.ts'
import type { Environment } from './environments.ts'
import { namesOf } from './names.ts'
import type { Network } from './network.ts'
import type { SecurityGroups } from './security-groups.ts'
import { LOG_STREAM_PREFIX, Task } from './service.ts'
import type { SecretSetting } from './service-settings.ts'
import type { SourceDatabase } from './source-database.ts'

export class Bootstrap extends Construct {
  readonly task: Task

  constructor(
    scope: Construct,
    id: string,
    environment: Environment,
    parts: {
      cluster: Cluster
      network: Network
      groups: SecurityGroups
      database: SourceDatabase
      role: IRole
      /** As `bootstrapSettings` has them. */
      settings: Record<string, string>
      key: IKey
    },
  ) {
    super(scope, id)
    const { cluster, network, groups, database, role, settings, key } = parts
    const name = 'bootstrap'
    this.task = new Task(this, 'Task', environment, {
      family: namesOf(environment).bootstrapRole,
      name,
      command: ['bootstrap'],
      taskRole: role,
      environment: settings,
      secrets: {
        SOURCE_DATABASE_SECRET: this.#secret('AdminSecret', database.adminSecret),
        DMS_USER_SECRET: this.#secret('DmsSecret', database.dmsSecret),
      } satisfies Record<SecretSetting, Secret>,
      key,
      serves: false,
    })
    if (database.secretKeyArns.length > 0)
      this.task.definition.addToExecutionRolePolicy(
        new PolicyStatement({
          sid: 'DecryptSecrets',
          actions: ['kms:Decrypt'],
          resources: [...database.secretKeyArns],
          conditions: {
            StringEquals: { 'kms:ViaService': `secretsmanager.${environment.region}.amazonaws.com` },
          },
        }),
      )
    new OneOffTask(this, 'Run', {
      cluster,
      taskDefinition: this.task.definition,
      container: name,
      logGroup: this.task.log,
      logStreamPrefix: LOG_STREAM_PREFIX,
      subnets: network.vpc.selectSubnets(network.subnets).subnetIds,
      securityGroups: [groups.bootstrap],
      deadline: Duration.minutes(15),
      logKey: key,
    })
  }

  /** By its ARN alone: CDK would write this stack's role into the policy of the other stack's key, and make a circle. */
  #secret(id: string, secret: ISecret): Secret {
    return Secret.fromSecretsManager(SecretsManagerSecret.fromSecretCompleteArn(this, id, secret.secretArn))
  }
}
