/** What the containers are told is what the service reads, and the other way round. */
import { describe, expect, test } from 'vitest'
import { databaseAuthorities } from '../../infra/database-authorities.ts'
import { environments } from '../../infra/environments.ts'
import { namesOf } from '../../infra/names.ts'
import { inlineTableFile } from '../../infra/service-settings.ts'
import { BOOTSTRAP_SETTINGS } from '../../src/commands/bootstrap.ts'
import { authoritiesGiven } from '../../src/commands/certificates.ts'
import { tableFileOf } from '../../src/commands/decide-context.ts'
import { readConfig, type SettingName, settings } from '../../src/config.ts'
import { all, type Loose, NAMES, of } from './synthesised.ts'

/** Text, with what only the deploy knows as something of the right form. */
function textOf(value: Loose): string {
  if (typeof value === 'string') return value
  if ('Fn::Join' in value) return value['Fn::Join'][1].map(textOf).join(value['Fn::Join'][0])
  const told = JSON.stringify(value)
  if (/DeadLetters/.test(told)) return 'https://sqs.us-east-1.amazonaws.com/111122223333/queue'
  return /Role/.test(told) ? 'arn:aws:iam::111122223333:role/cdc' : 'known.at.deploy'
}

function container(
  name: keyof typeof environments,
  family: string,
): { variables: Record<string, string>; secrets: string[] } {
  const { Properties } = all(of(name).templates, 'AWS::ECS::TaskDefinition').find(
    ({ Properties: its }) => its.Family === family,
  )!
  const [only] = Properties.ContainerDefinitions
  return {
    variables: Object.fromEntries(only.Environment.map(({ Name, Value }: Loose) => [Name, textOf(Value)])),
    secrets: (only.Secrets ?? []).map(({ Name }: Loose) => Name),
  }
}

describe.each(NAMES)('%s', name => {
  const names = namesOf(environments[name])

  test('run is told settings that exist, all that have no default, and takes each value', () => {
    const { variables } = container(name, names.service)
    for (const variable of Object.keys(variables)) expect(Object.keys(settings)).toContain(variable)
    const config = readConfig(variables)
    expect(config.HTTP_HOST).toBe('0.0.0.0')
    expect(config.OPENSEARCH_AUTH).toBe('sigv4')
    expect(config.EMF_NAMESPACE).toBe('cdc')
    expect(config.STREAM_NAME).not.toBe('')
    expect(tableFileOf(config).named.length).toBeGreaterThan(0)
  })

  test('req 16: reading begins at the oldest record, so that none is lost before the first lease', () => {
    expect(readConfig(container(name, names.service).variables).INITIAL_POSITION).toBe('TRIM_HORIZON')
  })

  test('bootstrap is told all it reads beside its defaults, the two secrets by ECS, and agrees with run about the indices', () => {
    const run = container(name, names.service).variables
    const { variables, secrets } = container(name, names.bootstrapRole)
    expect(secrets.sort()).toEqual(['DMS_USER_SECRET', 'SOURCE_DATABASE_SECRET'])
    const config = readConfig(variables, BOOTSTRAP_SETTINGS)
    expect(config).toMatchObject({
      SOURCE_DATABASE_NAME: 'app',
      SOURCE_DATABASE_PORT: 5432,
      SOURCE_SCHEMAS: ['public'],
    })
    expect(config.OPENSEARCH_BACKEND_ROLE).toMatch(/^arn:/)
    const shared = readConfig(run, BOOTSTRAP_SETTINGS)
    for (const setting of [
      'INDEX_PATTERNS',
      'INDEX_SHARDS',
      'INDEX_REPLICAS',
      'TABLE_FILE',
      'OPENSEARCH_URL',
    ] as const)
      expect(config[setting]).toEqual(shared[setting])
    for (const setting of Object.keys(variables) as SettingName[])
      expect(
        Object.keys(run).includes(setting) || (BOOTSTRAP_SETTINGS as readonly string[]).includes(setting),
      ).toBe(true)
  })

  test('no password is in a template', () => {
    const text = JSON.stringify(of(name).templates)
    expect(
      /"(OPENSEARCH_PASSWORD|SOURCE_DATABASE_PASSWORD|DMS_USER_PASSWORD|SecretString)"/.exec(text),
    ).toBeNull()
  })
})

test('a table file is told as it is, and the same whichever machine zipped it', () => {
  const told = inlineTableFile('infra/tables.yaml')
  expect(told).toBe(inlineTableFile('infra/tables.yaml'))
  expect(Buffer.from(told.split(',')[1]!, 'base64')[9]).toBe(255)
  expect(tableFileOf({ TABLE_FILE: told }).named.map(rules => rules.name)).toEqual([
    'public.orders',
    'public.order_items',
  ])
})

test('a table file given inline and cut says so, and mistakes in one are of TABLE_FILE', () => {
  const told = inlineTableFile('infra/tables.yaml')
  expect(() => tableFileOf({ TABLE_FILE: told.slice(0, -40) })).toThrow('not gzip in base64')
})

test('the roots of Aurora are certificates the service takes, those of the region alone', () => {
  const faults: string[] = []
  const pem = databaseAuthorities('us-east-1')
  expect(authoritiesGiven('SOURCE_DATABASE_CA', pem, faults)).toBe(pem)
  expect(faults).toEqual([])
  expect(pem.match(/BEGIN CERTIFICATE/g)).toHaveLength(3)
  expect(() => databaseAuthorities('mars-1')).toThrow('region mars-1 has no root')
})
