/** Dead letters: sends letters to SQS within its limits and tells which are confirmed. */

import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { GetQueueAttributesCommand, SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { letterBatches, letterMessages, type SealedLetter } from '../core/letter.ts'
import { OutsideError } from '../errors.ts'

const gzipped = promisify(gzip)

/** @param options.requestTimeoutMs until an answer begins, and again between two parts of it */
export function deadLetters(queueUrl: string, { requestTimeoutMs = 10_000 } = {}) {
  const client = new SQSClient({
    // The queue's address is the setting as it stands: local emulators name hosts that do not resolve.
    endpoint: new URL(queueUrl).origin,
    useQueueUrlAsEndpoint: false,
    maxAttempts: 3,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: 2000,
      requestTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true,
      // The one above ends with the first byte of an answer; without this a body that stalls would hang for ever.
      socketTimeout: requestTimeoutMs,
    }),
  })

  /**
   * Resolves when the queue has confirmed every part of every letter. Rejects otherwise; sending all again is safe, for
   * a letter names its record and part, so a copy can be told.
   */
  async function send(letters: readonly SealedLetter[]): Promise<void> {
    const messages: string[] = []
    for (const { letter, context, data } of letters) {
      messages.push(...letterMessages(letter, context, (await gzipped(data)).toString('base64')))
    }
    for (const batch of letterBatches(messages, Buffer.byteLength)) {
      const answer = await client.send(
        new SendMessageBatchCommand({
          QueueUrl: queueUrl,
          Entries: batch.map((body, at) => ({ Id: String(at), MessageBody: body })),
        }),
      )
      const refused = answer.Failed ?? []
      if (refused.length > 0) {
        throw new Error(
          `SQS refused ${refused.length} of ${batch.length} dead letters: ${refused[0]!.Code ?? 'no code'}`,
        )
      }
    }
  }

  /** @throws OutsideError when the queue is missing or refused */
  async function check(): Promise<void> {
    try {
      await client.send(new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: ['QueueArn'] }))
    } catch (cause) {
      const name = cause instanceof Error ? cause.name : ''
      if (/NonExistentQueue|QueueDoesNotExist/.test(name)) {
        throw new OutsideError(`SQS has no queue ${queueUrl}: create it, or mend DEAD_LETTER_QUEUE_URL`, {
          cause,
        })
      }
      if (/AccessDenied/.test(name)) {
        throw new OutsideError(
          `SQS refuses queue ${queueUrl}: allow sqs:SendMessage and sqs:GetQueueAttributes on it to this role`,
          { cause },
        )
      }
      throw cause
    }
  }

  return { send, check, close: () => client.destroy() }
}
