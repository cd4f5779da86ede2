/** The Lambda code around a DMS task, with a stand-in for DMS that has a task's states. */
import { Readable } from 'node:stream'
import {
  DatabaseMigrationServiceClient,
  type ReplicationTask,
} from '@aws-sdk/client-database-migration-service'
import { expect, test } from 'vitest'
import { replicationControl } from '../../infra/custom-resources/lambda/replication/control.mjs'
import { fault, standIn } from './sdk-stand-in.ts'

const ID = 'cdc-production'
const ARN = 'arn:aws:dms:eu-central-1:111122223333:task:cdc-production'
const ENDPOINT = 'arn:aws:dms:eu-central-1:111122223333:endpoint:cdc-production-kinesis'

type Request = Parameters<ReturnType<typeof replicationControl>['onEvent']>[0]
type State = ReplicationTask['Status']

/** A DMS with one task. `next` says which states the task goes through, one a look, the last one stays. */
function dms(task: ReplicationTask | undefined, next: State[] = []) {
  const state = { task, next: [...next] }
  const look = () => {
    if (!state.task) throw fault('ResourceNotFoundFault')
    const found = {
      ReplicationTaskArn: ARN,
      ReplicationTaskIdentifier: ID,
      MigrationType: 'cdc' as const,
      ...state.task,
    }
    const following = state.next.shift()
    if (following) state.task = { ...state.task, Status: following }
    return { ReplicationTasks: [found] }
  }
  const to = (status: State) => () => {
    state.task = { ...state.task, Status: status }
    return {}
  }
  const stand = standIn<DatabaseMigrationServiceClient>({
    DescribeReplicationTasks: look,
    StopReplicationTask: to('stopping'),
    StartReplicationTask: to('starting'),
  })
  let nowMs = 1_000_000
  const sleeps: number[] = []
  const control = replicationControl({
    dms: stand.client,
    now: () => nowMs,
    sleep: async ms => {
      sleeps.push(ms)
      nowMs += ms
    },
  })
  return {
    ...stand,
    ...control,
    state,
    sleeps,
    later: (ms: number) => {
      nowMs += ms
    },
    started: () =>
      stand.asked.flatMap(({ command, input }) =>
        command === 'StartReplicationTask' ? [input.StartReplicationTaskType] : [],
      ),
    stopped: () => stand.asked.filter(({ command }) => command === 'StopReplicationTask').length,
  }
}

function request(
  kind: Request['RequestType'],
  type: 'Stop' | 'Run',
  properties: Record<string, string> = {},
  old?: Record<string, string>,
): Request {
  const always = { TaskId: ID, DeadlineSeconds: '1800', Run: 'true', MigrationType: 'cdc' }
  return {
    RequestType: kind,
    ResourceType: `Custom::DmsTask${type}`,
    ResourceProperties: { ...always, ...properties },
    ...(kind === 'Create' ? {} : { PhysicalResourceId: `Custom::DmsTask${type}/${ID}` }),
    ...(old ? { OldResourceProperties: { ...always, ...old } } : {}),
  }
}

/** As the provider framework does it: what `onEvent` answers is laid over the request for `isComplete`. */
async function begun(parts: ReturnType<typeof dms>, asked: Request): Promise<Request> {
  return { ...asked, ...(await parts.onEvent(asked)) } as Request
}

test('a stop waits until a running task has stopped, and asks once', async () => {
  const parts = dms({ Status: 'running' })
  const asked = await begun(parts, request('Update', 'Stop'))
  expect(await parts.isComplete(asked)).toEqual({ IsComplete: false })
  expect(parts.stopped()).toBe(1)
  expect(await parts.isComplete(asked)).toEqual({ IsComplete: false })
  expect(parts.stopped()).toBe(1)
  parts.state.task = { Status: 'stopped' }
  expect(await parts.isComplete(asked)).toEqual({ IsComplete: true })
})

