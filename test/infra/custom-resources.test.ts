/** The custom resources in a template: what waits for what, what may be done, and when they are called again. */
import { App, Duration, Stack } from 'aws-cdk-lib'
import { Match, Template } from 'aws-cdk-lib/assertions'
import * as dms from 'aws-cdk-lib/aws-dms'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import * as ecs from 'aws-cdk-lib/aws-ecs'
import * as iam from 'aws-cdk-lib/aws-iam'
import { LogGroup } from 'aws-cdk-lib/aws-logs'
import { expect, test } from 'vitest'
import { EndpointSetting } from '../../infra/custom-resources/endpoint-setting.ts'
import { OneOffTask } from '../../infra/custom-resources/one-off-task.ts'
import { ReplicationControl } from '../../infra/custom-resources/replication-control.ts'
import {
  ReplicationTaskRun,
  type ReplicationTaskRunProps,
} from '../../infra/custom-resources/replication-task-run.ts'
import { ReplicationTaskStop } from '../../infra/custom-resources/replication-task-stop.ts'

const ENV = { account: '111122223333', region: 'eu-central-1' }

type Resource = { Type: string; Properties: Record<string, unknown>; DependsOn?: string[] }
type Statement = { Sid?: string; Action: string | string[]; Resource: unknown; Condition?: object }

type Settings = {
  tableMappings?: string
  instanceClass?: string
  messageFormat?: string
  run?: boolean
  runProps?: Partial<ReplicationTaskRunProps>
  taskTag?: string
}

function replication(settings: Settings = {}) {
  const stack = new Stack(new App(), 'Source', { env: ENV })
  const run = settings.run ?? true
  const instance = new dms.CfnReplicationInstance(stack, 'Instance', {
    replicationInstanceClass: settings.instanceClass ?? 'dms.r6i.large',
    resourceIdentifier: 'cdc-test',
  })
  const source = new dms.CfnEndpoint(stack, 'From', {
    endpointType: 'source',
    engineName: 'aurora-postgresql',
  })
  const target = new dms.CfnEndpoint(stack, 'To', {
    endpointType: 'target',
    engineName: 'kinesis',
    resourceIdentifier: 'cdc-test-kinesis',
    kinesisSettings: { messageFormat: settings.messageFormat ?? 'json-unformatted' },
  })
  const task = new dms.CfnReplicationTask(stack, 'Task', {
    migrationType: 'cdc',
    replicationTaskIdentifier: 'cdc-test',
    resourceIdentifier: 'cdc-test-task',
    replicationInstanceArn: instance.ref,
    sourceEndpointArn: source.ref,
    targetEndpointArn: target.ref,
    tableMappings: settings.tableMappings ?? '{}',
  })
  const control = new ReplicationControl(stack, 'Control', {
    taskId: 'cdc-test',
    taskResourceIdentifier: 'cdc-test-task',
    endpointResourceIdentifier: 'cdc-test-kinesis',
  })
  const stop = new ReplicationTaskStop(stack, 'Stop', {
    control,
    guarded: [task, source, target, instance],
    run,
  })
  const { settingsHash } = stop
  const setting = new EndpointSetting(stack, 'Setting', { control, endpoint: target, settingsHash })
  new ReplicationTaskRun(stack, 'Run', {
    control,
    settingsHash,
    migrationType: 'cdc',
    run,
    after: [task, setting],
    ...settings.runProps,
  })
  return Template.fromStack(stack)
}

