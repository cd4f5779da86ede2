/**
 * Column types: what becomes of the text DMS writes for a value of PostgreSQL.
 *
 * Nothing in a change record tells jsonb from text, `"t"` from a boolean or an array from a string, so types come from the
 * table file. Only types whose value changes are kept; all others, and values that do not fit, are written as they came.
 */
import { faultOf, onOneLine, stringAt } from './json-text.ts'

export type ColumnType =
  | { kind: 'integer' | 'float' | 'boolean' | 'timestamp' | 'json' }
  | { kind: 'numeric'; as: 'number' | 'text' }
  /** `element` is undefined where elements are written as text. */
  | { kind: 'array'; element: ColumnType | undefined }

export type Column = {
  type: ColumnType
  /** What becomes of JSON or an array that is broken (cut at LobMaxSize): a dead letter, or its text in a sibling field. */
  onBroken: 'dead-letter' | 'text'
}

const CHANGED: Record<string, ColumnType['kind']> = {
  ...named(
    'integer',
    'smallint int2 integer int int4 bigint int8 smallserial serial2 serial serial4 bigserial serial8 oid',
  ),
  ...named('float', 'real float4 float8 float double'),
  'double precision': 'float',
  ...named('numeric', 'numeric decimal'),
  ...named('boolean', 'boolean bool'),
  ...named('json', 'json jsonb'),
  timestamp: 'timestamp',
  timestamptz: 'timestamp',
  'timestamp without time zone': 'timestamp',
  'timestamp with time zone': 'timestamp',
}

/** Types whose values are written as they come. Listed, so that a misspelt `jsobn` is a mistake and not one of them. */
const AS_THEY_COME = new Set([
  ...words('text varchar char bpchar character citext name uuid bytea date time timetz interval'),
  ...words(
    'money xml inet cidr macaddr macaddr8 bit varbit point line lseg box path polygon circle tsvector tsquery',
  ),
  ...words(
    'int4range int8range numrange tsrange tstzrange daterange int4multirange int8multirange nummultirange',
  ),
  ...words('tsmultirange tstzmultirange datemultirange hstore ltree enum composite'),
  'character varying',
  'bit varying',
  'time without time zone',
  'time with time zone',
])

function words(text: string): string[] {
  return text.split(' ')
}

function named(kind: ColumnType['kind'], names: string): Record<string, ColumnType['kind']> {
  return Object.fromEntries(words(names).map(name => [name, kind]))
}

/** Every name of a type that is known, for messages and the schema. */
export const typeNames: readonly string[] = [...Object.keys(CHANGED), ...AS_THEY_COME].sort()

/**
 * A PostgreSQL type by its name: with length or precision (`numeric(12,2)`), as an array (`text[]`, `int[3][3]`, `_int4`).
 *
 * @returns `as-it-comes` for a type whose values are not changed; undefined for a name nobody knows
 */
export function typeNamed(name: string): ColumnType | 'as-it-comes' | undefined {
  const plain = name
    .toLowerCase()
    .replace(/\s*\([^)]*\)/g, '')
    .replace(/\s+/g, ' ')
    .trim()
  const array = /^(?:_(?<internal>\w+)|(?<sql>.*?)(?: ?\[\d*\])+|(?<word>.*) array)$/.exec(plain)?.groups
  const element = array ? (array.internal ?? array.sql ?? array.word)! : plain
  const kind = Object.hasOwn(CHANGED, element) ? CHANGED[element] : undefined
  if (kind === undefined && !AS_THEY_COME.has(element)) return undefined
  // The one type whose arrays are parted by semicolons.
  if (element === 'box') return 'as-it-comes'
  const type: ColumnType | undefined =
    kind === undefined ? undefined : kind === 'numeric' ? { kind, as: 'number' } : ({ kind } as ColumnType)
  return array ? { kind: 'array', element: type } : (type ?? 'as-it-comes')
}

/** The text of an array in PostgreSQL's notation -> nested arrays of the elements' texts, null for NULL. */
export type ParseArray = (text: string) => unknown[]

/** Levels left for a value within a row, which is itself the first of the 20 OpenSearch takes. */
const VALUE_LIMITS = { depthMax: 19, numberLengthMax: 1000 }

/**
 * @param token the value as JSON text @returns the JSON text to write; undefined for JSON or an array that is broken
 */
