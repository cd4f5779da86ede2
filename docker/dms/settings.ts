/**
 * The table of settings: name, meaning, default. `--help` prints it, and reading the environment follows it.
 *
 * Names are those of the DMS endpoint and task settings, in capitals after `DMS_`; defaults are the values this project's
 * own stack gives to DMS, which are not DMS's own. All mistakes are reported at once.
 */
import type { PartitionMode, RecordSettings } from './records.ts'

export class SettingsError extends Error {
  readonly mistakes: string[]
  constructor(mistakes: string[]) {
    super(mistakes.join('\n'))
    this.mistakes = mistakes
  }
}

export type TaskType = 'full-load-and-cdc' | 'full-load' | 'cdc'

export type Settings = {
  sourceUrl: string
  stream: string
  tables: string[]
  task: string
  taskType: TaskType
  start: 'resume' | 'restart'
  tablePrep: 'drop-and-create' | 'do-nothing'
  includeControlDetails: boolean
  records: RecordSettings
  loadRowsPerFetch: number
  loadSeed: number
  putRecordsMax: number
  pendingBytesMax: number
  recordBytesMax: number
  recordTooLarge: 'stop' | 'drop'
  resendTransactions: number
}

type Kind =
  | { kind: 'text'; pattern?: RegExp; expected?: string }
  | { kind: 'list'; pattern: RegExp; expected: string }
  | { kind: 'choice'; among: string[] }
  | { kind: 'flag' }
  | { kind: 'whole'; from: number; to: number }

type Row = { name: string; default: string | null; help: string } & Kind

const mebibyte = 1024 * 1024
const tableName = /^[^.]+\.[^.].*$/

