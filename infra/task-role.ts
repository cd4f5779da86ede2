/**
 * What the running service may do, a statement for each thing it does. A test derives the calls from the clients in
 * `src/clients` and holds this list to them, both ways.
 *
 * Deployed with the search domain and not with the service: the domain's policy names the role, and a role made anew is
 * somebody else to it.
 */
import { Stack } from 'aws-cdk-lib'
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import { Construct } from 'constructs'
import type { Environment } from './environments.ts'
import { namesOf } from './names.ts'
import { domainArn, SEARCH_ACTIONS } from './search-domain.ts'

export type State = {
  streamArn: string
  leaseTableArn: string
  deadLetterQueueArn: string
  key: IKey
}

export class TaskRole extends Construct {
  readonly role: Role

  constructor(scope: Construct, id: string, environment: Environment, state: State) {
    super(scope, id)
    const { region } = Stack.of(this)
    this.role = new Role(this, 'Role', {
      roleName: namesOf(environment).taskRole,
      description: 'Tasks of the service: read the stream, keep leases, write documents, send dead letters',
      assumedBy: new ServicePrincipal('ecs-tasks.amazonaws.com'),
    })
    const key = (sid: string, service: string, actions: string[]) =>
      new PolicyStatement({
        sid,
        actions,
        resources: [state.key.keyArn],
        // The key is used by the service asked, for this role; never by the task itself.
        conditions: { StringEquals: { 'kms:ViaService': `${service}.${region}.amazonaws.com` } },
      })
    const statements = [
      new PolicyStatement({
        sid: 'ReadStream',
        actions: ['kinesis:ListShards', 'kinesis:GetShardIterator', 'kinesis:GetRecords'],
        resources: [state.streamArn],
      }),
      key('DecryptRecords', 'kinesis', ['kms:Decrypt']),
      new PolicyStatement({
        sid: 'KeepLeases',
        actions: [
          'dynamodb:DescribeTable',
          'dynamodb:Scan',
          'dynamodb:GetItem',
          'dynamodb:PutItem',
          'dynamodb:UpdateItem',
          'dynamodb:DeleteItem',
        ],
        resources: [state.leaseTableArn],
      }),
      key('EncryptLeases', 'dynamodb', [
        'kms:Decrypt',
        'kms:Encrypt',
        'kms:GenerateDataKey',
        'kms:DescribeKey',
      ]),
      new PolicyStatement({
        sid: 'SendDeadLetters',
        actions: ['sqs:SendMessage', 'sqs:GetQueueAttributes'],
        resources: [state.deadLetterQueueArn],
      }),
      key('EncryptDeadLetters', 'sqs', ['kms:GenerateDataKey', 'kms:Decrypt']),
      new PolicyStatement({
        sid: 'WriteDocuments',
        actions: [...SEARCH_ACTIONS.consumer],
        resources: [`${domainArn(Stack.of(this), environment)}/*`],
      }),
    ]
    for (const statement of statements) this.role.addToPolicy(statement)
  }
}
