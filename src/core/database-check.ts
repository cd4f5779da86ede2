/**
 * What a source database is like -> what keeps AWS DMS (plug-in `test-decoding`) or the mirror from working on it.
 *
 * An error is what cannot work: the server as a whole, or a table that the table file asks to have mirrored. The same
 * trouble of a table nobody named is a warning: DMS may not select it.
 */
import type { TableRules } from './table.ts'

/** `text` is one line: what was found, and what to do. */
export type Finding = { severity: 'error' | 'warning'; text: string }

export type ServerFacts = {
  version: string
  isReplica: boolean
  /** Aurora and RDS have their own role for replication, and their own names of parameters. */
  isManaged: boolean
  walLevel: string
  slotsMax: number
  sendersMax: number
  senderTimeoutMs: number
  slots: readonly SlotFacts[]
}

export type SlotFacts = {
  name: string
  isActive: boolean
  /** What the slot keeps of the write-ahead log; undefined for one that was never used. */
  retainedBytes: number | undefined
  /** Its log has been removed: nobody can read on from it. */
  isLost: boolean
}

export type ReplicaIdentity = 'default' | 'full' | 'nothing' | 'index'

export type TableFacts = {
  schema: string
  name: string
  owner: string
  columns: readonly string[]
  /** Empty without one. */
  primaryKey: readonly string[]
  /** Other keys no two rows share, of columns without NULL. */
  uniqueKeys: readonly (readonly string[])[]
  replicaIdentity: ReplicaIdentity
  /** Columns a deleted row is known by in the change stream. */
  identityColumns: readonly string[]
  isUnlogged: boolean
  isPartitioned: boolean
  hasRowSecurity: boolean
  /** By the user of DMS; true where there is none yet to ask for. */
  isReadable: boolean
}

const SECOND_MS = 1000
const TIMEOUT_MS_MIN = 10 * SECOND_MS
const TIMEOUT_MS_MAX = 5 * 60 * SECOND_MS
const NAMES_SHOWN = 8

export function serverFindings(server: ServerFacts): Finding[] {
  const { isManaged, slotsMax, sendersMax, senderTimeoutMs: timeoutMs } = server
  const where = isManaged ? 'the cluster parameter group' : 'postgresql.conf'
  const found: (Finding | false)[] = [
    server.isReplica &&
      error(
        'this is a replica: changes can only be read from the writer; name its endpoint (SOURCE_DATABASE_HOST)',
      ),
    server.walLevel !== 'logical' &&
      error(
        `wal_level is ${server.walLevel}, expected logical: set ${isManaged ? 'rds.logical_replication = 1' : 'wal_level = logical'} in ${where} and restart the ${isManaged ? 'writer' : 'server'}`,
      ),
    !hasFreeSlot(server) && {
      // One that is read may be that of our task already, which is then in need of no other.
      severity: server.slots.some(({ isActive }) => isActive) ? 'warning' : 'error',
      text: `all ${slotsMax} replication slots are taken, and a new DMS task needs one: drop those nobody uses, or raise max_replication_slots in ${where} and restart`,
    },
    sendersMax < slotsMax &&
      warning(
        `max_wal_senders is ${sendersMax}, expected at least max_replication_slots (${slotsMax}): set it in ${where} and restart`,
      ),
    timeoutMs > 0 &&
      timeoutMs < TIMEOUT_MS_MIN &&
      error(`wal_sender_timeout is ${timeoutMs} ms, and DMS fails below 10 s: set it to 30000 in ${where}`),
    timeoutMs >= TIMEOUT_MS_MAX &&
      warning(
        `wal_sender_timeout is ${timeoutMs / SECOND_MS} s, expected below 5 min: a failover is noticed that late; set it to 30000 in ${where}`,
      ),
  ]
  return [...found.filter(finding => finding !== false), ...server.slots.flatMap(slotFindings)]
}

export function hasFreeSlot({ slots, slotsMax }: ServerFacts): boolean {
  return slots.length < slotsMax
}

