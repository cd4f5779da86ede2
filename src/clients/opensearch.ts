/** OpenSearch: sends bulk requests, reads documents, puts and reads the template and the role. One attempt a call; the caller retries. */
import type { Place } from '../core/letter.ts'
import { sourcesOf } from '../core/multi-get.ts'
import type { BulkAnswer, Item } from '../core/outcome.ts'
import type { RoleMapping, SecurityRole } from '../core/security-role.ts'
import {
  indexTemplate,
  requiredSettings,
  TEMPLATE_NAME,
  type TemplateOptions,
  templateDifferences,
} from '../core/template.ts'
import { OutsideError } from '../errors.ts'
import {
  ExchangeError,
  type ExchangeOptions,
  errorType,
  escaped,
  type HttpAnswer,
  type HttpRequest,
  openSearchExchange,
} from './opensearch-exchange.ts'

/** Only what is judged: parsing the answer is the larger part of a bulk request's cost here. */
const BULK_FILTER =
  'errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.type'
/** For what is asked at the start and by `bootstrap`. */
const SETUP_TIMEOUT_MS = 30_000

export type OpenSearchOptions = ExchangeOptions

export function openSearch(options: OpenSearchOptions) {
  const exchange = openSearchExchange(options)

  /**
   * A body of more than `http.max_content_length` (100 MiB, 10 MiB on small AWS instances) is refused with 413 while it
   * is still on its way, and OpenSearch then closes: as a rule that is answered as status 413, but where the reset
   * overtakes the answer it is a broken connection like any other. BULK_BYTES_MAX stays below the limit.
   *
   * @param body lines of actions and documents, each with its line end; a Buffer is sent, or compressed, as it is
   * @param timeoutMs for the whole exchange; then the socket is destroyed @returns never rejects for what went wrong outside
   */
  async function bulk(body: string | Buffer, timeoutMs: number): Promise<BulkAnswer> {
    let answer: HttpAnswer
    try {
      answer = await exchange.send(
        {
          method: 'POST',
          path: '/_bulk',
          // OpenSearch waits a minute for a shard without a primary; it is to say so before our own time is over.
          query: { filter_path: BULK_FILTER, timeout: `${Math.ceil(timeoutMs / 2)}ms` },
          body: { type: 'application/x-ndjson', data: body },
        },
        timeoutMs,
      )
    } catch (error) {
      if (!(error instanceof ExchangeError)) throw error
      const { reason, mayHaveLanded } = error
      // Without credentials or trust there was no connection to send it on.
      if (reason === 'credentials' || reason === 'certificate')
        return { kind: 'failed', reason: 'connection', mayHaveLanded }
      return { kind: 'failed', reason, mayHaveLanded }
    }
    if (!isSuccess(answer)) return { kind: 'status', status: answer.status, type: errorType(answer.body) }
    const count = countDone(answer.body)
    if (count !== undefined) return { kind: 'done', count }
    const items = itemsOf(answer.body)
    return items
      ? { kind: 'items', items }
      : { kind: 'failed', reason: 'malformed-answer', mayHaveLanded: true }
  }

  /**
   * Documents as they are now, realtime: also those a search does not see yet.
   *
   * @returns the text of each, digit for digit; undefined where there is none @throws when one cannot be read
   */
  async function documents(places: readonly Place[], timeoutMs: number): Promise<(string | undefined)[]> {
    const docs = places.map(({ index, id, routing }) => ({ _index: index, _id: id, routing }))
    const answer = await exchange.send(
      {
        method: 'POST',
        path: '/_mget',
        // No filter_path: with it OpenSearch writes `_source` anew, and makes doubles of its numbers.
        body: json({ docs }),
      },
      timeoutMs,
    )
    if (!isSuccess(answer))
      throw new Error(`OpenSearch could not read documents: ${answer.status} ${errorType(answer.body)}`)
    // As text: JSON.parse would make doubles of the numbers.
    return sourcesOf(answer.body.toString(), places.length)
  }

  async function ping(timeoutMs: number): Promise<boolean> {
    try {
      const request = { method: 'GET', path: '/', query: { filter_path: 'version.number' } } as const
      return isSuccess(await exchange.send(request, timeoutMs))
    } catch {
      return false
    }
  }

  async function putTemplate(template: TemplateOptions): Promise<void> {
    await setUp('put the index template', {
      method: 'PUT',
      path: `/_index_template/${TEMPLATE_NAME}`,
      body: json(indexTemplate(template)),
    })
  }

  /**
   * Compares the stored template and the settings of indices that exist with what the promises need.
   *
   * @returns what differs, one line each; empty when all is as bootstrapped
   */
  async function faults(template: TemplateOptions): Promise<string[]> {
    const stored = (await setUp(
      'read the index template',
      { method: 'GET', path: `/_index_template/${TEMPLATE_NAME}` },
      { mayBeMissing: true },
    )) as { index_templates?: { index_template: unknown }[] }
    const found = stored.index_templates?.[0]?.index_template
    if (!found) return [`index template ${TEMPLATE_NAME} is missing`]
    const { composed_of: _, ...own } = found as Record<string, unknown>
    const differences = templateDifferences(indexTemplate(template), own)
    const lines =
      differences.length > 0 ? [`index template ${TEMPLATE_NAME} differs in ${differences.join(', ')}`] : []

    const indices = (await setUp('read the settings of the indices', {
      method: 'GET',
      path: `/${escaped(template.patterns.join(','))}/_settings`,
      query: {
        flat_settings: 'true',
        ignore_unavailable: 'true',
        allow_no_indices: 'true',
        expand_wildcards: 'open,closed',
      },
    })) as Record<string, { settings: Record<string, string> }>
    for (const [index, { settings }] of Object.entries(indices)) {
      for (const [name, value] of Object.entries(requiredSettings)) {
        if (settings[name] !== value)
          lines.push(`index ${index} has ${name} = ${settings[name] ?? 'its default'}, expected ${value}`)
      }
    }
    return lines
  }

  /** Sets what the promises need on indices that exist; both settings can change on an open index. */
  async function mendIndices(patterns: readonly string[]): Promise<void> {
    await setUp('set gc_deletes and translog.durability of the indices', {
      method: 'PUT',
      path: `/${escaped(patterns.join(','))}/_settings`,
      query: { ignore_unavailable: 'true', allow_no_indices: 'true' },
      body: json(requiredSettings),
    })
  }

  /** @returns the role as it is stored; undefined when there is none */
  async function securityRole(name: string): Promise<unknown> {
    return (await security('read the role', { method: 'GET', path: `/roles/${escaped(name)}` }))[name]
  }

  async function putSecurityRole(name: string, role: SecurityRole): Promise<void> {
    const request = { method: 'PUT', path: `/roles/${escaped(name)}`, body: json(role) } as const
    await security('put the role', request)
  }

  /** @returns who is mapped to the role; undefined when nobody ever was */
  async function roleMapping(name: string): Promise<RoleMapping | undefined> {
    const answer = await security('read the role mapping', {
      method: 'GET',
      path: `/rolesmapping/${escaped(name)}`,
    })
    return answer[name] as RoleMapping | undefined
  }

  async function putRoleMapping(name: string, mapping: RoleMapping): Promise<void> {
    const request = { method: 'PUT', path: `/rolesmapping/${escaped(name)}`, body: json(mapping) } as const
    await security('put the role mapping', request)
  }

  /** A request to the security plugin. @returns what it answers; without the member asked for when there is none */
  async function security(what: string, request: HttpRequest): Promise<Record<string, unknown>> {
    try {
      return (await setUp(
        `${what} of fine-grained access control`,
        { ...request, path: `/_plugins/_security/api${request.path}` },
        { mayBeMissing: request.method === 'GET' },
      )) as Record<string, unknown>
    } catch (cause) {
      if (!(cause instanceof OutsideError && cause.message.includes('no handler found'))) throw cause
      throw new OutsideError(
        `OpenSearch at ${options.url} has no fine-grained access control: switch it on, or unset OPENSEARCH_BACKEND_ROLE`,
        { cause },
      )
    }
  }

  /**
   * A request that may be sent twice with the same effect.
   *
   * @returns what it was answered, with `mayBeMissing` also by a 404
   * @throws OutsideError for a refusal that waiting does not mend; other failures as Error
   */
  async function setUp(what: string, request: HttpRequest, { mayBeMissing = false } = {}): Promise<unknown> {
    try {
      let answer = await exchange.send(request, SETUP_TIMEOUT_MS)
      // The first refusal may be of credentials rotated meanwhile or of our clock; the second try has both mended.
      if (isRefusal(answer) && options.authentication.kind === 'sigv4')
        answer = await exchange.send(request, SETUP_TIMEOUT_MS)
      if (isRefusal(answer)) {
        throw new OutsideError(
          `OpenSearch at ${options.url} refuses to ${what} (status ${answer.status}): check ${whoIsRefused()}`,
        )
      }
      if (answer.status === 400) {
        throw new OutsideError(
          `OpenSearch at ${options.url} does not accept to ${what}: ${answer.body.toString().slice(0, 500)}`,
        )
      }
      if (!isSuccess(answer) && !(mayBeMissing && answer.status === 404))
        throw new Error(`OpenSearch could not ${what}: ${answer.status} ${errorType(answer.body)}`)
      return JSON.parse(answer.body.toString())
    } catch (cause) {
      if (cause instanceof ExchangeError && cause.reason === 'certificate')
        throw new OutsideError(cause.message, { cause })
      throw cause
    }
  }

  function whoIsRefused(): string {
    const { authentication } = options
    if (authentication.kind === 'none')
      return 'OPENSEARCH_AUTH and OPENSEARCH_USERNAME, for the request was signed by nobody'
    if (authentication.kind === 'basic')
      return 'OPENSEARCH_USERNAME, OPENSEARCH_PASSWORD and the role mapping of this user'
    return `the access policy and the role mapping of this AWS role (signed for ${authentication.service} in ${authentication.region})`
  }

  return {
    bulk,
    documents,
    ping,
    putTemplate,
    faults,
    mendIndices,
    securityRole,
    putSecurityRole,
    roleMapping,
    putRoleMapping,
    /** Ends every connection at once, so that nothing written before a long pause leaves after it. */
    destroySockets: exchange.destroySockets,
    close: exchange.destroySockets,
  }
}