function oneOff(deadline = Duration.minutes(15)) {
  const stack = new Stack(new App(), 'Service', { env: ENV })
  const vpc = ec2.Vpc.fromVpcAttributes(stack, 'Vpc', {
    vpcId: 'vpc-1',
    availabilityZones: ['eu-central-1a'],
    privateSubnetIds: ['subnet-1'],
  })
  const cluster = new ecs.Cluster(stack, 'Cluster', { vpc, clusterName: 'cdc-test' })
  const logGroup = new LogGroup(stack, 'Log', { logGroupName: '/cdc-test/service' })
  const taskDefinition = new ecs.FargateTaskDefinition(stack, 'Bootstrap', { family: 'cdc-test-bootstrap' })
  taskDefinition.addContainer('bootstrap', {
    image: ecs.ContainerImage.fromRegistry('111122223333.dkr.ecr.eu-central-1.amazonaws.com/cdc:1'),
    logging: ecs.LogDrivers.awsLogs({ logGroup, streamPrefix: 'bootstrap' }),
  })
  taskDefinition.taskRole.addToPrincipalPolicy(
    new iam.PolicyStatement({
      actions: ['es:ESHttpPut'],
      resources: ['arn:aws:es:eu-central-1:111122223333:domain/d/*'],
    }),
  )
  const securityGroup = ec2.SecurityGroup.fromSecurityGroupId(stack, 'Group', 'sg-1')
  new OneOffTask(stack, 'Run', {
    cluster,
    taskDefinition,
    container: 'bootstrap',
    logGroup,
    logStreamPrefix: 'bootstrap',
    subnets: ['subnet-1'],
    securityGroups: [securityGroup],
    deadline,
  })
  return Template.fromStack(stack)
}

const resources = (template: Template, type: string) =>
  Object.entries(template.findResources(type) as Record<string, Resource>)

function only(template: Template, type: string): [string, Resource] {
  const found = resources(template, type)
  expect(found, type).toHaveLength(1)
  return found[0]!
}

/** Every resource one waits for, whichever way it says so. */
function waitsFor(template: Template, id: string, seen = new Set<string>()): Set<string> {
  const all = template.toJSON().Resources as Record<string, Resource>
  const { DependsOn: depends = [], Properties: properties } = all[id]!
  const referenced = JSON.stringify(properties ?? {}).matchAll(/"(?:Ref|Fn::GetAtt)":\[?"([^"]+)"/g)
  for (const next of [...depends, ...Array.from(referenced, ([, name]) => name!)])
    if (all[next] && !seen.has(next)) {
      seen.add(next)
      waitsFor(template, next, seen)
    }
  return seen
}

const statementsOf = (template: Template, mentioned: RegExp): Statement[] =>
  resources(template, 'AWS::IAM::Policy').flatMap(
    ([
      id,
      {
        Properties: { PolicyDocument: document },
      },
    ]) => (mentioned.test(id) ? (document as { Statement: Statement[] }).Statement : []),
  )

test('the task, its endpoints and its instance wait for the stop, and the start waits for all of them', () => {
  const template = replication()
  const [stop] = only(template, 'Custom::DmsTaskStop')
  const [setting] = only(template, 'Custom::DmsEndpointSetting')
  const [run] = only(template, 'Custom::DmsTaskRun')
  const [task] = only(template, 'AWS::DMS::ReplicationTask')
  const guarded = [task, 'From', 'To', 'Instance']
  for (const id of guarded) expect([...waitsFor(template, id)], id).toContain(stop)
  for (const id of guarded) expect([...waitsFor(template, stop)], `no circle through ${id}`).not.toContain(id)
  expect([...waitsFor(template, setting)]).toContain('To')
  expect([...waitsFor(template, run)]).toEqual(expect.arrayContaining([stop, setting, task]))
})

const hashOf = (settings: Settings, type = 'Custom::DmsTaskStop') =>
  only(replication(settings), type)[1].Properties.SettingsHash

test.each([
  ['table mappings', { tableMappings: '{"rules":[]}' }],
  ['an endpoint', { messageFormat: 'json' }],
  ['the instance', { instanceClass: 'dms.r6i.xlarge' }],
] satisfies [string, Settings][])('a change of %s calls stop, setting and start again', (_name, settings) => {
  for (const type of ['Custom::DmsTaskStop', 'Custom::DmsEndpointSetting', 'Custom::DmsTaskRun'])
    expect(hashOf(settings, type)).not.toBe(hashOf({}, type))
})

