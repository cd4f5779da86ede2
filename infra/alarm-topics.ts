/** Who is woken and who reads it in the morning: one topic a severity, encrypted, and open to those who alarm and nobody else. */
import { Stack } from 'aws-cdk-lib'
import { Effect, PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import { Topic } from 'aws-cdk-lib/aws-sns'
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions'
import { Construct } from 'constructs'
import type { Severity } from './alarm-table.ts'

/** CloudWatch for its alarms, EventBridge for what is an event and no metric (a DMS task that fails). */
const ALARMING = ['cloudwatch.amazonaws.com', 'events.amazonaws.com']

export type AlarmTopicsProps = {
  /** Name of a topic, with the environment in it. */
  name: (severity: Severity) => string
  /** Customer managed, and of the same stack: the policy it needs is added here. The keys AWS manages do not let CloudWatch in. */
  key: IKey
  emails: Record<Severity, readonly string[]>
}

export class AlarmTopics extends Construct {
  readonly topics: Record<Severity, Topic>

  constructor(scope: Construct, id: string, { name, key, emails }: AlarmTopicsProps) {
    super(scope, id)
    const conditions = { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } }
    const principals = ALARMING.map(service => new ServicePrincipal(service))
    key.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsMayEncrypt',
        effect: Effect.ALLOW,
        principals,
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: ['*'],
        conditions,
      }),
    )
    const make = (severity: Severity): Topic => {
      const topic = new Topic(this, severity, { topicName: name(severity), masterKey: key, enforceSSL: true })
      topic.addToResourcePolicy(
        new PolicyStatement({
          sid: 'AlarmsMayPublish',
          effect: Effect.ALLOW,
          principals,
          actions: ['sns:Publish'],
          resources: [topic.topicArn],
          conditions,
        }),
      )
      for (const address of emails[severity]) topic.addSubscription(new EmailSubscription(address))
      return topic
    }
    this.topics = { page: make('page'), ticket: make('ticket') }
  }
}
