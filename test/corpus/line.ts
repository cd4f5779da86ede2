/**
 * A line of a corpus: one record of DMS, or several in stream order, and what must become of them.
 *
 * The format is described in README.md beside this file. Lines come from others as well, so this reads as much as can be
 * meant by it: an unknown member is noted, not refused; what makes a line useless is an error that names the line.
 */

/** `head`, then `unit` times `count`, then `tail`; several of them one behind the other. */
export type Repeat = { head: string; unit: string; count: number; tail: string }

export type Expect = {
  action?: 'index' | 'merge' | 'delete' | 'delete+index' | 'ignore' | 'dead-letter'
  /** A name for people; `our_reason` is what this service says and is compared. */
  reason?: string
  our_reason?: string
  index?: string
  id?: string
  /** JSON as text: digits count. */
  doc_json?: string
  doc_repeat?: Repeat[]
  delete_id?: string
  learn?: { table?: string; primary_key?: string[] | null; columns?: Record<string, string> }
  index_rule?: string
}

export type CorpusRecord = { data: Uint8Array; partitionKey: string | undefined }

type Common = {
  /** Where it stands: `corpus.jsonl:12`. */
  at: string
  name: string
  settings: Record<string, unknown>
  table: { pk: string[] | null; types: Record<string, string> }
  records: CorpusRecord[]
  /** What the line asks that nobody can check from here. */
  notes: string[]
}

export type CorpusLine = Common &
  (
    | { kind: 'record'; expect: Expect; alsoOk: Expect[] }
    | {
        kind: 'sequence'
        /** Index -> id -> the document's JSON text. */
        final: Map<string, Map<string, string>>
        deadLetters: number
      }
  )

export class CorpusError extends Error {
  override name = 'CorpusError'
}

type Json = Record<string, unknown>

const ACTIONS = new Map<unknown, NonNullable<Expect['action']>>([
  ...(['index', 'merge', 'delete', 'delete+index', 'ignore', 'dead-letter'] as const).map(
    action => [action, action] as const,
  ),
  ['index+delete', 'delete+index'],
])

const EXPECT_MEMBERS = new Set([
  ...['action', 'reason', 'our_reason', 'index', 'id', 'doc_json', 'doc_repeat', 'delete_id', 'learn'],
  ...['also_ok', 'index_rule'],
])

/** @param text of a whole file @throws CorpusError that names the first useless line */
export function parseCorpus(text: string, file: string): CorpusLine[] {
  const lines: CorpusLine[] = []
  const names = new Map<string, string>()
  for (const [index, given] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    if (given.trim() === '') continue
    const line = parseLine(given, `${file}:${index + 1}`)
    const twin = names.get(line.name)
    if (twin) throw new CorpusError(`${line.at}: the name ${line.name} is also that of ${twin}`)
    names.set(line.name, line.at)
    lines.push(line)
  }
  if (lines.length === 0) throw new CorpusError(`${file}: no lines`)
  return lines
}

export function parseLine(text: string, at: string): CorpusLine {
  const fault = (what: string) => new CorpusError(`${at}: ${what}`)
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch (error) {
    throw new CorpusError(`${at}: not JSON: ${(error as Error).message}`, { cause: error })
  }
  if (!isObject(given)) throw fault('expected an object')
  if (typeof given.name !== 'string' || given.name === '') throw fault('expected `name`, a text')
  const notes: string[] = []
  const common = {
    at,
    name: given.name,
    settings: isObject(given.settings) ? given.settings : {},
    table: readTable(given.table, fault),
    notes,
  }
  if (Array.isArray(given.raws)) {
    return {
      ...common,
      kind: 'sequence',
      records: given.raws.map(raw => readRecord(typeof raw === 'string' ? { raw } : raw, fault)),
      final: readFinal(given.expect_final, fault),
      deadLetters: readCount(given.expect_dead_letters, fault),
    }
  }
  if (!isObject(given.expect)) throw fault('expected `expect`, an object (or `raws` and `expect_final`)')
  const expect = readExpect(given.expect, fault, notes)
  if (expect.action === undefined) throw fault('expected `expect.action`')
  const alternatives = given.expect.also_ok ?? []
  if (!Array.isArray(alternatives)) throw fault('`expect.also_ok` is no list')
  return {
    ...common,
    kind: 'record',
    records: [readRecord(given, fault)],
    expect,
    alsoOk: alternatives.map(other => {
      if (!isObject(other)) throw fault('`expect.also_ok` holds what is no object')
      return overridden(expect, readExpect(other, fault, notes))
    }),
  }
}