test('nothing changed: nothing is called, so a deploy of something else stops no task', () => {
  expect(hashOf({})).toMatch(/^[0-9a-f]{32}$/)
  expect(hashOf({})).toBe(hashOf({}))
  expect(replication().toJSON()).toEqual(replication().toJSON())
})

test('a reload is asked of the start alone: it stops the task by itself, and no rollback brings it back', () => {
  const template = replication({
    runProps: { migrationType: 'full-load-and-cdc', reload: '2026-11-24T16:00' },
  })
  expect(only(template, 'Custom::DmsTaskRun')[1].Properties).toMatchObject({
    Reload: '2026-11-24T16:00',
    Run: 'true',
  })
  expect(only(template, 'Custom::DmsTaskStop')[1].Properties.SettingsHash).toBe(hashOf({}))
})

test.each([
  [{ reload: 'now', migrationType: 'full-load-and-cdc' }, /reload is "now": expected a date or time/],
  [{ reload: '2026-11-24', migrationType: 'cdc' }, /only full-load-and-cdc can load/],
] satisfies [Partial<ReplicationTaskRunProps>, RegExp][])(
  'a reload that cannot be is refused: %j',
  (runProps, expected) => {
    expect(() => replication({ runProps })).toThrow(expected)
  },
)

test('when the stack comes to rest, also after a rollback, a task that a change has stopped is resumed', () => {
  const template = replication()
  template.hasResourceProperties('AWS::Events::Rule', {
    EventPattern: {
      source: ['aws.cloudformation'],
      'detail-type': ['CloudFormation Stack Status Change'],
      detail: {
        'stack-id': [{ Ref: 'AWS::StackId' }],
        'status-details': { status: ['UPDATE_COMPLETE', 'UPDATE_ROLLBACK_COMPLETE'] },
      },
    },
    Targets: [Match.objectLike({ Input: '{"TaskId":"cdc-test"}' })],
  })
  const [, { Properties: rule }] = only(template, 'AWS::Events::Rule')
  const [{ Arn: target }] = rule.Targets as [{ Arn: { 'Fn::GetAtt': [string] } }]
  const called = template.findResources('AWS::Lambda::Function')[target['Fn::GetAtt'][0]] as Resource
  expect(called.Properties.Handler).toBe('index.resume')
  template.hasResourceProperties('AWS::Lambda::Permission', { Principal: 'events.amazonaws.com' })
})

test('a task that is to stay stopped has no net that starts it', () => {
  const template = replication({ run: false })
  template.resourceCountIs('AWS::Events::Rule', 0)
  expect(only(template, 'Custom::DmsTaskRun')[1].Properties.Run).toBe('false')
})

test('of DMS the functions may start and stop this task, complete this endpoint, and look', () => {
  const statements = statementsOf(replication(), /^ControlProviderRole/)
  const arn = (rest: string) => ({
    'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, `:dms:eu-central-1:111122223333:${rest}`]],
  })
  expect(statements.map(({ Action, Resource: to }) => [Action, to])).toEqual([
    [
      ['logs:CreateLogStream', 'logs:PutLogEvents'],
      { 'Fn::GetAtt': [expect.stringMatching(/^ControlProviderLog/), 'Arn'] },
    ],
    [['dms:DescribeReplicationTasks', 'dms:DescribeEndpoints'], '*'],
    [['dms:StartReplicationTask', 'dms:StopReplicationTask'], arn('task:cdc-test-task')],
    ['dms:ModifyEndpoint', arn('endpoint:cdc-test-kinesis')],
  ])
})

test.each(['1task', 'a--b', 'ends-', 'x'.repeat(32), 'dot.ted', ''])(
  '%j cannot be the end of an ARN of DMS',
  name => {
    const stack = new Stack(new App(), 'S', { env: ENV })
    const props = { taskId: 't', taskResourceIdentifier: name, endpointResourceIdentifier: 'e1' }
    expect(() => new ReplicationControl(stack, 'Control', props)).toThrow(/expected at most 31 letters/)
  },
)

