/**
 * The rules of each table as it is met: what the table file says of it, or the defaults.
 *
 * Two source tables that fall on one index would overwrite each other's documents, so the second one met is held with an
 * error that names both, unless their ids cannot be the same.
 */
import { createHash } from 'node:crypto'
import { parse as parseArray } from 'postgres-array'
import type { DecideContext, OnUnknownTable, TableAnswer } from './core/document.ts'
import { defaultRules, indexNameFault, matches, type TableRules } from './core/table.ts'
import { canMeet, type TableFile } from './table-file.ts'

/** One for a worker, since two shards may carry two tables of one index. */
export function tableRules(input: {
  file: TableFile
  indexPatterns: readonly string[]
}): (schema: string, table: string) => TableAnswer {
  /** By schema, then by table: joining the two for each record would cost more than all else here. */
  const answers = new Map<string, Map<string, TableAnswer>>()
  const met: TableRules[] = [...input.file.named]

  function answerFor(schema: string, table: string): TableAnswer {
    const rules = input.file.rulesOf(schema, table) ?? defaultRules(schema, table)
    const { name, index } = rules
    if (rules.mode === 'skip') return { kind: 'rules', rules }
    const fault = indexNameFault(index)
    if (fault)
      return { kind: 'letter', letter: { reason: 'illegal-index-name', detail: `index ${index}: ${fault}` } }
    const other = met.find(one => one.index === index && one.name !== name && canMeet(one, rules))
    if (other && other.mode !== 'skip') {
      return {
        kind: 'hold',
        hold: {
          reason: 'index-shared',
          table: name,
          found: `index ${index}, which is that of ${other.name}`,
          expected: 'an index of its own for each table',
          remedy: 'give one of the two another `index` in TABLE_FILE, or both an `idPrefix` of its own',
        },
      }
    }
    if (!input.indexPatterns.some(pattern => matches(pattern, index))) {
      return {
        kind: 'hold',
        hold: {
          reason: 'index-without-template',
          table: name,
          found: `index ${index}, which no pattern of INDEX_PATTERNS covers`,
          expected: `one of ${input.indexPatterns.join(', ')}`,
          remedy: 'add a pattern to INDEX_PATTERNS and run `bootstrap`',
        },
      }
    }
    if (!met.some(one => one.name === name)) met.push(rules)
    return { kind: 'rules', rules }
  }

  return (schema, table) => {
    let ofSchema = answers.get(schema)
    if (!ofSchema) {
      ofSchema = new Map()
      answers.set(schema, ofSchema)
    }
    const known = ofSchema.get(table) ?? answerFor(schema, table)
    // A hold is asked anew: which of two tables came first is all it depends on, but it costs nothing.
    if (known.kind !== 'hold') ofSchema.set(table, known)
    return known
  }
}

/** All a decision needs besides the shard's range. */
export function decideContext(options: {
  file: TableFile
  indexPatterns: readonly string[]
  onUnknownTable: OnUnknownTable
  beforeImage: string
  beforeImagePrefix: string
}): Omit<DecideContext, 'range'> {
  return {
    rulesOf: tableRules(options),
    namedRulesOf: options.file.rulesOf,
    onUnknownTable: options.onUnknownTable,
    beforeImage: options.beforeImage,
    beforeImagePrefix: options.beforeImagePrefix,
    sha256Hex: text => createHash('sha256').update(text).digest('hex'),
    md5: text => BigInt(`0x${createHash('md5').update(text).digest('hex')}`),
    parseArray: text => parseArray(text, value => value) as unknown[],
  }
}
