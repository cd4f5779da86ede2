import { randomUUID } from 'node:crypto'
import {
  DeleteStreamCommand,
  KinesisClient,
  PutRecordCommand,
  SplitShardCommand,
} from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { afterAll, describe, expect, inject, test } from 'vitest'
import { createResources } from '../../docker/local/resources.ts'
import { kinesisStream } from '../../src/clients/kinesis.ts'
import { streamContract } from './stream.contract.ts'

Object.assign(process.env, inject('parts').env)
const raw = new KinesisClient({ requestHandler: new NodeHttpHandler() })
const made: { name: string; close(): void }[] = []

async function newStream() {
  const name = `stream-${randomUUID()}`
  await createResources(inject('parts').endpoints, {
    stream: name,
    shards: 2,
    leaseTable: `${name}-leases`,
    queue: `${name}-letters`,
  })
  const stream = kinesisStream(name, { decoder: 'bytes' })
  made.push({ name, close: stream.close })
  return { name, stream }
}

afterAll(async () => {
  for (const { name, close } of made) {
    await raw.send(new DeleteStreamCommand({ StreamName: name }))
    close()
  }
  raw.destroy()
})

describe('Kinesis answers as the model does', () => {
  streamContract(async () => {
    const { name, stream } = await newStream()
    return {
      ...stream,
      put: async text => {
        await raw.send(
          new PutRecordCommand({
            StreamName: name,
            Data: new TextEncoder().encode(text),
            PartitionKey: 'k',
            ExplicitHashKey: '0',
          }),
        )
      },
      split: async shardId => {
        await raw.send(
          new SplitShardCommand({ StreamName: name, ShardToSplit: shardId, NewStartingHashKey: '1000' }),
        )
      },
    }
  })
})

describe('check', () => {
  test('a missing stream is named, with what to do', async () => {
    const stream = kinesisStream('not-there', { decoder: 'bytes' })
    await expect(stream.check()).rejects.toThrow(/no stream not-there .*STREAM_NAME/)
    stream.close()
  })

  test('a stream that is there passes', async () => {
    const { stream } = await newStream()
    await expect(stream.check()).resolves.toBeUndefined()
  })
})
