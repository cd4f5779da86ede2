/** For every call the service can make there is a statement, and for every statement a call: both lists are read from what they are about. */
import { globSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { environments } from '../../infra/environments.ts'
import { namesOf } from '../../infra/names.ts'
import { all, type Loose, NAMES, of, type Statement, statements, type Templates } from './synthesised.ts'

/** Commands whose action has another name. */
const ACTIONS: Record<string, string> = {
  'dynamodb:Get': 'dynamodb:GetItem',
  'dynamodb:Put': 'dynamodb:PutItem',
  'dynamodb:Update': 'dynamodb:UpdateItem',
  'dynamodb:Delete': 'dynamodb:DeleteItem',
  'sqs:SendMessageBatch': 'sqs:SendMessage',
}

const PREFIXES: Record<string, string> = {
  '@aws-sdk/client-kinesis': 'kinesis',
  '@aws-sdk/client-dynamodb': 'dynamodb',
  '@aws-sdk/lib-dynamodb': 'dynamodb',
  '@aws-sdk/client-sqs': 'sqs',
}

/** Every command of the SDK that the service's sources import, as the action IAM knows. */
function calls(): string[] {
  const found = new Set<string>()
  for (const path of globSync('src/**/*.ts')) {
    const source = readFileSync(path, 'utf8')
    for (const [, names, from] of source.matchAll(
      /import \{([^}]*)\} from '(@aws-sdk\/(?:client|lib)-[a-z-]+)'/g,
    )) {
      const commands = names!
        .split(',')
        .map(name => name.trim())
        .filter(name => /^[A-Z]\w+Command$/.test(name))
      if (commands.length === 0) continue
      const prefix = PREFIXES[from!]
      expect(prefix, `${path} imports ${commands} of ${from}: which service is that?`).toBeDefined()
      for (const command of commands) {
        const action = `${prefix}:${command.replace(/Command$/, '')}`
        found.add(ACTIONS[action] ?? action)
      }
    }
  }
  return [...found].sort()
}

/** The methods by which OpenSearch is asked, in the functions that `from` a source use. */
function searchMethods(): string[] {
  const source = readFileSync('src/clients/opensearch.ts', 'utf8')
  return [
    ...new Set(
      [...source.matchAll(/method: '([A-Z]+)'/g)].map(
        ([, method]) => `es:ESHttp${method![0]}${method!.slice(1).toLowerCase()}`,
      ),
    ),
  ].sort()
}

function policyOf(templates: Templates, role: string): Statement[] {
  const { Resources } = templates.search
  const [id] = Object.entries(Resources).find(([, { Properties }]) => Properties?.RoleName === role)!
  return Object.values(Resources)
    .filter(
      ({ Type, Properties }) =>
        Type === 'AWS::IAM::Policy' && Properties.Roles.some((one: Loose) => one.Ref === id),
    )
    .flatMap(({ Properties }) => statements(Properties.PolicyDocument))
}

const actionsOf = (policy: Statement[], services: RegExp) =>
  policy
    .flatMap(({ Action }) => Action)
    .filter(action => services.test(action))
    .sort()

test('the calls are found', () => {
  expect(calls()).toContain('kinesis:GetRecords')
  expect(calls()).toContain('dynamodb:UpdateItem')
  expect(searchMethods()).toEqual(['es:ESHttpGet', 'es:ESHttpPost', 'es:ESHttpPut'])
})

