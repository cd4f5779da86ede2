/** The table file, YAML or JSON -> the rules of each table it names. Every mistake is reported with its line and place. */
import { Ajv, type ErrorObject } from 'ajv'
import { type Document, isNode, LineCounter, parseDocument } from 'yaml'
import { type Column, typeNamed, typeNames } from './core/column.ts'
import { defaultIndex, defaultRules, indexNameFault, matches, type TableRules } from './core/table.ts'
import { ConfigError } from './errors.ts'
import { tableFileSchema } from './table-file-schema.ts'

export type TableFile = {
  /** Tables the file names without a pattern. */
  named: readonly TableRules[]
  /** The rules of a table by its own name or the first pattern that fits; undefined when the file does not name it. */
  rulesOf: (schema: string, table: string) => TableRules | undefined
}

export const noTableFile: TableFile = { named: [], rulesOf: () => undefined }

type ColumnEntry = string | { type: string; as?: 'number' | 'text'; onBroken?: Column['onBroken'] }

/** An entry as the schema lets it through. */
type Entry = {
  mode?: TableRules['mode']
  key?: string[]
  index?: string
  idPrefix?: string
  routing?: string
  partition?: TableRules['partition']
  columns?: Record<string, ColumnEntry>
  exclude?: string[]
  keepOnNull?: string[]
}

type Path = readonly (string | number)[]
type Fault = (path: Path, text: string) => void

const validate = new Ajv({ allErrors: true, allowUnionTypes: true, verbose: true }).compile(tableFileSchema)

/** @param text of the table file @throws ConfigError that names every mistake, a line each */
export function parseTableFile(text: string, path: string): TableFile {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  if (document.errors.length > 0) {
    const faults = document.errors.map(
      error => `${path}:${lines.linePos(error.pos[0]).line}: not YAML: ${error.message}`,
    )
    throw new ConfigError(faults.join('\n'), { cause: document.errors[0] })
  }
  const faults: { line: number; text: string }[] = []
  const fault: Fault = (at, what) =>
    faults.push({ line: lineOf(document, lines, at), text: `${place(at)}${what}` })
  const content: unknown = document.toJS()
  const shapeFaults = validate(content) ? [] : (validate.errors ?? []).map(schemaFault)
  for (const [at, what] of shapeFaults) fault(at, what)
  // An entry of the wrong shape is reported already; the others are read all the same, for mistakes of their own.
  const misshapen = new Set(shapeFaults.map(([at]) => at[1]))
  const tables = isObject(content) && isObject(content.tables) ? content.tables : {}
  const entries = Object.entries(tables as Record<string, Entry | null>).filter(
    ([name]) => !misshapen.has(name),
  )
  const rulesBy = new Map<string, (schema: string, table: string) => TableRules>()
  for (const [name, entry] of entries) rulesBy.set(name, readEntry(name, entry ?? {}, fault))
  const named = [...rulesBy]
    .filter(([name]) => !name.includes('*'))
    .map(([name, rules]) => rules(...split(name)))
  for (const [at, rules] of named.entries()) {
    const twin = named.slice(0, at).find(other => other.index === rules.index && canMeet(other, rules))
    if (twin)
      fault(
        ['tables', rules.name],
        `: index ${rules.index} is also that of ${twin.name}; give one of them another \`index\`, or both an \`idPrefix\` of its own`,
      )
  }
  if (faults.length > 0) {
    const sorted = faults.sort((a, b) => a.line - b.line)
    throw new ConfigError(sorted.map(({ line, text: what }) => `${path}:${line}: ${what}`).join('\n'))
  }
  const patterns = [...rulesBy.keys()].filter(name => name.includes('*'))
  return {
    named,
    rulesOf(schema, table) {
      const name = `${schema}.${table}`
      const by = rulesBy.has(name) ? name : patterns.find(pattern => matches(pattern, name))
      return by === undefined ? undefined : rulesBy.get(by)!(schema, table)
    },
  }
}

/** Whether two tables of one index can have documents of one id: only prefixes of which none begins the other keep them apart. */
export function canMeet(one: TableRules, other: TableRules): boolean {
  return one.idPrefix.startsWith(other.idPrefix) || other.idPrefix.startsWith(one.idPrefix)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function split(name: string): [schema: string, table: string] {
  const dot = name.indexOf('.')
  return [name.slice(0, dot), name.slice(dot + 1)]
}

function place(path: Path): string {
  return path.join('.')
}

/** The line of what a path names, or of the nearest thing around it that is there. */
function lineOf(document: Document, lines: LineCounter, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true)
    const pairs = (parent as { items?: { key?: unknown }[] } | undefined)?.items ?? []
    const key = pairs.find(
      pair => String((pair.key as { value?: unknown })?.value) === String(path[length - 1]),
    )?.key
    const node = key ?? document.getIn(path.slice(0, length), true)
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line
  }
  return 1
}

