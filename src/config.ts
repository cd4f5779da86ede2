/**
 * The table of settings: the one source of `--help`, README's table and the environment the stack writes.
 *
 * Every setting is an environment variable. All mistakes are reported at once, each with what was found, what was
 * expected and an example.
 */
import { ConfigError } from './errors.ts'

type Row<Value> = {
  /** What it does and, for a limit, what happens at it. */
  help: string
  unit?: string
  /** undefined: must be given. */
  default: Value | undefined
  read: (text: string) => Value | { fault: string }
}

const text = (fallback: string | undefined, help: string): Row<string> => ({
  help,
  default: fallback,
  read: value => value,
})

function shaped(fallback: string, shape: RegExp, expected: string, help: string): Row<string> {
  return { help, default: fallback, read: value => (shape.test(value) ? value : { fault: expected }) }
}

function url(fallback: string | undefined, help: string): Row<string> {
  return {
    help,
    default: fallback,
    read: value => {
      if (!URL.canParse(value)) return { fault: 'a URL with its scheme, such as https://search.example.com' }
      const { protocol, hostname, username, password } = new URL(value)
      if (username !== '' || password !== '') return { fault: 'a URL without user and password' }
      if (protocol === 'https:') return value
      const isLocal = ['localhost', '127.0.0.1', '[::1]'].includes(hostname) || !hostname.includes('.')
      // Plain HTTP would carry rows and passwords in the clear; a compose network's bare host names never leave the machine.
      return protocol === 'http:' && isLocal
        ? value
        : { fault: 'https:// (http:// only to this machine or a bare host name)' }
    },
  }
}

function whole(
  fallback: number,
  unit: string,
  range: { min: number; max: number },
  help: string,
): Row<number> {
  return {
    help,
    unit,
    default: fallback,
    read: value => {
      const number = /^\d+$/.test(value) ? Number(value) : Number.NaN
      return number >= range.min && number <= range.max
        ? number
        : { fault: `a whole number from ${range.min} to ${range.max}` }
    },
  }
}

function oneOf<const Word extends string>(words: readonly Word[], fallback: Word, help: string): Row<Word> {
  return {
    help,
    default: fallback,
    read: value => words.find(word => word === value) ?? { fault: `one of ${words.join(', ')}` },
  }
}

function list(fallback: string, help: string): Row<string[]> {
  const read = (value: string) =>
    value
      .split(',')
      .map(part => part.trim())
      .filter(part => part !== '')
  return {
    help,
    default: read(fallback),
    read: value => (read(value).length > 0 ? read(value) : { fault: 'at least one name' }),
  }
}

