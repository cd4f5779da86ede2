/** The dead-letter queue, read as whoever redrives would read it. */
import { gunzipSync } from 'node:zlib'
import {
  DeleteMessageCommand,
  DeleteQueueCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { CREDENTIALS, REGION } from '../../docker/local/aws-clients.ts'

export type ReadLetter = {
  format: number
  reason: string
  stream: string
  shardId: string
  sequenceNumber: string
  partitionKey: string
  arrivedAt: string
  part: number
  parts: number
  encoding: string
  service: string
  at: string
  table?: string
  index?: string
  id?: string
  detail?: string
  /** The record's own bytes, unpacked. */
  bytes: Buffer
}

export type Queue = {
  /** Takes every letter that is there. */
  letters(): Promise<ReadLetter[]>
  remove(): Promise<void>
}

export function openQueue(endpoint: string, queueUrl: string): Queue {
  const sqs = new SQSClient({
    endpoint,
    useQueueUrlAsEndpoint: false,
    region: REGION,
    credentials: CREDENTIALS,
    maxAttempts: 1,
  })

  return {
    async letters() {
      const found: ReadLetter[] = []
      for (;;) {
        const { Messages = [] } = await sqs.send(
          new ReceiveMessageCommand({ QueueUrl: queueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 0 }),
        )
        if (Messages.length === 0) return found
        for (const { Body, ReceiptHandle } of Messages) {
          const { payload, ...letter } = JSON.parse(Body!) as ReadLetter & { payload: string }
          found.push({ ...letter, bytes: gunzipSync(Buffer.from(payload, 'base64')) })
          await sqs.send(new DeleteMessageCommand({ QueueUrl: queueUrl, ReceiptHandle }))
        }
      }
    },

    async remove() {
      await sqs.send(new DeleteQueueCommand({ QueueUrl: queueUrl }))
      sqs.destroy()
    },
  }
}
