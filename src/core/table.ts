/** What is known of a source table: its key, its index, how DMS partitions it, what becomes of its columns. */
import type { Column } from './column.ts'

export type Partition = 'table' | 'key'

/** `mirror`: the document follows the row. `append`: rows are only ever added. `skip`: the table is not wanted. */
export type Mode = 'mirror' | 'append' | 'skip'

export type TableRules = {
  /** `schema.table` as the source spells it. */
  name: string
  /** Whether the table file names it, itself or by a pattern; rules of a table it does not name are the defaults. */
  isNamed: boolean
  mode: Mode
  key: readonly string[]
  /** Put before every id, so that tables which share an index cannot meet in one document. */
  idPrefix: string
  index: string
  /** Key column whose value routes the document to a shard of the index. */
  routing: string | undefined
  partition: Partition
  /** Columns whose value changes on its way. */
  columns: ReadonlyMap<string, Column>
  /** Columns that are left out of the document. */
  excluded: ReadonlySet<string>
  /** Columns of which an update without a value says nothing: unchanged TOAST arrives as null or not at all. */
  keepOnNull: ReadonlySet<string>
}

/** The rules of a table nobody names: key `id`, one lineage, values as they came. */
export function defaultRules(schema: string, table: string): TableRules {
  return {
    name: `${schema}.${table}`,
    isNamed: false,
    mode: 'mirror',
    key: ['id'],
    idPrefix: '',
    index: defaultIndex(schema, table),
    routing: undefined,
    partition: 'table',
    columns: new Map(),
    excluded: new Set(),
    keepOnNull: new Set(),
  }
}

/** `{schema}_{table}` in lower case, dots as underscores. */
export function defaultIndex(schema: string, table: string): string {
  return `${schema}_${table}`.toLowerCase().replaceAll('.', '_')
}

const ILLEGAL = /[\\/*?"<>| ,#:\p{Lu}\p{Cc}]/u
const NAME_BYTES_MAX = 255

/** Why OpenSearch would refuse an index name, or undefined when it would take it. */
export function indexNameFault(index: string): string | undefined {
  if (index === '' || index === '.' || index === '..') return 'it is empty or only dots'
  if (/^[-_+.]/.test(index)) return `it begins with "${index[0]}"`
  if (ILLEGAL.test(index)) return 'it holds an upper-case letter, a blank or one of \\ / * ? " < > | , # :'
  if (new TextEncoder().encode(index).length > NAME_BYTES_MAX)
    return `it is longer than ${NAME_BYTES_MAX} bytes`
  return undefined
}

/** Whether a name fits a pattern in which `*` stands for any text; linear in the length of the name. */
export function matches(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  if (!name.startsWith(first)) return false
  if (rest.length === 0) return name === first
  const ending = rest.pop()!
  let at = first.length
  for (const part of rest) {
    const found = name.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return name.length - ending.length >= at && name.endsWith(ending)
}
