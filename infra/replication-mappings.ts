/**
 * Which tables DMS replicates, and by what it partitions each: its table mappings, made from the table file the tasks get too.
 *
 * DMS does not say which of two object mappings holds where both fit a table. So no two rules that disagree ever fit one
 * table: where the table file asks for that, synth fails. Tables the file does not name go without a rule as soon as one
 * table is partitioned by key, for a rule for `%` would fit that table as well; DMS then sends their changes by table and
 * their load by key, which the service takes.
 */
import { parse } from 'yaml'
import { matches, type Partition } from '../src/core/table.ts'
import { ConfigError } from '../src/errors.ts'
import { parseTableFile } from '../src/table-file.ts'

/** Never replicated: audit trails, and the tables DMS keeps for itself. */
const EXCLUDED = ['audit_*', 'awsdms_*']

type Locator = { 'schema-name': string; 'table-name': string }

export type Rule = { 'rule-id': string; 'rule-name': string; 'object-locator': Locator } & (
  | { 'rule-type': 'selection'; 'rule-action': 'include' | 'exclude'; filters: [] }
  | {
      'rule-type': 'object-mapping'
      'rule-action': 'map-record-to-record'
      'mapping-parameters': { 'partition-key-type': 'schema-table' | 'primary-key' }
    }
)

type Entry = { name: string; schema: string; table: string; partition: Partition }

/**
 * @param text of the table file
 * @param path of it, for messages
 * @throws ConfigError that names every mistake: those of the file itself, or what DMS cannot be told
 */
export function tableMappings(text: string, path: string, schemas: readonly string[]): { rules: Rule[] } {
  parseTableFile(text, path)
  const entries = entriesOf(text)
  const faults = [...entries.flatMap(entry => entryFaults(entry, schemas)), ...conflicts(entries)]
  if (faults.length > 0) throw new ConfigError(faults.map(fault => `${path}: ${fault}`).join('\n'))

  const selections = schemas.flatMap(schema => [
    { schema, table: '*', action: 'include' as const },
    ...EXCLUDED.map(table => ({ schema, table, action: 'exclude' as const })),
  ])
  const mappings = entries.some(({ partition }) => partition === 'key')
    ? entries.filter(entry => !entries.some(other => other !== entry && covers(other, entry)))
    : schemas.map(schema => ({ name: `${schema}.*`, schema, table: '*', partition: 'table' as const }))
  const rules: Omit<Rule, 'rule-id'>[] = [
    ...selections.map(({ schema, table, action }) => ({
      'rule-type': 'selection' as const,
      'rule-name': `${action} ${schema}.${table}`,
      'object-locator': locator(schema, table),
      'rule-action': action,
      filters: [] as [],
    })),
    ...mappings.map(({ name, schema, table, partition }) => ({
      'rule-type': 'object-mapping' as const,
      'rule-name': `${name} by ${partition}`,
      'object-locator': locator(schema, table),
      'rule-action': 'map-record-to-record' as const,
      'mapping-parameters': {
        'partition-key-type': partition === 'key' ? ('primary-key' as const) : ('schema-table' as const),
      },
    })),
  ]
  return { rules: rules.map((rule, at) => numbered(rule, String(at + 1))) }
}

/** Names of rules are letters, digits and hyphens to DMS, and each has one of its own. */
function numbered(rule: Omit<Rule, 'rule-id'>, id: string): Rule {
  const name = `${rule['rule-name'].replaceAll(/[^A-Za-z0-9]+/g, '-')}-${id}`
  return { ...rule, 'rule-id': id, 'rule-name': name } as Rule
}

/** Tables that are skipped need no mapping: whatever shard their records come by, they are dropped. */
function entriesOf(text: string): Entry[] {
  const file = parse(text) as { tables: Record<string, { mode?: string; partition?: Partition } | null> }
  return Object.entries(file.tables)
    .filter(([, entry]) => entry?.mode !== 'skip')
    .map(([name, entry]) => {
      const dot = name.indexOf('.')
      return {
        name,
        schema: name.slice(0, dot),
        table: name.slice(dot + 1),
        partition: entry?.partition ?? 'table',
      }
    })
}

function entryFaults({ name, schema, table }: Entry, schemas: readonly string[]): string[] {
  if (schema.includes('*'))
    return [`${name}: a * in the schema also stands for dots, which % of DMS does not; name the schema`]
  if (/[%[\]]/.test(schema + table))
    return [`${name}: %, [ and ] mean something to DMS and cannot be told literally`]
  if (!schemas.includes(schema))
    return [`${name}: schema ${schema} is not replicated; expected one of ${schemas.join(', ')}`]
  const excluded = EXCLUDED.find(pattern => !table.includes('*') && matches(pattern, table))
  return excluded ? [`${name}: tables ${schema}.${excluded} are never replicated`] : []
}

/** Two entries that can fit one table and want it partitioned differently. */
function conflicts(entries: readonly Entry[]): string[] {
  return entries.flatMap((one, at) =>
    entries
      .slice(at + 1)
      .filter(other => other.partition !== one.partition && meet(one.name, other.name))
      .map(
        other =>
          `${one.name} (partition: ${one.partition}) and ${other.name} (partition: ${other.partition}) can fit one table: DMS does not say which mapping would hold; name the tables one by one`,
      ),
  )
}

/** Whether every table the second fits is one the first fits. */
function covers(one: Entry, other: Entry): boolean {
  return one.name.includes('*') && matches(one.name, other.name)
}

/** Whether some text fits both patterns. */
function meet(one: string, other: string): boolean {
  if (one === '' && other === '') return true
  if (one.startsWith('*')) return meet(one.slice(1), other) || (other !== '' && meet(one, other.slice(1)))
  if (other.startsWith('*')) return meet(other, one)
  return one !== '' && one[0] === other[0] && meet(one.slice(1), other.slice(1))
}

/** `%` is any text and `_` any one sign to DMS; a real `_` is written `[_]`. */
function locator(schema: string, table: string): Locator {
  const told = (text: string) => text.replaceAll('_', '[_]').replaceAll('*', '%')
  return { 'schema-name': told(schema), 'table-name': told(table) }
}
