/**
 * What LocalStack can take of the stacks is really made, by its CloudFormation, from the templates as they are synthesised; and
 * the service runs on what came out. Nothing is claimed of the rest.
 */
import {
  CloudFormationClient,
  CreateStackCommand,
  DeleteStackCommand,
  DescribeStackResourcesCommand,
  DescribeStacksCommand,
} from '@aws-sdk/client-cloudformation'
import { DescribeTableCommand } from '@aws-sdk/client-dynamodb'
import { DescribeStreamSummaryCommand } from '@aws-sdk/client-kinesis'
import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import {
  CREDENTIALS,
  dynamodbClient,
  kinesisClient,
  REGION,
  sqsClient,
} from '../../docker/local/aws-clients.ts'
import { attachParts, type Child } from '../../docker/local/parts.ts'
import type {} from '../../docker/local/vitest-setup.ts'
import { environments } from '../../infra/environments.ts'
import { namesOf } from '../../infra/names.ts'
import { documentOf, removeIndices } from '../e2e/documents.ts'
import { dmsRecord } from '../e2e/records.ts'
import { openStream } from '../e2e/stream.ts'
import { until } from '../e2e/until.ts'
import { startWorker } from '../e2e/workers.ts'
import { all, type Loose, of, type Resource } from './synthesised.ts'

const CALL_MS = 30_000
const MADE_MS = 120_000
const SCHEMA = 'e2e_stack'

const names = namesOf(environments.dev)
const { instance, endpoints } = inject('parts')
const parts = attachParts(instance, () => {})
const children: Child[] = []
const cloudFormation = new CloudFormationClient({
  endpoint: endpoints.kinesisUrl,
  region: REGION,
  credentials: CREDENTIALS,
  maxAttempts: 1,
  requestHandler: new NodeHttpHandler({ requestTimeout: CALL_MS, throwOnRequestTimeout: true }),
})

type Outputs = Record<string, string>

/** @returns the outputs, by their own names and by those they are exported under */
async function make(stackName: string, template: object): Promise<Outputs> {
  const body = {
    StackName: stackName,
    TemplateBody: JSON.stringify(template),
    Capabilities: ['CAPABILITY_NAMED_IAM' as const],
  }
  await cloudFormation.send(new CreateStackCommand(body))
  const stack = await until(
    `stack ${stackName} to be made`,
    async () => {
      const { Stacks = [] } = await cloudFormation.send(new DescribeStacksCommand({ StackName: stackName }))
      return !Stacks[0]!.StackStatus!.endsWith('IN_PROGRESS') && Stacks[0]
    },
    { deadlineMs: MADE_MS },
  )
  expect(stack.StackStatus, stack.StackStatusReason).toBe('CREATE_COMPLETE')
  const outputs = stack.Outputs ?? []
  return Object.fromEntries(
    outputs.flatMap(({ OutputKey, ExportName, OutputValue }) =>
      [OutputKey, ExportName].filter(name => name !== undefined).map(name => [name, OutputValue!]),
    ),
  )
}

/** The resources of these types of a template, which must not need any other. */
function only(
  resources: Record<string, Resource>,
  types: readonly string[],
): { Resources: Record<string, Resource> } {
  const kept = Object.entries(resources).filter(([, { Type }]) => types.includes(Type))
  return { Resources: Object.fromEntries(kept) }
}

function valueIn(value: Loose, outputs: Outputs): string {
  if (typeof value === 'string') return value
  if ('Fn::ImportValue' in value) return outputs[value['Fn::ImportValue']] ?? ''
  return value['Fn::Join'] ? value['Fn::Join'][1].map((part: Loose) => valueIn(part, outputs)).join('') : ''
}

const { templates } = of('dev')
let made: Outputs

beforeAll(async () => {
  // Besides the resources a template asks whether the account is prepared for CDK; LocalStack is not, and needs no such thing.
  const { Resources, Outputs: outputs } = templates.stream as { Resources: object; Outputs?: object }
  made = await make(names.stack('stream'), { Resources, Outputs: outputs })
})

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await Promise.all(children.map(child => child.exited))
  for (const part of ['stream', 'observability', 'source'])
    await cloudFormation.send(new DeleteStackCommand({ StackName: names.stack(part) }))
  await removeIndices(endpoints.opensearchUrl, `${SCHEMA}_*`)
})

