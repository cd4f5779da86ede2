/** docker/compose.yaml as text: what `docker compose config` cannot see because it is valid either way. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { markerTable, shopTables } from '../../docker/demo/shop.ts'
import { readSettings } from '../../docker/dms/settings.ts'
import { readConfig, settings } from '../../src/config.ts'

const dir = new URL('../../docker/', import.meta.url).pathname
const project = new URL('../../', import.meta.url).pathname

type Service = {
  image: string
  build?: { context: string; target: string }
  command?: string[]
  environment?: Record<string, string>
  volumes?: string[]
  ports?: string[]
  expose?: string[]
  profiles?: string[]
  restart?: string
  stop_grace_period?: string
  read_only?: boolean
  user?: string
  cap_drop?: string[]
  healthcheck?: { test?: string[]; disable?: boolean; interval?: string; timeout?: string; retries?: number }
  depends_on?: Record<string, { condition: string }>
  deploy?: { replicas?: number; resources: { limits: { cpus: string; memory: string } } }
}

const defaults = Object.fromEntries(
  readFileSync(join(dir, '.env'), 'utf8')
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => line.split('=') as [string, string]),
)
const text = readFileSync(join(dir, 'compose.yaml'), 'utf8')
const used = new Set(Array.from(text.matchAll(/\$\{(\w+)\}/g), ([, name]) => name!))
const filledIn = text.replace(/\$\{(\w+)\}/g, (_, name: string) => defaults[name] ?? `no default for ${name}`)
const compose = parse(filledIn, { merge: true }) as {
  services: Record<string, Service>
  volumes: Record<string, null>
}
const services = Object.entries(compose.services)
const { consumer, bootstrap, dms } = compose.services as Record<string, Service>

test('every value left open has a default in .env, and none there is unused', () => {
  const { COMPOSE_PROJECT_NAME, ...open } = defaults
  expect(COMPOSE_PROJECT_NAME).toBe('aurora-opensearch-cdc')
  expect([...used].sort()).toEqual(Object.keys(open).sort())
})

describe.each(services)('%s', (name, service) => {
  test('is pinned to a version', () => {
    if (service.build) expect(service.image).toMatch(/^aurora-opensearch-cdc:(local|laptop)$/)
    else expect(service.image).toMatch(/:v?\d+\.\d+(\.\d+)?(-\w+)?$/)
  })

  test('is reached from this machine alone', () => {
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/)
  })

  test('has limits', () => {
    const { cpus, memory } = service.deploy!.resources.limits
    expect(Number(cpus)).toBeGreaterThan(0)
    expect(memory).toMatch(/^\d+[MG]$/)
  })

  test('says whether it is healthy, or is waited for by nobody but for its end', () => {
    const waiting = services.flatMap(([, other]) => other.depends_on?.[name]?.condition ?? [])
    if (service.healthcheck?.disable)
      expect(waiting.every(condition => condition === 'service_completed_successfully')).toBe(true)
    else expect(service.healthcheck?.test?.[0]).toMatch(/^CMD(-SHELL)?$/)
  })

  test('waits for the right moment of what it needs', () => {
    for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
      const other = compose.services[needed]
      expect(other, `${name} needs ${needed}`).toBeDefined()
      // Else a plain `up` would start what stands behind a profile, or fail.
      expect(other!.profiles ?? service.profiles).toEqual(service.profiles)
      if (condition === 'service_healthy') expect(other!.healthcheck?.test).toBeDefined()
      else if (condition === 'service_completed_successfully') expect(other!.restart).toBe('no')
      else expect([name, needed, condition]).toEqual(['prometheus', 'consumer', 'service_started'])
    }
  })

  test('mounts what is there', () => {
    for (const volume of service.volumes ?? []) {
      const [source, target, mode] = volume.split(':') as [string, string, string?]
      expect(target.startsWith('/')).toBe(true)
      if (!source.startsWith('.')) expect(Object.keys(compose.volumes)).toContain(source)
      else {
        expect(existsSync(join(dir, source)), source).toBe(true)
        expect(mode, source).toBe('ro')
      }
    }
  })

  test('is not put to sleep', () => {
    expect(JSON.stringify([service.command, service.healthcheck])).not.toContain('sleep')
  })
})

test('every named volume is used, and whatever holds data has one', () => {
  const mounted = services.flatMap(([, { volumes = [] }]) => volumes.map(volume => volume.split(':')[0]!))
  expect(mounted.filter(source => !source.startsWith('.')).sort()).toEqual(
    Object.keys(compose.volumes).sort(),
  )
})

test('the file names neither a project nor a version of its format', () => {
  expect(Object.keys(parse(text, { merge: true })).filter(key => !key.startsWith('x-'))).toEqual([
    'services',
    'volumes',
  ])
})

describe('the consumer', () => {
  test('can be scaled: two replicas, no port on the host, no name of its own', () => {
    expect(consumer!.deploy!.replicas).toBe(2)
    expect(consumer!.ports).toBeUndefined()
    expect(consumer).not.toHaveProperty('container_name')
    expect(consumer!.environment).not.toHaveProperty('WORKER_ID')
  })

  test('is given settings that exist and that the service accepts', () => {
    const names = Object.keys(consumer!.environment!).filter(name => !name.startsWith('AWS_'))
    expect(Object.keys(settings)).toEqual(expect.arrayContaining(names))
    expect(() => readConfig(consumer!.environment!)).not.toThrow()
  })

  test('finds OpenSearch as bootstrap has left it', () => {
    expect(consumer!.environment).toEqual(bootstrap!.environment)
    expect(bootstrap!.command).toEqual(['node', 'src/main.ts', 'bootstrap'])
    expect(consumer!.depends_on?.bootstrap).toEqual({ condition: 'service_completed_successfully' })
  })

  test('has the time to drain before it is killed', () => {
    const graceMs = Number(/^(\d+)s$/.exec(consumer!.stop_grace_period!)![1]) * 1000
    expect(graceMs).toBeGreaterThan(readConfig(consumer!.environment!).DRAIN_MS)
  })

  test('writes no file, is not root and has no capability', () => {
    expect(consumer).toMatchObject({ read_only: true, user: '1000:1000', cap_drop: ['ALL'] })
  })
})

test('the stand-in for DMS is given settings it accepts, and covers the shop', () => {
  const { tables, records } = readSettings(dms!.environment!)
  expect(tables).toEqual(['public.%'])
  expect([...records.partitionByKey]).toEqual([`public.${markerTable}`])
  expect(shopTables.length).toBeGreaterThan(0)
})

test('stream, table and queue are those the ready hook makes', () => {
  const hook = readFileSync(join(dir, 'localstack/ready.py'), 'utf8')
  const { STREAM_NAME, LEASE_TABLE, DEAD_LETTER_QUEUE_URL } = consumer!.environment!
  expect(hook).toContain(`STREAM, SHARDS = "${STREAM_NAME}"`)
  expect(hook).toContain(`LEASE_TABLE = "${LEASE_TABLE}"`)
  expect(hook).toContain(`QUEUE = "${DEAD_LETTER_QUEUE_URL!.split('/').at(-1)}"`)
  expect(dms!.environment!.DMS_STREAM).toBe(STREAM_NAME)
})

test('images are made of files that .dockerignore lets through', () => {
  const ignore = readFileSync(join(project, '.dockerignore'), 'utf8').split('\n')
  const copied = Array.from(
    readFileSync(join(project, 'Dockerfile'), 'utf8').matchAll(/^COPY ((?:(?!--from)[\w./-]+ )+)/gm),
    ([, sources]) => sources!.trim().split(' '),
  ).flat()
  expect(copied.length).toBeGreaterThan(4)
  for (const source of copied) {
    expect(existsSync(join(project, source)), source).toBe(true)
    expect(ignore).toContain(`!${source}`)
  }
})
