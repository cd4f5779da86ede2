// @ts-check
/** Runs an ECS task once a deploy and answers with its end: exit code 0, or a failure with the last line it wrote. */
import { GetLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs'
import { DescribeTasksCommand, RunTaskCommand, StopTaskCommand } from '@aws-sdk/client-ecs'

/** @typedef {import('@aws-sdk/client-ecs').Task} Task */
/** @typedef {{ ecs: import('@aws-sdk/client-ecs').ECSClient, logs: import('@aws-sdk/client-cloudwatch-logs').CloudWatchLogsClient, now: () => number }} Parts */
/**
 * @typedef {object} Properties
 * @property {string} Cluster
 * @property {string} TaskDefinition ARN with its revision, so that another image or setting is another run
 * @property {string} Container
 * @property {string[]} Subnets
 * @property {string[]} SecurityGroups
 * @property {string} LogGroup
 * @property {string} LogStreamPrefix
 * @property {string} DeadlineSeconds
 */
/**
 * @typedef {object} Request what the provider framework hands over, and in `isComplete` what `onEvent` returned on top of it
 * @property {'Create' | 'Update' | 'Delete'} RequestType
 * @property {string} RequestId
 * @property {Properties} ResourceProperties
 * @property {string} [PhysicalResourceId] ARN of the task
 * @property {number} [AskedAtMs]
 */

/** CloudFormation shows about 1,000 characters of a reason, the stack trace of the framework included. */
const LINE_CHARACTERS_MAX = 600

/** @param {Parts} parts */
export function oneOffTask({ ecs, logs, now }) {
  /** @param {Request} request */
  async function onEvent({
    RequestType: kind,
    RequestId: requestId,
    ResourceProperties: wanted,
    PhysicalResourceId: id,
  }) {
    if (kind === 'Delete') {
      await stop(wanted.Cluster, id ?? '')
      return { PhysicalResourceId: id }
    }
    // The task's ARN as physical id: CloudFormation deletes that of the run before, and of one it has given up, which stops it.
    return { PhysicalResourceId: await run(wanted, requestId), AskedAtMs: now() }
  }

  /**
   * @param {Properties} wanted
   * @param {string} requestId
   */
  async function run(wanted, requestId) {
    const { tasks = [], failures = [] } = await ecs.send(
      new RunTaskCommand({
        cluster: wanted.Cluster,
        taskDefinition: wanted.TaskDefinition,
        launchType: 'FARGATE',
        count: 1,
        // A request that is repeated finds the task it has started before.
        clientToken: requestId,
        startedBy: 'cloudformation',
        networkConfiguration: {
          awsvpcConfiguration: {
            subnets: wanted.Subnets,
            securityGroups: wanted.SecurityGroups,
            assignPublicIp: 'DISABLED',
          },
        },
      }),
    )
    const arn = tasks[0]?.taskArn
    if (arn) return arn
    const why = failures
      .map(({ reason, detail }) => [reason, detail].filter(part => part).join(', '))
      .join('; ')
    throw new Error(`ECS did not start a task of ${wanted.TaskDefinition}: ${why || 'no reason given'}`)
  }

  /**
   * A task with the rights of the master must not outlive the deploy that gave it up.
   * @param {string} cluster
   * @param {string} arn
   */
  async function stop(cluster, arn) {
    try {
      await ecs.send(
        new StopTaskCommand({ cluster, task: arn, reason: 'the deploy that started it has ended' }),
      )
    } catch (error) {
      // Forgotten by ECS an hour after its end.
      if (error instanceof Error && error.name === 'InvalidParameterException') return
      // The cluster was deleted by hand, and its tasks with it.
      if (error instanceof Error && error.name === 'ClusterNotFoundException') return
      throw error
    }
  }

  /** @param {Request} request */
  async function isComplete(request) {
    const { RequestType: kind, ResourceProperties: wanted, PhysicalResourceId: arn = '', AskedAtMs } = request
    if (kind === 'Delete') return { IsComplete: true }
    const { tasks = [], failures = [] } = await ecs.send(
      new DescribeTasksCommand({ cluster: wanted.Cluster, tasks: [arn] }),
    )
    const [task] = tasks
    const sinceMs = now() - (AskedAtMs ?? now())
    if (task?.lastStatus === 'STOPPED') return ended(task, wanted)
    if (sinceMs <= Number(wanted.DeadlineSeconds) * 1000) return { IsComplete: false }
    const found = task?.lastStatus ?? `unknown to ECS (${failures[0]?.reason ?? 'no reason given'})`
    throw new Error(
      `task ${arn} is ${found} after ${wanted.DeadlineSeconds} s; it wrote last: ${await lastLine(wanted, arn)}`,
    )
  }

  /**
   * @param {Task} task
   * @param {Properties} wanted
   */
  async function ended(task, wanted) {
    const arn = task.taskArn ?? ''
    const container = task.containers?.find(({ name }) => name === wanted.Container)
    if (container?.exitCode === 0) return { IsComplete: true, Data: { TaskArn: arn } }
    const code =
      container?.exitCode === undefined ? 'without an exit code' : `with exit code ${container.exitCode}`
    const reasons = [container?.reason, task.stopCode, task.stoppedReason].filter(reason => reason)
    throw new Error(
      `${wanted.Container} ended ${code} (${reasons.join('; ') || 'no reason given'}); it wrote last: ${await lastLine(wanted, arn)}`,
    )
  }

  /**
   * @param {Properties} wanted
   * @param {string} arn
   */
  async function lastLine(wanted, arn) {
    const logStreamName = `${wanted.LogStreamPrefix}/${wanted.Container}/${arn.split('/').at(-1)}`
    try {
      const { events = [] } = await logs.send(
        new GetLogEventsCommand({
          logGroupName: wanted.LogGroup,
          logStreamName,
          limit: 20,
          startFromHead: false,
        }),
      )
      const line = events.map(({ message = '' }) => message.trim()).findLast(message => message !== '')
      return line?.slice(0, LINE_CHARACTERS_MAX) ?? `nothing (${wanted.LogGroup} ${logStreamName})`
    } catch (error) {
      // Why the task failed matters more than why its log cannot be read.
      return `what could not be read from ${wanted.LogGroup} ${logStreamName}: ${error instanceof Error ? error.message : error}`
    }
  }

  return { onEvent, isComplete }
}