function schemaFault({
  instancePath,
  keyword,
  params,
  message,
  schema,
  parentSchema,
}: ErrorObject): [Path, string] {
  const path = instancePath
    .split('/')
    .slice(1)
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  if (keyword === 'additionalProperties') {
    const allowed = Object.keys((parentSchema as { properties?: object } | undefined)?.properties ?? {})
    return [[...path, String(params.additionalProperty)], `: unknown; expected one of ${allowed.join(', ')}`]
  }
  if (keyword === 'enum') return [path, `: expected one of ${(params.allowedValues as string[]).join(', ')}`]
  if (keyword === 'required' && path.length === 0)
    return [path, 'expected one member `tables`, each table by its `schema.table`']
  if (keyword === 'type') {
    const expected = [schema].flat().map(word => TYPE_WORDS[String(word)] ?? String(word))
    return [
      path,
      path.length === 0
        ? 'expected one member `tables`, each table by its `schema.table`'
        : `: expected ${expected.join(' or ')}`,
    ]
  }
  if (keyword === 'minItems' || keyword === 'minLength') return [path, ': expected something, found nothing']
  return [path, `: ${message}`]
}

const TYPE_WORDS: Record<string, string> = {
  array: 'a list, such as [order_id, line]',
  object: 'an object',
  null: 'nothing',
  string: 'a text',
}

/** @returns the rules of a table the entry is for, its own or one that fits its pattern */
function readEntry(name: string, entry: Entry, report: Fault): (schema: string, table: string) => TableRules {
  const fault = (field: string, text: string) =>
    report(['tables', name, ...field.split('/').filter(Boolean)], text)
  const [schemaName, tableName] = split(name)
  if (schemaName === '' || tableName === '' || !name.includes('.'))
    fault('', ': expected `schema.table`, such as public.orders')
  const isPattern = name.includes('*')
  if (
    isPattern &&
    entry.index !== undefined &&
    ![entry.index, entry.idPrefix ?? ''].some(text => text.includes('{table}'))
  )
    fault('/index', ': several tables can fit the pattern; put {table} into `index`, or into `idPrefix`')

  const key = entry.key ?? ['id']
  const exclude = entry.exclude ?? []
  const keepOnNull = entry.keepOnNull ?? []
  const mode = entry.mode ?? 'mirror'
  if (entry.routing !== undefined && !key.includes(entry.routing))
    fault(
      '/routing',
      `: expected one of the key columns (${key.join(', ')}), since a delete carries no others`,
    )
  for (const column of keepOnNull) {
    if (key.includes(column)) fault('/keepOnNull', `: ${column} is a key column, which always has a value`)
    if (exclude.includes(column)) fault('/keepOnNull', `: ${column} is also in \`exclude\``)
  }
  if (mode === 'append' && keepOnNull.length > 0)
    fault('/keepOnNull', ': a table of mode append has no updates whose values could be kept')

  const columns = new Map<string, Column>()
  for (const [column, given] of Object.entries(entry.columns ?? {})) {
    const read = readColumn(given)
    if (typeof read === 'string') fault(`/columns/${column}`, `: ${read}`)
    else if (read) columns.set(column, read)
  }

  const resolve = (schema: string, table: string): TableRules => {
    const named = (text: string) => text.replaceAll('{schema}', schema).replaceAll('{table}', table)
    return {
      ...defaultRules(schema, table),
      isNamed: true,
      mode,
      key,
      idPrefix: named(entry.idPrefix ?? ''),
      index: entry.index === undefined ? defaultIndex(schema, table) : indexOf(entry.index, schema, table),
      routing: entry.routing,
      partition: entry.partition ?? 'table',
      columns,
      excluded: new Set(exclude),
      keepOnNull: new Set(keepOnNull),
    }
  }
  // A pattern is tried with names that any index can have.
  const { index } = isPattern ? resolve('s', 't') : resolve(schemaName, tableName)
  const nameFault = indexNameFault(index)
  if (nameFault) fault('/index', `: OpenSearch would refuse "${index}": ${nameFault}`)
  return resolve
}

function indexOf(template: string, schema: string, table: string): string {
  const legal = (name: string) => name.toLowerCase().replaceAll('.', '_')
  return template.replaceAll('{schema}', legal(schema)).replaceAll('{table}', legal(table))
}

/** @returns undefined for a type whose values do not change; the text of the mistake for one nobody knows */
function readColumn(given: ColumnEntry): Column | string | undefined {
  const entry = typeof given === 'string' ? { type: given } : given
  const type = typeNamed(entry.type)
  if (type === undefined)
    return `unknown type "${entry.type}"; expected one of ${typeNames.join(', ')}, with [] for an array (an enum, domain or composite: text)`
  const kind = type === 'as-it-comes' ? type : type.kind
  if (entry.as !== undefined && kind !== 'numeric') return `\`as\` is for numeric, not for ${entry.type}`
  if (entry.onBroken !== undefined && kind !== 'json' && kind !== 'array')
    return `\`onBroken\` is for json, jsonb and arrays, not for ${entry.type}`
  if (type === 'as-it-comes') return undefined
  return {
    type: type.kind === 'numeric' ? { ...type, as: entry.as ?? 'number' } : type,
    onBroken: entry.onBroken ?? 'dead-letter',
  }
}
