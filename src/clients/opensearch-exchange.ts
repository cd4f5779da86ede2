/**
 * One HTTP exchange with OpenSearch: a request, and its answer or what went wrong. One attempt, nothing re-sent: a bulk
 * request sent again behind our back could land after a newer one.
 *
 * Over node:http itself, since what happens to a bulk request depends on three things that a client above it hides: the
 * bytes that are sent (they are signed), whether a connection stood before it broke (then the request may have landed),
 * and one limit of time for all, after which the socket is gone.
 */
import http from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { constants, gunzip, gzip, inflate } from 'node:zlib'
import { certificateFault } from './certificate-fault.ts'
import { type Authentication, authenticator } from './opensearch-auth.ts'

export type ExchangeOptions = {
  /** `http://` or `https://`, with a path where OpenSearch stands behind one. */
  url: string
  authentication: Authentication
  /** Of requests; answers are asked for in the same. */
  compression: 'gzip' | 'none'
  /** PEM file of the authorities trusted in place of the system's, and its name for messages. */
  authorities?: { pem: string; file: string }
  /** Begins every X-Opaque-Id, which OpenSearch shows in its tasks and slow logs. */
  opaqueId?: string
  onFailure?: (failure: RequestFailure) => void
}

export type HttpRequest = {
  method: 'GET' | 'POST' | 'PUT'
  /** Escaped. */
  path: string
  /** Unescaped. */
  query?: Readonly<Record<string, string>>
  body?: { type: 'application/json' | 'application/x-ndjson'; data: string | Buffer }
}

/** `body` decompressed. */
export type HttpAnswer = { status: number; body: Buffer }

/**
 * timeout: no whole answer in time. connection: none was made, or it broke. certificate: OpenSearch's is not to be
 * trusted. credentials: none to be had from AWS. malformed-answer: it could not be decompressed.
 */
export type ExchangeFault = 'timeout' | 'connection' | 'certificate' | 'credentials' | 'malformed-answer'

/** A request without a good answer. Holds no content of requests or answers and no secret. */
export type RequestFailure = {
  /** Its X-Opaque-Id. */
  requestId: string
  method: string
  path: string
  reason: ExchangeFault | `status-${number}`
  detail: string
  seconds: number
}

export class ExchangeError extends Error {
  override name = 'ExchangeError'
  readonly reason: ExchangeFault
  /** False when no connection ever stood, so that not a byte of it has left. */
  readonly mayHaveLanded: boolean

  constructor(message: string, given: { reason: ExchangeFault; mayHaveLanded: boolean; cause: unknown }) {
    super(message, { cause: given.cause })
    this.reason = given.reason
    this.mayHaveLanded = given.mayHaveLanded
  }
}

const gzipped = promisify(gzip)
const decoders: Record<string, (body: Buffer) => Promise<Buffer>> = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
}

export type Exchange = {
  /** @param timeoutMs for all: credentials, compression, connection, request and answer @throws ExchangeError */
  send(request: HttpRequest, timeoutMs: number): Promise<HttpAnswer>
  /** Ends what is under way, also requests not sent yet: none of it leaves later. The next ones connect anew. */
  destroySockets(): void
}

