/**
 * What a worker says when it cannot start: one line that names the thing and what to do, and an exit code an operator can
 * act on (2: settings, 3: something outside is missing or refuses).
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CreateTableCommand, DeleteTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { CREDENTIALS, REGION } from '../../docker/local/aws-clients.ts'
import { ask } from './documents.ts'
import { createScene, type Scene } from './harness.ts'

let scene: Scene
let runs = 0

beforeAll(async () => {
  scene = await createScene('start')
})

afterAll(() => scene?.close())

/** @returns the exit code, and what it said on the error stream: the lines that are not log lines */
async function run(
  env: Record<string, string>,
  ...args: string[]
): Promise<{ code: number | null; said: string[] }> {
  const child = scene.spawn(`run-${++runs}`, [process.execPath, 'src/main.ts', ...args], env)
  const said: string[] = []
  child.onLine(line => {
    if (!line.startsWith('{')) said.push(line)
  })
  const { code } = await child.exited
  return { code, said }
}

function expectOneLine(result: { code: number | null; said: string[] }, ...parts: string[]): void {
  expect(result.said).toHaveLength(1)
  for (const part of parts) expect(result.said[0]).toContain(part)
  expect(result.code).toBe(3)
}

test('a missing stream is named, with what to do; exit code 3', async () => {
  const STREAM_NAME = `${scene.name}-not-there`
  expectOneLine(await run({ ...scene.env, STREAM_NAME }), STREAM_NAME, 'Kinesis', 'create it', 'STREAM_NAME')
})

test('a missing lease table is named, with what to do; exit code 3', async () => {
  const LEASE_TABLE = `${scene.name}-not-there`
  expectOneLine(await run({ ...scene.env, LEASE_TABLE }), LEASE_TABLE, 'DynamoDB', 'leaseKey', 'LEASE_TABLE')
})

