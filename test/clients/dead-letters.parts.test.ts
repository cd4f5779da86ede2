import { randomBytes, randomUUID } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { afterAll, expect, inject, test } from 'vitest'
import { deadLetters } from '../../src/clients/dead-letters.ts'

Object.assign(process.env, inject('parts').env)
const raw = new SQSClient({})
const open: { close(): void }[] = []

async function newQueue() {
  const { QueueUrl } = await raw.send(new CreateQueueCommand({ QueueName: `letters-${randomUUID()}` }))
  // The queue's path, at the endpoint that answers here: emulators name hosts that do not resolve.
  const url = new URL(new URL(QueueUrl!).pathname, inject('parts').endpoints.sqsUrl).href
  const queue = deadLetters(url)
  open.push(queue)
  return { url, queue }
}

async function received(url: string, count: number): Promise<Record<string, unknown>[]> {
  const found: Record<string, unknown>[] = []
  while (found.length < count) {
    const { Messages = [] } = await raw.send(
      new ReceiveMessageCommand({ QueueUrl: url, MaxNumberOfMessages: 10, WaitTimeSeconds: 5 }),
    )
    if (Messages.length === 0) break
    found.push(...Messages.map(({ Body }) => JSON.parse(Body!)))
  }
  return found
}

const context = (sequenceNumber: string) => ({
  stream: 's',
  shardId: 'shardId-000000000000',
  sequenceNumber,
  partitionKey: 'public.t',
  arrivedAt: '2026-01-01T00:00:00.000Z',
  table: 'public.t',
  version: undefined,
  attempts: 0,
  at: '2026-01-01T00:00:01.000Z',
  service: '0.1.0',
})

afterAll(() => {
  for (const client of [...open, { close: () => raw.destroy() }]) client.close()
})

test('letters arrive with their payload, more than ten at once too', async () => {
  const { url, queue } = await newQueue()
  const data = new Uint8Array([0xff, 0x00, 0x7b])
  const letters = Array.from({ length: 13 }, (_, at) => ({
    letter: { reason: 'not-utf8' as const },
    context: context(String(at)),
    data,
  }))
  await queue.send(letters)
  const found = await received(url, 13)
  expect(found.map(({ sequenceNumber }) => Number(sequenceNumber)).toSorted((a, b) => a - b)).toEqual([
    ...letters.keys(),
  ])
  for (const letter of found) {
    expect(letter).toMatchObject({
      format: 1,
      reason: 'not-utf8',
      part: 1,
      parts: 1,
      shardId: 'shardId-000000000000',
    })
    expect(new Uint8Array(gunzipSync(Buffer.from(String(letter.payload), 'base64')))).toEqual(data)
  }
})

test('a record too large for one message comes in parts that join to it', async () => {
  const { url, queue } = await newQueue()
  const data = randomBytes(1_500_000)
  await queue.send([{ letter: { reason: 'record-too-large' }, context: context('1'), data }])
  const parts = (await received(url, 3)).toSorted((a, b) => Number(a.part) - Number(b.part))
  expect(parts.map(({ part, parts: count }) => [part, count])).toEqual([
    [1, 3],
    [2, 3],
    [3, 3],
  ])
  const joined = parts.map(({ payload }) => payload).join('')
  expect(gunzipSync(Buffer.from(joined, 'base64')).equals(data)).toBe(true)
})

test('a missing queue is named, with what to do', async () => {
  const queue = deadLetters(`${inject('parts').endpoints.sqsUrl}/000000000000/not-there`)
  open.push(queue)
  await expect(queue.check()).rejects.toThrow(/no queue .*not-there.*DEAD_LETTER_QUEUE_URL/)
})
