/**
 * The place in the SDK where answers are read, for GetRecords alone.
 *
 * The SDK hands each answer to its client's `protocol`. That object stays what the SDK made it, for requests, errors and
 * all other operations; on this one client its method for answers is wrapped. A subclass would say the same, with an
 * import from a package of the SDK's own insides.
 */
import { finished, type Readable } from 'node:stream'
import type { GetRecordsCommandOutput, KinesisClient } from '@aws-sdk/client-kinesis'
import { type DecodedAnswer, decodeGetRecords } from './get-records.ts'
import { pageMemory } from './page-memory.ts'

/** Either `decoded`, or the members the SDK reads. */
export type GetRecordsAnswer = GetRecordsCommandOutput & {
  /** `recycle`: see StreamPage. */
  decoded?: DecodedAnswer & { recycle: () => void }
}

type Protocol = {
  deserializeResponse(operation: { name: string }, context: object, response: Response): Promise<unknown>
}
type Response = { statusCode: number; headers: Record<string, string>; body: Readable | Uint8Array }

/** From here on `send` answers GetRecords with `decoded` where it can; it throws what it threw before. */
export function decodeFromBytes(client: KinesisClient): void {
  const protocol = client.config.protocol as Protocol
  const readBySdk = protocol.deserializeResponse.bind(protocol)
  const memory = pageMemory()
  protocol.deserializeResponse = async (operation, context, response) => {
    if (operation.name !== 'GetRecords' || response.statusCode !== 200)
      return readBySdk(operation, context, response)
    const chunks = await chunksOf(response.body as Readable)
    let taken: Buffer | undefined
    const recycle = (): void => {
      if (taken) memory.give(taken)
      taken = undefined
    }
    const decoded = decodeGetRecords(chunks, bytes => {
      taken = memory.take(bytes)
      return taken
    })
    if (decoded === undefined) {
      recycle()
      return readBySdk(operation, context, { ...response, body: Buffer.concat(chunks) })
    }
    // No member that the SDK knows: it would walk all records once more for a log line that nobody reads.
    return {
      $metadata: { httpStatusCode: 200, requestId: response.headers['x-amzn-requestid'] },
      decoded: { ...decoded, recycle },
    }
  }
}

/**
 * As they come from the socket: an async iterator joins those that wait, and the answer is copied once more.
 *
 * @throws Error when the connection ends before the answer does
 */
function chunksOf(body: Readable): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    body.on('data', (chunk: Buffer) => chunks.push(chunk))
    finished(body, error => (error ? reject(error) : resolve(chunks)))
  })
}
