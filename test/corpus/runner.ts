/**
 * Runs the lines of a corpus and says in what each differs from what it expects.
 *
 * The rules by which a line becomes a configuration of the service are in README.md beside this file. Nothing here knows
 * how the service decides: expected values are those of the line.
 */
import { createHash } from 'node:crypto'
import { elementsOf, membersOf } from '../../docker/demo/raw-json.ts'
import { indexNameFault } from '../../src/core/table.ts'
import type { CorpusLine, Expect } from './line.ts'
import { repeated } from './line.ts'
import type { KeptColumns } from './line-tables.ts'
import { type Outcome, outcomeOf, type Written } from './outcome.ts'
import { leftBy } from './sequence.ts'

export type Difference = { what: string; expected: string; found: string }

export type Result = { line: CorpusLine; differences: Difference[]; notes: string[] }

/** Never rejects: what throws on the way is a difference. */
export async function run(line: CorpusLine): Promise<Result> {
  const { notes } = line
  try {
    const differences = line.kind === 'record' ? ofRecord(line) : await ofSequence(line)
    return { line, differences, notes }
  } catch (error) {
    const found = `${(error as Error).name}: ${(error as Error).message}`
    return { line, differences: [{ what: 'run', expected: 'a decision', found }], notes }
  }
}

/** One of the outcomes must hold in full; the differences are those from the first. */
function ofRecord(line: CorpusLine & { kind: 'record' }): Difference[] {
  const outcomes = new Map<KeptColumns, Outcome>()
  const tried = [line.expect, ...line.alsoOk].map(expect => {
    const kept = expect.action === 'merge' ? 'all' : 'none'
    const outcome = outcomes.get(kept) ?? outcomeOf(line, kept)
    outcomes.set(kept, outcome)
    return differences(expect, outcome)
  })
  return tried.some(found => found.length === 0) ? [] : tried[0]!
}

function differences(expect: Expect, outcome: Outcome): Difference[] {
  const wanted = WANTED[expect.action!]
  const found = foundOf(outcome)
  if (found !== wanted) return [{ what: 'action', expected: expect.action!, found: shown(outcome) }]
  const differing: Difference[] = []
  const compare = (what: string, expected: string | undefined, is: string | undefined) => {
    if (expected !== undefined && expected !== is) differing.push({ what, expected, found: is ?? 'none' })
  }
  if (expect.our_reason !== undefined)
    compare('reason', expect.our_reason, outcome.letters[0] ?? outcome.skipped)
  const index = outcome.writes.find(({ kind }) => kind === 'index')
  const remove = outcome.writes.find(({ kind }) => kind === 'delete')
  for (const write of outcome.writes) compare(`index of the ${write.kind}`, expect.index, write.index)
  if (expect.index_rule !== undefined && index)
    compare('index', 'a legal name', indexNameFault(index.index) ?? 'a legal name')
  if (index) {
    compare('id', idRule(expect.id), index.id)
    differing.push(...documentDifferences(expect, index))
  }
  if (remove) {
    const expected = index ? expect.delete_id : (expect.id ?? expect.delete_id)
    compare('id of the delete', idRule(expected), remove.id)
  }
  return [...differing, ...learnDifferences(expect, outcome)]
}

const WANTED: Record<NonNullable<Expect['action']>, string> = {
  index: 'index',
  merge: 'index',
  delete: 'delete',
  'delete+index': 'delete+index',
  ignore: 'ignore',
  'dead-letter': 'dead-letter',
}

/** The action an outcome is; another word where it is none of them. */
function foundOf({ writes, letters, skipped, held }: Outcome): string {
  if (held !== undefined) return 'hold'
  const kinds = writes.map(({ kind }) => kind).sort()
  // Of a key change one half may be a dead letter and the other be written: the record counts as dead-lettered.
  if (letters.length > 0) return kinds.length < 2 ? 'dead-letter' : 'partly a dead letter'
  if (skipped !== undefined) return 'ignore'
  return kinds.join('+')
}

function shown(outcome: Outcome): string {
  const { writes, letters, skipped, held } = outcome
  const parts = writes.map(
    ({ kind, index, id, document }) =>
      `${kind} ${index}/${id}${document === undefined ? '' : ` ${short(document)}`}`,
  )
  if (held !== undefined) parts.push(`held (${held})`)
  parts.push(...letters.map(reason => `dead-letter (${reason})`))
  if (skipped !== undefined) parts.push(`ignore (${skipped})`)
  return parts.join(', ')
}

