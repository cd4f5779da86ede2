/**
 * What the service expects to find and never creates itself: the stream, the lease table, the dead-letter queue.
 *
 * Rule: what is already there is left as it is, so that a demo or a test may ask for it again.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { CreateTableCommand, waitUntilTableExists } from '@aws-sdk/client-dynamodb'
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  type KinesisClient,
} from '@aws-sdk/client-kinesis'
import { CreateQueueCommand } from '@aws-sdk/client-sqs'
import { dynamodbClient, kinesisClient, sqsClient } from './aws-clients.ts'
import type { Endpoints } from './state.ts'

// LocalStack loads a service at its first call.
const CALL_MS = 30_000
const ACTIVE_MS = 30_000
const POLL_MS = 50

export type Resources = { stream: string; shards: number; leaseTable: string; queue: string }

export async function createResources(
  endpoints: Endpoints,
  wanted: Resources,
): Promise<{ queueUrl: string }> {
  const [queueUrl] = await Promise.all([
    createQueue(endpoints.sqsUrl, wanted.queue),
    createStream(endpoints.kinesisUrl, wanted.stream, wanted.shards),
    createLeaseTable(endpoints.dynamodbUrl, wanted.leaseTable),
  ])
  return { queueUrl }
}

async function createStream(endpoint: string, stream: string, shards: number): Promise<void> {
  const client = kinesisClient(endpoint, CALL_MS)
  try {
    await unlessThere(client.send(new CreateStreamCommand({ StreamName: stream, ShardCount: shards })))
    await untilActive(client, stream)
  } finally {
    client.destroy()
  }
}

async function untilActive(client: KinesisClient, stream: string): Promise<void> {
  const deadline = performance.now() + ACTIVE_MS
  for (;;) {
    const { StreamDescriptionSummary } = await client.send(
      new DescribeStreamSummaryCommand({ StreamName: stream }),
    )
    const status = StreamDescriptionSummary?.StreamStatus
    if (status === 'ACTIVE') return
    if (performance.now() > deadline) {
      throw new Error(
        `stream ${stream} is ${status} ${ACTIVE_MS / 1000} s after it was created; expected ACTIVE`,
      )
    }
    await sleep(POLL_MS)
  }
}

async function createLeaseTable(endpoint: string, table: string): Promise<void> {
  const client = dynamodbClient(endpoint, CALL_MS)
  try {
    await unlessThere(
      client.send(
        new CreateTableCommand({
          TableName: table,
          AttributeDefinitions: [{ AttributeName: 'leaseKey', AttributeType: 'S' }],
          KeySchema: [{ AttributeName: 'leaseKey', KeyType: 'HASH' }],
          BillingMode: 'PAY_PER_REQUEST',
        }),
      ),
    )
    await waitUntilTableExists({ client, maxWaitTime: ACTIVE_MS / 1000, minDelay: 1 }, { TableName: table })
  } finally {
    client.destroy()
  }
}

async function createQueue(endpoint: string, queue: string): Promise<string> {
  const client = sqsClient(endpoint, CALL_MS)
  try {
    const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName: queue }))
    return QueueUrl!
  } finally {
    client.destroy()
  }
}

async function unlessThere(creation: Promise<unknown>): Promise<void> {
  try {
    await creation
  } catch (error) {
    if ((error as Error).name !== 'ResourceInUseException') throw error
  }
}
