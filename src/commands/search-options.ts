/** The settings -> how OpenSearch is reached: who we are to it, whom we trust, whether to compress. For `run` and `bootstrap`. */
import type { Logger } from 'pino'
import type { OpenSearchOptions } from '../clients/opensearch.ts'
import type { Authentication } from '../clients/opensearch-auth.ts'
import type { RequestFailure } from '../clients/opensearch-exchange.ts'
import type { Config } from '../config.ts'
import { ConfigError } from '../errors.ts'
import { authoritiesInFile } from './certificates.ts'

type Named = Pick<
  Config,
  | 'OPENSEARCH_URL'
  | 'OPENSEARCH_AUTH'
  | 'OPENSEARCH_USERNAME'
  | 'OPENSEARCH_PASSWORD'
  | 'OPENSEARCH_AWS_SERVICE'
  | 'AWS_REGION'
  | 'OPENSEARCH_CA_FILE'
  | 'OPENSEARCH_COMPRESSION'
>

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/
/** `search-name-id.eu-central-1.es.amazonaws.com`, `id.eu-central-1.aoss.amazonaws.com`; in China with `.cn`. */
const AWS_HOST = /\.(?<region>[a-z0-9-]+)\.(?<service>es|aoss)\.amazonaws\.com(?:\.cn)?$/
/** Domains with an address of both kinds: `search-name-id.aos.eu-central-1.on.aws`. */
const DUAL_STACK_HOST = /\.aos\.(?<region>[a-z0-9-]+)\.on\.aws$/

/** @throws ConfigError that names every mistake in the settings of OpenSearch taken together */
export function searchOptions(config: Named, log: Logger): OpenSearchOptions {
  const faults: string[] = []
  const authentication = authenticationOf(config, faults)
  const file = config.OPENSEARCH_CA_FILE
  const pem = authoritiesInFile('OPENSEARCH_CA_FILE', file, faults)
  if (faults.length > 0) throw new ConfigError(faults.join('\n'))
  const compression =
    config.OPENSEARCH_COMPRESSION === 'auto'
      ? LOOPBACK.test(new URL(config.OPENSEARCH_URL).hostname)
        ? 'none'
        : 'gzip'
      : config.OPENSEARCH_COMPRESSION
  return {
    url: config.OPENSEARCH_URL,
    authentication,
    compression,
    ...(pem === undefined ? {} : { authorities: { pem, file } }),
    onFailure: failure => logFailure(log, failure),
  }
}

/** What somebody has to mend is worth a warning; the rest is retried and counted in the metrics. */
function logFailure(log: Logger, failure: RequestFailure): void {
  const level = failure.reason === 'credentials' || failure.reason === 'certificate' ? 'warn' : 'debug'
  log[level](failure, 'request to OpenSearch failed')
}

function authenticationOf(config: Named, faults: string[]): Authentication {
  const { OPENSEARCH_USERNAME: username, OPENSEARCH_PASSWORD: password } = config
  const { hostname } = new URL(config.OPENSEARCH_URL)
  const host = (AWS_HOST.exec(hostname) ?? DUAL_STACK_HOST.exec(hostname))?.groups
  const kind =
    config.OPENSEARCH_AUTH !== 'auto'
      ? config.OPENSEARCH_AUTH
      : username !== '' || password !== ''
        ? 'basic'
        : host
          ? 'sigv4'
          : 'none'

  if (kind === 'basic') {
    if (username === '') faults.push('OPENSEARCH_USERNAME is not set: expected the user to sign in as')
    if (password === '') faults.push('OPENSEARCH_PASSWORD is not set: expected the password of the user')
    return { kind, username, password }
  }
  if (username !== '' || password !== '') {
    faults.push(
      `OPENSEARCH_AUTH is "${kind}" and a user or password is given: expected one or the other; unset OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD, or OPENSEARCH_AUTH`,
    )
  }
  if (kind === 'none') return { kind }
  // The host's comes first: a signature for another region is refused.
  const region = host?.region ?? config.AWS_REGION
  if (region === '') {
    faults.push(
      `AWS_REGION is not set: expected the region of OpenSearch, such as eu-central-1, since ${hostname} names none`,
    )
  }
  const named = host?.service === 'aoss' ? 'aoss' : 'es'
  const service = config.OPENSEARCH_AWS_SERVICE === 'auto' ? named : config.OPENSEARCH_AWS_SERVICE
  return { kind, service, region }
}