export function openSearchExchange(options: ExchangeOptions): Exchange {
  const { authorities, compression, onFailure = () => {} } = options
  const base = new URL(options.url)
  const prefix = base.pathname.replace(/\/$/, '')
  const address = addressOf(base)
  const protocol = base.protocol === 'https:' ? https : http
  const agentOptions = { keepAlive: true, maxSockets: 256 }
  const agent =
    protocol === https
      ? new https.Agent({
          ...agentOptions,
          minVersion: 'TLSv1.2',
          // Said outright, so that NODE_TLS_REJECT_UNAUTHORIZED cannot switch it off.
          rejectUnauthorized: true,
          ...(authorities ? { ca: authorities.pem } : {}),
        })
      : new http.Agent(agentOptions)
  const identity = authenticator(options.authentication)
  // A header takes ASCII alone.
  const opaqueId = encodeURIComponent(options.opaqueId ?? 'cdc')
  const underWay = new Set<Attempt>()
  let requests = 0

  async function send(request: HttpRequest, timeoutMs: number): Promise<HttpAnswer> {
    const startedAtMs = performance.now()
    const requestId = `${opaqueId}-${++requests}`
    const report = (reason: RequestFailure['reason'], detail: string) =>
      onFailure({
        requestId,
        method: request.method,
        path: request.path,
        reason,
        detail,
        seconds: (performance.now() - startedAtMs) / 1000,
      })
    const attempt: Attempt = { stage: 'prepare', isEnded: false, onEnd: () => {} }
    underWay.add(attempt)
    let isTimedOut = false
    const timer = setTimeout(() => {
      isTimedOut = true
      end(attempt)
    }, timeoutMs)
    try {
      const answer = await attemptOnce(request, requestId, attempt)
      if (answer.status < 200 || answer.status > 299)
        report(`status-${answer.status}`, errorType(answer.body))
      return answer
    } catch (cause) {
      const error = isTimedOut
        ? exchangeError(`no answer within ${timeoutMs} ms`, 'timeout', attempt, cause)
        : explained(cause, attempt)
      report(error.reason, error.message)
      throw error
    } finally {
      clearTimeout(timer)
      underWay.delete(attempt)
    }
  }

  async function attemptOnce(request: HttpRequest, requestId: string, attempt: Attempt): Promise<HttpAnswer> {
    const data = request.body?.data ?? ''
    const raw = typeof data === 'string' ? Buffer.from(data) : data
    const isGzipped = compression === 'gzip' && raw.length > 0
    // Level 1: two thirds of the CPU of the usual level 6, for bodies 3 % larger.
    const body = isGzipped ? await gzipped(raw, { level: constants.Z_BEST_SPEED }) : raw
    const path = prefix + request.path
    const query = request.query ?? {}
    attempt.stage = 'credentials'
    const part = {
      method: request.method,
      host: base.host,
      path,
      query,
      contentType: request.body?.type,
      body,
    }
    const authorization = await unlessEnded(identity.headers(part), attempt)
    attempt.stage = 'connect'
    if (attempt.isEnded) throw ENDED
    const answer = await roundTrip(
      {
        method: request.method,
        path: path + queryString(query),
        headers: {
          ...(request.body ? { 'content-type': request.body.type, 'content-length': body.length } : {}),
          ...(isGzipped ? { 'content-encoding': 'gzip' } : {}),
          ...(compression === 'gzip' ? { 'accept-encoding': 'gzip, deflate' } : {}),
          'x-opaque-id': requestId,
          ...authorization,
          host: base.host,
        },
      },
      body,
      attempt,
    )
    identity.answered(answer.status, answer.headers.date)
    const decode = decoders[answer.headers['content-encoding'] ?? '']
    if (!decode) return { status: answer.status, body: answer.body }
    attempt.stage = 'decode'
    return { status: answer.status, body: await decode(answer.body) }
  }

  /** Before its first byte leaves the attempt is at `sent`. */
  function roundTrip(
    given: http.RequestOptions,
    body: Buffer,
    attempt: Attempt,
  ): Promise<{ status: number; headers: http.IncomingHttpHeaders; body: Buffer }> {
    return new Promise((resolve, reject) => {
      const request = protocol.request({ ...given, ...address, agent })
      request.on('error', reject)
      attempt.onEnd = () => {
        request.destroy()
        reject(ENDED)
      }
      const onConnected = () => {
        attempt.stage = 'sent'
      }
      request.on('socket', (socket: Socket) => {
        if (!socket.connecting) onConnected()
        else socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', onConnected)
      })
      request.on('response', response => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () =>
          resolve({
            status: response.statusCode!,
            headers: response.headers,
            body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks),
          }),
        )
      })
      request.end(body)
    })
  }

  function explained(cause: unknown, attempt: Attempt): ExchangeError {
    const { code = '', message = '' } = cause as NodeJS.ErrnoException
    if (attempt.isEnded)
      return exchangeError(`connections to ${base.origin} were ended`, 'connection', attempt, cause)
    if (attempt.stage === 'credentials') {
      return exchangeError(
        `no AWS credentials to sign with: ${firstLine(message)}; expected a task role, a profile or AWS_ACCESS_KEY_ID`,
        'credentials',
        attempt,
        cause,
      )
    }
    if (attempt.stage === 'decode')
      return exchangeError('the answer cannot be decompressed', 'malformed-answer', attempt, cause)
    const fault = certificateFault(code)
    if (fault === 'untrusted') {
      const expected = authorities
        ? `expected one signed by an authority in OPENSEARCH_CA_FILE (${authorities.file})`
        : 'name the PEM file of its authority in OPENSEARCH_CA_FILE'
      return exchangeError(
        `the certificate of ${base.origin} is not trusted (${code}): ${expected}`,
        'certificate',
        attempt,
        cause,
      )
    }
    if (fault === 'unfit')
      return exchangeError(
        `the certificate of ${base.origin} does not fit (${code}): expected one for ${base.hostname} and for today`,
        'certificate',
        attempt,
        cause,
      )
    // A message alone may be empty (several addresses failed) or `socket hang up`; a code alone hides what TLS said.
    const detail = message.includes(code) ? firstLine(message) : `${code} ${firstLine(message)}`.trim()
    return exchangeError(`connection to ${base.origin} failed: ${detail}`, 'connection', attempt, cause)
  }

  return {
    send,
    destroySockets() {
      for (const attempt of underWay) end(attempt)
      agent.destroy()
    },
  }
}

