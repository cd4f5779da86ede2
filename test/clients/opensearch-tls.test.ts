/** Whom we trust: certificates made here by `openssl`, for 127.0.0.1, by an authority no system knows. */
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type OpenSearchOptions, openSearch } from '../../src/clients/opensearch.ts'
import type { RequestFailure } from '../../src/clients/opensearch-exchange.ts'
import { certify, FOR_THIS_MACHINE } from '../certify.ts'

const BULK = '{"delete":{"_index":"i","_id":"1"}}\n'
const NOT_SENT = { kind: 'failed', reason: 'connection', mayHaveLanded: false }
const TEMPLATE = { patterns: ['a'], shards: 1, replicas: 0 }

let directory: string
const pem: Record<string, string> = {}

async function certified(name: string, signer: string | undefined, ...extra: string[]): Promise<void> {
  const { certificate, key } = await certify(directory, name, signer, ...extra)
  pem[name] = certificate
  pem[`${name}.key`] = key
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'opensearch-tls-'))
  await certified('authority', undefined)
  await certified('another', undefined)
  await certified('server', 'authority', ...FOR_THIS_MACHINE)
  await certified('alone', undefined, ...FOR_THIS_MACHINE)
})
afterAll(() => rm(directory, { recursive: true }))

let requests = 0
async function serve(certificate: string, options: ServerOptions = {}): Promise<Server & { url: string }> {
  const server = createServer({ ...options, cert: pem[certificate]!, key: pem[`${certificate}.key`]! })
  server.on('request', (request, response) => {
    requests++
    request.resume()
    response.end('{"items":[]}')
  })
  server.on('tlsClientError', () => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return Object.assign(server, { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}` })
}

const failures: RequestFailure[] = []
function client(url: string, authority?: string) {
  failures.length = 0
  requests = 0
  const options: OpenSearchOptions = {
    url,
    authentication: { kind: 'basic', username: 'u', password: 'p' },
    compression: 'gzip',
    onFailure: failure => failures.push(failure),
    ...(authority ? { authorities: { pem: pem[authority]!, file: `/etc/${authority}.pem` } } : {}),
  }
  const search = openSearch(options)
  onTestFinished(() => search.close())
  return search
}

test('the right authority', async () => {
  const { url } = await serve('server')
  expect(await client(url, 'authority').bulk(BULK, 5000)).toEqual({ kind: 'items', items: [] })
})

describe('nothing is sent to whom we do not trust, and the message says what to do', () => {
  test('another authority', async () => {
    const { url } = await serve('server')
    const search = client(url, 'another')
    expect(await search.bulk(BULK, 5000)).toEqual(NOT_SENT)
    expect(failures).toMatchObject([
      {
        reason: 'certificate',
        detail: expect.stringMatching(
          /^the certificate of https:\S+ is not trusted \([A-Z_]+\): expected one signed by an authority in OPENSEARCH_CA_FILE \(\/etc\/another\.pem\)$/,
        ),
      },
    ])
    await expect(search.faults(TEMPLATE)).rejects.toMatchObject({
      name: 'OutsideError',
      message: expect.stringContaining('OPENSEARCH_CA_FILE'),
    })
    expect(requests).toBe(0)
  })

  test.each(['server', 'alone'])("the system's authorities do not know it: %s", async certificate => {
    const { url } = await serve(certificate)
    expect(await client(url).bulk(BULK, 5000)).toEqual(NOT_SENT)
    expect(failures[0]!.detail).toContain('name the PEM file of its authority in OPENSEARCH_CA_FILE')
    expect(requests).toBe(0)
  })

  test('not even with NODE_TLS_REJECT_UNAUTHORIZED=0', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    onTestFinished(() => void vi.unstubAllEnvs())
    const { url } = await serve('server')
    expect(await client(url).bulk(BULK, 5000)).toEqual(NOT_SENT)
    expect(requests).toBe(0)
  })

  test('a certificate for another host', async () => {
    const { url } = await serve('server')
    const byName = url.replace('127.0.0.1', 'localhost')
    expect(await client(byName, 'authority').bulk(BULK, 5000)).toEqual(NOT_SENT)
    expect(failures[0]!.detail).toMatch(
      /does not fit \(ERR_TLS_CERT_ALTNAME_INVALID\): expected one for localhost/,
    )
    expect(requests).toBe(0)
  })

  test('TLS below 1.2', async () => {
    const { url } = await serve('server', {
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    })
    expect(await client(url, 'authority').bulk(BULK, 5000)).toEqual(NOT_SENT)
    expect(failures[0]).toMatchObject({
      reason: 'connection',
      detail: expect.stringContaining('protocol version'),
    })
  })
})

test('TLS 1.2 is enough', async () => {
  const { url } = await serve('server', { maxVersion: 'TLSv1.2' })
  expect(await client(url, 'authority').bulk(BULK, 5000)).toMatchObject({ kind: 'items' })
})

test('a connection that breaks once TLS stands may have carried the request; at the timeout it is closed', async () => {
  const server = await serve('server')
  server.removeAllListeners('request')
  server.on('request', request => void request.socket.destroy())
  const search = client(server.url, 'authority')
  expect(await search.bulk(BULK, 5000)).toEqual({ ...NOT_SENT, mayHaveLanded: true })

  server.removeAllListeners('request')
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  server.on('request', request => void (request.socket as TLSSocket).once('close', () => resolve()))
  expect(await search.bulk(BULK, 100)).toEqual({ kind: 'failed', reason: 'timeout', mayHaveLanded: true })
  await closed
})
