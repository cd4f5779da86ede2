/** Runs an ECS task in the course of a deploy, once for each of its versions, and fails the deploy with its last line. */
import { fileURLToPath } from 'node:url'
import { ArnFormat, CustomResource, type Duration, Stack } from 'aws-cdk-lib'
import type * as ec2 from 'aws-cdk-lib/aws-ec2'
import type * as ecs from 'aws-cdk-lib/aws-ecs'
import { PolicyStatement } from 'aws-cdk-lib/aws-iam'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import type { ILogGroup } from 'aws-cdk-lib/aws-logs'
import { Construct } from 'constructs'
import { DEADLINE_SECONDS_MAX, WaitingProvider } from './provider.ts'

export type OneOffTaskProps = {
  cluster: Pick<ecs.ICluster, 'clusterName' | 'clusterArn'>
  /** Fargate. Each change of it (image, environment, command) is a new revision, and that is what runs it again. */
  taskDefinition: ecs.FargateTaskDefinition
  /** Of its container, which has a name and logs by `awslogs`. */
  container: string
  logGroup: ILogGroup
  /** `streamPrefix` of the container's log driver. */
  logStreamPrefix: string
  subnets: string[]
  securityGroups: ec2.ISecurityGroup[]
  /** How long it may take from its start to its end. */
  deadline: Duration
  /** What else runs it again, such as a hash of a file it reads. */
  runAgainOn?: Record<string, string>
  /** Of the provider's log group. Its policy must let CloudWatch Logs use it. */
  logKey?: IKey
}

export class OneOffTask extends Construct {
  constructor(scope: Construct, id: string, props: OneOffTaskProps) {
    super(scope, id)
    const { cluster, taskDefinition, container, logGroup, logStreamPrefix, deadline } = props
    if (deadline.toSeconds() > DEADLINE_SECONDS_MAX)
      throw new Error(
        `deadline of ${container} is ${deadline.toSeconds()} s: expected at most ${DEADLINE_SECONDS_MAX}, CloudFormation waits no longer for a custom resource`,
      )
    const provider = new WaitingProvider(this, 'Provider', {
      code: fileURLToPath(new URL('lambda/one-off-task', import.meta.url)),
      statements: this.statements(props),
      ...(props.logKey ? { logKey: props.logKey } : {}),
    })
    const run = new CustomResource(this, 'Resource', {
      resourceType: 'Custom::OneOffTask',
      serviceToken: provider.serviceToken,
      properties: {
        Cluster: cluster.clusterName,
        TaskDefinition: taskDefinition.taskDefinitionArn,
        Container: container,
        Subnets: props.subnets,
        SecurityGroups: props.securityGroups.map(({ securityGroupId }) => securityGroupId),
        LogGroup: logGroup.logGroupName,
        LogStreamPrefix: logStreamPrefix,
        DeadlineSeconds: deadline.toSeconds(),
        ...(props.runAgainOn ? { RunAgainOn: props.runAgainOn } : {}),
      },
    })
    // The task's own rights are policies beside its roles: without them it would start and be refused.
    run.node.addDependency(taskDefinition)
  }

  private statements({ cluster, taskDefinition, container, logGroup, logStreamPrefix }: OneOffTaskProps) {
    const stack = Stack.of(this)
    const inCluster = { ArnEquals: { 'ecs:cluster': cluster.clusterArn } }
    const arn = (resource: string, resourceName: string) =>
      stack.formatArn({ service: 'ecs', resource, resourceName, arnFormat: ArnFormat.SLASH_RESOURCE_NAME })
    return [
      new PolicyStatement({
        sid: 'RunTheTask',
        actions: ['ecs:RunTask'],
        // Every revision: a rollback runs the one before.
        resources: [arn('task-definition', `${taskDefinition.family}:*`)],
        conditions: inCluster,
      }),
      new PolicyStatement({
        sid: 'WatchAndStopIt',
        actions: ['ecs:DescribeTasks', 'ecs:StopTask'],
        resources: [arn('task', `${cluster.clusterName}/*`)],
        conditions: inCluster,
      }),
      new PolicyStatement({
        sid: 'HandItsRolesToEcs',
        actions: ['iam:PassRole'],
        resources: [taskDefinition.taskRole.roleArn, taskDefinition.obtainExecutionRole().roleArn],
        conditions: { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } },
      }),
      new PolicyStatement({
        sid: 'ReadItsLastLine',
        actions: ['logs:GetLogEvents'],
        resources: [
          stack.formatArn({
            service: 'logs',
            resource: 'log-group',
            resourceName: `${logGroup.logGroupName}:log-stream:${logStreamPrefix}/${container}/*`,
            arnFormat: ArnFormat.COLON_RESOURCE_NAME,
          }),
        ],
      }),
    ]
  }
}