test('of ECS the functions may run this task definition in this cluster, hand over its two roles and read its own log', () => {
  const template = oneOff()
  const statements = statementsOf(template, /^RunProviderRole/)
  expect(statements.map(({ Sid, Action }) => [Sid, Action])).toEqual([
    ['WriteItsLog', ['logs:CreateLogStream', 'logs:PutLogEvents']],
    ['RunTheTask', 'ecs:RunTask'],
    ['WatchAndStopIt', ['ecs:DescribeTasks', 'ecs:StopTask']],
    ['HandItsRolesToEcs', 'iam:PassRole'],
    ['ReadItsLastLine', 'logs:GetLogEvents'],
  ])
  const [, run, watch, pass, read] = statements
  expect(JSON.stringify(run!.Resource)).toContain('task-definition/cdc-test-bootstrap:*')
  expect(JSON.stringify(watch!.Resource)).toMatch(/:task\/.*"\/\*"/)
  expect(Object.keys(run!.Condition!)).toEqual(['ArnEquals'])
  expect(watch!.Condition).toEqual(run!.Condition)
  expect(pass!.Resource).toHaveLength(2)
  expect(pass!.Condition).toEqual({ StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } })
  expect(JSON.stringify(read!.Resource)).toContain(':log-stream:bootstrap/bootstrap/*')
})

test('the task is run by its revision, once what its roles may do is in place', () => {
  const template = oneOff()
  const [id, { Properties: properties }] = only(template, 'Custom::OneOffTask')
  expect(properties).toMatchObject({
    TaskDefinition: { Ref: expect.stringMatching(/^Bootstrap/) },
    Container: 'bootstrap',
    Subnets: ['subnet-1'],
    SecurityGroups: ['sg-1'],
    LogStreamPrefix: 'bootstrap',
    DeadlineSeconds: 900,
  })
  const policies = resources(template, 'AWS::IAM::Policy').filter(([name]) => /^Bootstrap/.test(name))
  expect(policies).toHaveLength(2)
  for (const [policy] of policies) expect([...waitsFor(template, id)]).toContain(policy)
})

test('a deadline CloudFormation would not wait for is refused', () => {
  expect(() => oneOff(Duration.minutes(51))).toThrow(/deadline of bootstrap is 3060 s: expected at most 3000/)
})

test.each([
  ['the replication', () => replication()],
  ['the one-off task', () => oneOff()],
])(
  '%s: no managed policy, a log with an end, the newest runtime, and the framework waits longer than any deadline',
  (_name, make) => {
    const template = make()
    for (const [id, { Properties: role }] of resources(template, 'AWS::IAM::Role'))
      expect(role.ManagedPolicyArns, id).toBeUndefined()
    const functions = resources(template, 'AWS::Lambda::Function')
    expect(functions.length).toBeGreaterThanOrEqual(5)
    for (const [id, { Properties: made }] of functions) {
      expect(made.LoggingConfig, id).toBeDefined()
      if (/^index\.(onEvent|isComplete|resume)$/.test(String(made.Handler)))
        expect(made, id).toMatchObject({ Runtime: 'nodejs24.x', Architectures: ['arm64'], Timeout: 840 })
    }
    for (const [, { Properties: log }] of resources(template, 'AWS::Logs::LogGroup'))
      expect(log.RetentionInDays).toBeGreaterThan(0)
    const [, { Properties: waiter }] = only(template, 'AWS::StepFunctions::StateMachine')
    const retry = /\\?"IntervalSeconds\\?":(\d+),\\?"MaxAttempts\\?":(\d+)/.exec(
      JSON.stringify(waiter.DefinitionString),
    )
    const waitsSeconds = Number(retry![1]) * Number(retry![2])
    for (const type of [
      'Custom::DmsTaskStop',
      'Custom::DmsEndpointSetting',
      'Custom::DmsTaskRun',
      'Custom::OneOffTask',
    ])
      for (const [, { Properties: asked }] of resources(template, type))
        expect(waitsSeconds, type).toBeGreaterThan(Number(asked.DeadlineSeconds) + 60)
  },
)
