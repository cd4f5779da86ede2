/** What the settings of OpenSearch mean together. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, describe, expect, test } from 'vitest'
import { searchOptions } from '../../src/commands/search-options.ts'
import { type Config, readConfig } from '../../src/config.ts'

const directory = mkdtempSync(join(tmpdir(), 'opensearch-options-'))
afterAll(() => rmSync(directory, { recursive: true }))

const lines: string[] = []
const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) })

function options(env: Partial<Record<keyof Config, string>>) {
  const all = { STREAM_NAME: 's', LEASE_TABLE: 'l', DEAD_LETTER_QUEUE_URL: 'http://queue/q', ...env }
  return searchOptions(readConfig({ OPENSEARCH_URL: 'https://search.example.com', ...all }), log)
}

const DOMAIN = 'https://search-cdc-abc.eu-central-1.es.amazonaws.com'
const COLLECTION = 'https://abc.eu-west-1.aoss.amazonaws.com'
const user = { OPENSEARCH_USERNAME: 'cdc', OPENSEARCH_PASSWORD: 'secret' }

describe('authentication', () => {
  test.each<[string, Partial<Record<keyof Config, string>>, object]>([
    ['nobody by default', {}, { kind: 'none' }],
    ['a user', user, { kind: 'basic', username: 'cdc', password: 'secret' }],
    [
      'a user of a domain of AWS',
      { ...user, OPENSEARCH_URL: DOMAIN },
      { kind: 'basic', username: 'cdc', password: 'secret' },
    ],
    [
      'a domain of AWS: its own region comes before ours',
      { OPENSEARCH_URL: DOMAIN, AWS_REGION: 'us-east-1' },
      { kind: 'sigv4', service: 'es', region: 'eu-central-1' },
    ],
    [
      'a domain in China',
      { OPENSEARCH_URL: 'https://search-a.cn-north-1.es.amazonaws.com.cn' },
      { kind: 'sigv4', service: 'es', region: 'cn-north-1' },
    ],
    [
      'a domain of both kinds of address',
      { OPENSEARCH_URL: 'https://search-a.aos.eu-west-3.on.aws' },
      { kind: 'sigv4', service: 'es', region: 'eu-west-3' },
    ],
    [
      'a serverless collection',
      { OPENSEARCH_URL: COLLECTION },
      { kind: 'sigv4', service: 'aoss', region: 'eu-west-1' },
    ],
    [
      'a name of our own before a domain',
      { OPENSEARCH_AUTH: 'sigv4', AWS_REGION: 'eu-west-2' },
      { kind: 'sigv4', service: 'es', region: 'eu-west-2' },
    ],
    [
      'a name of our own before a collection',
      { OPENSEARCH_AUTH: 'sigv4', AWS_REGION: 'eu-west-2', OPENSEARCH_AWS_SERVICE: 'aoss' },
      { kind: 'sigv4', service: 'aoss', region: 'eu-west-2' },
    ],
    ['a domain open to its network', { OPENSEARCH_URL: DOMAIN, OPENSEARCH_AUTH: 'none' }, { kind: 'none' }],
    ['no domain of AWS', { OPENSEARCH_URL: 'https://es.amazonaws.com.example.com' }, { kind: 'none' }],
  ])('%s', (_, env, authentication) => {
    expect(options(env).authentication).toEqual(authentication)
  })

  test.each<[string, Partial<Record<keyof Config, string>>, RegExp]>([
    ['a user without a password', { OPENSEARCH_USERNAME: 'cdc' }, /OPENSEARCH_PASSWORD is not set/],
    ['a password without a user', { OPENSEARCH_PASSWORD: 'secret' }, /OPENSEARCH_USERNAME is not set/],
    ['a user asked for and not given', { OPENSEARCH_AUTH: 'basic' }, /USERNAME.*\n.*PASSWORD/],
    ['two ways at once', { ...user, OPENSEARCH_AUTH: 'sigv4' }, /one or the other/],
    ['no region', { OPENSEARCH_AUTH: 'sigv4' }, /AWS_REGION is not set.*search\.example\.com names none/],
  ])('%s', (_, env, message) => {
    expect(() => options(env)).toThrow(message)
    expect(() => options(env)).not.toThrow(/secret/)
  })
})

describe('compression', () => {
  test.each([
    ['https://search.example.com', 'auto', 'gzip'],
    ['http://opensearch:9200', 'auto', 'gzip'],
    ['http://127.0.0.1:9200', 'auto', 'none'],
    ['http://localhost:9200', 'auto', 'none'],
    ['http://[::1]:9200', 'auto', 'none'],
    ['http://127.0.0.1:9200', 'gzip', 'gzip'],
    ['https://search.example.com', 'none', 'none'],
  ])('%s, %s: %s', (url, setting, found) => {
    expect(options({ OPENSEARCH_URL: url, OPENSEARCH_COMPRESSION: setting }).compression).toBe(found)
  })
})

describe('authorities', () => {
  const file = (text: string) => {
    const path = join(directory, 'authorities.pem')
    writeFileSync(path, text)
    return path
  }

  test.each<[string, () => string, string]>([
    ['a file that is missing', () => join(directory, 'none.pem'), 'ENOENT'],
    ['a file without a certificate', () => file('-----BEGIN EC KEY-----'), 'holds no certificate'],
    [
      'a certificate that is none',
      () => file('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'),
      'cannot be read as certificates',
    ],
  ])('%s is named', (_, make, message) => {
    const OPENSEARCH_CA_FILE = make()
    expect(() => options({ OPENSEARCH_CA_FILE })).toThrow(
      `OPENSEARCH_CA_FILE is ${OPENSEARCH_CA_FILE}, which`,
    )
    expect(() => options({ OPENSEARCH_CA_FILE })).toThrow(message)
  })
})

test('what somebody has to mend is a warning, the rest is for debugging', () => {
  const { onFailure } = options({})
  const failure = { requestId: 'w-1', method: 'POST', path: '/_bulk', detail: '', seconds: 0.1 }
  for (const reason of ['credentials', 'certificate', 'timeout', 'status-503'] as const)
    onFailure!({ ...failure, reason })
  expect(lines.map(line => (JSON.parse(line) as { level: number }).level)).toEqual([40, 40, 20, 20])
})
