/**
 * A loopback TCP proxy in front of OpenSearch that can hold back the answer to a bulk request.
 *
 * While it holds, requests still go through, so OpenSearch applies them; only the worker does not hear of it. That is
 * the moment at which a worker is most worth killing. Everything else passes byte for byte, in both directions.
 *
 * It tells bulk requests apart by their first bytes. That is enough, because Node's HTTP agent sends one request at a
 * time on a connection: whatever the client sends after an answer began is the next request.
 */
import { createServer, connect as dial, type Server, type Socket } from 'node:net'

/** A bulk request that OpenSearch has answered and whose answer the worker has not seen. */
export type Withheld = {
  requestBytes: number
  /** The first line of the answer, such as `HTTP/1.1 200 OK`: the proof that OpenSearch has done its work. */
  statusLine: string
}

export type HoldingProxy = {
  /** What a worker is given as OPENSEARCH_URL. */
  url: string
  /** From now on answers to bulk requests stay here. Resolves with the first one that does; rejects when none comes. */
  holdAnswers(): Promise<Withheld>
  /** Answers that are here now, their connections still open. */
  withheld(): Withheld[]
  /** Lets what was held back through, and all that follows. */
  release(): void
  /** Bulk requests passed on since the start. */
  bulkRequests(): number
  /** Nobody listens any more, and open connections break off. */
  refuse(): Promise<void>
  accept(): Promise<void>
  close(): Promise<void>
}

type Link = {
  client: Socket
  upstream: Socket
  isBulk: boolean
  /** The next bytes of the client begin a request. */
  isBetween: boolean
  requestBytes: number
  held: Buffer[]
}

const BULK = 'POST /_bulk'
const HOLD_MS = 20_000
const LINE_END = '\r\n'

/** @param target such as `http://127.0.0.1:9200` */
export async function startProxy(target: string): Promise<HoldingProxy> {
  const { hostname, port: targetPort } = new URL(target)
  const links = new Set<Link>()
  let isHolding = false
  let bulkRequests = 0
  let onHeld: (found: Withheld) => void = () => {}
  let patience: NodeJS.Timeout | undefined

  function open(client: Socket): void {
    const upstream = dial(Number(targetPort), hostname)
    const link: Link = { client, upstream, isBulk: false, isBetween: true, requestBytes: 0, held: [] }
    links.add(link)
    client.on('data', chunk => {
      if (link.isBetween) {
        link.isBetween = false
        link.isBulk = chunk.subarray(0, BULK.length).toString('latin1') === BULK
        link.requestBytes = 0
        if (link.isBulk) bulkRequests++
      }
      link.requestBytes += chunk.length
      upstream.write(chunk)
    })
    upstream.on('data', chunk => {
      link.isBetween = true
      // Once the first bytes of an answer are here, the rest must not overtake them.
      if ((isHolding && link.isBulk) || link.held.length > 0) hold(link, chunk)
      else client.write(chunk)
    })
    const end = (): void => {
      links.delete(link)
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end)
  }

  function hold(link: Link, chunk: Buffer): void {
    link.held.push(chunk)
    const found = withheldOn(link)
    if (found) onHeld(found)
  }

  function cut(): void {
    for (const link of links) link.client.destroy()
  }

  let server: Server = createServer(open)
  const port = await listen(server, 0)

  return {
    url: `http://127.0.0.1:${port}`,
    holdAnswers() {
      isHolding = true
      const { promise, resolve, reject } = Promise.withResolvers<Withheld>()
      onHeld = resolve
      const late = new Error(
        `no bulk request was answered within ${HOLD_MS / 1000} s, so none could be held back`,
      )
      patience = setTimeout(() => reject(late), HOLD_MS)
      // Who waits for it is told; a test that failed before it waited has its own reason.
      promise.catch(() => {}).finally(() => clearTimeout(patience))
      return promise
    },
    withheld: () => [...links].map(withheldOn).filter(found => found !== undefined),
    release() {
      isHolding = false
      for (const link of links) for (const chunk of link.held.splice(0)) link.client.write(chunk)
    },
    bulkRequests: () => bulkRequests,
    async refuse() {
      const closed = shut(server)
      cut()
      await closed
    },
    async accept() {
      server = createServer(open)
      await listen(server, port)
    },
    async close() {
      clearTimeout(patience)
      const closed = shut(server)
      cut()
      await closed
    },
  }
}

function withheldOn(link: Link): Withheld | undefined {
  const text = Buffer.concat(link.held).subarray(0, 100).toString('latin1')
  const end = text.indexOf(LINE_END)
  return end < 0 ? undefined : { requestBytes: link.requestBytes, statusLine: text.slice(0, end) }
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
      resolve(address.port)
    })
  })
}

function shut(server: Server): Promise<void> {
  return new Promise(resolve => {
    if (server.listening) server.close(() => resolve())
    else resolve()
  })
}
