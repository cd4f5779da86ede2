/**
 * The inside of a stub's process: one HTTP server on 127.0.0.1 at a free port, told to the process that started it. The
 * stub ends when that process does.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Reply = { status: number; body: Buffer | string; headers?: Record<string, string> }

/** @param answer of a request with its whole body; what it throws is answered with status 500 and its message */
export async function serveStub(answer: (asked: IncomingMessage, body: Buffer) => Reply): Promise<void> {
  const server = createServer((asked, answered) => {
    const chunks: Buffer[] = []
    asked.on('data', (chunk: Buffer) => chunks.push(chunk))
    asked.on('end', () =>
      reply(
        answered,
        attempt(() => answer(asked, Buffer.concat(chunks))),
      ),
    )
  })
  // A keep-alive socket that ends between two requests would cost the consumer a retry.
  server.keepAliveTimeout = 600_000
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  process.once('disconnect', () => process.exit(0))
  tell({ port: (server.address() as AddressInfo).port })
}

/** To the process that started this one. */
export function tell(message: object): void {
  process.send?.(message)
}

function attempt(answer: () => Reply): Reply {
  try {
    return answer()
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    tell({ fault: message })
    return { status: 500, body: JSON.stringify({ __type: 'InternalFailure', message }) }
  }
}

function reply(answered: ServerResponse, { status, body, headers }: Reply): void {
  answered.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers })
  answered.end(body)
}