describe.each(NAMES)('%s', name => {
  const names = namesOf(environments[name])
  const run = () => policyOf(of(name).templates, names.taskRole)
  const bootstrap = () => policyOf(of(name).templates, names.bootstrapRole)

  test('req 22: the task role allows the calls of the service, and no other', () => {
    expect(actionsOf(run(), /^(kinesis|dynamodb|sqs):/)).toEqual(calls())
  })

  test('req 22: each statement is about one thing of its own, and has a name', () => {
    for (const { Sid, Action, Resource } of run()) {
      expect(Sid).toMatch(/^[A-Z][A-Za-z]+$/)
      expect(Resource).toHaveLength(1)
      expect(new Set(Action.map(action => action.split(':')[0])).size).toBe(1)
    }
    // What may be called on a thing of ours is one of these four services and the key.
    expect(actionsOf(run(), /^(?!(kinesis|dynamodb|sqs|es|kms):)/)).toEqual([])
  })

  test('req 22: the key opens what the service reads and writes, only by way of the service that stores it', () => {
    const byService = Object.fromEntries(
      run()
        .filter(({ Action }) => Action.some(action => action.startsWith('kms:')))
        .map(({ Action, Condition }) => [Condition.StringEquals['kms:ViaService'].split('.')[0], Action]),
    )
    expect(byService).toEqual({
      kinesis: ['kms:Decrypt'],
      dynamodb: ['kms:Decrypt', 'kms:DescribeKey', 'kms:Encrypt', 'kms:GenerateDataKey'],
      sqs: ['kms:Decrypt', 'kms:GenerateDataKey'],
    })
  })

  test('req 18: of OpenSearch, run reads and bulk-writes, bootstrap puts, and neither deletes an index', () => {
    expect(actionsOf(run(), /^es:/)).toEqual(['es:ESHttpGet', 'es:ESHttpPost'])
    expect(actionsOf(bootstrap(), /^es:/)).toEqual(['es:ESHttpGet', 'es:ESHttpPut'])
    expect([...new Set([...actionsOf(run(), /^es:/), ...actionsOf(bootstrap(), /^es:/)])].sort()).toEqual(
      searchMethods(),
    )
  })

  test('req 18: the policy of the domain allows each role just that, and names no other', () => {
    const [{ Properties }] = all(of(name).templates, 'AWS::OpenSearchService::Domain') as [Loose]
    const allowed = statements(Properties.AccessPolicies).map(({ Principal, Action }) => [
      JSON.stringify(Principal.AWS).match(/TaskRole|BootstrapRole/)?.[0],
      Action,
    ])
    expect(allowed).toEqual([
      ['TaskRole', ['es:ESHttpGet', 'es:ESHttpPost']],
      ['BootstrapRole', ['es:ESHttpGet', 'es:ESHttpPut']],
    ])
  })

  test('req 21: DMS may put records into this stream and use its key, for this account alone', () => {
    const roles = Object.entries(of(name).templates.source.Resources).filter(([id]) =>
      id.startsWith('ReplicationStreamRole'),
    )
    expect(roles).toHaveLength(1)
    const { Properties } = roles[0]![1]
    const [trust] = statements({
      Statement: Properties.AssumeRolePolicyDocument.Statement.map((one: Loose) => ({
        Resource: [],
        ...one,
      })),
    })
    expect(trust!.Principal).toEqual({ Service: 'dms.amazonaws.com' })
    expect(trust!.Condition).toEqual({ StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } })
    expect(statements(Properties.Policies[0].PolicyDocument).map(({ Action }) => Action)).toEqual([
      ['kinesis:DescribeStream', 'kinesis:PutRecord', 'kinesis:PutRecords'],
      ['kms:Decrypt', 'kms:GenerateDataKey'],
    ])
  })

  test('req 25: the role DMS reads its secret with trusts the DMS of the region', () => {
    const roles = Object.entries(of(name).templates.source.Resources).filter(([id]) =>
      id.startsWith('ReplicationSecretRole'),
    )
    expect(roles[0]![1].Properties.AssumeRolePolicyDocument.Statement[0].Principal).toEqual({
      Service: 'dms.us-east-1.amazonaws.com',
    })
  })

  test('req 30: the service can send dead letters and never take one out; the redrive role can, and nothing else', () => {
    expect(actionsOf(run(), /^sqs:/)).toEqual(['sqs:GetQueueAttributes', 'sqs:SendMessage'])
    const redrive = Object.values(of(name).templates.stream.Resources)
      .filter(({ Type }) => Type === 'AWS::IAM::Policy')
      .flatMap(({ Properties }) => statements(Properties.PolicyDocument))
    expect(redrive.flatMap(({ Action }) => Action).sort()).toEqual([
      'kms:Decrypt',
      'sqs:ChangeMessageVisibility',
      'sqs:DeleteMessage',
      'sqs:GetQueueAttributes',
      'sqs:ReceiveMessage',
    ])
  })
})
