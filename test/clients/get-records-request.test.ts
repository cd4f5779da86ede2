/** The request of GetRecords as `bytes` sends it: that of the SDK, signed for a server that looks. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { kinesisStream } from '../../src/clients/kinesis.ts'
import { type Account, type Received, signatureFault } from './sigv4.ts'

const REGION = 'eu-west-1'
const first = { accessKeyId: 'AKIDFIRST', secretAccessKey: 'first+secret/1' }
const second = { accessKeyId: 'AKIDSECOND', secretAccessKey: 'second', sessionToken: 'token+/==second' }

let account: Account
/** Of the server's clock against ours. */
let aheadMs: number
let received: Received[]

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', chunk => chunks.push(chunk))
  request.on('end', () => {
    const { method = '', url: target = '', headers } = request
    const one = { method, target, headers, body: Buffer.concat(chunks) }
    received.push(one)
    const nowMs = Date.now() + aheadMs
    const fault = signatureFault(one, account, nowMs)
    response.writeHead(fault ? 400 : 200, { date: new Date(nowMs).toUTCString() })
    response.end(
      JSON.stringify(
        fault
          ? { __type: 'InvalidSignatureException', message: fault }
          : { Records: [], NextShardIterator: 'next', MillisBehindLatest: 0 },
      ),
    )
  })
})

beforeAll(() => new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve)))
beforeEach(() => {
  vi.stubEnv('AWS_ENDPOINT_URL', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  vi.stubEnv('AWS_REGION', REGION)
  received = []
  aheadMs = 0
  isKnownAs(first)
  weAre(first)
})
afterEach(() => vi.unstubAllEnvs())
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

function isKnownAs(credentials: Partial<Account>): void {
  account = { ...first, service: 'kinesis', region: REGION, ...credentials }
}

/** Expired: so they are asked for again at each request. */
function weAre(credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string }): void {
  vi.stubEnv('AWS_ACCESS_KEY_ID', credentials.accessKeyId)
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', credentials.secretAccessKey)
  vi.stubEnv('AWS_SESSION_TOKEN', credentials.sessionToken ?? '')
  vi.stubEnv('AWS_CREDENTIAL_EXPIRATION', new Date(Date.now() - 1000).toISOString())
}

function streamBy(decoder: 'bytes' | 'sdk') {
  const stream = kinesisStream('s', { decoder })
  onTestFinished(stream.close)
  return stream
}

const PAGE = { kind: 'records', records: [], next: 'next' }

test('is the SDK’s, but for what numbers its tries', async () => {
  const [bytes, sdk] = [streamBy('bytes'), streamBy('sdk')]
  for (const [iterator, limit] of [
    ['an iterator', 100],
    ['AAAA+/==another "\\ž😀', 10_000],
  ] as const) {
    received = []
    expect(await bytes.read(iterator, limit)).toMatchObject(PAGE)
    expect(await sdk.read(iterator, limit)).toMatchObject(PAGE)
    const [ours, theirs] = received.map(({ headers, ...rest }) => {
      const { authorization, 'x-amz-date': date, ...others } = headers
      expect(authorization).toBeDefined()
      expect(date).toBeDefined()
      return { ...rest, headers: others }
    })
    for (const name of ['amz-sdk-invocation-id', 'amz-sdk-request']) delete theirs!.headers[name]
    expect(ours).toEqual(theirs)
    expect(JSON.parse(String(ours!.body))).toEqual({ ShardIterator: iterator, Limit: limit })
  }
})

test('is signed with the credentials there are now, at each call', async () => {
  const stream = streamBy('bytes')
  expect(await stream.read('i', 100)).toMatchObject(PAGE)
  weAre(second)
  isKnownAs(second)
  expect(await stream.read('i', 100)).toMatchObject(PAGE)
  expect(received.map(({ headers }) => headers['x-amz-security-token'])).toEqual([
    undefined,
    second.sessionToken,
  ])
  weAre(first)
  await expect(stream.read('i', 100)).rejects.toMatchObject({ name: 'InvalidSignatureException' })
})

test('is signed at the server’s time after it was refused for ours, and at ours again when that is right', async () => {
  const stream = streamBy('bytes')
  for (const offMs of [3_600_000, -3_600_000, 0]) {
    aheadMs = offMs
    await expect(stream.read('i', 100)).rejects.toThrow('signature expired')
    expect(await stream.read('i', 100)).toMatchObject(PAGE)
    expect(await stream.read('i', 100)).toMatchObject(PAGE)
  }
})

test('is made anew after credentials could not be had', async () => {
  weAre({ accessKeyId: '', secretAccessKey: '' })
  for (const name of ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE']) vi.stubEnv(name, '/dev/null')
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true')
  const stream = streamBy('bytes')
  await expect(stream.read('i', 100)).rejects.toThrow('credentials')
  weAre(first)
  expect(await stream.read('i', 100)).toMatchObject(PAGE)
  expect(received).toHaveLength(1)
})