test('a task that is just starting is stopped as soon as it runs', async () => {
  const parts = dms({ Status: 'starting' }, ['running'])
  const asked = await begun(parts, request('Update', 'Stop'))
  expect(await parts.isComplete(asked)).toEqual({ IsComplete: false })
  expect(parts.stopped()).toBe(0)
  expect(await parts.isComplete(asked)).toEqual({ IsComplete: false })
  expect(parts.stopped()).toBe(1)
})

test.each(['ready', 'stopped', 'failed'])('a task that is %s needs no stop', async status => {
  const parts = dms({ Status: status })
  expect(await parts.isComplete(await begun(parts, request('Create', 'Stop')))).toEqual({ IsComplete: true })
  expect(parts.changes()).toEqual([])
})

test('a stop before the first create, and one whose task was deleted by hand, have nothing to do', async () => {
  for (const kind of ['Create', 'Update'] as const) {
    const parts = dms(undefined)
    expect(await parts.isComplete(await begun(parts, request(kind, 'Stop')))).toEqual({ IsComplete: true })
  }
})

test('the stop of a deleted stack leaves a task alone that is not its own any more', async () => {
  const parts = dms({ Status: 'running' })
  expect(await parts.isComplete(await begun(parts, request('Delete', 'Stop')))).toEqual({ IsComplete: true })
  expect(parts.asked).toEqual([])
})

test('a stop that DMS refuses because the task has moved on is looked at again, any other refusal fails', async () => {
  for (const name of ['InvalidResourceStateFault', 'ResourceNotFoundFault', 'AccessDeniedFault']) {
    const stand = standIn<DatabaseMigrationServiceClient>({
      DescribeReplicationTasks: () => ({
        ReplicationTasks: [{ Status: 'running', ReplicationTaskArn: ARN }],
      }),
      StopReplicationTask: () => {
        throw fault(name)
      },
    })
    const { isComplete } = replicationControl({ dms: stand.client, now: () => 0, sleep: async () => {} })
    const looked = isComplete(request('Update', 'Stop'))
    if (name === 'AccessDeniedFault') await expect(looked).rejects.toThrow(name)
    else expect(await looked).toEqual({ IsComplete: false })
  }
})

test('a task that does not stop fails the deploy at its deadline, with its state', async () => {
  const parts = dms({ Status: 'stopping' })
  const asked = await begun(parts, request('Update', 'Stop', { DeadlineSeconds: '600' }))
  parts.later(600_000)
  expect(await parts.isComplete(asked)).toEqual({ IsComplete: false })
  parts.later(1)
  await expect(parts.isComplete(asked)).rejects.toThrow(
    `after 600 s: DMS task ${ID} is stopping, expected stopped`,
  )
})

test.each([
  ['ready', 'start-replication'],
  ['stopped', 'resume-processing'],
  ['failed', 'resume-processing'],
] as const)('a task that is %s is started by %s', async (status, type) => {
  const parts = dms({ Status: status, RecoveryCheckpoint: 'checkpoint:V1#27' })
  await parts.onEvent(request('Create', 'Run'))
  expect(parts.started()).toEqual([type])
})

test.each(['running', 'starting'])('a task that is %s is not started again', async status => {
  const parts = dms({ Status: status })
  await parts.onEvent(request('Update', 'Run', {}, {}))
  expect(parts.changes()).toEqual([])
})

test('a start waits while DMS changes the task, and gives up before Lambda does', async () => {
  const parts = dms({ Status: 'modifying' }, ['modifying', 'testing', 'stopped'])
  await parts.onEvent(request('Update', 'Run'))
  expect(parts.started()).toEqual(['resume-processing'])
  expect(parts.sleeps).toHaveLength(3)
  const stuck = dms({ Status: 'moving' })
  await expect(stuck.onEvent(request('Update', 'Run'))).rejects.toThrow(
    `DMS task ${ID} is still moving after 600 s`,
  )
  expect(stuck.changes()).toEqual([])
})

