/**
 * Fine-grained access control: `bootstrap` as a master user, then everything `run` asks of OpenSearch as a user who is only what the
 * mapped backend role makes him. On a domain of AWS a task's role is such a backend role.
 */
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { attachParts } from '../../docker/local/parts.ts'
import { openSearch } from '../../src/clients/opensearch.ts'
import { BOOTSTRAP_SETTINGS, bootstrap, templateOptions } from '../../src/commands/bootstrap.ts'
import { readConfig } from '../../src/config.ts'
import { ROLE_NAME, type SecurityRole, securityRole } from '../../src/core/security-role.ts'
import { actionText } from '../fakes/action-text.ts'
import { versionsOf } from '../fakes/version.ts'
import { ADMIN, basic, startSecuredOpenSearch } from './secured-opensearch.ts'

const parts = attachParts(inject('parts').instance, () => {})
const TASK_ROLE = 'arn:aws:iam::123456789012:role/cdc-task'
const SERVICE = { username: 'service', password: 'Only.4.this.test!' }
const versionOf = versionsOf(442_000_000)

let node: Awaited<ReturnType<typeof startSecuredOpenSearch>>

beforeAll(async () => {
  node = await startSecuredOpenSearch(parts, new AbortController().signal)
  // It gives every user a part of what is asked for here.
  expect(await api('DELETE', '/rolesmapping/own_index')).toMatchObject({ status: 200 })
  const { password } = SERVICE
  const made = await api('PUT', `/internalusers/${SERVICE.username}`, {
    password,
    backend_roles: [TASK_ROLE],
  })
  expect(made).toMatchObject({ status: 201 })
}, 300_000)

afterAll(async () => {
  await node?.stop()
  await parts.stop()
})

