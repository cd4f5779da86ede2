/** Whether a table, as a control record describes it, still fits what the table file says of it. */
import type { TableDefinition } from './change.ts'
import type { Column } from './column.ts'
import type { TableRules } from './table.ts'

/** Types of DMS (its own names, by IncludeControlDetails) that a column of each kind can have. */
const FITTING: Record<Column['type']['kind'], RegExp> = {
  integer: /^(U?INT[1248]|U?INT(8|16|32|64)|NUMERIC)$/,
  float: /^(FLOAT|DOUBLE|REAL[48]|NUMERIC)$/,
  numeric: /^(NUMERIC|STRING|WSTRING|DOUBLE|U?INT(8|16|32|64))$/,
  // CHAR(5) or STRING(5) unless MapBooleanAsBoolean; an integer may stand for one.
  boolean: /^(BOOL|BOOLEAN|STRING|WSTRING|U?INT[1248]|U?INT(8|16|32|64))$/,
  timestamp: /^(TIMESTAMP|DATETIME|STRING|WSTRING)$/,
  json: /^(STRING|WSTRING|CLOB|NCLOB)$/,
  array: /^(STRING|WSTRING|CLOB|NCLOB)$/,
}

/** @returns what does not fit, one line each, with what the operator can do about it */
export function misfits(rules: TableRules, definition: TableDefinition): string[] {
  const { columns, primaryKey } = definition
  const found: string[] = []
  const missing = (what: string, names: Iterable<string>) => {
    const gone = [...names].filter(name => !columns.has(name))
    if (gone.length > 0) found.push(`${what} names ${gone.join(', ')}, which the table does not have`)
  }
  missing('key', rules.key)
  missing('columns', rules.columns.keys())
  missing('exclude', rules.excluded)
  missing('keepOnNull', rules.keepOnNull)
  const isSameKey =
    primaryKey.length === rules.key.length && primaryKey.every(column => rules.key.includes(column))
  if (primaryKey.length > 0 && !isSameKey)
    found.push(`key is ${rules.key.join(', ')}, but the primary key is ${primaryKey.join(', ')}`)
  for (const [name, { type }] of rules.columns) {
    const source = columns.get(name)
    if (source && !FITTING[type.kind].test(source))
      found.push(`column ${name} is declared as ${type.kind}, but DMS sends it as ${source}`)
  }
  return found
}
