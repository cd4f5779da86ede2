/** The Lambda code that runs an ECS task once a deploy, with stand-ins for ECS and the log. */
import type { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs'
import type { ECSClient, Task } from '@aws-sdk/client-ecs'
import { expect, test } from 'vitest'
import { oneOffTask } from '../../infra/custom-resources/lambda/one-off-task/task.mjs'
import { fault, standIn } from './sdk-stand-in.ts'

const TASK = 'arn:aws:ecs:eu-central-1:111122223333:task/cdc-production/0123456789abcdef'
const DEFINITION = 'arn:aws:ecs:eu-central-1:111122223333:task-definition/cdc-production-bootstrap:7'

type Request = Parameters<ReturnType<typeof oneOffTask>['onEvent']>[0]

const request = (kind: Request['RequestType']): Request => ({
  RequestType: kind,
  RequestId: 'request-1',
  ResourceProperties: {
    Cluster: 'cdc-production',
    TaskDefinition: DEFINITION,
    Container: 'bootstrap',
    Subnets: ['subnet-a', 'subnet-b'],
    SecurityGroups: ['sg-1'],
    LogGroup: '/cdc-production/service',
    LogStreamPrefix: 'bootstrap',
    DeadlineSeconds: '900',
  },
  ...(kind === 'Create' ? {} : { PhysicalResourceId: TASK }),
})

const noLog = () => {
  throw new Error('the log was not to be read')
}

function parts(ecsAnswers: Parameters<typeof standIn>[0], events: () => unknown = noLog) {
  const ecs = standIn<ECSClient>(ecsAnswers)
  const logs = standIn<CloudWatchLogsClient>({ GetLogEvents: events })
  let nowMs = 0
  const task = oneOffTask({ ecs: ecs.client, logs: logs.client, now: () => nowMs })
  return {
    ...task,
    ecs,
    logs,
    later: (ms: number) => {
      nowMs += ms
    },
  }
}

const describing = (task: Task, events?: () => unknown) =>
  parts({ DescribeTasks: () => ({ tasks: [{ taskArn: TASK, ...task }] }) }, events)

test.each(['Create', 'Update'] as const)(
  '%s runs the task once, in private subnets, repeatable by its token',
  async kind => {
    const { onEvent, ecs } = parts({ RunTask: () => ({ tasks: [{ taskArn: TASK }] }) })
    expect(await onEvent(request(kind))).toEqual({ PhysicalResourceId: TASK, AskedAtMs: 0 })
    expect(ecs.asked).toEqual([
      {
        command: 'RunTask',
        input: {
          cluster: 'cdc-production',
          taskDefinition: DEFINITION,
          launchType: 'FARGATE',
          count: 1,
          clientToken: 'request-1',
          startedBy: 'cloudformation',
          networkConfiguration: {
            awsvpcConfiguration: {
              subnets: ['subnet-a', 'subnet-b'],
              securityGroups: ['sg-1'],
              assignPublicIp: 'DISABLED',
            },
          },
        },
      },
    ])
  },
)

test('a task that ECS does not start fails the deploy with every reason', async () => {
  const failures = [{ reason: 'RESOURCE:CPU', detail: 'no capacity' }, { reason: 'AGENT' }]
  const { onEvent } = parts({ RunTask: () => ({ tasks: [], failures }) })
  await expect(onEvent(request('Create'))).rejects.toThrow(
    `ECS did not start a task of ${DEFINITION}: RESOURCE:CPU, no capacity; AGENT`,
  )
  const { onEvent: silent } = parts({ RunTask: () => ({}) })
  await expect(silent(request('Create'))).rejects.toThrow('no reason given')
})

test.each(['PROVISIONING', 'PENDING', 'RUNNING', 'DEPROVISIONING'])(
  'a task that is %s is waited for',
  async lastStatus => {
    const { isComplete } = describing({ lastStatus })
    expect(await isComplete({ ...request('Create'), PhysicalResourceId: TASK, AskedAtMs: 0 })).toEqual({
      IsComplete: false,
    })
  },
)

test('exit code 0 completes; only that of the named container counts', async () => {
  const asked = { ...request('Create'), PhysicalResourceId: TASK, AskedAtMs: 0 }
  const good = describing({
    lastStatus: 'STOPPED',
    containers: [
      { name: 'sidecar', exitCode: 1 },
      { name: 'bootstrap', exitCode: 0 },
    ],
  })
  expect(await good.isComplete(asked)).toEqual({ IsComplete: true, Data: { TaskArn: TASK } })
  const bad = describing(
    {
      lastStatus: 'STOPPED',
      containers: [
        { name: 'sidecar', exitCode: 0 },
        { name: 'bootstrap', exitCode: 3 },
      ],
    },
    () => ({ events: [] }),
  )
  await expect(bad.isComplete(asked)).rejects.toThrow(
    /bootstrap ended with exit code 3 \(no reason given\); it wrote last: nothing/,
  )
})

test('another exit code fails the deploy with the reasons and the last line that is not empty', async () => {
  const { isComplete, logs } = describing(
    {
      lastStatus: 'STOPPED',
      stopCode: 'EssentialContainerExited',
      stoppedReason: 'Essential container in task exited',
      containers: [{ name: 'bootstrap', exitCode: 137, reason: 'OutOfMemoryError' }],
    },
    () => ({ events: [{ message: 'first\n' }, { message: `${'x'.repeat(700)}\n` }, { message: '  \n' }] }),
  )
  await expect(isComplete({ ...request('Update'), AskedAtMs: 0 })).rejects.toThrow(
    `bootstrap ended with exit code 137 (OutOfMemoryError; EssentialContainerExited; Essential container in task exited); it wrote last: ${'x'.repeat(600)}`,
  )
  expect(logs.asked[0]!.input).toEqual({
    logGroupName: '/cdc-production/service',
    logStreamName: 'bootstrap/bootstrap/0123456789abcdef',
    limit: 20,
    startFromHead: false,
  })
})

test('a task that never ran has no exit code and no log: the reason is that of ECS', async () => {
  const { isComplete } = describing(
    {
      lastStatus: 'STOPPED',
      stopCode: 'TaskFailedToStart',
      stoppedReason: 'CannotPullContainerError: not found',
    },
    () => {
      throw fault('ResourceNotFoundException', 'The specified log stream does not exist.')
    },
  )
  await expect(isComplete({ ...request('Create'), PhysicalResourceId: TASK, AskedAtMs: 0 })).rejects.toThrow(
    /ended without an exit code \(TaskFailedToStart; CannotPullContainerError: not found\); it wrote last: what could not be read .* log stream does not exist/,
  )
})

test('a task that does not end fails the deploy at its deadline with its last line', async () => {
  const slow = describing({ lastStatus: 'RUNNING' }, () => ({
    events: [{ message: 'OpenSearch does not answer yet' }],
  }))
  const asked = { ...request('Create'), PhysicalResourceId: TASK, AskedAtMs: 0 }
  slow.later(900_000)
  expect(await slow.isComplete(asked)).toEqual({ IsComplete: false })
  slow.later(1)
  await expect(slow.isComplete(asked)).rejects.toThrow(
    /is RUNNING after 900 s; it wrote last: OpenSearch does not answer yet/,
  )
})

test('a task ECS does not know yet is looked for until the deadline', async () => {
  const missing = parts(
    { DescribeTasks: () => ({ tasks: [], failures: [{ reason: 'MISSING' }] }) },
    () => ({}),
  )
  const asked = { ...request('Create'), PhysicalResourceId: TASK, AskedAtMs: 0 }
  expect(await missing.isComplete(asked)).toEqual({ IsComplete: false })
  missing.later(900_001)
  await expect(missing.isComplete(asked)).rejects.toThrow(/is unknown to ECS \(MISSING\) after 900 s/)
})

test('a delete stops the task of a deploy that was given up, and is done', async () => {
  const { onEvent, isComplete, ecs } = parts({ StopTask: () => ({}) })
  expect(await onEvent(request('Delete'))).toEqual({ PhysicalResourceId: TASK })
  expect(ecs.asked).toMatchObject([{ command: 'StopTask', input: { cluster: 'cdc-production', task: TASK } }])
  expect(await isComplete(request('Delete'))).toEqual({ IsComplete: true })
})

test.each(['InvalidParameterException', 'ClusterNotFoundException'])(
  'a delete of a task that is gone (%s) is done',
  async name => {
    const { onEvent } = parts({
      StopTask: () => {
        throw fault(name)
      },
    })
    expect(await onEvent(request('Delete'))).toEqual({ PhysicalResourceId: TASK })
  },
)

test('a delete that is refused fails, so that no task with the master role is left unseen', async () => {
  const { onEvent } = parts({
    StopTask: () => {
      throw fault('AccessDeniedException')
    },
  })
  await expect(onEvent(request('Delete'))).rejects.toThrow('AccessDeniedException')
})
