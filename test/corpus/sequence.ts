/**
 * The records of a sequence through the production page writer into an index in memory with external versions.
 *
 * The index keeps tombstones and refuses what OpenSearch refuses of any document; it has no mapping.
 */

import { blockedIndices } from '../../src/blocked-indices.ts'
import type { Action } from '../../src/bulk-writer.ts'
import { documentOf } from '../../src/core/document.ts'
import type { Place } from '../../src/core/letter.ts'
import type { Answer, Item } from '../../src/core/outcome.ts'
import { versionText } from '../../src/core/version.ts'
import { decoder } from '../../src/decoder.ts'
import { type PageWriterSettings, pageWriter } from '../../src/page-writer.ts'
import { readBudget } from '../../src/read-budget.ts'
import type { Tenure } from '../../src/tenure.ts'
import type { CorpusLine } from './line.ts'
import { beforeImageOf, contextOf, partitionKeyOf } from './line-tables.ts'
import { RECORD_BYTES_MAX } from './outcome.ts'
import { refusalOf } from './refusal.ts'

export type Left = {
  /** Index -> id -> text. */
  documents: Map<string, Map<string, string>>
  letters: string[]
  held: string | undefined
}

/** @param pageLength records handed over at once; Infinity for one page of all */
export async function leftBy(line: CorpusLine, pageLength: number): Promise<Left> {
  const index = indexInMemory()
  const letters: string[] = []
  const clock = { now: () => 0, monotonic: () => 0, sleep: async () => {} }
  const random = () => 0.5
  const halt = new AbortController().signal
  const writer = pageWriter(
    {
      write: index.write,
      documents: index.documents,
      sendLetters: async sealed => {
        const reasons = sealed.map(({ letter }) => letter.reason)
        // Written as it was; the letter only asks for a look at the source, and depends on where a page ends.
        letters.push(...reasons.filter(reason => !reason.startsWith('kept-columns-')))
      },
      leases: async () => [],
      decode: decoder(beforeImageOf(line)),
      context: contextOf(line, 'absent-in-updates'),
      blocked: blockedIndices({ clock, random, log: silent }, { firstMs: 0, maxMs: 0 }),
      parkingRoom: readBudget(1_000_000),
      clock,
      random,
      log: silent,
      metrics: {
        backoff: () => {},
        settled: () => {},
        tableSettled: () => {},
        skipped: () => {},
        control: () => {},
        deadLetters: () => {},
        retries: () => {},
        latency: () => {},
        fenceJumped: () => {},
        held: () => {},
      },
    },
    tenure(contextOf(line, 'none').range),
    settings(),
    { halt, leaving: halt },
  )
  const records = line.records.map((record, at) => ({
    sequenceNumber: String(at + 1),
    arrivedAtMs: undefined,
    data: record.data,
    partitionKey: partitionKeyOf(record, line),
  }))
  for (let at = 0; at < records.length; ) {
    const page = records.slice(at, at + pageLength)
    writer.accept(page.length)
    const settled = await writer.settleFrom(page, 0)
    if (settled.kind === 'halted') return { ...index.left(), letters, held: 'the page writer halted' }
    if (settled.hold)
      return { ...index.left(), letters, held: `${settled.hold.reason}: ${settled.hold.found}` }
    at += page.length
  }
  return { ...index.left(), letters, held: undefined }
}

const silent = { info: () => {}, warn: () => {}, error: () => {} }

function settings(): PageWriterSettings {
  return {
    stream: 'corpus',
    service: 'test',
    recordBytesMax: RECORD_BYTES_MAX,
    keptMax: 200,
    letters: { lettersMax: 1000, shareMax: 1, shareFrom: 1000 },
    heldRetryMs: 0,
    unknownAnswerMs: 0,
    onUnknownAnswer: 'hold',
    retry: { firstMs: 0, maxMs: 0 },
  }
}

function tenure(range: Tenure['range']): Tenure {
  const never = new AbortController().signal
  return {
    shardId: 'shardId-000000000000',
    fence: () => 1,
    start: 'TRIM_HORIZON',
    range,
    isAlive: () => true,
    lost: never,
    leaving: never,
    leave: () => {},
    renew: async () => true,
    checkpoint: async () => true,
    shardEnd: async () => true,
    jump: async () => false,
    evict: async () => {},
    abandon: () => {},
    keep: async () => {},
  }
}

function indexInMemory() {
  const stored = new Map<string, { place: Place; version: bigint; document: string | undefined }>()
  const keyOf = ({ index, id }: Place) => `${index}\n${id}`

  function apply(action: Action): Item {
    const { write } = action
    const version = BigInt(versionText(action))
    const key = keyOf(write)
    const found = stored.get(key)
    if (found && found.version >= version)
      return {
        status: 409,
        error: {
          type: 'version_conflict_engine_exception',
          reason: `current version [${found.version}] is higher or equal to the one provided [${version}]`,
        },
      }
    if (write.kind === 'index' && refusalOf(documentOf(write)))
      return { status: 400, error: { type: 'mapper_parsing_exception' } }
    const wasThere = found?.document !== undefined
    stored.set(key, {
      place: write,
      version,
      document: write.kind === 'index' ? documentOf(write) : undefined,
    })
    return { status: write.kind === 'index' ? (wasThere ? 200 : 201) : wasThere ? 200 : 404 }
  }

  return {
    write: async (actions: readonly Action[]): Promise<Answer[]> =>
      actions.map(action => ({ kind: 'item', item: apply(action) })),
    documents: async (places: readonly Place[]) => places.map(place => stored.get(keyOf(place))?.document),
    left(): { documents: Left['documents'] } {
      const documents: Left['documents'] = new Map()
      for (const { place, document } of stored.values()) {
        if (document === undefined) continue
        const ofIndex = documents.get(place.index) ?? new Map()
        documents.set(place.index, ofIndex.set(place.id, document))
      }
      return { documents }
    },
  }
}
