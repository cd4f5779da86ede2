/**
 * An HTTP proxy in front of OpenSearch (or its stub) that knows which documents were acknowledged and when, and that can be
 * told to disturb bulk requests. It runs in the process of the bench, so that the CPU of a consumer is not counted with it.
 *
 * Acknowledged: the answer with the item's success was handed to the consumer's socket. A 409 is one as well, for what is
 * there is newer or the same; the check of all documents at the end of a run tells whether that was so.
 */
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BulkAction, bulkActions } from './stubs/bulk-body.ts'

export type Acknowledged = Pick<BulkAction, 'shard' | 'id' | 'revision'>

/**
 * What happens to each bulk request while it lasts: `status-429`, `status-503`: refused as a whole, not passed on.
 * `items-429`: every third action is refused, the others are passed on. `broken-before`: the connection ends and nothing was
 * passed on; `broken-after`: it ends in place of the answer. `held-answers`: applied, but answered only when the disturbance
 * is over. `slow-answers`: a second later. `cut-answers`: half of the answer's text, as if whole.
 */
export const DISTURBANCES = [
  'status-429',
  'status-503',
  'items-429',
  'broken-before',
  'broken-after',
  'held-answers',
  'slow-answers',
  'cut-answers',
] as const
export type Disturbance = (typeof DISTURBANCES)[number]

export type SinkProxy = {
  /** What a worker is given as OPENSEARCH_URL. */
  url: string
  disturb(what: Disturbance, forMs: number): void
  close(): Promise<void>
}

type Answer = { status: number; body: Buffer }

const SLOW_MS = 1_000
const REFUSED_ITEM = {
  status: 429,
  error: { type: 'rejected_execution_exception', reason: 'refused by the bench' },
}

/**
 * @param onAcknowledged with the time of the answer, in ms since 1970
 * @param answerDelayMs every bulk answer is given so much later
 */
export async function startSinkProxy(
  target: string,
  onAcknowledged: (actions: Acknowledged[], nowMs: number) => void,
  answerDelayMs = 0,
): Promise<SinkProxy> {
  const agent = new Agent({ keepAlive: true })
  let current: { what: Disturbance; untilMs: number } | undefined

  const server = createServer((asked, answered) => {
    const chunks: Buffer[] = []
    asked.on('data', (chunk: Buffer) => chunks.push(chunk))
    asked.on('end', () => {
      const pass = asked.url!.startsWith('/_bulk') ? bulk : passOn
      pass(asked, answered, Buffer.concat(chunks)).catch(() => answered.destroy())
    })
  })
  server.keepAliveTimeout = 600_000
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))

  async function passOn(asked: IncomingMessage, answered: ServerResponse, body: Buffer): Promise<void> {
    reply(answered, await forward(target, agent, asked, body))
  }

  async function passOnInPart(asked: IncomingMessage, actions: BulkAction[], body: Buffer): Promise<Answer> {
    const isRefused = actions.map((_, at) => at % 3 === 0)
    const passed = actions.filter((_, at) => !isRefused[at])
    // A request without actions would be a fault of the request.
    const answer =
      passed.length === 0
        ? { status: 200, body: Buffer.from('{"items":[]}') }
        : await forward(target, agent, asked, linesOf(passed, body))
    return withRefused(answer, isRefused)
  }

  async function bulk(asked: IncomingMessage, answered: ServerResponse, body: Buffer): Promise<void> {
    const { what, untilMs } =
      current && current.untilMs > Date.now() ? current : { what: undefined, untilMs: 0 }
    if (what === 'status-429' || what === 'status-503')
      return reply(answered, refusal(Number(what.slice(-3))))
    if (what === 'broken-before') return void answered.destroy()
    const actions = bulkActions(body)
    const answer =
      what === 'items-429'
        ? await passOnInPart(asked, actions, body)
        : await forward(target, agent, asked, body)
    if (what === 'held-answers') await sleep(Math.max(0, untilMs - Date.now()))
    if (what === 'slow-answers') await sleep(SLOW_MS)
    if (answerDelayMs > 0) await sleep(answerDelayMs)
    if (what === 'broken-after') return void answered.destroy()
    if (what === 'cut-answers') {
      const half = answer.body.subarray(0, answer.body.length / 2)
      return reply(answered, { status: answer.status, body: half })
    }
    answered.once('finish', () => onAcknowledged(acknowledgedOf(actions, answer), Date.now()))
    reply(answered, answer)
  }

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    disturb(what, forMs) {
      current = { what, untilMs: Date.now() + forMs }
    },
    async close() {
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      server.closeAllConnections()
      agent.destroy()
      await closed
    },
  }
}

function forward(target: string, agent: Agent, asked: IncomingMessage, body: Buffer): Promise<Answer> {
  const { hostname, port } = new URL(target)
  const headers = { ...asked.headers, host: `${hostname}:${port}`, 'content-length': body.length }
  return new Promise((resolve, reject) => {
    const onward = request(
      { hostname, port, agent, method: asked.method, path: asked.url, headers },
      answer => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('end', () => resolve({ status: answer.statusCode!, body: Buffer.concat(chunks) }))
        answer.on('error', reject)
      },
    )
    onward.on('error', reject).end(body)
  })
}

function reply(answered: ServerResponse, { status, body }: Answer): void {
  answered.writeHead(status, {
    'content-type': 'application/json; charset=UTF-8',
    'content-length': body.length,
  })
  answered.end(body)
}

function refusal(status: number): Answer {
  const error = { type: 'rejected_execution_exception', reason: 'refused by the bench' }
  return { status, body: Buffer.from(JSON.stringify({ error, status })) }
}

function linesOf(actions: readonly BulkAction[], body: Buffer): Buffer {
  return Buffer.concat(actions.map(({ from, to }) => body.subarray(from, to)))
}

type Items = Record<string, { status: number }>[]

/** @param isRefused of each action of the whole request; the answer has an item for each of the others */
export function withRefused(answer: Answer, isRefused: readonly boolean[]): Answer {
  if (answer.status !== 200) return answer
  const { items } = JSON.parse(answer.body.toString()) as { items: Items }
  const passed = items.values()
  const all = isRefused.map(refused => (refused ? { index: REFUSED_ITEM } : passed.next().value!))
  return { status: 200, body: Buffer.from(JSON.stringify({ errors: true, items: all })) }
}

/** @returns those with an item that says done, absent already, or newer already */
export function acknowledgedOf(actions: readonly BulkAction[], answer: Answer): Acknowledged[] {
  if (answer.status !== 200) return []
  const { items } = JSON.parse(answer.body.toString()) as { items: Items }
  return actions.filter((_, at) => {
    const { status } = Object.values(items[at]!)[0]!
    return status < 300 || status === 404 || status === 409
  })
}