test('stream, lease table and queue are made as the template says', async () => {
  const { StreamDescriptionSummary: stream } = await kinesisClient(endpoints.kinesisUrl, CALL_MS).send(
    new DescribeStreamSummaryCommand({ StreamName: made.StreamName! }),
  )
  expect(stream).toMatchObject({
    StreamName: 'cdc-stream-dev',
    StreamStatus: 'ACTIVE',
    RetentionPeriodHours: 24,
    OpenShardCount: 1,
  })
  const { Table } = await dynamodbClient(endpoints.dynamodbUrl, CALL_MS).send(
    new DescribeTableCommand({ TableName: made.LeaseTable! }),
  )
  expect(Table).toMatchObject({
    TableName: 'cdc-leases-dev',
    KeySchema: [{ AttributeName: 'leaseKey', KeyType: 'HASH' }],
    BillingModeSummary: { BillingMode: 'PAY_PER_REQUEST' },
  })
  const { Attributes } = await sqsClient(endpoints.sqsUrl, CALL_MS).send(
    new GetQueueAttributesCommand({ QueueUrl: made.DeadLetterQueueUrl!, AttributeNames: ['All'] }),
  )
  expect(Attributes).toMatchObject({ MessageRetentionPeriod: String(14 * 86_400), VisibilityTimeout: '300' })
})

test('the service runs with the variables of its container, put in as CloudFormation would, and writes what the stream has', async () => {
  const { Properties } = all(templates, 'AWS::ECS::TaskDefinition').find(
    ({ Properties: its }) => its.Family === names.service,
  )!
  const variables = Properties.ContainerDefinitions[0].Environment.map(({ Name, Value }: Loose) => [
    Name,
    valueIn(Value, made),
  ])
  const env: Record<string, string> = {
    ...parts.env,
    ...Object.fromEntries(variables),
    // What LocalStack has no part in: OpenSearch, and a template the other tests share.
    OPENSEARCH_URL: endpoints.opensearchUrl,
    OPENSEARCH_AUTH: 'none',
    INDEX_PATTERNS: 'e2e_*',
    HTTP_HOST: '127.0.0.1',
    HTTP_PORT: '0',
    GET_RECORDS_LIMIT: '1000',
    LEASE_MS: '3000',
  }
  expect(env.STREAM_NAME).toBe('cdc-stream-dev')
  expect(env.LEASE_TABLE).toBe('cdc-leases-dev')
  const bootstrap = parts.spawn('stack-bootstrap', [process.execPath, 'src/main.ts', 'bootstrap'], env)
  children.push(bootstrap)
  expect(await bootstrap.exited).toEqual({ code: 0, signal: null })

  await openStream(endpoints.kinesisUrl, env.STREAM_NAME!).put([
    {
      partitionKey: `${SCHEMA}.orders`,
      data: dmsRecord({
        operation: 'insert',
        schema: SCHEMA,
        table: 'orders',
        row: '{"id":9007199254740993}',
      }),
    },
  ])
  await startWorker(parts, 'stack-worker', 'stack-worker', env, child => children.push(child))
  const document = await until('the document of the row', () =>
    documentOf(endpoints.opensearchUrl, `${SCHEMA}_orders`, '9007199254740993'),
  )
  expect(document.text).toBe('{"id":9007199254740993}')
})

test('topics, their key and every alarm are made, each with its name', async () => {
  const wanted = only(templates.observability.Resources, [
    'AWS::KMS::Key',
    'AWS::KMS::Alias',
    'AWS::SNS::Topic',
    'AWS::SNS::TopicPolicy',
    'AWS::CloudWatch::Alarm',
  ])
  await make(names.stack('observability'), wanted)
  const { StackResources = [] } = await cloudFormation.send(
    new DescribeStackResourcesCommand({ StackName: names.stack('observability') }),
  )
  const alarms = StackResources.filter(({ ResourceType }) => ResourceType === 'AWS::CloudWatch::Alarm')
  expect(alarms.length).toBe(
    all(templates, 'AWS::CloudWatch::Alarm').filter(({ Properties }) => Properties.AlarmName).length,
  )
  expect(StackResources.every(({ ResourceStatus }) => ResourceStatus === 'CREATE_COMPLETE')).toBe(true)
})

test('secrets and their key are made', async () => {
  await make(
    names.stack('source'),
    only(templates.source.Resources, ['AWS::KMS::Key', 'AWS::KMS::Alias', 'AWS::SecretsManager::Secret']),
  )
})