/**
 * Ids of a corpus are the key as plain text. This service's rule differs for those OpenSearch would not take. `<...>`
 * says that there is one, not which.
 */
function idRule(id: string | undefined): string | undefined {
  if (id === undefined || /^<.*>$/.test(id)) return undefined
  const isLong = new TextEncoder().encode(id).length > 512
  return isLong ? `sha256:${createHash('sha256').update(id).digest('hex')}` : id
}

function documentDifferences(expect: Expect, { document }: Written): Difference[] {
  const expected = expect.doc_json ?? (expect.doc_repeat && repeated(expect.doc_repeat))
  const differing: Difference[] = []
  if (/[\n\r]/.test(document!))
    differing.push({ what: 'layout', expected: 'one line', found: short(document!) })
  if (expected !== undefined && sorted(expected) !== sorted(document!))
    differing.push({ what: 'document', expected: short(sorted(expected)), found: short(sorted(document!)) })
  return differing
}

/**
 * JSON as text with the members of every object in order of their names: digits count, the order of members does not.
 *
 * @throws SyntaxError when it is none
 */
export function sorted(text: string): string {
  JSON.parse(text)
  const of = (value: string): string => {
    const first = value.trimStart()[0]
    if (first === '[') return `[${elementsOf(value).map(of).join(',')}]`
    if (first === '"') return JSON.stringify(JSON.parse(value))
    if (first !== '{') return value.trim()
    const members = [...membersOf(value)].sort(([a], [b]) => (a < b ? -1 : 1))
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${of(member)}`).join(',')}}`
  }
  return of(text)
}

function learnDifferences({ learn }: Expect, { definition }: Outcome): Difference[] {
  if (!learn) return []
  const expected: Record<string, unknown> = {}
  const found: Record<string, unknown> = {}
  if (learn.table !== undefined) {
    expected.table = learn.table
    found.table = definition?.table
  }
  if (learn.primary_key !== undefined) {
    expected.primary_key = learn.primary_key ?? []
    found.primary_key = definition?.primaryKey
  }
  if (learn.columns !== undefined) {
    expected.columns = learn.columns
    found.columns = definition && Object.fromEntries(definition.columns)
  }
  const [wanted, is] = [JSON.stringify(expected), JSON.stringify(found)]
  return sorted(wanted) === sorted(is) ? [] : [{ what: 'definition', expected: wanted, found: is }]
}

/** A sequence must end the same however it is cut into pages. */
async function ofSequence(line: CorpusLine & { kind: 'sequence' }): Promise<Difference[]> {
  const expected = finalOf(new Map([...line.final].map(([index, ids]) => [index, ruled(ids)])))
  const differing: Difference[] = []
  for (const [pages, pageLength] of [
    ['in one page', Number.POSITIVE_INFINITY],
    ['one record a page', 1],
  ] as const) {
    const left = await leftBy(line, pageLength)
    const found = finalOf(left.documents)
    const letters = `${left.letters.length}${left.letters.length > 0 ? ` (${left.letters.join(', ')})` : ''}`
    if (left.held !== undefined)
      differing.push({ what: `the shard, ${pages}`, expected: 'all settled', found: `held (${left.held})` })
    if (found !== expected) differing.push({ what: `documents left, ${pages}`, expected, found })
    if (left.letters.length !== line.deadLetters)
      differing.push({ what: `dead letters, ${pages}`, expected: String(line.deadLetters), found: letters })
  }
  return differing
}

function ruled(documents: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...documents].map(([id, text]) => [idRule(id) ?? id, text]))
}

/** Indices without a document are as good as none. */
function finalOf(documents: ReadonlyMap<string, ReadonlyMap<string, string>>): string {
  const lines = [...documents].flatMap(([index, ids]) =>
    [...ids].map(([id, text]) => `${index}/${id} ${sorted(text)}`),
  )
  return lines.length === 0 ? 'no documents' : lines.sort().join('; ')
}

const SHOWN_MAX = 2000

function short(text: string): string {
  return text.length <= SHOWN_MAX ? text : `${text.slice(0, SHOWN_MAX)}... (${text.length} characters)`
}