test('a lease table with another key is named, with the key it has and the one it needs; exit code 3', async () => {
  const LEASE_TABLE = `${scene.name}-other-key`
  const client = new DynamoDBClient({
    endpoint: scene.parts.endpoints.dynamodbUrl,
    region: REGION,
    credentials: CREDENTIALS,
  })
  await client.send(
    new CreateTableCommand({
      TableName: LEASE_TABLE,
      AttributeDefinitions: [{ AttributeName: 'shard', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'shard', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    }),
  )
  onTestFinished(async () => {
    await client.send(new DeleteTableCommand({ TableName: LEASE_TABLE }))
    client.destroy()
  })
  expectOneLine(
    await run({ ...scene.env, LEASE_TABLE }),
    LEASE_TABLE,
    'shard HASH',
    'leaseKey',
    'LEASE_TABLE',
  )
})

test('a missing queue is named, with what to do; exit code 3', async () => {
  const DEAD_LETTER_QUEUE_URL = `${scene.queueUrl}-not-there`
  expectOneLine(
    await run({ ...scene.env, DEAD_LETTER_QUEUE_URL }),
    DEAD_LETTER_QUEUE_URL,
    'SQS',
    'create it',
    'DEAD_LETTER_QUEUE_URL',
  )
})

test('an index template that differs from the settings sends to bootstrap; exit code 3', async () => {
  expectOneLine(
    await run({ ...scene.env, INDEX_PATTERNS: 'e2e_*,never_bootstrapped_*' }),
    'OpenSearch',
    'index_patterns',
    'bootstrap',
  )
})

test('an index template that is missing sends to bootstrap, and bootstrap mends it; exit codes 3 and 0', async () => {
  const { opensearchUrl } = scene.parts.endpoints
  await ask(opensearchUrl, 'DELETE', '/_index_template/aurora-opensearch-cdc')
  expectOneLine(await run(scene.env), 'OpenSearch', 'missing', 'bootstrap')
  const put = { code: 0, said: [expect.stringMatching(/^OpenSearch: index template .* put/)] }
  expect(await run(scene.env, 'bootstrap')).toEqual(put)
  expect(await run(scene.env, 'bootstrap'), 'a second time').toEqual(put)
  const worker = await scene.startWorker('worker')
  await scene.quiet()
  await worker.kill()
})

test('an OpenSearch that refuses is named, with what to check; exit code 3', async () => {
  const refusing = createServer((request, response) => {
    request.resume()
    response.writeHead(403, { 'content-type': 'application/json' })
    response.end('{"error":{"type":"security_exception","reason":"no permissions"},"status":403}')
  })
  await new Promise<void>(resolve => refusing.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void refusing.close())
  const OPENSEARCH_URL = `http://127.0.0.1:${(refusing.address() as AddressInfo).port}`
  for (const command of ['run', 'bootstrap']) {
    expectOneLine(
      await run({ ...scene.env, OPENSEARCH_URL }, command),
      OPENSEARCH_URL,
      '403',
      'OPENSEARCH_USERNAME',
    )
  }
})

test('a lease table that this role may not use is named, with the calls to allow; exit code 3', async () => {
  const refusing = createServer((request, response) => {
    request.resume()
    response.writeHead(400, { 'content-type': 'application/x-amz-json-1.0' })
    response.end(
      JSON.stringify({
        __type: 'com.amazon.coral.service#AccessDeniedException',
        Message:
          'User: arn:aws:iam::000000000000:role/cdc is not authorized to perform: dynamodb:DescribeTable',
      }),
    )
  })
  await new Promise<void>(resolve => refusing.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void refusing.close())
  const AWS_ENDPOINT_URL_DYNAMODB = `http://127.0.0.1:${(refusing.address() as AddressInfo).port}`
  expectOneLine(
    await run({ ...scene.env, AWS_ENDPOINT_URL_DYNAMODB }),
    scene.env.LEASE_TABLE!,
    'DynamoDB refuses',
    'dynamodb:DescribeTable',
    'UpdateItem',
  )
})

test('an HTTP port that is taken is named; exit code 3', async () => {
  const taken = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void taken.close())
  const HTTP_PORT = String((taken.address() as AddressInfo).port)
  expectOneLine(await run({ ...scene.env, HTTP_PORT }), `127.0.0.1:${HTTP_PORT}`, 'HTTP_PORT')
})

test('mistakes in settings are told all at once, before anything is called; exit code 2', async () => {
  const { STREAM_NAME: _, ...rest } = scene.env
  const { code, said } = await run({
    ...rest,
    OPENSEARCH_URL: 'search.example.com',
    LEASE_MS: '3s',
    ON_UNKNOWN_TABLE: 'ignore',
  })
  expect(code).toBe(2)
  expect(said).toHaveLength(4)
  expect(said[0]).toContain('STREAM_NAME is not set')
  expect(said[1]).toMatch(/OPENSEARCH_URL is "search\.example\.com": expected .*https:\/\//)
  for (const [at, name, expected] of [
    [2, 'ON_UNKNOWN_TABLE is "ignore"', 'hold'],
    [3, 'LEASE_MS is "3s"', 'whole number'],
  ] as const) {
    expect(said[at]).toContain(name)
    expect(said[at]).toContain(expected)
  }
})

test('mistakes in the table file are told all at once, each with its place; exit code 2', async () => {
  const { schema } = scene
  const TABLE_FILE = scene.tableFile(
    'mistakes',
    `  ${schema}.a: { key: [] }
  ${schema}.b: { partition: hash }
  ${schema}.c: { index: Upper, columns: { x: intger } }
  ${schema}.d: { keys: [id] }
`,
  )
  const { code, said } = await run({ ...scene.env, TABLE_FILE })
  expect(code).toBe(2)
  for (const place of ['a.key', 'b.partition', 'c.index', 'c.columns.x', 'd.keys'])
    expect(said.filter(line => line.includes(`tables.${schema}.${place}`))).toHaveLength(1)
  expect(said.every(line => line.startsWith(TABLE_FILE))).toBe(true)
})

test('an unknown command is told with those there are; exit code 2', async () => {
  const { code, said } = await run(scene.env, 'mirror')
  expect(code).toBe(2)
  expect(said).toHaveLength(1)
  expect(said[0]).toMatch(/mirror.*run.*bootstrap.*--help/)
})
