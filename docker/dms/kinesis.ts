/** PutRecords and the question whether the stream is there. Decides only which errors are for good. */
import { DescribeStreamSummaryCommand, KinesisClient, PutRecordsCommand } from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { type Put, type PutOutcome, StreamRefusedError } from './sink.ts'

const connectMsMax = 5_000
/** Also the longest a stop waits. A local emulator needs some seconds for a full request on a busy machine. */
const requestMsMax = 15_000

/** Errors that asking again does not mend. Throttling, time-outs, a refused connection and 5xx are not among them. */
const forGood = new Set([
  'ResourceNotFoundException',
  'AccessDeniedException',
  'UnrecognizedClientException',
  'InvalidSignatureException',
  'InvalidClientTokenId',
  'ExpiredTokenException',
  'InvalidArgumentException',
  'ValidationException',
  'KMSAccessDeniedException',
  'KMSDisabledException',
  'KMSNotFoundException',
  'CredentialsProviderError',
])

export function createStream(stream: string) {
  const client = new KinesisClient({
    // The sink repeats a request itself, in order and with a log line.
    maxAttempts: 1,
    // The default of this client is HTTP/2, which not every local Kinesis speaks; one request at a time gains nothing from it.
    requestHandler: new NodeHttpHandler({
      connectionTimeout: connectMsMax,
      requestTimeout: requestMsMax,
      throwOnRequestTimeout: true,
    }),
  })

  const refused = (error: unknown): unknown => {
    if (!(error instanceof Error) || !forGood.has(error.name)) return error
    return new StreamRefusedError(`stream ${stream}: ${error.name}: ${error.message}`, { cause: error })
  }

  const put: Put = async records => {
    try {
      const answer = await client.send(
        new PutRecordsCommand({
          StreamName: stream,
          Records: records.map(({ data, partitionKey }) => ({ Data: data, PartitionKey: partitionKey })),
        }),
      )
      return (answer.Records ?? []).map((record): PutOutcome[number] =>
        record.ErrorCode === undefined
          ? { isPut: true }
          : { isPut: false, error: `${record.ErrorCode}: ${record.ErrorMessage ?? ''}` },
      )
    } catch (error) {
      throw refused(error)
    }
  }

  return {
    put,

    /** Throws `StreamRefusedError` unless the stream answers and is ready to be written. */
    async check(): Promise<void> {
      try {
        const answer = await client.send(new DescribeStreamSummaryCommand({ StreamName: stream }))
        const status = answer.StreamDescriptionSummary?.StreamStatus
        if (status !== 'ACTIVE' && status !== 'UPDATING') {
          throw new StreamRefusedError(
            `stream ${stream} is ${status}: expected ACTIVE; wait until it is created`,
          )
        }
      } catch (error) {
        const reason = refused(error)
        if (reason instanceof StreamRefusedError) throw reason
        throw new StreamRefusedError(`stream ${stream} does not answer: ${(error as Error).message}`, {
          cause: error,
        })
      }
    },

    close: (): void => client.destroy(),
  }
}