function slotFindings(slot: SlotFacts): Finding[] {
  const drop = `SELECT pg_drop_replication_slot('${slot.name.replaceAll("'", "''")}')`
  if (slot.isLost)
    return [
      warning(
        `replication slot ${slot.name} has lost its log: a DMS task on it cannot go on and has to load anew; ${drop}`,
      ),
    ]
  if (slot.isActive || slot.retainedBytes === undefined) return []
  return [
    warning(
      `replication slot ${slot.name} is read by nobody and keeps ${sizeOf(slot.retainedBytes)} of log, more with every change: start the DMS task it belongs to, or, if there is none any more, ${drop}`,
    ),
  ]
}

function sizeOf(bytes: number): string {
  const mebibytes = bytes / 2 ** 20
  return mebibytes < 1024 ? `${Math.ceil(mebibytes)} MiB` : `${(mebibytes / 1024).toFixed(1)} GiB`
}

/**
 * @param schemas DMS reads
 * @param tables of these schemas
 * @param rulesOf a table, also of one the table file does not name
 * @param named by the table file without a pattern
 * @param reader the user of DMS
 */
export function tableFindings(given: {
  schemas: readonly { name: string; isThere: boolean }[]
  tables: readonly TableFacts[]
  rulesOf: (schema: string, table: string) => TableRules
  named: readonly TableRules[]
  reader: string
}): Finding[] {
  const judged = given.tables
    .map(facts => ({ facts, rules: given.rulesOf(facts.schema, facts.name) }))
    .filter(({ rules }) => rules.mode !== 'skip')
  const present = new Set(given.tables.map(nameOf))
  const schemas = new Set(given.schemas.map(({ name }) => name))
  const absent = given.named
    .filter(rules => rules.mode !== 'skip' && !present.has(rules.name))
    .filter(rules => schemas.has(rules.name.slice(0, rules.name.indexOf('.'))))
    .map(({ name }) => name)

  return [
    ...given.schemas
      .filter(({ isThere }) => !isThere)
      .map(({ name }) => error(`schema ${name} is not in this database: mend SOURCE_SCHEMAS`)),
    ...(absent.length === 0
      ? []
      : [
          warning(
            `not in the database, but in TABLE_FILE: ${listed(absent)}; mend its names, or bootstrap again once they are made`,
          ),
        ]),
    ...judged.flatMap(({ facts, rules }) => keyFindings(facts, rules)),
    ...TABLE_CHECKS.flatMap(({ fits, severity, text }) => {
      const caught = judged.filter(({ facts, rules }) => fits(facts, rules))
      return (['error', 'warning'] as const).flatMap(level => {
        const tables = caught.filter(({ rules }) => (severity ?? severityFor(rules)) === level)
        return tables.length === 0
          ? []
          : [
              {
                severity: level,
                text: text(
                  tables.map(({ facts }) => facts),
                  given.reader,
                ),
              },
            ]
      })
    }),
  ]
}

type TableCheck = {
  fits: (facts: TableFacts, rules: TableRules) => boolean
  /** By default that of a table the mirror cannot follow. */
  severity?: Finding['severity']
  text: (tables: readonly TableFacts[], reader: string) => string
}

