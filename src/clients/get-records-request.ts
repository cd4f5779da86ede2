/**
 * GetRecords by the parts of the SDK's client, without its chain of middlewares.
 *
 * The chain resolves endpoint, region, scheme of signing and user agent anew for each call, and finds the same each time:
 * a third of the CPU of a call beside its records. Here it makes the request once, stopped before it is sent, as the SDK's
 * presigners do. A read puts its own body in and hands it to the client's signer (which asks for credentials each time),
 * its connections, and its protocol, which reads the answer or throws the service's error.
 */
import {
  GetRecords$,
  GetRecordsCommand,
  type GetRecordsCommandInput,
  type GetRecordsCommandOutput,
  type KinesisClient,
} from '@aws-sdk/client-kinesis'

type Config = KinesisClient['config']
type HttpRequest = Parameters<Config['requestHandler']['handle']>[0]
type Made = { request: HttpRequest; signer: Awaited<ReturnType<Config['signer']>> }
type Protocol = {
  deserializeResponse(operation: object, context: object, response: object): Promise<GetRecordsCommandOutput>
}

const [, namespace, name, traits, input, output] = GetRecords$
const OPERATION = { namespace, name, traits, input, output }

/** After the SDK's last change to a request that is not its signature. */
const WHEN_BUILT = { step: 'build', priority: 'low' } as const

/** @returns one call, in place of `send`; it rejects with what `send` rejects with */
export function getRecordsRequests(
  client: KinesisClient,
): (asked: GetRecordsCommandInput) => Promise<GetRecordsCommandOutput> {
  const { config } = client
  const protocol = config.protocol as Protocol
  let made: Made | undefined

  async function make(): Promise<Made> {
    const command = new GetRecordsCommand({ ShardIterator: '' })
    let request: HttpRequest
    command.middlewareStack.add(
      () => async args => {
        request = args.request as HttpRequest
        return { response: undefined, output: { $metadata: {} } as GetRecordsCommandOutput }
      },
      WHEN_BUILT,
    )
    await client.send(command)
    return { request: request!, signer: await config.signer() }
  }

  return async asked => {
    made ??= await make()
    const body = JSON.stringify(asked)
    const headers = { ...made.request.headers, 'content-length': String(Buffer.byteLength(body)) }
    const signed = await made.signer.sign(
      { ...made.request, headers, body },
      { signingDate: new Date(Date.now() + config.systemClockOffset) },
    )
    const { response } = await config.requestHandler.handle(signed)
    if (response.statusCode >= 300) setClock(response.headers.date)
    return protocol.deserializeResponse(OPERATION, config, response)
  }

  /** The chain's own correction: a refusal may be for the time of the signature, so the next one is made by their clock. */
  function setClock(date = ''): void {
    const offsetMs = Date.parse(date) - Date.now()
    if (!Number.isNaN(offsetMs)) config.systemClockOffset = offsetMs
  }
}