function json(value: unknown): NonNullable<HttpRequest['body']> {
  return { type: 'application/json', data: JSON.stringify(value) }
}

function isSuccess({ status }: HttpAnswer): boolean {
  return status >= 200 && status < 300
}

function isRefusal({ status }: HttpAnswer): boolean {
  return status === 401 || status === 403
}

/**
 * How many items an answer without errors has. It holds nothing but their statuses then, so they are counted: to make an
 * object of each costs five times as much.
 *
 * @returns undefined when there are errors, or the answer has another form
 */
function countDone(body: Buffer): number | undefined {
  if (body.toString('latin1', 0, DONE_BEGINNING.length) !== DONE_BEGINNING) return undefined
  // As text: to look for the next one in a Buffer is a call out of JavaScript for each item, three times the whole of this.
  const text = body.toString('latin1')
  if (!text.endsWith(DONE_END)) return undefined
  let count = 0
  for (let at = text.indexOf(STATUS); at >= 0; at = text.indexOf(STATUS, at + STATUS.length)) count++
  return count
}

const STATUS = '"status":'
const DONE_BEGINNING = '{"errors":false,"items":[{'
const DONE_END = '}}]}'

/** @returns undefined when the answer is not that of a bulk request */
function itemsOf(body: Buffer): Item[] | undefined {
  try {
    const { items } = JSON.parse(body.toString()) as { items?: unknown }
    if (!Array.isArray(items)) return undefined
    const found = items.map(entry => Object.values(entry as object)[0] as Item)
    return found.every(item => typeof item?.status === 'number') ? found : undefined
  } catch {
    return undefined
  }
}