test('a task that failed before its first checkpoint starts anew where it loads all, and is left to people where it does not', async () => {
  const loading = dms({ Status: 'failed', MigrationType: 'full-load-and-cdc' })
  await loading.onEvent(request('Update', 'Run'))
  expect(loading.started()).toEqual(['start-replication'])
  const cdc = dms({ Status: 'failed', LastFailureMessage: 'no grants' })
  await expect(cdc.onEvent(request('Update', 'Run'))).rejects.toThrow(
    /failed before its first checkpoint \(no grants\).* by hand/,
  )
  expect(cdc.started()).toEqual([])
})

test('no task: the deploy fails and says so', async () => {
  const parts = dms(undefined)
  await expect(parts.onEvent(request('Create', 'Run'))).rejects.toThrow(`there is no DMS task ${ID} to start`)
  await expect(parts.isComplete(request('Create', 'Run'))).rejects.toThrow(`there is no DMS task ${ID}`)
})

test('a start whose answer was lost counts, one that is refused fails with the reason', async () => {
  for (const [after, passes] of [
    ['starting', true],
    ['running', true],
    ['stopped', false],
  ] as const) {
    const stand = standIn<DatabaseMigrationServiceClient>({
      DescribeReplicationTasks: (_input, call) => ({
        ReplicationTasks: [{ Status: call === 0 ? 'stopped' : after, ReplicationTaskArn: ARN }],
      }),
      StartReplicationTask: () => {
        throw fault('InvalidResourceStateFault', 'the endpoint is not tested')
      },
    })
    const { onEvent } = replicationControl({ dms: stand.client, now: () => 0, sleep: async () => {} })
    const answer = onEvent(request('Update', 'Run'))
    if (passes) expect((await answer).PhysicalResourceId).toBe(`Custom::DmsTaskRun/${ID}`)
    else
      await expect(answer).rejects.toThrow(
        /did not start: InvalidResourceStateFault: the endpoint is not tested/,
      )
  }
})

test('a run is complete once the task has run for half a minute', async () => {
  const parts = dms({ Status: 'ready' })
  const asked = await begun(parts, request('Create', 'Run'))
  expect(await parts.isComplete(asked)).toEqual({ IsComplete: false })
  parts.state.task = { Status: 'running' }
  parts.later(29_999)
  expect(await parts.isComplete(asked)).toEqual({ IsComplete: false })
  parts.later(1)
  expect(await parts.isComplete(asked)).toEqual({ IsComplete: true })
})

test('a task that fails after its start fails the deploy with stop reason and last failure, but not on a stale state', async () => {
  const parts = dms({ Status: 'stopped' })
  const asked = await begun(parts, request('Update', 'Run'))
  parts.state.task = {
    Status: 'failed',
    StopReason: 'Stop Reason FATAL_ERROR',
    LastFailureMessage: 'slot is gone',
  }
  expect(await parts.isComplete(asked)).toEqual({ IsComplete: false })
  parts.later(60_001)
  await expect(parts.isComplete(asked)).rejects.toThrow(
    `DMS task ${ID} is failed, expected running (stop reason: Stop Reason FATAL_ERROR; last failure: slot is gone)`,
  )
})

