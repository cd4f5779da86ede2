/**
 * OpenSearch: sends bulk requests, puts and reads the template. One attempt a call: the client's own retries are off,
 * for a bulk request re-sent behind our back could land after a newer one.
 */
import http from 'node:http'
import https from 'node:https'
import { Client, errors } from '@opensearch-project/opensearch'
import type { Place } from '../core/document.ts'
import { sourcesOf } from '../core/multi-get.ts'
import type { BulkAnswer, Item } from '../core/outcome.ts'
import {
  indexTemplate,
  requiredSettings,
  TEMPLATE_NAME,
  type TemplateOptions,
  templateDifferences,
} from '../core/template.ts'
import { OutsideError } from '../errors.ts'

/** Only what is judged: parsing the answer is the larger part of a bulk request's cost here. */
const BULK_FILTER =
  'errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.type'
const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])$/

export type OpenSearchOptions = { url: string; username: string; password: string }

export function openSearch(options: OpenSearchOptions) {
  const { protocol, hostname } = new URL(options.url)
  const agentOptions = { keepAlive: true, maxSockets: 256 }
  const agent = protocol === 'https:' ? new https.Agent(agentOptions) : new http.Agent(agentOptions)
  const client = new Client({
    node: options.url,
    agent: () => agent,
    maxRetries: 0,
    ...(options.username === '' ? {} : { auth: { username: options.username, password: options.password } }),
    // Compressing costs more than it saves where there is no network.
    ...(LOOPBACK.test(hostname) ? {} : { compression: 'gzip' as const, suggestCompression: true }),
  })

  /** @param body lines of actions and documents, each with its line end */
  async function bulk(body: string, timeoutMs: number): Promise<BulkAnswer> {
    const request = client.transport.request(
      { method: 'POST', path: '/_bulk', querystring: { filter_path: BULK_FILTER }, bulkBody: body },
      // The client's own timeout counts idle time and ends with the first byte; ours is for the whole exchange.
      { requestTimeout: timeoutMs, maxRetries: 0 },
    )
    let isTimedOut = false
    const timer = setTimeout(() => {
      isTimedOut = true
      request.abort()
    }, timeoutMs)
    try {
      const { body: answer } = (await request) as { body: { items?: Record<string, Item>[] } }
      if (!Array.isArray(answer?.items))
        return { kind: 'failed', reason: 'malformed-answer', mayHaveLanded: true }
      return { kind: 'items', items: answer.items.map(entry => Object.values(entry)[0]!) }
    } catch (error) {
      if (isTimedOut || error instanceof errors.TimeoutError)
        return { kind: 'failed', reason: 'timeout', mayHaveLanded: true }
      if (error instanceof errors.ResponseError) {
        const type = (error.body as { error?: { type?: string } } | undefined)?.error?.type
        return { kind: 'status', status: error.statusCode ?? 0, type: type ?? 'no error type' }
      }
      if (error instanceof errors.DeserializationError)
        return { kind: 'failed', reason: 'malformed-answer', mayHaveLanded: true }
      const isRefused = error instanceof errors.ConnectionError && error.message.includes('ECONNREFUSED')
      if (error instanceof errors.OpenSearchClientError)
        return { kind: 'failed', reason: 'connection', mayHaveLanded: !isRefused }
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  /**
   * Documents as they are now, realtime: also those a search does not see yet.
   *
   * @returns the text of each, digit for digit; undefined where there is none @throws when one cannot be read
   */
  async function documents(places: readonly Place[], timeoutMs: number): Promise<(string | undefined)[]> {
    const docs = places.map(({ index, id, routing }) => ({ _index: index, _id: id, routing }))
    const { body } = (await client.transport.request(
      {
        method: 'POST',
        path: '/_mget',
        // No filter_path: with it OpenSearch writes `_source` anew, and makes doubles of its numbers.
        body: { docs },
      },
      // As bytes: the client would make doubles of the numbers.
      { requestTimeout: timeoutMs, asStream: true },
    )) as unknown as { body: AsyncIterable<Buffer> }
    const chunks: Buffer[] = []
    for await (const chunk of body) chunks.push(chunk)
    return sourcesOf(Buffer.concat(chunks).toString(), places.length)
  }

  async function ping(timeoutMs: number): Promise<boolean> {
    try {
      await client.transport.request(
        { method: 'GET', path: '/', querystring: { filter_path: 'version.number' } },
        { requestTimeout: timeoutMs },
      )
      return true
    } catch {
      return false
    }
  }

  async function putTemplate(template: TemplateOptions): Promise<void> {
    await explained('put the index template', () =>
      client.transport.request({
        method: 'PUT',
        path: `/_index_template/${TEMPLATE_NAME}`,
        body: indexTemplate(template),
      }),
    )
  }

  /**
   * Compares the stored template and the settings of indices that exist with what the promises need.
   *
   * @returns what differs, one line each; empty when all is as bootstrapped
   */
  async function faults(template: TemplateOptions): Promise<string[]> {
    const stored = await explained('read the index template', () =>
      client.transport.request(
        { method: 'GET', path: `/_index_template/${TEMPLATE_NAME}` },
        { ignore: [404] },
      ),
    )
    const found = (stored.body as { index_templates?: { index_template: unknown }[] }).index_templates?.[0]
      ?.index_template
    if (!found) return [`index template ${TEMPLATE_NAME} is missing`]
    const { composed_of: _, ...own } = found as Record<string, unknown>
    const differences = templateDifferences(indexTemplate(template), own)
    const lines =
      differences.length > 0 ? [`index template ${TEMPLATE_NAME} differs in ${differences.join(', ')}`] : []

    const indices = await explained('read the settings of the indices', () =>
      client.transport.request({
        method: 'GET',
        path: `/${template.patterns.map(encodeURIComponent).join(',')}/_settings`,
        querystring: {
          flat_settings: 'true',
          ignore_unavailable: 'true',
          allow_no_indices: 'true',
          expand_wildcards: 'open,closed',
        },
      }),
    )
    for (const [index, { settings }] of Object.entries(
      indices.body as Record<string, { settings: Record<string, string> }>,
    )) {
      for (const [name, value] of Object.entries(requiredSettings)) {
        if (settings[name] !== value)
          lines.push(`index ${index} has ${name} = ${settings[name] ?? 'its default'}, expected ${value}`)
      }
    }
    return lines
  }

  /** Sets what the promises need on indices that exist; both settings can change on an open index. */
  async function mendIndices(patterns: readonly string[]): Promise<void> {
    await explained('set gc_deletes and translog.durability of the indices', () =>
      client.transport.request({
        method: 'PUT',
        path: `/${patterns.map(encodeURIComponent).join(',')}/_settings`,
        querystring: { ignore_unavailable: 'true', allow_no_indices: 'true' },
        body: requiredSettings,
      }),
    )
  }

  /** @throws OutsideError for a refusal that waiting does not mend; other failures as they come */
  async function explained<Answer>(what: string, call: () => PromiseLike<Answer>): Promise<Answer> {
    try {
      return await call()
    } catch (cause) {
      const status = cause instanceof errors.ResponseError ? cause.statusCode : undefined
      if (status === 401 || status === 403) {
        throw new OutsideError(
          `OpenSearch at ${options.url} refuses to ${what} (status ${status}): check OPENSEARCH_USERNAME and the role mapping of this user`,
          { cause },
        )
      }
      if (status === 400) {
        throw new OutsideError(
          `OpenSearch at ${options.url} does not accept to ${what}: ${(cause as Error).message}`,
          { cause },
        )
      }
      throw cause
    }
  }

  return {
    bulk,
    documents,
    ping,
    putTemplate,
    faults,
    mendIndices,
    /** Ends every connection at once, so that nothing written before a long pause leaves after it. */
    destroySockets: () => agent.destroy(),
    close: () => agent.destroy(),
  }
}