export function converted(token: string, type: ColumnType, parseArray: ParseArray): string | undefined {
  if (token === 'null') return token
  const content = token[0] === '"' ? stringAt(token, 0, token.length) : undefined
  switch (type.kind) {
    // Numbers come without quotes, except as elements of an array.
    case 'integer':
      return content !== undefined && INTEGER.test(content) ? content : token
    case 'float':
      return content !== undefined && FLOAT.test(content) ? content : token
    case 'numeric':
      return numeric(token, content, type.as)
    case 'boolean':
      // Without MapBooleanAsBoolean it is a CHAR(5), perhaps padded.
      return booleans.get((content ?? token).trimEnd().toLowerCase()) ?? token
    case 'timestamp':
      return content === undefined ? token : (isoTimestamp(content) ?? token)
    case 'json':
      return content === undefined ? token : json(content)
    case 'array':
      return content === undefined ? token : array(content, type.element, parseArray)
  }
}

const INTEGER = /^-?(0|[1-9]\d{0,99})$/
const FLOAT = /^-?(0|[1-9]\d{0,99})(\.\d{1,99})?(e[+-]?\d{1,3})?$/

/** PostgreSQL's words for a boolean, those DMS writes and those of an integer column that stands for one. */
const booleans = new Map([
  ...words('t true y yes on 1').map(word => [word, 'true'] as const),
  ...words('f false n no off 0').map(word => [word, 'false'] as const),
])

/** Digit for digit. NaN and infinity are no JSON numbers and stay text. */
function numeric(token: string, content: string | undefined, as: 'number' | 'text'): string {
  if (content === undefined) return as === 'text' ? `"${token}"` : token
  return as === 'number' &&
    content.length <= VALUE_LIMITS.numberLengthMax &&
    /^-?(0|[1-9]\d*)(\.\d+)?$/.test(content)
    ? content
    : token
}

const TIMESTAMP =
  /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?:(Z|[+-]00(?::?00)?)|([+-]\d\d)(?::?(\d\d))?)?$/

/**
 * ISO 8601 with its zone; one without a zone gets `Z`, as DMS itself writes it. Fractions keep their digits.
 *
 * @returns undefined for what ISO 8601 of four-digit years cannot say (infinity, BC, the year 10000), which stays as it is
 */
function isoTimestamp(text: string): string | undefined {
  const [, date, time, , hours, minutes] = TIMESTAMP.exec(text) ?? []
  return date === undefined ? undefined : `"${date}T${time}${hours ? `${hours}:${minutes ?? '00'}` : 'Z'}"`
}

function json(content: string): string | undefined {
  // A lone surrogate has no UTF-8 form: it could not be sent as it is.
  return faultOf(content, VALUE_LIMITS) === undefined && content.isWellFormed()
    ? onOneLine(content)
    : undefined
}

/** A quoted element, or a brace. Within quotes a backslash takes the next character with it. */
const ARRAY_TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}"\\]/gs

/**
 * Whether braces and quotes of an array close, and the depth holds. The parser trusts its text; DMS may have cut it.
 */
function isWholeArray(text: string): boolean {
  if (!/^(\[[-+\d:[\]]*\]=)?\{.*\}$/s.test(text)) return false
  let depth = 0
  let closedAt = -1
  for (const { 0: token, index } of text.matchAll(ARRAY_TOKENS)) {
    if (token === '"' || token === '\\' || closedAt >= 0) return false
    if (token === '{' && ++depth > VALUE_LIMITS.depthMax) return false
    if (token === '}' && --depth === 0) closedAt = index
  }
  return closedAt === text.length - 1
}

function array(content: string, element: ColumnType | undefined, parseArray: ParseArray): string | undefined {
  if (!isWholeArray(content) || !content.isWellFormed()) return undefined
  let isBroken = false
  const elementText = (value: unknown): string => {
    if (Array.isArray(value)) return `[${value.map(elementText).join(',')}]`
    if (value === null) return 'null'
    const token = JSON.stringify(value)
    const text = element ? converted(token, element, parseArray) : token
    if (text === undefined) isBroken = true
    return text ?? 'null'
  }
  let values: unknown[]
  try {
    values = parseArray(content)
  } catch {
    return undefined
  }
  const text = elementText(values)
  return isBroken ? undefined : text
}
