/**
 * A loopback HTTP proxy in front of OpenSearch that understands bulk requests and does to them what a test asks for:
 * refuses some of their actions and passes the rest on, refuses them whole, hides or spoils the answer, or gives none.
 *
 * It keeps what it saw: every action that was sent, and what OpenSearch itself answered it, whatever the worker was told.
 * So a test can hold each write to the record it stands for.
 *
 * What it does is the test's to decide, request by request; chance, where there is any, is the test's too, from a seed.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { gunzipSync, gzipSync } from 'node:zlib'
import { type Action, actionsOf, answerText, type Item, itemsOf, refusalText } from './bulk-text.ts'

export type SeenAction = Action & {
  /** What OpenSearch answered it; undefined while it has not, or was not asked. */
  status?: number
  /** Monotonic; when it did. */
  answeredAtMs?: number
}

export type SeenRequest = {
  actions: SeenAction[]
  /** Before compression. */
  bytes: number
  /** Monotonic; when the whole request was here. */
  atMs: number
  /** When the worker had its answer, or lost its connection. */
  endedAtMs?: number
  /** The fault it met. */
  fault?: Fault['kind']
  /** Whether the worker gave up first. */
  isAbandoned: boolean
}

/** `isApplied`: OpenSearch is asked all the same, and the worker is told otherwise. */
export type ItemRefusal = { status: number; type: string; reason?: string; isApplied?: boolean }

export type Fault =
  /** Those refused here stay here; the rest is passed on, and the answers are joined in order. */
  | { kind: 'items'; refuse: (action: Action) => ItemRefusal | undefined }
  | { kind: 'whole'; status: number; type: string }
  /** Applied at once, answered so long after it came (or when it is applied, if that takes longer). */
  | { kind: 'late'; ms: number }
  /** Passed on later. */
  | { kind: 'slow'; ms: number }
  /** Applied; then half of the answer and the end of the connection. */
  | { kind: 'broken-off' }
  /** Applied; then half of the answer, as if that were all. */
  | { kind: 'truncated' }
  /** Applied; then a page for people. */
  | { kind: 'not-json' }
  /** Applied; then an answer with so many items more or fewer. */
  | { kind: 'other-count'; by: 1 | -1 }
  /** Neither passed on nor answered. */
  | { kind: 'hang' }
  /** Neither passed on nor answered: the connection is reset. */
  | { kind: 'reset' }

export type BulkProxy = {
  /** What a worker is given as OPENSEARCH_URL. */
  url: string
  /** Every bulk request from now on is asked about; undefined: it passes. */
  inject(decide: (request: SeenRequest) => Fault | undefined): void
  /** All other requests are refused like this. */
  refuseOthers(fault: { status: number; type: string } | undefined): void
  /** A larger body is not read to its end: 413 or a reset while it is on its way. As sent, so after compression. */
  limitBodies(bytesMax: number | undefined, how?: () => '413' | 'reset'): void
  /** No more faults. What hangs is left hanging. */
  heal(): void
  /** Bulk requests so far, in the order in which they arrived. */
  seen(): readonly SeenRequest[]
  close(): Promise<void>
}

const HTML = '<html><body><h1>Sorry</h1></body></html>'

