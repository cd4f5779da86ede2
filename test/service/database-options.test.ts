/** What the settings of the source database mean together. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BOOTSTRAP_SETTINGS } from '../../src/commands/bootstrap.ts'
import { databaseSettings } from '../../src/commands/database-options.ts'
import { type Config, readConfig } from '../../src/config.ts'
import { certify } from '../certify.ts'

type Env = Partial<Record<keyof Config, string>>

const settingsOf = (env: Env) =>
  databaseSettings(readConfig({ OPENSEARCH_URL: 'https://search.example.com', ...env }, BOOTSTRAP_SETTINGS))

const SECRET = JSON.stringify({
  engine: 'postgres',
  host: 'cluster.example.com',
  port: 6432,
  dbname: 'shop',
  username: 'master',
  password: 'hidden-1',
})
const DMS = '{"username":"dms_user","password":"hidden-2"}'

const directory = mkdtempSync(join(tmpdir(), 'database-options-'))
let authority: string
beforeAll(async () => {
  authority = (await certify(directory, 'authority', undefined)).certificate
})
afterAll(() => rmSync(directory, { recursive: true }))

test('without a host there is no database', () => {
  expect(settingsOf({})).toBeUndefined()
})

test('secrets are enough; without a user of DMS the database is only checked', () => {
  const database = {
    host: 'cluster.example.com',
    port: 6432,
    database: 'shop',
    user: 'master',
    password: 'hidden-1',
    tls: {},
  }
  expect(settingsOf({ SOURCE_DATABASE_SECRET: SECRET })).toEqual({ database, dmsUser: undefined })
  expect(settingsOf({ SOURCE_DATABASE_SECRET: SECRET, DMS_USER_SECRET: DMS })).toEqual({
    database,
    dmsUser: { name: 'dms_user', password: 'hidden-2' },
  })
})

test('a secret of user and password alone, as RDS manages it, is completed by settings, which come first', () => {
  expect(
    settingsOf({
      SOURCE_DATABASE_SECRET: '{"username":"master","password":"hidden-1"}',
      SOURCE_DATABASE_HOST: 'writer.example.com',
      SOURCE_DATABASE_NAME: 'shop',
      SOURCE_DATABASE_USER: 'other',
      DMS_USER: 'dms',
      DMS_USER_PASSWORD: 'hidden-3',
    }),
  ).toEqual({
    database: {
      host: 'writer.example.com',
      port: 5432,
      database: 'shop',
      user: 'other',
      password: 'hidden-1',
      tls: {},
    },
    dmsUser: { name: 'dms', password: 'hidden-3' },
  })
})

describe('TLS', () => {
  const tlsOf = (env: Env) => settingsOf({ SOURCE_DATABASE_SECRET: SECRET, ...env })!.database.tls

  test.each(['localhost', '127.0.0.1', '::1'])('%s is this machine, where it is not needed', host => {
    expect(tlsOf({ SOURCE_DATABASE_HOST: host })).toBeUndefined()
    expect(tlsOf({ SOURCE_DATABASE_HOST: host, SOURCE_DATABASE_CA: authority })).toEqual({ pem: authority })
  })

  test.each(['postgres', '127.example.com', '10.0.0.1'])(
    '%s is another, to which nothing goes without it',
    host => {
      expect(tlsOf({ SOURCE_DATABASE_HOST: host })).toEqual({})
    },
  )

  test('authorities are given as PEM, or as the file it is in', () => {
    const file = join(directory, 'bundle.pem')
    writeFileSync(file, `${authority}${authority}`)
    expect(tlsOf({ SOURCE_DATABASE_CA: authority })).toEqual({ pem: authority })
    expect(tlsOf({ SOURCE_DATABASE_CA: file })).toEqual({ pem: `${authority}${authority}` })
  })
})

describe('a mistake is named, and no secret is shown', () => {
  test.each<[string, Env, RegExp]>([
    [
      'a secret that is no JSON',
      { SOURCE_DATABASE_SECRET: 'hidden-1' },
      /SOURCE_DATABASE_SECRET is not a JSON object.*in ECS `secrets`/,
    ],
    [
      'a secret that is a list',
      { DMS_USER_SECRET: '["hidden-2"]', SOURCE_DATABASE_SECRET: SECRET },
      /DMS_USER_SECRET is not a JSON object/,
    ],
    [
      'half a database',
      { SOURCE_DATABASE_HOST: 'h.example.com' },
      /NAME is not set.*\n.*USER is not set.*\n.*PASSWORD is not set/,
    ],
    [
      'a user of DMS without a database',
      { DMS_USER: 'dms', DMS_USER_PASSWORD: 'hidden-2' },
      /SOURCE_DATABASE_HOST is not set/,
    ],
    [
      'a user of DMS without a password',
      { SOURCE_DATABASE_SECRET: SECRET, DMS_USER: 'dms' },
      /DMS_USER_PASSWORD, or `password`/,
    ],
    [
      'a password that can be spelt in several ways',
      { SOURCE_DATABASE_SECRET: SECRET, DMS_USER: 'dms', DMS_USER_PASSWORD: 'hidden-ž' },
      /printable ASCII/,
    ],
    [
      'a password without a user',
      { SOURCE_DATABASE_SECRET: SECRET, DMS_USER_PASSWORD: 'hidden-2' },
      /DMS_USER is not set/,
    ],
    [
      'the master user as that of DMS',
      { SOURCE_DATABASE_SECRET: SECRET, DMS_USER: 'master', DMS_USER_PASSWORD: 'hidden-2' },
      /DMS_USER is master, who is also the master user/,
    ],
    [
      'a port that is none',
      { SOURCE_DATABASE_SECRET: SECRET.replace('6432', '"x"') },
      /a `port` that is none/,
    ],
    [
      'a file that is missing',
      { SOURCE_DATABASE_SECRET: SECRET, SOURCE_DATABASE_CA: '/none.pem' },
      /SOURCE_DATABASE_CA is \/none\.pem, which cannot be read/,
    ],
    [
      'a certificate without its end',
      { SOURCE_DATABASE_SECRET: SECRET, SOURCE_DATABASE_CA: '-----BEGIN CERTIFICATE-----\nAAAA' },
      /SOURCE_DATABASE_CA holds a certificate without its end/,
    ],
    [
      'a certificate that is none',
      {
        SOURCE_DATABASE_SECRET: SECRET,
        SOURCE_DATABASE_CA: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
      },
      /SOURCE_DATABASE_CA holds what cannot be read/,
    ],
    [
      'a role of STS',
      { OPENSEARCH_BACKEND_ROLE: 'arn:aws:sts::123456789012:assumed-role/task/1' },
      /OPENSEARCH_BACKEND_ROLE is .*expected the ARN of an IAM role/,
    ],
  ])('%s', (_, env, message) => {
    expect(() => settingsOf(env)).toThrow(message)
    expect(() => settingsOf(env)).not.toThrow(/hidden/)
  })
})
