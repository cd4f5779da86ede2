/** Who is woken and who reads it in the morning: one topic a severity, encrypted, and open to those who alarm and nobody else. */
import { Stack } from 'aws-cdk-lib'
import { Effect, PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import { Topic } from 'aws-cdk-lib/aws-sns'
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions'
import { Construct } from 'constructs'
import type { Severity } from './alarm-table.ts'

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
    /**
     * CloudWatch for its alarms, from this account alone; EventBridge for what is an event and no metric, such as a DMS task that fails. EventBridge
     * tells a topic and its key no account: under a condition it would be refused, and the page lost without a word.
     */
    const mayAlarm = (actions: string[], resources: string[], ends: string): PolicyStatement[] => [
      new PolicyStatement({
        sid: `Alarms${ends}`,
        effect: Effect.ALLOW,
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions,
        resources,
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
      new PolicyStatement({
        sid: `Events${ends}`,
        effect: Effect.ALLOW,
        principals: [new ServicePrincipal('events.amazonaws.com')],
        actions,
        resources,
      }),
    ]
    for (const statement of mayAlarm(['kms:Decrypt', 'kms:GenerateDataKey'], ['*'], 'MayEncrypt'))
      key.addToResourcePolicy(statement)
    const make = (severity: Severity): Topic => {
      const topic = new Topic(this, severity, { topicName: name(severity), masterKey: key, enforceSSL: true })
      for (const statement of mayAlarm(['sns:Publish'], [topic.topicArn], 'MayPublish'))
        topic.addToResourcePolicy(statement)
      for (const address of emails[severity]) topic.addSubscription(new EmailSubscription(address))
      return topic
    }
    this.topics = { page: make('page'), ticket: make('ticket') }
  }
}
