/** What is known of a source table: its key, its index, how DMS partitions it, which columns are JSON. */

export type Partition = 'table' | 'key'

export type TableRules = {
  /** `schema.table` as the source spells it. */
  name: string
  /** Whether the table file names it; rules of a table it does not name are the defaults. */
  isNamed: boolean
  key: string[]
  index: string
  partition: Partition
  /** Columns whose text is JSON and becomes part of the document as JSON. */
  jsonColumns: ReadonlySet<string>
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
