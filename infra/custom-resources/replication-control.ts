/** Who may stop, start and complete the DMS task: one provider for `ReplicationTaskStop`, `EndpointSetting` and `ReplicationTaskRun`. */
import { fileURLToPath } from 'node:url'
import { ArnFormat, Stack } from 'aws-cdk-lib'
import { PolicyStatement } from 'aws-cdk-lib/aws-iam'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda'
import { Construct } from 'constructs'
import { WaitingProvider } from './provider.ts'

/** DMS takes these for the end of an ARN, which makes the ARN known before the resource is. */
const RESOURCE_IDENTIFIER = /^[A-Za-z](?!.*--)[A-Za-z0-9-]{0,29}[A-Za-z0-9]$/

export type ReplicationControlProps = {
  /** `replicationTaskIdentifier` of the task, by which it is looked for: its stop runs before there is one. */
  taskId: string
  /** `resourceIdentifier` of the task. Both names are plain text: a reference would make a circle with what waits for the stop. */
  taskResourceIdentifier: string
  /** `resourceIdentifier` of the Kinesis endpoint. */
  endpointResourceIdentifier: string
  /** Of the log group. Its policy must let CloudWatch Logs use it. */
  logKey?: IKey
}

export class ReplicationControl extends Construct {
  readonly taskId: string
  readonly endpointArn: string
  readonly serviceToken: string
  private readonly provider: WaitingProvider

  constructor(scope: Construct, id: string, props: ReplicationControlProps) {
    super(scope, id)
    const { taskId, taskResourceIdentifier, endpointResourceIdentifier } = props
    this.taskId = taskId
    const taskArn = this.dmsArn('task', taskResourceIdentifier)
    this.endpointArn = this.dmsArn('endpoint', endpointResourceIdentifier)
    this.provider = new WaitingProvider(this, 'Provider', {
      code: fileURLToPath(new URL('lambda/replication', import.meta.url)),
      statements: [
        new PolicyStatement({
          sid: 'LookAtTasksAndEndpoints',
          actions: ['dms:DescribeReplicationTasks', 'dms:DescribeEndpoints'],
          // These two know no narrower resource.
          resources: ['*'],
        }),
        new PolicyStatement({
          sid: 'StartAndStopTheTask',
          actions: ['dms:StartReplicationTask', 'dms:StopReplicationTask'],
          resources: [taskArn],
        }),
        new PolicyStatement({
          sid: 'CompleteTheEndpoint',
          actions: ['dms:ModifyEndpoint'],
          resources: [this.endpointArn],
        }),
      ],
      ...(props.logKey ? { logKey: props.logKey } : {}),
    })
    this.serviceToken = this.provider.serviceToken
  }

  /** Starts a task that a change has stopped and nobody started again. */
  resumeFunction(): LambdaFunction {
    return this.provider.addFunction('Resume', 'resume')
  }

  private dmsArn(resource: string, resourceName: string): string {
    if (!RESOURCE_IDENTIFIER.test(resourceName) || resourceName.length > 31)
      throw new Error(
        `resourceIdentifier of the DMS ${resource} is ${JSON.stringify(resourceName)}: expected at most 31 letters, digits and single hyphens, a letter first and no hyphen last`,
      )
    return Stack.of(this).formatArn({
      service: 'dms',
      resource,
      resourceName,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    })
  }
}