/** `default: null` means the setting is required. */
const rows = {
  sourceUrl: {
    name: 'DMS_SOURCE_URL',
    kind: 'text',
    pattern: /^postgres(ql)?:\/\//,
    expected: 'a URL such as postgresql://user:password@host:5432/database',
    default: null,
    help: 'The source database. The user needs REPLICATION and may create a schema and publications.',
  },
  stream: { name: 'DMS_STREAM', kind: 'text', default: null, help: 'Name of the Kinesis stream.' },
  tables: {
    name: 'DMS_TABLES',
    kind: 'list',
    pattern: tableName,
    expected: 'names such as public.orders or public.%',
    default: null,
    help: 'Tables to replicate, by comma; % stands for any text.',
  },
  task: {
    name: 'DMS_TASK',
    kind: 'text',
    pattern: /^[a-z0-9_]{1,40}$/,
    expected: '1 to 40 of a-z, 0-9 and _',
    default: 'stand_in',
    help: 'Name of the task; its slot and publication are dms_{task}. Tasks with different names are independent.',
  },
  taskType: {
    name: 'DMS_TASK_TYPE',
    kind: 'choice',
    among: ['full-load-and-cdc', 'full-load', 'cdc'],
    default: 'full-load-and-cdc',
    help: 'A full load alone ends when it is done; the others run until SIGTERM.',
  },
  start: {
    name: 'DMS_START',
    kind: 'choice',
    among: ['resume', 'restart'],
    default: 'resume',
    help: 'resume goes on where the slot stands (or begins); restart makes a new slot and loads again, and changes in between are lost.',
  },
  tablePrep: {
    name: 'DMS_TABLE_PREP',
    kind: 'choice',
    among: ['drop-and-create', 'do-nothing'],
    default: 'drop-and-create',
    help: 'TargetTablePrepMode: whether each start sends drop-table before create-table.',
  },
  messageFormat: {
    name: 'DMS_MESSAGE_FORMAT',
    kind: 'choice',
    among: ['json-unformatted', 'json'],
    default: 'json-unformatted',
    help: 'MessageFormat: one line with a newline at the end, or tabs and line breaks.',
  },
  includeNullAndEmpty: {
    name: 'DMS_INCLUDE_NULL_AND_EMPTY',
    kind: 'flag',
    default: 'true',
    help: 'IncludeNullAndEmpty: off leaves out columns that are NULL or the empty string.',
  },
  includeTransactionDetails: {
    name: 'DMS_INCLUDE_TRANSACTION_DETAILS',
    kind: 'flag',
    default: 'true',
    help: 'IncludeTransactionDetails: record number, previous transaction, commit time, stream position.',
  },
  includePartitionValue: {
    name: 'DMS_INCLUDE_PARTITION_VALUE',
    kind: 'flag',
    default: 'false',
    help: 'IncludePartitionValue: the partition key in the metadata too, except where it is schema.table.',
  },
  partitionIncludeSchemaTable: {
    name: 'DMS_PARTITION_INCLUDE_SCHEMA_TABLE',
    kind: 'flag',
    default: 'false',
    help: 'PartitionIncludeSchemaTable: schema.table. before each primary-key value. It does not choose the kind of key.',
  },
  includeControlDetails: {
    name: 'DMS_INCLUDE_CONTROL_DETAILS',
    kind: 'flag',
    default: 'false',
    help: 'IncludeControlDetails: column definitions in control records. The records themselves always come.',
  },
  beforeImage: {
    name: 'DMS_BEFORE_IMAGE',
    kind: 'flag',
    default: 'true',
    help: 'BeforeImageSettings with ColumnFilter pk-only: updates carry the old key, or {} when it did not change.',
  },
  beforeImageField: {
    name: 'DMS_BEFORE_IMAGE_FIELD',
    kind: 'text',
    default: 'before-image',
    help: 'BeforeImageSettings FieldName.',
  },
  mapBooleanAsBoolean: {
    name: 'DMS_MAP_BOOLEAN_AS_BOOLEAN',
    kind: 'flag',
    default: 'true',
    help: 'MapBooleanAsBoolean: off writes "true"/"false" in loads and "t"/"f" in changes.',
  },
  useLargeIntegerValue: {
    name: 'DMS_USE_LARGE_INTEGER_VALUE',
    kind: 'flag',
    default: 'true',
    help: 'UseLargeIntegerValue: integers up to 18 digits as they are; longer ones, and all when off, go through a double.',
  },
  numeric: {
    name: 'DMS_NUMERIC',
    kind: 'choice',
    among: ['digits', 'double'],
    default: 'digits',
    help: 'NUMERIC up to 38 digits: every digit kept, or through a double. Which one DMS does is not documented.',
  },
  noHexPrefix: {
    name: 'DMS_NO_HEX_PREFIX',
    kind: 'flag',
    default: 'false',
    help: 'NoHexPrefix: bytea without 0x.',
  },
  lobBytesMax: {
    name: 'DMS_LOB_BYTES_MAX',
    kind: 'whole',
    from: 1,
    to: 100 * mebibyte,
    default: String(mebibyte),
    help: 'LobMaxSize, in bytes: longer text, json, arrays and bytea are cut there, even inside a character.',
  },
  partition: {
    name: 'DMS_PARTITION',
    kind: 'choice',
    among: ['dms', 'schema-table', 'primary-key'],
    default: 'dms',
    help: 'dms: loads by primary key, changes by schema.table. The others: an object mapping that sets one kind for both.',
  },
  partitionByKey: {
    name: 'DMS_PARTITION_BY_KEY',
    kind: 'list',
    pattern: tableName,
    expected: 'names such as public.orders',
    default: '',
    help: 'Tables partitioned by primary key for load and change, whatever DMS_PARTITION says.',
  },
  loadRowsPerFetch: {
    name: 'DMS_LOAD_ROWS_PER_FETCH',
    kind: 'whole',
    from: 1,
    to: 10_000,
    default: '200',
    help: 'Rows read at a time in a full load, from up to 8 tables in turn; each portion is shuffled.',
  },
  loadSeed: {
    name: 'DMS_LOAD_SEED',
    kind: 'whole',
    from: 0,
    to: 2 ** 32 - 1,
    default: '1',
    help: 'Seed of that shuffling; the same seed gives the same order.',
  },
  putRecordsMax: {
    name: 'DMS_PUT_RECORDS_MAX',
    kind: 'whole',
    from: 1,
    to: 500,
    default: '500',
    help: 'Records in one PutRecords request.',
  },
  pendingBytesMax: {
    name: 'DMS_PENDING_BYTES_MAX',
    kind: 'whole',
    from: 1,
    to: 1024 * mebibyte,
    default: String(16 * mebibyte),
    help: 'Records waiting for Kinesis, in bytes; at this mark reading from the database pauses.',
  },
  recordBytesMax: {
    name: 'DMS_RECORD_BYTES_MAX',
    kind: 'whole',
    from: 1,
    to: 10 * mebibyte,
    default: String(mebibyte),
    help: "The stream's limit for one record with its key, in bytes.",
  },
  recordTooLarge: {
    name: 'DMS_RECORD_TOO_LARGE',
    kind: 'choice',
    among: ['stop', 'drop'],
    default: 'stop',
    help: 'A record over that limit ends the task (exit code 3), or is left out with a warning. What DMS does is not documented.',
  },
  resendTransactions: {
    name: 'DMS_RESEND_TRANSACTIONS',
    kind: 'whole',
    from: 0,
    to: 100_000,
    default: '0',
    help: 'Fault on request: the last so many transactions stay unconfirmed, and the next start sends them again.',
  },
} satisfies Record<string, Row>

type Name = keyof typeof rows

