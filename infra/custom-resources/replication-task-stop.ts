/** Stops the DMS task before CloudFormation changes it or what it uses, and sees to it that it does not stay stopped. */
import { createHash } from 'node:crypto'
import { type CfnResource, CustomResource, Duration, Lazy, Stack } from 'aws-cdk-lib'
import { Rule, RuleTargetInput } from 'aws-cdk-lib/aws-events'
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets'
import { Construct } from 'constructs'
import type { ReplicationControl } from './replication-control.ts'

const DEADLINE = Duration.minutes(40)

export type ReplicationTaskStopProps = {
  control: ReplicationControl
  /** What may not be changed while the task runs: the task itself, both endpoints, the instance. */
  guarded: CfnResource[]
  /** false: the task is to stay stopped, also after a deploy. */
  run: boolean
}

export class ReplicationTaskStop extends Construct {
  /** Changes whenever anything guarded does; what follows such a change depends on it. */
  readonly settingsHash: string

  constructor(scope: Construct, id: string, { control, guarded, run }: ReplicationTaskStopProps) {
    super(scope, id)
    this.settingsHash = Lazy.string({ produce: () => hashOf(guarded) })
    const stop = new CustomResource(this, 'Resource', {
      resourceType: 'Custom::DmsTaskStop',
      serviceToken: control.serviceToken,
      properties: {
        TaskId: control.taskId,
        SettingsHash: this.settingsHash,
        DeadlineSeconds: DEADLINE.toSeconds(),
      },
    })
    for (const resource of guarded) resource.node.addDependency(stop)
    if (!run) return
    const resume = new LambdaFunction(control.resumeFunction(), {
      event: RuleTargetInput.fromObject({ TaskId: control.taskId }),
      retryAttempts: 3,
    })
    new Rule(this, 'AtRest', {
      description: `Resumes the DMS task ${control.taskId} when ${Stack.of(this).stackName} has come to rest, whichever way`,
      eventPattern: {
        source: ['aws.cloudformation'],
        detailType: ['CloudFormation Stack Status Change'],
        detail: {
          'stack-id': [Stack.of(this).stackId],
          'status-details': { status: ['UPDATE_COMPLETE', 'UPDATE_ROLLBACK_COMPLETE'] },
        },
      },
      targets: [resume],
    })
  }
}

function hashOf(guarded: readonly CfnResource[]): string {
  const hash = createHash('sha256')
  for (const resource of guarded) hash.update(JSON.stringify(propertiesOf(resource)))
  return hash.digest('hex').slice(0, 32)
}

/** As the template will have them, so that no setting can be forgotten here. Dependencies and metadata change nothing in DMS. */
function propertiesOf(resource: CfnResource): unknown {
  const stack = Stack.of(resource)
  const rendered = resource as unknown as { _toCloudFormation(): object }
  const template = stack.resolve(rendered._toCloudFormation()) as {
    Resources: Record<string, { Type: string; Properties?: unknown }>
  }
  return Object.values(template.Resources).map(({ Type, Properties }) => ({ Type, Properties }))
}
