/** Records that can never be indexed, with all that is needed to settle them later; and the role that may take them out. */
import { Duration } from 'aws-cdk-lib'
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import { Queue, QueueEncryption, RedrivePermission } from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'
import { removalOf } from './encryption-key.ts'
import type { Environment } from './environments.ts'
import { namesOf } from './names.ts'

/** SQS's longest. */
export const DEAD_LETTER_DAYS = 14

export class DeadLetterQueue extends Construct {
  readonly queue: Queue
  /** Takes letters out. The service itself can only put them in: a fault in it empties no queue. */
  readonly redriveRole: Role

  constructor(scope: Construct, id: string, environment: Environment, key: IKey) {
    super(scope, id)
    const names = namesOf(environment)
    this.queue = new Queue(this, 'Queue', {
      queueName: names.deadLetterQueue,
      retentionPeriod: Duration.days(DEAD_LETTER_DAYS),
      // SQS's largest: the service splits larger letters by it.
      maxMessageSizeBytes: 1_048_576,
      visibilityTimeout: Duration.minutes(5),
      encryption: QueueEncryption.KMS,
      encryptionMasterKey: key,
      enforceSSL: true,
      // No other queue may name this one as its dead-letter queue: only letters of the service are in it.
      redriveAllowPolicy: { redrivePermission: RedrivePermission.DENY_ALL },
      removalPolicy: removalOf(environment),
    })
    this.redriveRole = new Role(this, 'RedriveRole', {
      roleName: names.redriveRole,
      description: 'Reads dead letters and deletes those that are settled',
      assumedBy: new ServicePrincipal('ecs-tasks.amazonaws.com'),
    })
    this.redriveRole.addToPolicy(
      new PolicyStatement({
        sid: 'TakeLettersOut',
        actions: [
          'sqs:ReceiveMessage',
          'sqs:DeleteMessage',
          'sqs:ChangeMessageVisibility',
          'sqs:GetQueueAttributes',
        ],
        resources: [this.queue.queueArn],
      }),
    )
    this.redriveRole.addToPolicy(
      new PolicyStatement({ sid: 'ReadLetters', actions: ['kms:Decrypt'], resources: [key.keyArn] }),
    )
  }
}