/** @throws SettingsError with every mistake, names that are not settings among them */
export function readSettings(env: Record<string, string | undefined>): Settings {
  const mistakes: string[] = []
  const known = new Set<string>(Object.values(rows).map(row => row.name))
  for (const name of Object.keys(env)) {
    if (name.startsWith('DMS_') && !known.has(name)) mistakes.push(`${name} is not a setting; see --help`)
  }
  const value = (key: Name): string => {
    const row: Row = rows[key]
    const given = env[row.name]
    const text = given === undefined || given === '' ? row.default : given
    if (text === null) {
      mistakes.push(`${row.name} is missing: ${row.help}`)
      return ''
    }
    const expected = expectation(row, text)
    // The value may hold a password, so it is not repeated for a URL.
    if (expected !== null) {
      mistakes.push(`${row.name} is ${key === 'sourceUrl' ? 'not valid' : `"${text}"`}: expected ${expected}`)
    }
    return text
  }
  const isOn = (key: Name): boolean => value(key) === 'true'
  const whole = (key: Name): number => Number(value(key))
  const list = (key: Name): string[] => items(value(key))

  const beforeImageField = value('beforeImageField')
  const settings: Settings = {
    sourceUrl: value('sourceUrl'),
    stream: value('stream'),
    tables: list('tables'),
    task: value('task'),
    taskType: value('taskType') as TaskType,
    start: value('start') as Settings['start'],
    tablePrep: value('tablePrep') as Settings['tablePrep'],
    includeControlDetails: isOn('includeControlDetails'),
    records: {
      messageFormat: value('messageFormat') as RecordSettings['messageFormat'],
      includeNullAndEmpty: isOn('includeNullAndEmpty'),
      includeTransactionDetails: isOn('includeTransactionDetails'),
      includePartitionValue: isOn('includePartitionValue'),
      partitionIncludeSchemaTable: isOn('partitionIncludeSchemaTable'),
      beforeImageField: isOn('beforeImage') ? beforeImageField : null,
      partition: value('partition') as PartitionMode,
      partitionByKey: new Set(list('partitionByKey')),
      mapBooleanAsBoolean: isOn('mapBooleanAsBoolean'),
      useLargeIntegerValue: isOn('useLargeIntegerValue'),
      numeric: value('numeric') as RecordSettings['numeric'],
      noHexPrefix: isOn('noHexPrefix'),
      lobBytesMax: whole('lobBytesMax'),
    },
    loadRowsPerFetch: whole('loadRowsPerFetch'),
    loadSeed: whole('loadSeed'),
    putRecordsMax: whole('putRecordsMax'),
    pendingBytesMax: whole('pendingBytesMax'),
    recordBytesMax: whole('recordBytesMax'),
    recordTooLarge: value('recordTooLarge') as Settings['recordTooLarge'],
    resendTransactions: whole('resendTransactions'),
  }
  if (mistakes.length > 0) throw new SettingsError(mistakes)
  return settings
}

const items = (text: string): string[] =>
  text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')

/** What was expected, or null when the text is right. */
function expectation(row: Row, text: string): string | null {
  switch (row.kind) {
    case 'text':
      return row.pattern === undefined || row.pattern.test(text) ? null : (row.expected ?? 'another text')
    case 'list':
      return items(text).every(item => row.pattern.test(item)) ? null : row.expected
    case 'choice':
      return row.among.includes(text) ? null : row.among.join(' or ')
    case 'flag':
      return text === 'true' || text === 'false' ? null : 'true or false'
    case 'whole': {
      const isRight = /^\d+$/.test(text) && Number(text) >= row.from && Number(text) <= row.to
      return isRight ? null : `a whole number from ${row.from} to ${row.to}`
    }
    default:
      return row satisfies never
  }
}

export function helpText(): string {
  const width = Math.max(...Object.values(rows).map(row => row.name.length))
  const lines = Object.values(rows).map((row: Row) => {
    const choices = row.kind === 'choice' ? ` (${row.among.join(' | ')})` : ''
    const fallback =
      row.default === null ? 'required' : `default ${row.default === '' ? 'none' : row.default}`
    return `  ${row.name.padEnd(width)}  ${row.help}${choices} [${fallback}]`
  })
  return [
    'A stand-in for AWS DMS: copies PostgreSQL tables to a Kinesis stream in the form DMS writes, first all rows, then changes.',
    '',
    'usage: node docker/dms/main.ts [--help]',
    '',
    'Settings come from the environment. Region, credentials and the Kinesis endpoint (AWS_ENDPOINT_URL_KINESIS) are those of the AWS SDK.',
    '',
    ...lines,
    '',
    'Exit codes: 0 stopped or done, 1 fault in the program, 2 wrong settings, 3 source or stream is missing or refuses.',
    '',
  ].join('\n')
}
