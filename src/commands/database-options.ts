/** The settings -> how the source database is reached, and whom it is prepared for. For `bootstrap`. */
import type { SourceDatabaseOptions } from '../clients/source-database.ts'
import type { Config } from '../config.ts'
import { ConfigError } from '../errors.ts'
import { authoritiesGiven } from './certificates.ts'

type Named = Pick<
  Config,
  | 'SOURCE_DATABASE_HOST'
  | 'SOURCE_DATABASE_PORT'
  | 'SOURCE_DATABASE_NAME'
  | 'SOURCE_DATABASE_USER'
  | 'SOURCE_DATABASE_PASSWORD'
  | 'SOURCE_DATABASE_SECRET'
  | 'SOURCE_DATABASE_CA'
  | 'DMS_USER'
  | 'DMS_USER_PASSWORD'
  | 'DMS_USER_SECRET'
>

export type DatabaseSettings = {
  database: SourceDatabaseOptions
  /** undefined: the database is only checked. */
  dmsUser: { name: string; password: string } | undefined
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/
const PORT = 5432
/** What SCRAM and the secret of DMS take as it is; other characters are spelt in several ways. */
const PRINTABLE = /^[\x20-\x7e]+$/

/** @returns undefined where no database is named @throws ConfigError that names every mistake, and no secret */
export function databaseSettings(config: Named): DatabaseSettings | undefined {
  const faults: string[] = []
  const master = secretOf('SOURCE_DATABASE_SECRET', config.SOURCE_DATABASE_SECRET, faults)
  const dms = secretOf('DMS_USER_SECRET', config.DMS_USER_SECRET, faults)
  const host = config.SOURCE_DATABASE_HOST || (master.host ?? '')
  const dmsName = config.DMS_USER || (dms.username ?? '')
  const isAsked = [
    config.SOURCE_DATABASE_NAME,
    config.SOURCE_DATABASE_USER,
    config.SOURCE_DATABASE_PASSWORD,
    config.SOURCE_DATABASE_SECRET,
    dmsName,
  ].some(given => given !== '')
  if (host === '' && !isAsked) return undefined

  const needed = (value: string | undefined, setting: string, member: string, what: string): string => {
    if (value === undefined || value === '')
      faults.push(
        `${setting} is not set, and SOURCE_DATABASE_SECRET has no \`${member}\`: expected ${what}; or unset all of SOURCE_DATABASE_ and DMS_USER`,
      )
    return value ?? ''
  }
  needed(host, 'SOURCE_DATABASE_HOST', 'host', 'the endpoint of the writer')
  const database = needed(
    config.SOURCE_DATABASE_NAME || master.dbname,
    'SOURCE_DATABASE_NAME',
    'dbname',
    'the database DMS reads',
  )
  const user = needed(
    config.SOURCE_DATABASE_USER || master.username,
    'SOURCE_DATABASE_USER',
    'username',
    'the master user',
  )
  const password = needed(
    config.SOURCE_DATABASE_PASSWORD || master.password,
    'SOURCE_DATABASE_PASSWORD',
    'password',
    'the password of the master user',
  )
  const port = config.SOURCE_DATABASE_PORT || Number(master.port ?? PORT)
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    faults.push('SOURCE_DATABASE_SECRET has a `port` that is none: expected a whole number from 1 to 65535')

  const dmsPassword = config.DMS_USER_PASSWORD || (dms.password ?? '')
  if (dmsName === '' && (dmsPassword !== '' || config.DMS_USER_SECRET !== ''))
    faults.push(
      'DMS_USER is not set, and DMS_USER_SECRET has no `username`: expected the database user of DMS',
    )
  if (dmsName !== '' && !PRINTABLE.test(dmsPassword))
    faults.push(
      'DMS_USER_PASSWORD, or `password` of DMS_USER_SECRET, is not set or holds other than printable ASCII: expected the password in the secret of the source endpoint of DMS',
    )
  if (dmsName !== '' && dmsName === user)
    faults.push(
      `DMS_USER is ${user}, who is also the master user: expected a user of its own, who may only read`,
    )
  const pem = authoritiesGiven('SOURCE_DATABASE_CA', config.SOURCE_DATABASE_CA, faults)
  if (faults.length > 0) throw new ConfigError(faults.join('\n'))

  const tls = LOOPBACK.test(host) && pem === undefined ? undefined : { ...(pem === undefined ? {} : { pem }) }
  return {
    database: { host, port, database, user, password, tls },
    dmsUser: dmsName === '' ? undefined : { name: dmsName, password: dmsPassword },
  }
}

type Member = 'host' | 'port' | 'dbname' | 'username' | 'password'

/** What JSON.parse says of a mistake quotes the text, so it is not passed on. */
function secretOf(setting: string, text: string, faults: string[]): Partial<Record<Member, string>> {
  if (text === '') return {}
  const secret = parsed(text)
  if (typeof secret !== 'object' || secret === null || Array.isArray(secret)) {
    faults.push(
      `${setting} is not a JSON object: expected {"username": "...", "password": "..."}, the whole value of the secret (in ECS \`secrets\`: its ARN without the name of a key)`,
    )
    return {}
  }
  return Object.fromEntries(
    Object.entries(secret)
      .filter(([, value]) => typeof value === 'string' || typeof value === 'number')
      .map(([member, value]) => [member, String(value)]),
  )
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