/** @param target such as `http://127.0.0.1:9200` */
export async function startBulkProxy(target: string): Promise<BulkProxy> {
  const upstream = new URL(target)
  const agent = new http.Agent({ keepAlive: true })
  const seen: SeenRequest[] = []
  const over = new AbortController()
  let decide: (request: SeenRequest) => Fault | undefined = () => undefined
  let others: { status: number; type: string } | undefined
  let bodyBytesMax: number | undefined
  let howLimited: () => '413' | 'reset' = () => '413'

  function pass(
    request: IncomingMessage,
    body: Buffer,
  ): Promise<{ status: number; type: string; body: Buffer }> {
    const {
      'content-encoding': _,
      'accept-encoding': __,
      'transfer-encoding': ___,
      ...headers
    } = request.headers
    return new Promise((resolve, reject) => {
      const passed = http.request(
        {
          host: upstream.hostname,
          port: upstream.port,
          method: request.method,
          path: request.url,
          headers: { ...headers, 'content-length': body.length },
          agent,
        },
        async response => {
          try {
            const answer = await bytesOf(response)
            resolve({
              status: response.statusCode!,
              type: response.headers['content-type'] ?? '',
              body: answer,
            })
          } catch (error) {
            reject(error)
          }
        },
      )
      passed.on('error', reject)
      passed.end(body)
    })
  }

  /** Passes on what is not refused here, and notes what OpenSearch says to each action. */
  async function apply(
    request: IncomingMessage,
    { actions }: SeenRequest,
    refuse: (action: Action) => ItemRefusal | undefined = () => undefined,
  ): Promise<{ status: number; body: string }> {
    const refusals = actions.map(refuse)
    const passed = actions.filter((_, at) => refusals[at] === undefined || refusals[at].isApplied)
    let items: Item[] = []
    if (passed.length > 0) {
      const answer = await pass(request, Buffer.from(passed.map(({ text }) => text).join('')))
      if (answer.status !== 200) return { status: answer.status, body: answer.body.toString() }
      items = itemsOf(answer.body.toString())
      const answeredAtMs = performance.now()
      for (const [at, action] of passed.entries()) {
        action.status = Object.values(items[at]!)[0]!.status
        action.answeredAtMs = answeredAtMs
      }
    }
    let next = 0
    const joined = actions.map(({ kind }, at): Item => {
      const refusal = refusals[at]
      const told = refusal === undefined || refusal.isApplied ? items[next++]! : undefined
      if (refusal === undefined) return told!
      const { status, type, reason = 'told by a proxy' } = refusal
      return { [kind]: { status, error: { type, reason } } }
    })
    return { status: 200, body: answerText(joined) }
  }

  async function answerBulk(
    request: IncomingMessage,
    response: ServerResponse,
    bytes: Buffer,
  ): Promise<void> {
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes
    const found: SeenRequest = {
      actions: actionsOf(body.toString()),
      bytes: body.length,
      atMs: performance.now(),
      isAbandoned: false,
    }
    seen.push(found)
    response.on('close', () => {
      found.endedAtMs = performance.now()
      found.isAbandoned = !response.writableFinished
    })
    const fault = decide(found)
    if (fault) found.fault = fault.kind
    switch (fault?.kind) {
      case 'hang':
        return
      case 'reset':
        request.socket.resetAndDestroy()
        return
      case 'whole':
        return send(request, response, { status: fault.status, text: refusalText(fault.status, fault.type) })
      case 'slow':
        await pause(fault.ms, undefined, { signal: over.signal })
        break
    }
    const { status, body: text } = await apply(
      request,
      found,
      fault?.kind === 'items' ? fault.refuse : undefined,
    )
    switch (fault?.kind) {
      case 'late':
        await pause(Math.max(0, found.atMs + fault.ms - performance.now()), undefined, {
          signal: over.signal,
        })
        break
      case 'broken-off':
        response.writeHead(status, {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(text),
        })
        response.write(text.slice(0, text.length / 2), () => request.socket.destroy())
        return
      case 'truncated':
        return send(request, response, { status, text, share: 0.5 })
      case 'not-json':
        return send(request, response, { status, text: HTML })
      case 'other-count': {
        const items = itemsOf(text)
        const counted = fault.by > 0 ? [...items, items[0]!] : items.slice(1)
        return send(request, response, { status, text: answerText(counted) })
      }
    }
    send(request, response, { status, text })
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isBulk = request.method === 'POST' && request.url!.startsWith('/_bulk')
    if (isBulk && bodyBytesMax !== undefined && Number(request.headers['content-length']) > bodyBytesMax) {
      if (howLimited() === '413') {
        // As OpenSearch does: the answer before the body is here, and no connection after it.
        response.setHeader('connection', 'close')
        return send(request, response, { status: 413, text: '' })
      }
      request.socket.resetAndDestroy()
      return
    }
    const body = await bytesOf(request)
    if (isBulk) return await answerBulk(request, response, body)
    if (others)
      return send(request, response, { status: others.status, text: refusalText(others.status, others.type) })
    const given = await pass(request, body)
    send(request, response, { status: given.status, text: given.body.toString(), type: given.type })
  }

  const server = http.createServer((request, response) => {
    // A worker that gave up, or OpenSearch away: either way the connection is all that is left to end.
    answer(request, response).catch(() => request.socket.destroy())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')

  return {
    url: `http://127.0.0.1:${address.port}`,
    inject(next) {
      decide = next
    },
    refuseOthers(fault) {
      others = fault
    },
    limitBodies(bytesMax, how = () => '413') {
      bodyBytesMax = bytesMax
      howLimited = how
    },
    heal() {
      decide = () => undefined
      others = undefined
      bodyBytesMax = undefined
    },
    seen: () => seen,
    async close() {
      over.abort()
      agent.destroy()
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

type Told = {
  status: number
  text: string
  type?: string
  /** How much of the body there is; the rest is missing, and nothing says so. */
  share?: number
}

/** Compressed where the worker takes it. */
function send(request: IncomingMessage, response: ServerResponse, told: Told): void {
  const { status, text, type = 'application/json; charset=UTF-8', share = 1 } = told
  const isGzipped = /\bgzip\b/.test(String(request.headers['accept-encoding']))
  const whole = isGzipped ? gzipSync(text) : Buffer.from(text)
  const body = whole.subarray(0, whole.length * share)
  response.writeHead(status, {
    'content-type': type,
    'content-length': body.length,
    ...(isGzipped ? { 'content-encoding': 'gzip' } : {}),
  })
  response.end(body)
}
