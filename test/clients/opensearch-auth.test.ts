/** Signatures, verified over the bytes that arrive; and what happens when they are refused or there are no credentials. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type OpenSearchOptions, openSearch } from '../../src/clients/opensearch.ts'
import type { CredentialSource, Credentials } from '../../src/clients/opensearch-auth.ts'
import {
  escaped,
  type HttpRequest,
  openSearchExchange,
  type RequestFailure,
} from '../../src/clients/opensearch-exchange.ts'
import { type Account, type Received, signatureFault, signatureOf } from './sigv4.ts'

const REGION = 'eu-central-1'
let server: Server
let url: string
let received: Received[]
let verdicts: (string | undefined)[]
let account: Account
/** Of the server's clock, before ours. */
let skewMs: number

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url: target = '', headers } = request
      const now = Date.now() + skewMs
      const one = { method, target, headers, body: Buffer.concat(chunks) }
      const fault = signatureFault(one, account, now)
      received.push(one)
      verdicts.push(fault)
      response.writeHead(fault ? 403 : 200, {
        'content-type': 'application/json',
        date: new Date(now).toUTCString(),
      })
      const good = target.startsWith('/_mget')
        ? '{"docs":[{"found":false}]}'
        : '{"items":[{"index":{"status":201}}]}'
      response.end(fault ? JSON.stringify({ message: fault }) : good)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})
beforeEach(() => {
  received = []
  verdicts = []
  skewMs = 0
  account = { ...first, service: 'es', region: REGION }
})

const first = { accessKeyId: 'AKIDFIRST', secretAccessKey: 'first+secret/1' }
const second = { accessKeyId: 'AKIDSECOND', secretAccessKey: 'second', sessionToken: 'token+/==second' }

function client(given: { credentials?: CredentialSource } & Partial<OpenSearchOptions> = {}) {
  const { credentials = async () => account, ...rest } = given
  const service = account.service as 'es' | 'aoss'
  const options: OpenSearchOptions = {
    url,
    authentication: { kind: 'sigv4', service, region: REGION, credentials },
    compression: 'none',
    ...rest,
  }
  const search = openSearch(options)
  const exchange = openSearchExchange(options)
  onTestFinished(() => {
    search.close()
    exchange.destroySockets()
  })
  return { ...search, send: (request: HttpRequest) => exchange.send(request, 5000) }
}

const BULK = '{"index":{"_index":"i","_id":"žluťoučký 😀/1"}}\n{"a":"\u2028"}\n'
const GOOD = { kind: 'items', items: [{ status: 201 }] }