const TABLE_CHECKS: readonly TableCheck[] = [
  {
    fits: (facts, { mode }) => facts.primaryKey.length === 0 && !followsChanges(facts, mode),
    text: tables =>
      `no primary key: ${namesOf(tables)}; DMS sends neither their updates and deletes nor their LOB columns: add a key, or give them \`mode: append\` or \`skip\` in TABLE_FILE`,
  },
  {
    fits: (facts, { mode }) => facts.primaryKey.length === 0 && followsChanges(facts, mode),
    severity: 'warning',
    text: tables =>
      `no primary key: ${namesOf(tables)}; DMS leaves out their LOB columns (text, json, arrays)`,
  },
  {
    fits: ({ primaryKey }, { isNamed, key }) => !isNamed && primaryKey.length > 0 && !isSame(primaryKey, key),
    severity: 'warning',
    text: tables =>
      `another primary key than the default \`id\`: ${listed(tables.map(facts => `${nameOf(facts)} (${facts.primaryKey.join(', ')})`))}; give them their \`key\` in TABLE_FILE, or \`mode: skip\``,
  },
  {
    fits: ({ primaryKey, identityColumns }, { mode }) =>
      mode === 'mirror' && primaryKey.some(column => !identityColumns.includes(column)),
    text: tables =>
      `replica identity without the primary key: ${listed(tables.map(facts => `${nameOf(facts)} (${identityText(facts)})`))}; their deletes say not which row: ALTER TABLE ... REPLICA IDENTITY DEFAULT`,
  },
  {
    fits: ({ isUnlogged }) => isUnlogged,
    text: tables =>
      `unlogged: ${namesOf(tables)}; their changes are in no log and never reach DMS: ALTER TABLE ... SET LOGGED, or \`mode: skip\` in TABLE_FILE`,
  },
  {
    fits: ({ isReadable }) => !isReadable,
    severity: 'error',
    text: (tables, reader) =>
      `${reader} may not read ${namesOf(tables)}, and neither may this user grant it, since another owns them (${listed([...new Set(tables.map(({ owner }) => owner))])}): GRANT SELECT ON ... TO ${reader} as the owner, or make this user a member of it and bootstrap again, or \`mode: skip\` in TABLE_FILE`,
  },
  {
    fits: ({ isPartitioned }) => isPartitioned,
    severity: 'warning',
    text: tables =>
      `partitioned: ${namesOf(tables)}; DMS reports rows by the names of their partitions: give these one \`index\` by a pattern in TABLE_FILE`,
  },
  {
    fits: ({ hasRowSecurity }) => hasRowSecurity,
    severity: 'warning',
    text: (tables, reader) =>
      `row level security: ${namesOf(tables)}; a load sees only the rows its policies show to ${reader || 'the user of DMS'}: give it a policy, or BYPASSRLS`,
  },
]

/** Tables the table file names: how the key of their documents fits their own. */
function keyFindings(facts: TableFacts, { key, mode, isNamed }: TableRules): Finding[] {
  if (!isNamed) return []
  const { primaryKey, columns, uniqueKeys, replicaIdentity } = facts
  const severity = severityFor({ isNamed, mode })
  const isUnique = uniqueKeys.some(other => isSame(key, other))
  const missing = key.filter(column => !columns.includes(column))
  const found = `${nameOf(facts)} has \`key: [${key.join(', ')}]\` in TABLE_FILE`
  if (missing.length > 0)
    return [{ severity, text: `${found} and no column ${missing.join(', ')}: mend the key` }]
  if (primaryKey.length === 0) {
    if (isUnique || !followsChanges(facts, mode)) return []
    return [
      {
        severity,
        text: `${found}, of which no unique index over columns without NULL proves that two rows never share it: add one, or name another key`,
      },
    ]
  }
  if (isSame(key, primaryKey)) return []
  const remedy = `the primary key is ${primaryKey.join(', ')}: name that`
  if (isUnique && replicaIdentity === 'full')
    return [warning(`${found}; where it changes in a row, the old document stays; ${remedy}`)]
  return [{ severity, text: `${found}, but DMS names deleted rows by the primary key alone; ${remedy}` }]
}

/** Whether anything comes of a table without a primary key that makes or changes documents by their key. */
function followsChanges({ replicaIdentity }: TableFacts, mode: TableRules['mode']): boolean {
  return replicaIdentity === 'full' || mode === 'append'
}

function severityFor({ isNamed, mode }: Pick<TableRules, 'isNamed' | 'mode'>): Finding['severity'] {
  return isNamed && mode === 'mirror' ? 'error' : 'warning'
}

function identityText({ replicaIdentity, identityColumns }: TableFacts): string {
  if (replicaIdentity === 'index') return `an index of ${identityColumns.join(', ')}`
  return replicaIdentity === 'default' ? 'DEFAULT, but the key is deferrable' : 'NOTHING'
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every(column => other.includes(column))
}

function nameOf({ schema, name }: Pick<TableFacts, 'schema' | 'name'>): string {
  return `${schema}.${name}`
}

function namesOf(tables: readonly TableFacts[]): string {
  return listed(tables.map(nameOf))
}

function listed(names: readonly string[]): string {
  const rest = names.length - NAMES_SHOWN
  return rest > 0 ? `${names.slice(0, NAMES_SHOWN).join(', ')} and ${rest} more` : names.join(', ')
}

const error = (text: string): Finding => ({ severity: 'error', text })
const warning = (text: string): Finding => ({ severity: 'warning', text })
