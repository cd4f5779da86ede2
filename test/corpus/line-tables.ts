/** What a line of a corpus says of its tables -> the text of a table file and all else a decision needs. */
import { typeNamed } from '../../src/core/column.ts'
import type { DecideContext } from '../../src/core/document.ts'
import { LAST_HASH_KEY } from '../../src/core/shard.ts'
import { defaultIndex, indexNameFault } from '../../src/core/table.ts'
import { noTableFile, parseTableFile } from '../../src/table-file.ts'
import { decideContext } from '../../src/tables.ts'
import { type CorpusLine, type CorpusRecord, isObject } from './line.ts'

type Json = Record<string, unknown>

/** A record as far as it can be read, by a parser that is not the service's. Every member is undefined when it cannot. */
export type Seen = {
  schema: string | undefined
  table: string | undefined
  operation: string | undefined
  partitionKeyType: string | undefined
  partitionKeyValue: string | undefined
  data: Json | undefined
}

const UNSEEN: Seen = {
  schema: undefined,
  table: undefined,
  operation: undefined,
  partitionKeyType: undefined,
  partitionKeyValue: undefined,
  data: undefined,
}

const SEEN_BYTES_MAX = 2_000_000

export function seen({ data }: CorpusRecord): Seen {
  // Ten megabytes of brackets are not worth a parse; a table of such a record has nothing in its file that matters.
  if (data.length > SEEN_BYTES_MAX) return UNSEEN
  try {
    const record: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data))
    if (!isObject(record) || !isObject(record.metadata)) return UNSEEN
    const { metadata } = record
    const text = (name: string) => (typeof metadata[name] === 'string' ? metadata[name] : undefined)
    return {
      schema: text('schema-name'),
      table: text('table-name'),
      operation: text('operation'),
      partitionKeyType: text('partition-key-type'),
      partitionKeyValue: text('partition-key-value'),
      data: isObject(record.data) ? record.data : undefined,
    }
  } catch {
    return UNSEEN
  }
}

export type KeptColumns = 'none' | 'all' | 'absent-in-updates'

/**
 * The table file of a line, JSON being YAML. Every table of its records gets the line's key and types; one with `pk: null`
 * is not named. A type this service does not know is that of an enum, a domain or a composite: text, as `introspect` has it.
 * Names no index can have are left out: the file would be refused, and the record is what is asked about.
 *
 * @returns undefined when it names no table
 */
export function tableFileText(line: CorpusLine, kept: KeptColumns): string | undefined {
  const { pk, types } = line.table
  if (pk === null) return undefined
  const columns = Object.fromEntries(Object.entries(types).map(([column, type]) => [column, knownType(type)]))
  const records = line.records.map(seen)
  const tables = new Map<string, Json>()
  for (const { schema, table } of records) {
    if (schema === undefined || table === undefined || table.startsWith('awsdms_')) continue
    const name = `${schema}.${table}`
    if (indexNameFault(defaultIndex(schema, table)) || tables.has(name)) continue
    const own = records.filter(record => record.schema === schema && record.table === table)
    const changes = own.filter(({ operation }) => operation !== 'load')
    const isByKey = changes.some(({ partitionKeyType }) => partitionKeyType === 'primary-key')
    const keepOnNull = keptColumns(kept, own, Object.keys(types)).filter(column => !pk.includes(column))
    tables.set(name, {
      key: pk,
      columns,
      ...(isByKey ? { partition: 'key' } : {}),
      ...(keepOnNull.length > 0 ? { keepOnNull } : {}),
    })
  }
  return tables.size === 0 ? undefined : JSON.stringify({ tables: Object.fromEntries(tables) }, null, 2)
}

function knownType(type: string): string {
  if (typeNamed(type) !== undefined) return type
  return /\[\d*\]\s*$/.test(type) ? 'text[]' : 'text'
}

/** In a sequence an update that lacks a column which another record has is one that says nothing of it. */
function keptColumns(kept: KeptColumns, records: readonly Seen[], typed: readonly string[]): string[] {
  if (kept === 'none') return []
  const rows = records.flatMap(({ data }) => (data ? [data] : []))
  const columns = [...new Set([...rows.flatMap(row => Object.keys(row)), ...typed])].filter(
    name => name !== '',
  )
  if (kept === 'all') return columns
  const updates = records.flatMap(({ operation, data }) => (operation === 'update' && data ? [data] : []))
  return columns.filter(column => updates.some(row => !Object.hasOwn(row, column)))
}

/** @throws ConfigError when the service would refuse the table file */
export function contextOf(line: CorpusLine, kept: KeptColumns): DecideContext {
  const text = tableFileText(line, kept)
  return {
    ...decideContext({
      file: text === undefined ? noTableFile : parseTableFile(text, `table file of ${line.name}`),
      indexPatterns: ['*'],
      onUnknownTable: 'dead-letter',
      beforeImage: beforeImageOf(line),
      beforeImagePrefix: beforeImagePrefixOf(line),
    }),
    range: { start: 0n, end: LAST_HASH_KEY },
  }
}

/** The member that holds the before-image, where the line's settings name another than DMS's own default. */
export function beforeImageOf({ settings }: CorpusLine): string {
  const given = settings.BeforeImageSettings ?? settings.BeforeImage
  const name = isObject(given) ? given.FieldName : undefined
  return typeof name === 'string' && name !== '' ? name : 'before-image'
}

function beforeImagePrefixOf({ settings }: CorpusLine): string {
  const given = settings['add-before-image-columns']
  const prefix = isObject(given) ? (given['column-prefix'] ?? given.prefix) : undefined
  return typeof prefix === 'string' ? prefix : 'BI_'
}

/** The record's own partition key, where the line has it or it can be told. */
export function partitionKeyOf(record: CorpusRecord, line: CorpusLine): string {
  const { schema, table, partitionKeyType, partitionKeyValue, data } = seen(record)
  if (record.partitionKey !== undefined) return record.partitionKey
  if (partitionKeyValue !== undefined) return partitionKeyValue
  if (partitionKeyType !== 'primary-key') return `${schema}.${table}`
  const key = (line.table.pk ?? ['id']).map(column => String(data?.[column]))
  const prefix = line.settings.PartitionIncludeSchemaTable === true ? [schema, table] : []
  return [...prefix, ...key].join('.')
}