async function request(user: typeof ADMIN, method: string, path: string, body?: unknown) {
  const answer = await fetch(`${node.url}${path}`, {
    method,
    headers: { ...basic(user), 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

const api = (method: string, path: string, body?: unknown) =>
  request(ADMIN, method, `/_plugins/_security/api${path}`, body)

function config(env: Record<string, string> = {}) {
  const all = {
    OPENSEARCH_URL: node.url,
    OPENSEARCH_USERNAME: ADMIN.username,
    OPENSEARCH_PASSWORD: ADMIN.password,
    OPENSEARCH_BACKEND_ROLE: TASK_ROLE,
    INDEX_REPLICAS: '0',
    ...env,
  }
  return readConfig(all, BOOTSTRAP_SETTINGS)
}

/** @returns the lines of the report */
async function bootstrapped(env?: Record<string, string>): Promise<string[]> {
  const lines: string[] = []
  await bootstrap(config(env), {
    log: pino({ level: 'silent' }),
    stop: new AbortController().signal,
    print: line => lines.push(line),
  })
  return lines
}

let fields = 0
/** All that `run` asks of OpenSearch, with new indices and fields each time. @returns what was refused */
async function refusals(): Promise<string[]> {
  const search = openSearch({
    url: node.url,
    authentication: { kind: 'basic', ...SERVICE },
    compression: 'none',
  })
  const refused: string[] = []
  const see = (what: string, isFine: boolean) => void (isFine || refused.push(what))
  const at = ++fields
  const index = (name: string, id: string, document: string) =>
    actionText({ kind: 'index', index: name, id, document }, versionOf(at))
  const remove = actionText({ kind: 'delete', index: 'public_a', id: 'gone', document: '' }, versionOf(at))
  const bulk = async (...actions: string[]) => (await search.bulk(actions.join(''), 30_000)).kind === 'done'
  try {
    see('version', await search.ping(10_000))
    see(
      'template and settings',
      await search.faults(templateOptions(config())).then(
        found => found.length === 0,
        () => false,
      ),
    )
    see('new index', await bulk(index(`public_new_${at}`, '1', `{"id":1}`)))
    see('index', await bulk(index('public_a', '1', `{"id":1}`)))
    see('new field', await bulk(index('public_a', '2', `{"field_${at}":1}`)))
    see('delete', await bulk(remove))
    const read = search.documents([{ index: 'public_a', id: '1', routing: undefined }], 10_000)
    see(
      'read',
      await read.then(
        ([text]) => text !== undefined,
        () => false,
      ),
    )
  } finally {
    search.close()
  }
  return refused
}

describe('bootstrap', () => {
  test('before it, run is refused everything', async () => {
    expect(await refusals()).toEqual([
      'version',
      'template and settings',
      'new index',
      'index',
      'new field',
      'delete',
      'read',
    ])
  })

  test('after it, run is refused nothing; a second one finds all of it', async () => {
    expect(await bootstrapped()).toEqual([
      expect.stringContaining('index template'),
      `OpenSearch: role ${ROLE_NAME} put`,
      `OpenSearch: ${TASK_ROLE} is mapped to it`,
    ])
    expect(await refusals()).toEqual([])
    expect(await bootstrapped()).toEqual([
      expect.stringContaining('index template'),
      `OpenSearch: role ${ROLE_NAME} was there`,
      `OpenSearch: ${TASK_ROLE} was mapped to it`,
    ])
  })

  test('it mends a role somebody widened, and keeps whoever else is mapped', async () => {
    const wide = { cluster_permissions: ['*'], index_permissions: [] }
    await api('PUT', `/roles/${ROLE_NAME}`, wide)
    const others = {
      users: ['someone'],
      hosts: [],
      backend_roles: ['operators'],
      and_backend_roles: ['both'],
    }
    await api('PUT', `/rolesmapping/${ROLE_NAME}`, others)
    await bootstrapped()
    expect((await api('GET', `/rolesmapping/${ROLE_NAME}`)).body[ROLE_NAME]).toMatchObject({
      ...others,
      backend_roles: ['operators', TASK_ROLE],
    })
    expect(await refusals()).toEqual([])
    expect((await request(SERVICE, 'GET', '/_cluster/settings')).status).toBe(403)
  })

  test('as somebody who is no master user it is refused, and says what to check', async () => {
    const env = { OPENSEARCH_USERNAME: SERVICE.username, OPENSEARCH_PASSWORD: SERVICE.password }
    await expect(bootstrapped(env)).rejects.toMatchObject({
      name: 'OutsideError',
      message: expect.stringMatching(/refuses to .*\(status 403\): check OPENSEARCH_USERNAME/),
    })
  })

  test('without fine-grained access control it says so', async () => {
    const OPENSEARCH_URL = inject('parts').endpoints.opensearchUrl
    const env = { OPENSEARCH_URL, OPENSEARCH_USERNAME: '', OPENSEARCH_PASSWORD: '', INDEX_PATTERNS: 'e2e_*' }
    await expect(bootstrapped(env)).rejects.toMatchObject({
      name: 'OutsideError',
      message: expect.stringMatching(
        /has no fine-grained access control: switch it on, or unset OPENSEARCH_BACKEND_ROLE/,
      ),
    })
  })
})

describe('the role', () => {
  const { cluster_permissions: cluster, index_permissions: perIndex } = securityRole(['public_*'])
  const actions = perIndex[0]!.allowed_actions
  const without = (permission: string): SecurityRole => ({
    ...securityRole(['public_*']),
    cluster_permissions: cluster.filter(name => name !== permission),
    index_permissions: [{ ...perIndex[0]!, allowed_actions: actions.filter(name => name !== permission) }],
  })

  const WRITES = ['new index', 'index', 'new field', 'delete']
  const NEEDED_FOR: Record<string, string[]> = {
    'cluster:monitor/main': ['version'],
    'indices:admin/index_template/get': ['template and settings'],
    'indices:data/write/bulk': WRITES,
    'indices:data/read/mget': ['read'],
    'indices:monitor/settings/get': ['template and settings'],
    'indices:data/write/bulk*': WRITES,
    'indices:data/write/index': ['new index', 'index', 'new field'],
    'indices:data/write/delete': ['delete'],
    'indices:data/read/mget*': ['read'],
    'indices:admin/create': ['new index'],
    'indices:admin/mapping/put': ['new field'],
  }

  test.each([...cluster, ...actions])('needs %s', async permission => {
    expect(await api('PUT', `/roles/${ROLE_NAME}`, without(permission))).toMatchObject({ status: 200 })
    expect(await refusals()).toEqual(NEEDED_FOR[permission])
  })

  test('opens nothing else: no search, no other index, no settings, no roles', async () => {
    await bootstrapped()
    const asked: [method: string, path: string, body?: object][] = [
      ['GET', '/public_a/_search'],
      ['DELETE', '/public_a'],
      ['PUT', '/public_a/_settings', { index: { refresh_interval: '2s' } }],
      ['PUT', '/_index_template/aurora-opensearch-cdc', { index_patterns: ['public_*'] }],
      ['PUT', '/other/_doc/1', {}],
      ['GET', '/other/_doc/1'],
      ['PUT', '/other', {}],
      ['GET', '/_plugins/_security/api/roles'],
    ]
    for (const [method, path, body] of asked)
      expect(await request(SERVICE, method, path, body), `${method} ${path}`).toMatchObject({ status: 403 })
  })
})