test('the verifier makes the signature of the example in its description', () => {
  const example: Received = {
    method: 'GET',
    target: '/?Action=ListUsers&Version=2010-05-08',
    headers: {
      host: 'iam.amazonaws.com',
      'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
      'x-amz-date': '20150830T123600Z',
    },
    body: Buffer.alloc(0),
  }
  const names = ['content-type', 'host', 'x-amz-date']
  const scope = { date: '20150830', region: 'us-east-1', service: 'iam', names }
  expect(signatureOf(example, scope, 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY')).toBe(
    '5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
  )
})

describe.each(['es', 'aoss'] as const)('signature for %s, over the bytes received', service => {
  beforeEach(() => {
    account = { ...first, service, region: REGION }
  })

  test.each(['none', 'gzip'] as const)(
    'a bulk request with ids of any script, compression %s',
    async compression => {
      const search = client({ compression })
      for (const body of [BULK, Buffer.from(BULK)]) expect(await search.bulk(body, 5000)).toEqual(GOOD)
      for (const { headers, body } of received) {
        expect(headers['content-encoding']).toBe(compression === 'gzip' ? 'gzip' : undefined)
        expect((compression === 'gzip' ? gunzipSync(body) : body).toString()).toBe(BULK)
      }
      expect(verdicts).toEqual([undefined, undefined])
    },
  )

  test('a GET, a query with commas and stars, a path with an id of any script', async () => {
    const search = client()
    expect(await search.ping(5000)).toBe(true)
    const id = escaped("a/b c+d*'(~ž😀%2F")
    await search.send({
      method: 'GET',
      path: `/${escaped('public_*,other_*')}/_doc/${id}`,
      query: { z: '', filter_path: 'items.*.status,errors', a: '1 +/=&ž' },
    })
    expect(verdicts).toEqual([undefined, undefined])
  })

  test('documents, by ids of any script', async () => {
    const place = { index: 'i', id: 'ž😀', routing: undefined }
    expect(await client().documents([place as never], 5000)).toEqual([undefined])
    expect(verdicts).toEqual([undefined])
  })

  test('temporary credentials: the session token is sent and signed', async () => {
    account = { ...second, service, region: REGION }
    expect(await client().bulk(BULK, 5000)).toEqual(GOOD)
    expect(received[0]!.headers['x-amz-security-token']).toBe(second.sessionToken)
  })

  test('behind a path', async () => {
    expect(await client({ url: `${url}/behind/` }).bulk(BULK, 5000)).toEqual(GOOD)
    expect(received[0]!.target).toMatch(/^\/behind\/_bulk\?/)
  })
})

test('a body changed on its way, or another secret, does not pass', async () => {
  const search = client({ credentials: async () => ({ ...first, secretAccessKey: 'another' }) })
  expect(await search.bulk(BULK, 5000)).toMatchObject({ kind: 'status', status: 403 })
  expect(verdicts).toEqual(['signature does not match'])
  await client().bulk(BULK, 5000)
  const changed = { ...received.at(-1)!, body: Buffer.from('{}') }
  expect(signatureFault(changed, account, Date.now())).toContain('x-amz-content-sha256')
})

describe('credentials', () => {
  test("the AWS SDK's own chain, rotated in the environment", async () => {
    onTestFinished(() => void vi.unstubAllEnvs())
    const set = ({ accessKeyId, secretAccessKey, sessionToken }: Credentials) => {
      vi.stubEnv('AWS_PROFILE', undefined)
      vi.stubEnv('AWS_ACCESS_KEY_ID', accessKeyId)
      vi.stubEnv('AWS_SECRET_ACCESS_KEY', secretAccessKey)
      vi.stubEnv('AWS_SESSION_TOKEN', sessionToken)
    }
    set(first)
    const search = client({ authentication: { kind: 'sigv4', service: 'es', region: REGION } })
    expect(await search.bulk(BULK, 5000)).toEqual(GOOD)
    account = { ...second, service: 'es', region: REGION }
    set(second)
    expect(await search.bulk(BULK, 5000)).toMatchObject({ kind: 'status', status: 403 })
    expect(await search.bulk(BULK, 5000)).toEqual(GOOD)
  })

  test('rotated between two requests: each is signed by those of its time', async () => {
    const search = client({ credentials: async () => account })
    expect(await search.bulk(BULK, 5000)).toEqual(GOOD)
    account = { ...second, service: 'es', region: REGION }
    expect(await search.bulk(BULK, 5000)).toEqual(GOOD)
  })

  test('rotated behind a source that keeps them: the refused request fails, the next one has new ones', async () => {
    let kept: Credentials | undefined
    const asked: (boolean | undefined)[] = []
    const search = client({
      credentials: async ({ forceRefresh } = {}) => {
        asked.push(forceRefresh)
        if (forceRefresh || !kept) kept = account
        return kept
      },
    })
    expect(await search.bulk(BULK, 5000)).toEqual(GOOD)
    account = { ...second, service: 'es', region: REGION }
    expect(await search.bulk(BULK, 5000)).toMatchObject({ kind: 'status', status: 403 })
    expect(await search.bulk(BULK, 5000)).toEqual(GOOD)
    expect(await search.bulk(BULK, 5000)).toEqual(GOOD)
    expect(asked).toEqual([false, false, true, false])
  })

  test('set-up outlives a rotation by itself', async () => {
    let kept: Credentials = second
    const search = client({
      credentials: async ({ forceRefresh } = {}) => {
        if (forceRefresh) kept = account
        return kept
      },
    })
    await search.mendIndices(['public_*'])
    expect(verdicts).toEqual([`unknown access key ${second.accessKeyId}`, undefined])
    expect(received[1]!.target).toContain('/public_%2A/_settings?')
  })

  test('set-up that stays refused names the role, the service and the region', async () => {
    const search = client({ credentials: async () => second })
    await expect(search.mendIndices(['a'])).rejects.toThrow(/role \(signed for es in eu-central-1\)/)
  })

  test('none to be had: the request fails, nothing is sent, the next one asks again', async () => {
    const failures: RequestFailure[] = []
    let isAway = true
    const search = client({
      credentials: async () => {
        if (isAway) throw new Error('metadata endpoint\nwith a secret on the next line')
        return account
      },
      onFailure: failure => failures.push(failure),
    })
    expect(await search.bulk(BULK, 5000)).toEqual({
      kind: 'failed',
      reason: 'connection',
      mayHaveLanded: false,
    })
    expect(received).toEqual([])
    expect(failures).toMatchObject([{ reason: 'credentials', path: '/_bulk', requestId: 'cdc-1' }])
    expect(failures[0]!.detail).toBe(
      'no AWS credentials to sign with: metadata endpoint; expected a task role, a profile or AWS_ACCESS_KEY_ID',
    )
    isAway = false
    expect(await search.bulk(BULK, 5000)).toEqual(GOOD)
  })

  test('a forced refresh that fails is asked for again', async () => {
    const asked: (boolean | undefined)[] = []
    const answers: (() => Credentials)[] = [
      () => second,
      () => {
        throw new Error('away')
      },
      () => account,
    ]
    const search = client({
      credentials: async options => {
        asked.push(options?.forceRefresh)
        return answers[asked.length - 1]!()
      },
    })
    expect(await search.bulk(BULK, 5000)).toMatchObject({ status: 403 })
    expect(await search.bulk(BULK, 5000)).toMatchObject({ mayHaveLanded: false })
    expect(await search.bulk(BULK, 5000)).toEqual(GOOD)
    expect(asked).toEqual([false, true, true])
  })

  test('a source that never answers: the time is up, nothing has landed', async () => {
    const search = client({ credentials: () => new Promise(() => {}) })
    expect(await search.bulk(BULK, 50)).toEqual({ kind: 'failed', reason: 'timeout', mayHaveLanded: false })
  })

  test.each([-3_600_000, 3_600_000])(
    'a clock %s ms off: refused once, then set by the answer',
    async offMs => {
      skewMs = offMs
      const search = client()
      expect(await search.bulk(BULK, 5000)).toMatchObject({ kind: 'status', status: 403 })
      expect(await search.bulk(BULK, 5000)).toEqual(GOOD)
      expect(await search.bulk(BULK, 5000)).toEqual(GOOD)
      skewMs = 0
      expect(await search.bulk(BULK, 5000)).toMatchObject({ status: 403 })
      expect(await search.bulk(BULK, 5000)).toEqual(GOOD)
    },
  )
})

test('a user with a password, in UTF-8', async () => {
  const search = client({ authentication: { kind: 'basic', username: 'cdc', password: 'pä:ss' } })
  await search.bulk(BULK, 5000)
  expect(received[0]!.headers.authorization).toBe(`Basic ${Buffer.from('cdc:pä:ss').toString('base64')}`)
})

test('nobody', async () => {
  await client({ authentication: { kind: 'none' } }).bulk(BULK, 5000)
  expect(received[0]!.headers.authorization).toBeUndefined()
})
