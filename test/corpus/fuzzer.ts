/**
 * Damaged records through decode and decide. Whatever the bytes, each is decided or refused with a reason, in a moment, and
 * a document that comes of them is one line of valid JSON.
 */
import { decode } from '../../src/core/change.ts'
import { type DecideContext, type Decision, decide, documentOf } from '../../src/core/document.ts'
import { seededChance } from '../simulation/chance.ts'
import type { CorpusLine } from './line.ts'
import { beforeImageOf, contextOf, partitionKeyOf } from './line-tables.ts'
import { mutated } from './mutate.ts'

export const RECORD_MS_MAX = 50

export type Violation = { what: string; seed: number; record: number; name: string; base64: string }

export type Fuzzed = {
  records: number
  accepted: number
  /** Reasons of letters, of skips and of holds -> records. */
  refused: Map<string, number>
  slowestMs: number
  violations: Violation[]
}

/** Payloads above this are taken once in a hundred, or nothing else would be looked at. */
const LARGE_BYTES = 20_000

/** Violations after which it is not worth going on. */
const VIOLATIONS_MAX = 10

type Payload = {
  name: string
  data: Uint8Array
  partitionKey: string
  beforeImage: string
  contexts: DecideContext[]
}

export function fuzz(input: {
  lines: readonly CorpusLine[]
  seed: number
  records: number
  onProgress?: (so: Fuzzed) => void
}): Fuzzed {
  const { seed } = input
  const by = seededChance(seed)
  const payloads = input.lines.flatMap(payloadsOf)
  const small = payloads.filter(({ data }) => data.length <= LARGE_BYTES)
  const good = small.filter(payload => decided(payload.data, payload).decisions[0]!.kind === 'write')
  const result: Fuzzed = { records: 0, accepted: 0, refused: new Map(), slowestMs: 0, violations: [] }
  while (result.records < input.records && result.violations.length < VIOLATIONS_MAX) {
    const pick = () => by.pick(by.isHit(0.01) ? payloads : by.isHit(0.7) ? good : small)
    const payload = pick()
    const data = mutated(payload.data, pick().data, by)
    result.records++
    const violate = (what: string) =>
      result.violations.push({
        what,
        seed,
        record: result.records,
        name: payload.name,
        base64: Buffer.from(data).toString('base64'),
      })
    try {
      const { decisions, ms } = decided(data, payload)
      result.slowestMs = Math.max(result.slowestMs, ms)
      if (ms > RECORD_MS_MAX) violate(`took ${ms.toFixed(1)} ms`)
      for (const decision of decisions) {
        const fault = faultOf(decision)
        if (fault) violate(fault)
      }
      const [typed] = decisions
      if (typed!.kind === 'write') result.accepted++
      else {
        const reason = reasonOf(typed!)
        result.refused.set(reason, (result.refused.get(reason) ?? 0) + 1)
      }
    } catch (error) {
      violate(`threw ${(error as Error).stack ?? error}`)
    }
    if (result.records % 1000 === 0) input.onProgress?.(result)
  }
  return result
}

/** Under the line's own table file, under one that keeps every column, and under none. */
function payloadsOf(line: CorpusLine): Payload[] {
  const contexts = [
    contextOf(line, 'none'),
    contextOf(line, 'all'),
    contextOf({ ...line, table: { pk: null, types: {} } }, 'none'),
  ]
  return line.records.map(record => ({
    name: line.name,
    data: record.data,
    partitionKey: partitionKeyOf(record, line),
    beforeImage: beforeImageOf(line),
    contexts,
  }))
}

/**
 * @returns the decision under each context and the time of the slowest: CPU time of this thread, which is not alone on its
 * machine. What is not quick is timed again, for it collects its garbage: a record is as slow as the fastest of three.
 */
function decided(data: Uint8Array, { partitionKey, beforeImage, contexts }: Payload) {
  let ms = 0
  const decisions = contexts.map(context => {
    let decision: Decision
    let fastest = Number.POSITIVE_INFINITY
    for (let tries = 0; tries < 3 && fastest > RECORD_MS_MAX / 5; tries++) {
      const before = process.threadCpuUsage()
      decision = decide(decode(data, beforeImage), partitionKey, context)
      const { user, system } = process.threadCpuUsage(before)
      fastest = Math.min(fastest, (user + system) / 1000)
    }
    ms = Math.max(ms, fastest)
    return decision!
  })
  return { decisions, ms }
}

function reasonOf(decision: Exclude<Decision, { kind: 'write' }>): string {
  if (decision.kind === 'letter') return decision.letter.reason
  if (decision.kind === 'skip') return `skip ${decision.reason}`
  return decision.kind === 'hold' ? `hold ${decision.hold.reason}` : 'control'
}

/** What is wrong with a decision; undefined when nothing is. */
export function faultOf(decision: Decision): string | undefined {
  if (decision.kind !== 'write') return reasonOf(decision) ? undefined : `${decision.kind} without a reason`
  if (decision.writes.length + decision.letters.length === 0) return 'neither writes nor letters'
  for (const write of decision.writes) {
    const { kind, id, index } = write
    const document = kind === 'index' ? documentOf(write) : undefined
    if (id === '' || new TextEncoder().encode(id).length > 512) return `an id of ${id.length} characters`
    if (!id.isWellFormed() || !index.isWellFormed()) return 'an id that has no UTF-8 form'
    if (kind === 'delete') continue
    if (/[\n\r]/.test(document!)) return 'a document of several lines'
    if (!document!.isWellFormed()) return 'a document that has no UTF-8 form'
    try {
      const value: unknown = JSON.parse(document!)
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        return 'a document that is no object'
    } catch {
      return 'a document that is no JSON'
    }
  }
  return undefined
}
