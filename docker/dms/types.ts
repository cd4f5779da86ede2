/**
 * What DMS makes of a PostgreSQL type. Everything else (values, control records, LOB rules) follows from this one table.
 *
 * Lengths in control records were seen for char, varchar and interval; those of the network, range and geometric types are the ones
 * the DMS user guide lists.
 */

/** A column's type as the catalogue has it, a domain already replaced by what it stands for. */
export type SourceType = {
  name: string
  modifier: number
  isArray: boolean
  isComposite: boolean
  isEnum: boolean
}

export type DmsType =
  | { kind: 'integer'; bits: 16 | 32 | 64 }
  | { kind: 'numeric'; precision: number; scale: number; isUnbounded: boolean }
  | { kind: 'real' }
  | { kind: 'double' }
  | { kind: 'money' }
  | { kind: 'boolean' }
  | { kind: 'string'; length: number | null; isPadded: boolean }
  | { kind: 'text-lob' }
  | { kind: 'binary-lob' }
  | { kind: 'date' }
  | { kind: 'time' }
  | { kind: 'timestamp'; fractionDigits: number }

export type Column = { name: string; type: DmsType; isNullable: boolean }

/** LOB columns are cut at the LOB limit, and left out of tables that have no primary key. */
export const isLob = (type: DmsType): boolean => type.kind === 'text-lob' || type.kind === 'binary-lob'

const textLobs = new Set(['text', 'citext', 'json', 'jsonb', 'hstore', 'xml', 'tsvector', 'path', 'polygon'])

const stringLengths: Record<string, number> = {
  uuid: 36,
  inet: 50,
  cidr: 50,
  macaddr: 18,
  macaddr8: 24,
  point: 255,
  line: 255,
  lseg: 255,
  box: 255,
  circle: 255,
  int4range: 255,
  int8range: 255,
  numrange: 255,
  tsrange: 255,
  tstzrange: 255,
  daterange: 255,
}

const unlimitedVarcharLength = 8000
const enumLength = 64

/** DMS has NUMERIC up to 38 digits; one declared longer travels as text. */
const numericPrecisionMax = 38

export function dmsTypeOf(source: SourceType): DmsType {
  const { name, modifier } = source
  if (source.isArray || source.isComposite || textLobs.has(name)) return { kind: 'text-lob' }
  if (source.isEnum) return string(enumLength)
  switch (name) {
    case 'int2':
      return { kind: 'integer', bits: 16 }
    case 'int4':
      return { kind: 'integer', bits: 32 }
    case 'int8':
    case 'oid':
      return { kind: 'integer', bits: 64 }
    case 'numeric':
      return numericType(modifier)
    case 'float4':
      return { kind: 'real' }
    case 'float8':
      return { kind: 'double' }
    case 'money':
      return { kind: 'money' }
    case 'bool':
      return { kind: 'boolean' }
    case 'bytea':
      return { kind: 'binary-lob' }
    case 'date':
      return { kind: 'date' }
    case 'time':
    case 'timetz':
      return { kind: 'time' }
    case 'timestamp':
    case 'timestamptz':
      return { kind: 'timestamp', fractionDigits: modifier < 0 ? 6 : modifier }
    case 'bpchar':
      return { kind: 'string', length: modifier < 0 ? 1 : modifier - 4, isPadded: true }
    case 'varchar':
      return string(modifier < 0 ? unlimitedVarcharLength : modifier - 4)
    case 'bit':
    case 'varbit':
      return string(modifier < 0 ? unlimitedVarcharLength : modifier)
    case 'interval':
      return string(intervalLength(modifier))
    default:
      return string(stringLengths[name] ?? null)
  }
}

const string = (length: number | null): DmsType => ({ kind: 'string', length, isPadded: false })

function numericType(modifier: number): DmsType {
  if (modifier < 0) return { kind: 'numeric', precision: 28, scale: 6, isUnbounded: true }
  const precision = ((modifier - 4) >> 16) & 0xffff
  // Eleven bits, signed since PostgreSQL 15: numeric(3,-2) is legal.
  const scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024
  return precision > numericPrecisionMax
    ? string(precision + 2)
    : { kind: 'numeric', precision, scale, isUnbounded: false }
}

// Bits of the range mask in an interval's type modifier (src/include/utils/datetime.h).
const day = 1 << 3
const hour = 1 << 10
const minute = 1 << 11
const second = 1 << 12

/** STRING(128), and shorter where the declaration names its fields: as seen in the definition of a table with one column of each. */
function intervalLength(modifier: number): number {
  if (modifier < 0) return 128
  switch ((modifier >> 16) & 0x7fff) {
    case day:
      return 16
    case day | hour:
    case day | hour | minute:
    case day | hour | minute | second:
      return 25
    case hour:
    case hour | minute:
    case hour | minute | second:
      return 17
    case minute:
    case minute | second:
      return 15
    case second:
      return 9
    default:
      return 128
  }
}