test('a task that keeps starting fails the deploy at its deadline', async () => {
  const parts = dms({ Status: 'starting' })
  const asked = await begun(parts, request('Update', 'Run'))
  parts.later(1_800_001)
  await expect(parts.isComplete(asked)).rejects.toThrow(
    /after 1800 s: DMS task .* is starting, expected running \(DMS gives no reason/,
  )
})

test('a later reload token loads all tables once more: stopped first, then reload-target', async () => {
  const parts = dms({ Status: 'running', MigrationType: 'full-load-and-cdc' })
  const asked = request(
    'Update',
    'Run',
    { Reload: '2026-11-24', MigrationType: 'full-load-and-cdc' },
    { Reload: '2026-10-01' },
  )
  const done = parts.onEvent(asked)
  parts.state.next = ['running', 'stopping', 'stopped']
  await done
  expect(parts.stopped()).toBe(1)
  expect(parts.started()).toEqual(['reload-target'])
})

test.each([
  ['the same token', { Reload: '2026-11-24' }, { Reload: '2026-11-24' }],
  ['the earlier token of a rollback', { Reload: '2026-10-01' }, { Reload: '2026-11-24' }],
  ['a token taken away', {}, { Reload: '2026-11-24' }],
  ['a first create, which loads all by itself', { Reload: '2026-11-24' }, undefined],
])('no reload for %s', async (_name, now, old) => {
  const parts = dms({ Status: 'stopped', MigrationType: 'full-load-and-cdc' })
  await parts.onEvent(
    request(
      old ? 'Update' : 'Create',
      'Run',
      { ...now, MigrationType: 'full-load-and-cdc' } as Record<string, string>,
      old,
    ),
  )
  expect(parts.started()).toEqual(['resume-processing'])
})

test('a reload of a task that never ran is its first start', async () => {
  const parts = dms({ Status: 'ready', MigrationType: 'full-load-and-cdc' })
  await parts.onEvent(
    request('Update', 'Run', { Reload: '2026-11-24', MigrationType: 'full-load-and-cdc' }, {}),
  )
  expect(parts.started()).toEqual(['start-replication'])
})

test('a cdc task cannot load anew, and nothing is stopped for it', async () => {
  const parts = dms({ Status: 'running' })
  await expect(parts.onEvent(request('Update', 'Run', { Reload: '2026-11-24' }, {}))).rejects.toThrow(
    /migration type is cdc/,
  )
  expect(parts.changes()).toEqual([])
})

test('a task that vanishes while it is stopped for a reload fails the deploy', async () => {
  const parts = dms({ Status: 'running', MigrationType: 'full-load-and-cdc' })
  const asked = parts.onEvent(
    request('Update', 'Run', { Reload: '2026-11-24', MigrationType: 'full-load-and-cdc' }, {}),
  )
  parts.state.task = undefined
  await expect(asked).rejects.toThrow(/has vanished|no DMS task/)
})

test('run: false stops the task and does not start it', async () => {
  const parts = dms({ Status: 'running' })
  const asked = await begun(parts, request('Update', 'Run', { Run: 'false' }, {}))
  expect(await parts.isComplete(asked)).toEqual({ IsComplete: false })
  parts.state.task = { Status: 'stopped' }
  expect(await parts.isComplete(asked)).toEqual({ IsComplete: true })
  expect(parts.started()).toEqual([])
  expect(parts.stopped()).toBe(1)
})

test('a run that is deleted stops the task first, since CloudFormation cannot delete one that runs', async () => {
  const parts = dms({ Status: 'running' })
  const asked = await begun(parts, request('Delete', 'Run'))
  expect(asked.PhysicalResourceId).toBe(`Custom::DmsTaskRun/${ID}`)
  expect(await parts.isComplete(asked)).toEqual({ IsComplete: false })
  expect(parts.stopped()).toBe(1)
  parts.state.task = { Status: 'stopped' }
  expect(await parts.isComplete(asked)).toEqual({ IsComplete: true })
  parts.state.task = undefined
  expect(await parts.isComplete(asked)).toEqual({ IsComplete: true })
})

test('the physical id is the same for every change of a task, so that none looks like a replacement', async () => {
  for (const type of ['Stop', 'Run'] as const) {
    const first = await dms({ Status: 'stopped' }).onEvent(request('Create', type))
    const second = await dms({ Status: 'stopped' }).onEvent(
      request('Update', type, { SettingsHash: 'other' }, {}),
    )
    expect(second.PhysicalResourceId).toBe(first.PhysicalResourceId)
  }
})

test.each([
  ['stopped', true],
  ['ready', false],
  ['running', false],
  ['starting', false],
  ['failed', false],
] as const)('the net after a rollback: a task that is %s is resumed: %s', async (status, resumed) => {
  const parts = dms({ Status: status })
  expect(await parts.resume({ TaskId: ID })).toEqual({ TaskId: ID, found: status, resumed })
  expect(parts.started()).toEqual(resumed ? ['resume-processing'] : [])
})

test('the net waits for a task that is still stopping, and takes a deleted one as it is', async () => {
  const parts = dms({ Status: 'stopping' }, ['stopping', 'stopped'])
  expect(await parts.resume({ TaskId: ID })).toMatchObject({ resumed: true })
  expect(await dms(undefined).resume({ TaskId: ID })).toEqual({ TaskId: ID, found: 'none', resumed: false })
})

test('an unknown type and a missing property fail instead of doing nothing', async () => {
  const parts = dms({ Status: 'stopped' })
  const unknown = { ...request('Create', 'Run'), ResourceType: 'Custom::Other' }
  await expect(parts.onEvent(unknown)).rejects.toThrow(/no custom resource of type Custom::Other/)
  await expect(parts.onEvent(request('Create', 'Run', { TaskId: '' }))).rejects.toThrow('no property TaskId')
})

test('DMS that cannot be asked fails the deploy with what it said', async () => {
  const stand = standIn<DatabaseMigrationServiceClient>({
    DescribeReplicationTasks: () => {
      throw fault('AccessDeniedException', 'not allowed to describe')
    },
  })
  const { isComplete } = replicationControl({ dms: stand.client, now: () => 0, sleep: async () => {} })
  await expect(isComplete(request('Update', 'Stop'))).rejects.toThrow('not allowed to describe')
})

type Endpoint = { Status: string; KinesisSettings?: Record<string, unknown> }

/** @param looks what DescribeEndpoints answers, one a look, the last one stays */
function endpoints(looks: Endpoint[], modify: () => unknown = () => ({})) {
  const stand = standIn<DatabaseMigrationServiceClient>({
    DescribeEndpoints: (_input, call) => ({ Endpoints: [looks[Math.min(call, looks.length - 1)]] }),
    ModifyEndpoint: modify,
  })
  let nowMs = 0
  return {
    ...stand,
    ...replicationControl({ dms: stand.client, now: () => nowMs, sleep: async () => {} }),
    later: (ms: number) => {
      nowMs += ms
    },
  }
}

const settings = { StreamArn: 'arn:stream', MessageFormat: 'json-unformatted', IncludeNullAndEmpty: true }
const unset = { Status: 'active', KinesisSettings: settings }
const set = { Status: 'active', KinesisSettings: { ...settings, UseLargeIntegerValue: true } }
const endpointRequest = (kind: Request['RequestType']): Request => ({
  RequestType: kind,
  ResourceType: 'Custom::DmsEndpointSetting',
  ResourceProperties: { EndpointArn: ENDPOINT, DeadlineSeconds: '600' },
  ...(kind === 'Create' ? {} : { PhysicalResourceId: `Custom::DmsEndpointSetting/${ENDPOINT}` }),
})

test.each(['Create', 'Update'] as const)(
  '%s sets UseLargeIntegerValue alone, and reads it back',
  async kind => {
    const parts = endpoints([unset, set])
    expect((await parts.onEvent(endpointRequest(kind))).PhysicalResourceId).toBe(
      `Custom::DmsEndpointSetting/${ENDPOINT}`,
    )
    expect(parts.changes()).toEqual([
      {
        command: 'ModifyEndpoint',
        input: {
          EndpointArn: ENDPOINT,
          ExactSettings: false,
          KinesisSettings: { UseLargeIntegerValue: true },
        },
      },
    ])
    expect(await parts.isComplete(endpointRequest(kind))).toEqual({ IsComplete: true })
    expect(parts.changes()).toHaveLength(1)
  },
)

test('an endpoint that has the setting is not changed', async () => {
  const parts = endpoints([set])
  await parts.onEvent(endpointRequest('Update'))
  expect(parts.changes()).toEqual([])
})

test('an endpoint that takes the setting and does not have it fails the deploy', async () => {
  for (const after of [
    unset,
    { Status: 'active', KinesisSettings: { ...settings, UseLargeIntegerValue: false } },
  ])
    await expect(endpoints([unset, after]).onEvent(endpointRequest('Create'))).rejects.toThrow(
      /reads back (undefined|false): ids of more than 16 digits would be damaged/,
    )
})

test('a change that moves another setting fails the deploy', async () => {
  const moved = {
    Status: 'active',
    KinesisSettings: { ...set.KinesisSettings, MessageFormat: 'json', IncludeNullAndEmpty: undefined },
  }
  await expect(endpoints([unset, moved]).onEvent(endpointRequest('Create'))).rejects.toThrow(
    'has changed MessageFormat, IncludeNullAndEmpty as well',
  )
})

test('an endpoint that is being changed is waited for, at most until the deadline', async () => {
  const modifying = { ...unset, Status: 'modifying' }
  const parts = endpoints([modifying, modifying, unset, modifying, set])
  const asked = {
    ...endpointRequest('Create'),
    ...(await parts.onEvent(endpointRequest('Create'))),
  } as Request
  expect(parts.changes()).toHaveLength(0)
  expect(await parts.isComplete(asked)).toEqual({ IsComplete: false })
  expect(await parts.isComplete(asked)).toEqual({ IsComplete: false })
  expect(parts.changes()).toHaveLength(1)
  expect(await parts.isComplete(asked)).toEqual({ IsComplete: true })
  const stuck = endpoints([modifying])
  const waiting = {
    ...endpointRequest('Create'),
    ...(await stuck.onEvent(endpointRequest('Create'))),
  } as Request
  stuck.later(600_001)
  await expect(stuck.isComplete(waiting)).rejects.toThrow(
    /after 600 s: endpoint .* is not active with UseLargeIntegerValue/,
  )
})

test('an endpoint whose task runs says what to do, other refusals come as they are', async () => {
  const running = endpoints([unset], () => {
    throw fault('InvalidResourceStateFault', 'in use by a task')
  })
  await expect(running.onEvent(endpointRequest('Update'))).rejects.toThrow(
    /stop the task, then deploy again \(in use by a task\)/,
  )
  const denied = endpoints([unset], () => {
    throw fault('AccessDeniedFault')
  })
  await expect(denied.onEvent(endpointRequest('Update'))).rejects.toThrow('AccessDeniedFault')
})

test('an endpoint of another kind fails, and a deleted setting asks nothing', async () => {
  await expect(endpoints([{ Status: 'active' }]).onEvent(endpointRequest('Create'))).rejects.toThrow(
    /no Kinesis endpoint/,
  )
  const parts = endpoints([set])
  await parts.onEvent(endpointRequest('Delete'))
  expect(await parts.isComplete(endpointRequest('Delete'))).toEqual({ IsComplete: true })
  expect(parts.asked).toEqual([])
})

test('on the wire DMS is asked for UseLargeIntegerValue: the client leaves out what its model does not know', async () => {
  const bodies: string[] = []
  const client = new DatabaseMigrationServiceClient({
    region: 'eu-central-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    requestHandler: {
      handle: async (sent: { body?: unknown }) => {
        bodies.push(new TextDecoder().decode(sent.body as Uint8Array))
        const body = Readable.from([JSON.stringify({ Endpoints: [bodies.length === 1 ? unset : set] })])
        return { response: { statusCode: 200, headers: {}, body } }
      },
    },
  })
  const { onEvent } = replicationControl({ dms: client, now: () => 0, sleep: async () => {} })
  await onEvent(endpointRequest('Create'))
  expect(JSON.parse(bodies[1]!)).toEqual({
    EndpointArn: ENDPOINT,
    ExactSettings: false,
    KinesisSettings: { UseLargeIntegerValue: true },
  })
})

test.each([
  ['replication', ['isComplete', 'onEvent', 'resume']],
  ['one-off-task', ['isComplete', 'onEvent']],
])('Lambda finds in %s what the template names', async (folder, exported) => {
  const module = await import(`../../infra/custom-resources/lambda/${folder}/index.mjs`)
  expect(Object.keys(module).sort()).toEqual(exported)
})