export const settings = {
  STREAM_NAME: text(undefined, 'Kinesis stream that AWS DMS writes to.'),
  LEASE_TABLE: text(
    undefined,
    'DynamoDB table of the leases (hash key leaseKey, a string), one table an application.',
  ),
  DEAD_LETTER_QUEUE_URL: url(undefined, 'SQS queue for records that can never be indexed.'),
  OPENSEARCH_URL: url(undefined, 'OpenSearch, such as https://search.example.com.'),
  OPENSEARCH_AUTH: oneOf(
    ['auto', 'none', 'basic', 'sigv4'],
    'auto',
    'Who to be to OpenSearch: nobody, a user, or the AWS role of this process. `auto`: `basic` with a user, else `sigv4` for a host of AWS, else `none`.',
  ),
  OPENSEARCH_USERNAME: text('', 'User for basic authentication.'),
  OPENSEARCH_PASSWORD: text('', 'Its password. Never logged.'),
  OPENSEARCH_AWS_SERVICE: oneOf(
    ['auto', 'es', 'aoss'],
    'auto',
    'What signatures are for: `es`, a managed domain, or `aoss`, a serverless collection. `auto`: by the host, else `es`.',
  ),
  AWS_REGION: text(
    '',
    "The AWS SDK's own; signatures for OpenSearch take it where the host of OPENSEARCH_URL names no region.",
  ),
  OPENSEARCH_CA_FILE: text(
    '',
    "PEM file of the certificate authorities to trust in place of the system's. Certificates are always verified.",
  ),
  OPENSEARCH_COMPRESSION: oneOf(
    ['auto', 'gzip', 'none'],
    'auto',
    'Of requests and answers. `auto`: `gzip`, but `none` to this machine.',
  ),
  OPENSEARCH_BACKEND_ROLE: shaped(
    '',
    /^(?!arn:)\S.*$|^arn:aws[a-z-]*:iam::\d{12}:role\/\S+$/,
    'the ARN of an IAM role, such as arn:aws:iam::123456789012:role/cdc-task (not one of STS)',
    'What `run` is to fine-grained access control, as a rule the ARN of its task role: `bootstrap` makes a role with what `run` needs and maps it. Empty: it does not.',
  ),
  TABLE_FILE: text(
    '',
    'YAML or JSON file with key, index, column types and more of each table (`--print-schema`). Without it: key `id`, index `{schema}_{table}`, values as they came. Or the file itself, as `data:application/gzip;base64,...`.',
  ),
  INDEX_PATTERNS: list(
    'public_*',
    'Index names the template covers, comma-separated; a table whose index fits none is held.',
  ),
  INDEX_SHARDS: whole(1, '', { min: 1, max: 1024 }, 'Primary shards of a new index.'),
  INDEX_REPLICAS: whole(1, '', { min: 0, max: 20 }, 'Replicas of a new index.'),
  ON_UNKNOWN_TABLE: oneOf(
    ['hold', 'dead-letter', 'skip'],
    'hold',
    'What to do with a row without the default key of a table the table file does not name: stop the shard, dead-letter, or skip.',
  ),
  BEFORE_IMAGE: text(
    'before-image',
    'Member of a record that holds the before-image: FieldName of the BeforeImageSettings of DMS.',
  ),
  BEFORE_IMAGE_PREFIX: text(
    'BI_',
    'What `add-before-image-columns` of DMS puts before the names of columns; such columns are not written. Empty: none.',
  ),
  SOURCE_DATABASE_HOST: text(
    '',
    'Writer of the source database, which `bootstrap` checks and prepares for DMS. Empty, also in SOURCE_DATABASE_SECRET: it does not. Always TLS with a verified certificate, but to this machine without SOURCE_DATABASE_CA.',
  ),
  SOURCE_DATABASE_PORT: whole(
    0,
    '',
    { min: 0, max: 65_535 },
    'Its port; 0: that of SOURCE_DATABASE_SECRET, else 5432.',
  ),
  SOURCE_DATABASE_NAME: text('', 'The database in it that DMS reads.'),
  SOURCE_DATABASE_USER: text(
    '',
    'User who may create roles and grant what DMS needs: the master user of Aurora.',
  ),
  SOURCE_DATABASE_PASSWORD: text('', 'Its password. Never logged.'),
  SOURCE_DATABASE_SECRET: text(
    '',
    'JSON of a secret with `host`, `port`, `dbname`, `username` and `password`, as Secrets Manager has it; the five settings above come before its members. Never logged.',
  ),
  SOURCE_DATABASE_CA: text(
    '',
    "PEM of the certificate authorities to trust in place of the system's, or the file it is in. Aurora needs the bundle of its region here, or in NODE_EXTRA_CA_CERTS.",
  ),
  SOURCE_SCHEMAS: list('public', 'Schemas whose tables DMS reads, comma-separated.'),
  DMS_USER: text(
    '',
    'Database user of DMS, which `bootstrap` creates or updates. Empty, also in DMS_USER_SECRET: it only checks.',
  ),
  DMS_USER_PASSWORD: text('', 'Its password. Never logged, and not sent to the database in the clear.'),
  DMS_USER_SECRET: text(
    '',
    'JSON of a secret with its `username` and `password`; the two settings above come before. Never logged.',
  ),
  DMS_HEARTBEAT_SCHEMA: text(
    'dms_heartbeat',
    'Schema made for the table of the heartbeat of DMS: HeartbeatSchema of its source endpoint.',
  ),
  INITIAL_POSITION: oneOf(
    ['TRIM_HORIZON', 'LATEST'],
    'TRIM_HORIZON',
    'Where reading begins on an empty lease table. LATEST loses what arrives before the first lease.',
  ),
  WORKER_ID: text(
    '',
    'Name of this worker in the lease table; empty: host name and a random part, unique a process.',
  ),
  LEASE_MS: whole(
    10_000,
    'ms',
    { min: 1000, max: 600_000 },
    'How long a lease lasts without renewal; a crashed worker is replaced after this.',
  ),
  HANDOFF_MS: whole(
    30_000,
    'ms',
    { min: 1000, max: 600_000 },
    'How long an owner may take to hand a lease over before the next one takes it all the same.',
  ),
  MAX_LEASES: whole(10_000, 'leases', { min: 1, max: 1_000_000 }, 'Leases this worker holds at the most.'),
  SCAN_UNITS_MAX: whole(
    500,
    'read units/s',
    { min: 1, max: 40_000 },
    'What the looks of all workers at the lease table may cost; beyond it they look less often than every second.',
  ),
  SHARD_SYNC_MS: whole(
    60_000,
    'ms',
    { min: 1000, max: 3_600_000 },
    'How often the list of shards is compared with the leases.',
  ),
  ON_TRIMMED: oneOf(
    ['hold', 'continue'],
    'hold',
    'What to do when retention has passed a checkpoint, so that records may be missing: hold the shard, or go on with what is left.',
  ),
  ON_UNKNOWN_ANSWER: oneOf(
    ['hold', 'dead-letter'],
    'hold',
    'What to do with a document that OpenSearch answers in a way this version does not know, after UNKNOWN_ANSWER_MS: hold the shard, or send a dead letter.',
  ),
  UNKNOWN_ANSWER_MS: whole(
    300_000,
    'ms',
    { min: 0, max: 86_400_000 },
    'How long such an answer is met by trying again.',
  ),
  STALL_MS: whole(
    300_000,
    'ms',
    { min: 1000, max: 86_400_000 },
    'A shard of which no read has succeeded for this long is left to another worker.',
  ),
  POLL_MS: whole(
    250,
    'ms',
    { min: 200, max: 60_000 },
    'Pause between reads of a shard that is caught up; Kinesis allows 5 reads a second a shard.',
  ),
  GET_RECORDS_LIMIT: whole(
    10_000,
    'records',
    { min: 1, max: 10_000 },
    'Records a read asks for. 1000 on the local emulator, which blocks on more.',
  ),
  GET_RECORDS_DECODER: oneOf(
    ['bytes', 'sdk'],
    'bytes',
    'Who decodes the answers of GetRecords: `bytes`: this service, straight from the bytes; `sdk`: the AWS SDK, at twice the CPU a read.',
  ),
  READ_BUDGET_BYTES: whole(
    100_663_296,
    'bytes',
    { min: 10_485_760, max: 68_719_476_736 },
    'Memory of what is read and not yet written, of all shards; beyond it shards wait their turn to read.',
  ),
  PARKED_BYTES_MAX: whole(
    67_108_864,
    'bytes',
    { min: 1_048_576, max: 68_719_476_736 },
    'Records parked because OpenSearch cannot write to their index, of all shards; beyond it their shards stop reading.',
  ),
  CHECKPOINT_MS: whole(
    1000,
    'ms',
    { min: 0, max: 600_000 },
    'Least time between two checkpoints of a shard under load.',
  ),
  BULK_BYTES_MAX: whole(
    5_000_000,
    'bytes',
    { min: 1000, max: 104_857_600 },
    'Size of a bulk request; a single larger document goes alone.',
  ),
  BULK_ACTIONS_MAX: whole(5000, 'actions', { min: 1, max: 100_000 }, 'Actions in a bulk request.'),
  BULK_IN_FLIGHT_MAX: whole(
    8,
    'requests',
    { min: 1, max: 200 },
    'Bulk requests of this worker under way at once, at most; down to 4 while OpenSearch answers slowly or refuses.',
  ),
  BULK_TIMEOUT_MS: whole(
    30_000,
    'ms',
    { min: 100, max: 600_000 },
    'After this without an answer the socket is destroyed and the actions are sent again.',
  ),
  KEPT_MAX: whole(
    200,
    'updates',
    { min: 1, max: 10_000 },
    'Updates with `keepOnNull` columns a shard has in hand at once; their documents are read in one request.',
  ),
  RECORD_BYTES_MAX: whole(
    10_485_760,
    'bytes',
    { min: 1024, max: 10_485_760 },
    'A larger record is dead-lettered.',
  ),
  LETTERS_MAX: whole(
    1000,
    'letters/min',
    { min: 1, max: 1_000_000 },
    'Dead letters of a shard in a minute; more hold it, so that a mistake does not empty the stream into the queue.',
  ),
  LETTER_SHARE_MAX: whole(
    5,
    '%',
    { min: 1, max: 100 },
    'Dead letters among the records of a shard in a minute, once there are 100; more hold it. 100: no limit.',
  ),
  RETRY_FIRST_MS: whole(
    100,
    'ms',
    { min: 1, max: 60_000 },
    'Ceiling of the first wait after a failure; it doubles, with full jitter.',
  ),
  RETRY_MAX_MS: whole(
    30_000,
    'ms',
    { min: 1, max: 600_000 },
    'Highest ceiling of a wait. The number of attempts is not limited.',
  ),
  HELD_RETRY_MS: whole(30_000, 'ms', { min: 100, max: 3_600_000 }, 'How often a held shard is tried again.'),
  DRAIN_MS: whole(
    25_000,
    'ms',
    { min: 0, max: 110_000 },
    'After SIGTERM: time to finish what is in flight. Below the 30 s of compose and the 120 s of Fargate.',
  ),
  HTTP_HOST: text('127.0.0.1', 'Address of /health and /metrics; 0.0.0.0 in a container.'),
  HTTP_PORT: whole(8080, '', { min: 0, max: 65_535 }, 'Its port; 0: any free one, which the log names.'),
  EMF_NAMESPACE: shaped(
    '',
    /^(?!AWS\/|:)[A-Za-z0-9._/#: -]{1,255}$/,
    'up to 255 of letters, digits, space and . _ - / # :, not beginning with AWS/ or :',
    'Namespace of CloudWatch metrics for alarms, as a line of Embedded Metric Format a minute in the log: lag, checkpoint age, shards held, leases, and what has happened since the last. Empty: no such lines.',
  ),
  LOG_LEVEL: oneOf(
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal'],
    'info',
    'Least severe log line that is written.',
  ),
}

type Settings = typeof settings
export type SettingName = keyof Settings
export type Config = { [Name in SettingName]: Settings[Name] extends Row<infer Value> ? Value : never }

/**
 * @param names of the settings that are read; all by default
 * @throws ConfigError that names every mistake
 */
export function readConfig<Name extends SettingName = SettingName>(
  env: Readonly<Record<string, string | undefined>>,
  names: readonly Name[] = Object.keys(settings) as Name[],
): Pick<Config, Name> {
  const faults: string[] = []
  const entries = names.map(name => {
    const row: Row<unknown> = settings[name]
    const given = env[name]
    if (given === undefined || given === '') {
      if (row.default === undefined) faults.push(`${name} is not set. ${row.help}`)
      return [name, row.default]
    }
    const value = row.read(given)
    if (typeof value === 'object' && value !== null && 'fault' in value) {
      const shown = JSON.stringify(given.replace(/\/\/[^/]*@/, '//***@'))
      faults.push(`${name} is ${shown}: expected ${value.fault}. ${row.help}`)
    }
    return [name, value]
  })
  if (faults.length > 0) throw new ConfigError(faults.join('\n'))
  return Object.fromEntries(entries) as Pick<Config, Name>
}

function shownDefault(row: Row<unknown>): string {
  if (row.default === undefined) return 'required'
  const value = Array.isArray(row.default) ? row.default.join(',') : String(row.default)
  return value === '' ? 'none' : value
}

/** The rows of README's table; a test holds README to it. */
export function settingsTable(): string {
  const rows = Object.entries(settings).map(([name, row]) => {
    const unit = row.unit ? ` ${row.unit}` : ''
    return `| \`${name}\` | ${row.help} | ${shownDefault(row)}${row.default === undefined ? '' : unit} |`
  })
  return ['| setting | meaning | default |', '| --- | --- | --- |', ...rows].join('\n')
}

/** The same for a terminal. */
export function settingsHelp(): string {
  return Object.entries(settings)
    .map(
      ([name, row]) =>
        `  ${name}  (${shownDefault(row)}${row.default !== undefined && row.unit ? ` ${row.unit}` : ''})\n      ${row.help}`,
    )
    .join('\n')
}
