/** A customer managed key, one for each stack that encrypts: a key shared by all would tie the stacks into a circle. */
import { RemovalPolicy, Stack } from 'aws-cdk-lib'
import { Effect, PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Key } from 'aws-cdk-lib/aws-kms'
import type { Construct } from 'constructs'
import type { Environment } from './environments.ts'

/** What is kept needs its key as long; a deleted key takes all of its backups with it. */
export function removalOf(environment: Environment): RemovalPolicy {
  return environment.data === 'keep' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY
}

export class EncryptionKey extends Key {
  constructor(scope: Construct, id: string, environment: Environment, use: string) {
    super(scope, id, {
      description: `${use}, ${environment.name}`,
      alias: `cdc/${environment.name}/${Stack.of(scope).stackName.split('-').at(-1)}`,
      enableKeyRotation: true,
      removalPolicy: removalOf(environment),
    })
  }

  /** CloudWatch Logs is no user of the account: it asks the key itself, and says for which log group. */
  allowLogGroups(...prefixes: string[]): this {
    const { region, account, partition } = Stack.of(this)
    this.addToResourcePolicy(
      new PolicyStatement({
        effect: Effect.ALLOW,
        principals: [new ServicePrincipal(`logs.${region}.amazonaws.com`)],
        actions: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'],
        resources: ['*'],
        conditions: {
          ArnLike: {
            'kms:EncryptionContext:aws:logs:arn': prefixes.map(
              prefix => `arn:${partition}:logs:${region}:${account}:log-group:${prefix}*`,
            ),
          },
        },
      }),
    )
    return this
  }
}
