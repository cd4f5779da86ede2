/** What is worth an alarm and is no metric: AWS tells it once, as an event. Each name is a heading of RUNBOOK.md. */
import { type EventPattern, type IRuleTarget, Rule, RuleTargetInput } from 'aws-cdk-lib/aws-events'
import type { ITopic } from 'aws-cdk-lib/aws-sns'
import { Construct } from 'constructs'
import type { Severity } from './alarm-table.ts'

export type EventRow = { name: string; severity: Severity; summary: string; pattern: EventPattern }

export type WatchedArns = {
  task: string
  instance: string
  service: string
  /** Customer managed keys of everything that holds data. */
  keys: readonly string[]
}

export function eventTable({ task, instance, service, keys }: WatchedArns): EventRow[] {
  return [
    {
      name: 'DmsTaskFailed',
      severity: 'page',
      summary: 'the DMS task has failed, or reads no more because its disk is full of waiting changes',
      pattern: {
        source: ['aws.dms'],
        detailType: ['DMS Replication Task State Change'],
        resources: [task],
        detail: { eventType: ['REPLICATION_TASK_FAILED', 'READING_PAUSED_SWAP_FILES_LIMIT_REACHED'] },
      },
    },
    {
      name: 'DmsInstanceFailed',
      severity: 'ticket',
      summary: 'the replication instance has failed or failed over; its task stops for minutes and goes on',
      pattern: {
        source: ['aws.dms'],
        detailType: ['DMS Replication Instance State Change'],
        resources: [instance],
        detail: { category: ['Failure', 'Failover'] },
      },
    },
    {
      name: 'ServiceDeploymentFailed',
      severity: 'ticket',
      summary: 'ECS gave up a deployment of the service; the version before it runs on',
      pattern: {
        source: ['aws.ecs'],
        detailType: ['ECS Deployment State Change'],
        resources: [service],
        detail: { eventName: ['SERVICE_DEPLOYMENT_FAILED'] },
      },
    },
    {
      name: 'KeyDisabled',
      severity: 'page',
      summary:
        'somebody disabled a key or scheduled its deletion; what it encrypts cannot be read any more, soon or now',
      // By way of CloudTrail, which has to have a trail in the account.
      pattern: {
        source: ['aws.kms'],
        detailType: ['AWS API Call via CloudTrail'],
        detail: {
          eventName: ['DisableKey', 'ScheduleKeyDeletion'],
          resources: { ARN: [...keys] },
        },
      },
    },
  ]
}

export type AlarmEventsProps = {
  rows: readonly EventRow[]
  topics: Record<Severity, ITopic>
  name: (alarm: string) => string
  runbook: string
}

export class AlarmEvents extends Construct {
  constructor(scope: Construct, id: string, { rows, topics, name, runbook }: AlarmEventsProps) {
    super(scope, id)
    for (const { name: alarm, severity, summary, pattern } of rows) {
      const link = `${runbook}#${alarm.toLowerCase()}`
      new Rule(this, alarm, {
        ruleName: name(alarm),
        description: `${severity}: ${summary}`,
        eventPattern: pattern,
        targets: [told(topics[severity], { alarm: name(alarm), severity, summary, runbook: link })],
      })
    }
  }
}

/** Not CDK's `SnsTopic`, which writes policies of its own beside those of AlarmTopics, and a wider one for the key. */
function told(topic: ITopic, what: Record<string, string>): IRuleTarget {
  return { bind: () => ({ arn: topic.topicArn, input: RuleTargetInput.fromObject(what) }) }
}
