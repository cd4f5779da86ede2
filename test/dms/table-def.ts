/** Tables for tests, written as column name -> type the way SQL would declare it. */
import type { RecordSettings, TableDef } from '../../docker/dms/records.ts'
import { dmsTypeOf, type SourceType } from '../../docker/dms/types.ts'

const intervalFields: Record<string, number> = {
  day: 1 << 3,
  hour: 1 << 10,
  minute: 1 << 11,
  second: 1 << 12,
}

/** `numeric(10,2)`, `char(5)`, `int4[]`, `interval hour to minute`, `mood enum`: what the catalogue would say of such a column. */
export function sourceType(declaration: string): SourceType {
  const [, word = '', first, second, rest = ''] =
    /^(\w+)(?:\((\d+)(?:,(-?\d+))?\))?(.*)$/.exec(declaration) ?? []
  const name = word === 'char' ? 'bpchar' : word
  const shape = { isArray: rest === '[]', isComposite: rest === ' composite', isEnum: rest === ' enum' }
  return { name, modifier: modifierOf(name, first, second, rest), ...shape }
}

function modifierOf(
  name: string,
  first: string | undefined,
  second: string | undefined,
  rest: string,
): number {
  if (name === 'interval' && rest !== '') {
    const all = Object.entries(intervalFields)
    const [from = '', to = from] = rest.trim().split(' to ')
    const place = (field: string): number => all.findIndex(([known]) => known === field)
    const range = all.slice(place(from), place(to) + 1).reduce((bits, [, bit]) => bits | bit, 0)
    return (range << 16) | 0xffff
  }
  if (first === undefined) return -1
  if (name === 'numeric') return ((Number(first) << 16) | (Number(second ?? 0) & 0x7ff)) + 4
  return name === 'varchar' || name === 'bpchar' ? Number(first) + 4 : Number(first)
}

/** @param columns a trailing ` not null` counts */
export function tableDef(
  qualified: string,
  columns: Record<string, string>,
  primaryKey: string[] = [],
): TableDef {
  const point = qualified.indexOf('.')
  return {
    schema: qualified.slice(0, point),
    name: qualified.slice(point + 1),
    columns: Object.entries(columns).map(([name, declaration]) => ({
      name,
      type: dmsTypeOf(sourceType(declaration.replace(/ not null$/, ''))),
      isNullable: !declaration.endsWith(' not null'),
    })),
    primaryKey,
  }
}

/** The defaults of the stand-in, so that a test names only what it is about. */
export const recordSettings = (changed: Partial<RecordSettings> = {}): RecordSettings => ({
  messageFormat: 'json-unformatted',
  includeNullAndEmpty: true,
  includeTransactionDetails: true,
  includePartitionValue: false,
  partitionIncludeSchemaTable: false,
  beforeImageField: 'before-image',
  partition: 'dms',
  partitionByKey: new Set(),
  mapBooleanAsBoolean: true,
  useLargeIntegerValue: true,
  numeric: 'digits',
  noHexPrefix: false,
  lobBytesMax: 1024 * 1024,
  ...changed,
})

export const micros = (iso: string): number =>
  Date.parse(`${iso.slice(0, 23)}Z`) * 1000 + Number(iso.slice(23, 26))