/** How far an attempt came. `sent` and after: its bytes may be with OpenSearch. */
type Attempt = {
  stage: 'prepare' | 'credentials' | 'connect' | 'sent' | 'decode'
  isEnded: boolean
  /** Rejects what the attempt waits for now. */
  onEnd: () => void
}

const ENDED = new Error('the attempt was ended')

/** By the limit of time, or because no connection may stand any longer. */
function end(attempt: Attempt): void {
  attempt.isEnded = true
  attempt.onEnd()
}

function exchangeError(
  message: string,
  reason: ExchangeFault,
  attempt: Attempt,
  cause: unknown,
): ExchangeError {
  const mayHaveLanded = attempt.stage === 'sent' || attempt.stage === 'decode'
  return new ExchangeError(message, { reason, mayHaveLanded, cause })
}

/** Rejects as soon as the attempt is ended: who asks for credentials has no limit of time. */
function unlessEnded<Value>(value: Promise<Value>, attempt: Attempt): Promise<Value> {
  return new Promise((resolve, reject) => {
    attempt.onEnd = () => reject(ENDED)
    if (attempt.isEnded) attempt.onEnd()
    value.then(resolve, reject)
  })
}

function firstLine(message: string): string {
  return message.split('\n')[0]!.slice(0, 200)
}

function addressOf({ hostname, port }: URL): { hostname: string; port?: string } {
  // IPv6 stands in brackets in a URL, not in a socket's address.
  return { hostname: hostname.replace(/^\[|\]$/g, ''), ...(port === '' ? {} : { port }) }
}

/** RFC 3986, as signatures have it: all but unreserved characters are escaped. */
export function escaped(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function queryString(query: Readonly<Record<string, string>>): string {
  const text = Object.entries(query)
    .map(([name, value]) => `${escaped(name)}=${escaped(value)}`)
    .join('&')
  return text === '' ? '' : `?${text}`
}

/** @param body of an answer that refuses @returns its `error.type`, which quotes no row */
export function errorType(body: Buffer): string {
  try {
    const { error } = JSON.parse(body.toString()) as { error?: { type?: unknown } }
    return typeof error?.type === 'string' ? error.type : 'no error type'
  } catch {
    return 'no error type'
  }
}
