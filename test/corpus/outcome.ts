/** What the service makes of the one record of a line. */
import { decode } from '../../src/core/change.ts'
import { documentOf } from '../../src/core/document.ts'
import { fillKept } from '../../src/core/keep.ts'
import { unsettledWrites } from '../../src/core/page.ts'
import { type Plan, plan } from '../../src/core/plan.ts'
import { decoder } from '../../src/decoder.ts'
import type { CorpusLine } from './line.ts'
import { beforeImageOf, contextOf, type KeptColumns, partitionKeyOf } from './line-tables.ts'
import { refusalOf } from './refusal.ts'

export type Written = { kind: 'index' | 'delete'; index: string; id: string; document: string | undefined }

export type Outcome = {
  writes: Written[]
  /** Reasons of the letters. */
  letters: string[]
  /** Why nothing was written without a letter. */
  skipped: string | undefined
  held: string | undefined
  definition:
    | { table: string; primaryKey: readonly string[]; columns: ReadonlyMap<string, string> }
    | undefined
}

/** The default of RECORD_BYTES_MAX. */
export const RECORD_BYTES_MAX = 10_485_760

/** @param kept `all`: as a merge, which finds no document to take values from */
export function outcomeOf(line: CorpusLine, kept: KeptColumns): Outcome {
  const record = line.records[0]!
  const beforeImage = beforeImageOf(line)
  const planned = plan(
    [
      {
        sequenceNumber: '1',
        arrivedAtMs: undefined,
        data: record.data,
        partitionKey: partitionKeyOf(record, line),
      },
    ],
    0,
    {
      context: contextOf(line, kept),
      recordBytesMax: RECORD_BYTES_MAX,
      decode: decoder(beforeImage),
      keptMax: 1,
      ordinal: 0,
      fence: 1,
    },
  )
  for (const { index } of planned.folded.readings) fillKept(planned.folded, index, new Map())
  const letters = planned.letters.map(({ letter }) => letter.reason as string)
  const writes: Written[] = []
  for (const { write } of unsettledWrites(planned.page)) {
    const { kind, index, id } = write
    const document = kind === 'index' ? documentOf(write) : undefined
    const refusal = document === undefined ? undefined : refusalOf(document)
    if (refusal) letters.push('rejected')
    else writes.push({ kind, index, id, document })
  }
  return {
    writes,
    letters,
    skipped: skippedBy(planned),
    held:
      planned.hold &&
      `${planned.hold.reason}: found ${planned.hold.found}, expected ${planned.hold.expected}`,
    definition: definitionOf(record.data),
  }
}

function skippedBy({ decisions }: Plan): string | undefined {
  const decision = decisions[0]
  if (decision?.kind === 'control') return 'control'
  return decision?.kind === 'skip' ? decision.reason : undefined
}

function definitionOf(data: Uint8Array): Outcome['definition'] {
  const decoded = decode(data)
  if (decoded.kind !== 'control' || !decoded.definition) return undefined
  return { table: `${decoded.schema}.${decoded.table}`, ...decoded.definition }
}
