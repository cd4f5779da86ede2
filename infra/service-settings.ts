/**
 * Every setting of the service, and where its value comes from in AWS. The compiler holds this to src/config.ts: a setting
 * that is renamed, or a new one nobody has decided about, fails the type check.
 */
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import type { SettingName } from '../src/config.ts'
import { ConfigError } from '../src/errors.ts'
import { METRIC_NAMESPACE } from './names.ts'
import { METRICS_PORT } from './security-groups.ts'

export type Known = {
  region: string
  streamName: string
  leaseTable: string
  deadLetterQueueUrl: string
  searchEndpoint: string
  /** As `inlineTableFile` returns it. */
  tableFile: string
}

/** What only `bootstrap` is told. */
export type KnownToBootstrap = {
  /** Of the role `run` comes with. */
  taskRoleArn: string
  databaseHost: string
  databasePort: number
  databaseName: string
  /** PEM. */
  databaseAuthorities: string
  schemas: readonly string[]
}

type Source =
  /** The stack knows it. */
  | ((known: Known) => string)
  /** The same, for `bootstrap` alone. */
  | { bootstrap: (known: KnownToBootstrap) => string }
  /** Put into the container of `bootstrap` by ECS, out of Secrets Manager. */
  | 'secret'
  /** `service.settings` of the environment, or the service's own default. */
  | 'tunable'
  /** Left at the default; the reason stands beside it. */
  | 'left'

const SOURCES = {
  STREAM_NAME: known => known.streamName,
  LEASE_TABLE: known => known.leaseTable,
  DEAD_LETTER_QUEUE_URL: known => known.deadLetterQueueUrl,
  OPENSEARCH_URL: known => `https://${known.searchEndpoint}`,
  OPENSEARCH_AUTH: () => 'sigv4',
  OPENSEARCH_AWS_SERVICE: () => 'es',
  AWS_REGION: known => known.region,
  TABLE_FILE: known => known.tableFile,
  EMF_NAMESPACE: () => METRIC_NAMESPACE,
  HTTP_HOST: () => '0.0.0.0',
  HTTP_PORT: () => String(METRICS_PORT),
  OPENSEARCH_BACKEND_ROLE: { bootstrap: known => known.taskRoleArn },
  SOURCE_DATABASE_HOST: { bootstrap: known => known.databaseHost },
  SOURCE_DATABASE_PORT: { bootstrap: known => String(known.databasePort) },
  SOURCE_DATABASE_NAME: { bootstrap: known => known.databaseName },
  SOURCE_DATABASE_CA: { bootstrap: known => known.databaseAuthorities },
  SOURCE_SCHEMAS: { bootstrap: known => known.schemas.join(',') },
  SOURCE_DATABASE_SECRET: 'secret',
  DMS_USER_SECRET: 'secret',
  // Members of the two secrets.
  SOURCE_DATABASE_USER: 'left',
  SOURCE_DATABASE_PASSWORD: 'left',
  DMS_USER: 'left',
  DMS_USER_PASSWORD: 'left',
  // The source endpoint takes its name for the schema from here.
  DMS_HEARTBEAT_SCHEMA: 'left',
  // The role signs: no user, no password anywhere.
  OPENSEARCH_USERNAME: 'left',
  OPENSEARCH_PASSWORD: 'left',
  // A domain's certificate is signed by a public authority.
  OPENSEARCH_CA_FILE: 'left',
  OPENSEARCH_COMPRESSION: 'left',
  // Host name and chance: unique a task.
  WORKER_ID: 'left',
  // The DMS task takes its name for the before-image from these two.
  BEFORE_IMAGE: 'left',
  BEFORE_IMAGE_PREFIX: 'left',
  INDEX_PATTERNS: 'tunable',
  INDEX_SHARDS: 'tunable',
  INDEX_REPLICAS: 'tunable',
  ON_UNKNOWN_TABLE: 'tunable',
  INITIAL_POSITION: 'tunable',
  LEASE_MS: 'tunable',
  HANDOFF_MS: 'tunable',
  MAX_LEASES: 'tunable',
  SCAN_UNITS_MAX: 'tunable',
  SHARD_SYNC_MS: 'tunable',
  ON_TRIMMED: 'tunable',
  STALL_MS: 'tunable',
  POLL_MS: 'tunable',
  GET_RECORDS_LIMIT: 'tunable',
  GET_RECORDS_DECODER: 'tunable',
  READ_BUDGET_BYTES: 'tunable',
  PARKED_BYTES_MAX: 'tunable',
  ON_UNKNOWN_ANSWER: 'tunable',
  UNKNOWN_ANSWER_MS: 'tunable',
  CHECKPOINT_MS: 'tunable',
  BULK_BYTES_MAX: 'tunable',
  BULK_ACTIONS_MAX: 'tunable',
  BULK_IN_FLIGHT_MAX: 'tunable',
  BULK_TIMEOUT_MS: 'tunable',
  KEPT_MAX: 'tunable',
  RECORD_BYTES_MAX: 'tunable',
  LETTERS_MAX: 'tunable',
  LETTER_SHARE_MAX: 'tunable',
  RETRY_FIRST_MS: 'tunable',
  RETRY_MAX_MS: 'tunable',
  HELD_RETRY_MS: 'tunable',
  DRAIN_MS: 'tunable',
  LOG_LEVEL: 'tunable',
} as const satisfies Record<SettingName, Source>

export type TunableSetting = {
  [Name in SettingName]: (typeof SOURCES)[Name] extends 'tunable' ? Name : never
}[SettingName]

/** The environment of a container, for `run`. */
export function serviceSettings(
  known: Known,
  tuned: Partial<Record<TunableSetting, string>>,
): Record<string, string> {
  const given = Object.entries<Source>(SOURCES).flatMap(([name, source]) =>
    typeof source === 'function' ? [[name, source(known)] as const] : [],
  )
  return { ...Object.fromEntries(given), ...tuned }
}

export type SecretSetting = {
  [Name in SettingName]: (typeof SOURCES)[Name] extends 'secret' ? Name : never
}[SettingName]

/** The same for `bootstrap`, which has to agree with `run` about the indices. */
export function bootstrapSettings(
  known: Known,
  more: KnownToBootstrap,
  tuned: Partial<Record<TunableSetting, string>>,
): Record<string, string> {
  const given = Object.entries<Source>(SOURCES).flatMap(([name, source]) =>
    typeof source === 'object' ? [[name, source.bootstrap(more)] as const] : [],
  )
  return { ...serviceSettings(known, tuned), ...Object.fromEntries(given) }
}

/** Of 64 KiB that a task definition may have, for all of it. */
const INLINE_BYTES_MAX = 40_000

/**
 * The table file as a value of TABLE_FILE. So it is part of the task definition: a change of it is a rollout like one of the
 * image, the circuit breaker rolls both back together, and no task depends on a bucket or a parameter to start.
 *
 * @throws ConfigError when it is too long for that
 */
export function inlineTableFile(path: string): string {
  const zipped = gzipSync(readFileSync(path), { level: 9 })
  // Byte 9 names the operating system that zipped it: the template must not depend on whose machine that was.
  zipped[9] = 255
  const value = `data:application/gzip;base64,${zipped.toString('base64')}`
  if (value.length > INLINE_BYTES_MAX)
    throw new ConfigError(
      `${path} takes ${value.length} bytes, zipped: a task definition has room for ${INLINE_BYTES_MAX}; one pattern can stand for many tables`,
    )
  return value
}
