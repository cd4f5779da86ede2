/**
 * What cdk-nag and CloudFormation's validation find and stays as it is: each with its reason, and only where it was found.
 * Anything else they find fails the synth.
 */
import { Validations } from 'aws-cdk-lib'
import type { Environment } from './environments.ts'
import { namesOf } from './names.ts'
import type { Stacks } from './stacks.ts'

/** End of the construct's path, the finding, the reason. */
type Acknowledged = [path: string, ids: string[], reason: string]

const iam5 = (...resources: string[]) => resources.map(resource => `AwsSolutions-IAM5[Resource::${resource}]`)
const iam4 = (policy: string) => [
  `AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/${policy}]`,
]

/** As they stand in the findings. */
const FUNCTIONS: Record<string, { ours: string[]; framework: string[] }> = {
  BootstrapRun: {
    ours: iam5(
      '<BootstrapRunProviderOnEvent1943FC48.Arn>:*',
      '<BootstrapRunProviderIsComplete2B84201E.Arn>:*',
    ),
    framework: iam5(
      '<BootstrapRunProviderFrameworkframeworkisCompleteCC111C3D.Arn>:*',
      '<BootstrapRunProviderFrameworkframeworkonTimeout3B2BD6D6.Arn>:*',
    ),
  },
  ReplicationControl: {
    ours: iam5(
      '<ReplicationControlProviderOnEventFA2F2DB4.Arn>:*',
      '<ReplicationControlProviderIsComplete23D0D5A1.Arn>:*',
    ),
    framework: iam5(
      '<ReplicationControlProviderFrameworkframeworkisComplete721EAF6E.Arn>:*',
      '<ReplicationControlProviderFrameworkframeworkonTimeout31AEAF44.Arn>:*',
    ),
  },
}

export function acknowledged(environment: Environment): Acknowledged[] {
  const names = namesOf(environment)
  // CDK writes the partition of a named region as text (@aws-cdk/core:enablePartitionLiterals).
  const partition = environment.region.startsWith('cn-') ? 'arn:aws-cn' : 'arn:aws'
  const everyPath = `${partition}:es:${environment.region}:<AWS::AccountId>:domain/${names.domain}/*`
  const ecs = `${partition}:ecs:${environment.region}:<AWS::AccountId>`
  const always: Acknowledged[] = [
    [
      'DeadLetters/Queue',
      ['AwsSolutions-SQS3'],
      'It is the dead-letter queue: the service sends to it, no queue moves into it.',
    ],
    [
      'Stream/Stream',
      ['AwsSolutions-KDS3'],
      'Encrypted with a key of our own, whose policy and use we see, rather than with aws/kinesis.',
    ],
    [
      'Search/Domain',
      ['AwsSolutions-OS3'],
      'In the VPC without a public address: a security group and the roles let in, not addresses.',
    ],
    [
      'TaskRole/Role',
      iam5(everyPath),
      'What is after the domain is the path of a request; every index has its own.',
    ],
    [
      'BootstrapRole/Role',
      iam5(everyPath),
      'What is after the domain is the path of a request; every index has its own.',
    ],
    [
      'Database/Monitoring',
      iam4('AmazonRDSEnhancedMonitoringRole'),
      'AWS writes this policy for this one use: the log group RDSOSMetrics.',
    ],
    [
      'Replication/dms-vpc-role',
      iam4('AmazonDMSVPCManagementRole'),
      'DMS asks for this role with this policy by name.',
    ],
    [
      'Replication/dms-cloudwatch-logs-role',
      iam4('AmazonDMSCloudWatchLogsRole'),
      'DMS asks for this role with this policy by name.',
    ],
    [
      'Database/Cluster/Secret',
      ['AwsSolutions-SMG4'],
      'Used by the bootstrap task alone, in a deploy. Rotating needs a function in the VPC with the rights of the master; RUNBOOK.md says how to do it by hand.',
    ],
    [
      'Database/DmsSecret',
      ['AwsSolutions-SMG4'],
      'DMS reads it when the task starts: a rotation by itself would stop the task at its next restart. RUNBOOK.md says how.',
    ],
    [
      'Task/Definition',
      ['AwsSolutions-ECS2'],
      'Names and limits, no secrets: the test of the settings says which variables there are.',
    ],
    ['Task/ExecutionRole', iam5('*'), 'ecr:GetAuthorizationToken knows no resource.'],
    [
      'ReplicationControl/Provider/Role',
      iam5('*'),
      'dms:DescribeReplicationTasks and dms:DescribeEndpoints know no resource.',
    ],
    [
      'Bootstrap/Run/Provider/Role',
      iam5(
        `${ecs}:task-definition/${names.bootstrapRole}:*`,
        `${ecs}:task/<ClusterEB0386A7>/*`,
        `${partition}:logs:${environment.region}:<AWS::AccountId>:log-group:<BootstrapTaskLog525EF7D0>:log-stream:task/bootstrap/*`,
      ),
      'Revisions, tasks and log streams get their names when they are made; the condition holds them to the cluster.',
    ],
    ...['BootstrapRun', 'ReplicationControl'].flatMap((provider): Acknowledged[] => {
      const path = provider === 'BootstrapRun' ? 'Bootstrap/Run/Provider' : 'ReplicationControl/Provider'
      const why = 'Versions of one function of ours: the provider framework of CDK calls it by them.'
      return [
        [`${path}/FrameworkOnEventRole`, FUNCTIONS[provider]!.ours, why],
        [`${path}/FrameworkIsCompleteRole`, FUNCTIONS[provider]!.ours, why],
        [`${path}/Framework/waiter-state-machine/Role`, FUNCTIONS[provider]!.framework, why],
        [
          `${path}/Framework/waiter-state-machine`,
          ['AwsSolutions-SF1', 'AwsSolutions-SF2'],
          'It waits, in a deploy; what it waits for is in the log of the functions.',
        ],
      ]
    }),
    ...environment.availabilityZones.map(
      (_, at): Acknowledged => [
        `Vpc/privateSubnet${at + 1}/Subnet`,
        ['CloudFormation-Validate::W3010'],
        'Zones are named in environments.ts, so that synth asks no account.',
      ],
    ),
  ]
  const unprotected: Acknowledged[] = [
    ['Database/Cluster', ['AwsSolutions-RDS10'], 'This environment keeps nothing: `data` is `destroy`.'],
  ]
  const single: Acknowledged[] = [
    [
      'Search/Domain',
      ['AwsSolutions-OS4', 'AwsSolutions-OS7'],
      'One small node: the environment is made to be cheap, and can be made anew.',
    ],
  ]
  return [
    ...always,
    ...(environment.data === 'destroy' ? unprotected : []),
    ...(environment.search.kind === 'create' && environment.search.masterNodes === undefined ? single : []),
  ]
}

/** Call it last: it looks for the constructs by their paths. */
export function acknowledge(stacks: Stacks, environment: Environment): void {
  const constructs = Object.values(stacks).flatMap(stack => stack.node.findAll())
  for (const [path, ids, reason] of acknowledged(environment))
    for (const construct of constructs.filter(({ node }) => node.path.endsWith(`/${path}`)))
      Validations.of(construct).acknowledge(...ids.map(id => ({ id, reason })))
}