type Fault = (what: string) => CorpusError

/** What another action has no use for is not inherited: a dead letter has no document. */
function overridden(expect: Expect, other: Expect): Expect {
  const merged = { ...expect, ...other }
  if (other.our_reason === undefined && other.action !== undefined) delete merged.our_reason
  return merged
}

function readExpect(given: Json, fault: Fault, notes: string[]): Expect {
  const expect: Expect = {}
  for (const [name, value] of Object.entries(given)) {
    if (!EXPECT_MEMBERS.has(name)) {
      notes.push(`expect.${name} is not checked: ${JSON.stringify(value)}`)
      continue
    }
    if (name === 'also_ok') continue
    if (name === 'action') {
      if (!ACTIONS.has(value)) throw fault(`unknown action ${JSON.stringify(value)}`)
      expect.action = ACTIONS.get(value)!
    } else if (name === 'doc_repeat') expect.doc_repeat = readRepeats(value, fault)
    else if (name === 'learn') {
      if (!isObject(value)) throw fault('`expect.learn` is no object')
      expect.learn = value as NonNullable<Expect['learn']>
    } else if (name === 'doc_json' && isObject(value)) expect.doc_json = JSON.stringify(value)
    else if (typeof value !== 'string') throw fault(`\`expect.${name}\` is no text`)
    else expect[name as 'id'] = value
  }
  return expect
}

function readTable(given: unknown, fault: Fault): Common['table'] {
  if (given === undefined || given === null) return { pk: null, types: {} }
  if (!isObject(given)) throw fault('`table` is no object')
  const { pk = null, types = {} } = given
  if (pk !== null && !(Array.isArray(pk) && pk.every(column => typeof column === 'string')))
    throw fault('`table.pk` is neither a list of columns nor null')
  if (types !== null && !isObject(types)) throw fault('`table.types` is no object')
  const columns = Object.entries(types ?? {}).map(([column, type]) => [column, String(type)] as const)
  return { pk: pk?.length === 0 ? null : (pk as string[] | null), types: Object.fromEntries(columns) }
}

function readRecord(given: unknown, fault: Fault): CorpusRecord {
  if (!isObject(given)) throw fault('a record is neither a text nor an object')
  const { raw, raw_b64: base64, raw_repeat: repeat, partition_key: partitionKey } = given
  const data =
    typeof raw === 'string'
      ? new TextEncoder().encode(raw)
      : typeof base64 === 'string'
        ? new Uint8Array(Buffer.from(base64, 'base64'))
        : repeat !== undefined
          ? new TextEncoder().encode(repeated(readRepeats(repeat, fault)))
          : undefined
  if (!data) throw fault('expected one of `raw`, `raw_b64`, `raw_repeat`')
  return { data, partitionKey: typeof partitionKey === 'string' ? partitionKey : undefined }
}

function readRepeats(given: unknown, fault: Fault): Repeat[] {
  return [given].flat().map(part => {
    if (!isObject(part)) throw fault('a repetition is no object of head, unit, count and tail')
    const { head = '', unit = '', count = 0, tail = '' } = part
    if (typeof head !== 'string' || typeof unit !== 'string' || typeof tail !== 'string')
      throw fault('head, unit and tail of a repetition must be texts')
    return { head, unit, count: readCount(count, fault), tail }
  })
}

export function repeated(parts: readonly Repeat[]): string {
  return parts.map(({ head, unit, count, tail }) => head + unit.repeat(count) + tail).join('')
}

function readCount(given: unknown, fault: Fault): number {
  if (given === undefined) return 0
  if (typeof given !== 'number' || !Number.isInteger(given) || given < 0)
    throw fault(`${JSON.stringify(given)} is no count`)
  return given
}

function readFinal(given: unknown, fault: Fault): Map<string, Map<string, string>> {
  if (!isObject(given)) throw fault('expected `expect_final`, an object of indices')
  const final = new Map<string, Map<string, string>>()
  for (const [index, documents] of Object.entries(given)) {
    if (!isObject(documents)) throw fault(`\`expect_final.${index}\` is no object of documents`)
    const texts = Object.entries(documents).map(
      ([id, text]) => [id, typeof text === 'string' ? text : JSON.stringify(text)] as const,
    )
    final.set(index, new Map(texts))
  }
  return final
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
