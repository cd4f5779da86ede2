/** The mode `catch-up`: a backlog as after an outage, worked off into a real OpenSearch while more arrives. */
import { setTimeout as sleep } from 'node:timers/promises'
import { startParts } from '../../../docker/local/parts.ts'
import type { Figures } from '../figures.ts'
import { pacedRun } from '../paced/paced-run.ts'
import { loadPlainly } from '../paced/plain-load.ts'
import { type OpenSearchSink, openSearchSink } from '../paced/sinks.ts'
import type { Attempt } from './cost.ts'
import type { CatchUpOptions } from './options.ts'

const SHARDS = 4
const DOCUMENTS_PER_SECOND_MIN = 5_000
/** Warms Java up, and says how busy the machine is where a bound does not hold. */
const PLAIN_DOCUMENTS = 100_000
const LEFT_OUT = 1 / 4
/** Caught up: no record waits longer. */
const WAITS_AT_MOST_MS = 1_000
const LOOK_MS = 100
const TELL_EVERY_MS = 10_000
/** Whoever has not caught up after this will not. */
const GIVE_UP_MS = 1_800_000

export async function measureCatchUp(
  options: CatchUpOptions,
  figures: Figures,
  attempt: Attempt,
  log: (line: string) => void,
): Promise<void> {
  for (let run = 1; run <= options.repeat; run++) {
    // Parts of its own, so that no run meets the merges of the one before.
    await attempt('catch-up', async () => {
      const parts = await startParts({ instance: 'bench-records', log })
      try {
        log(`catch-up, ${options.waiting} records waiting, run ${run} of ${options.repeat}`)
        const sink = await openSearchSink(parts)
        const alone = await loadPlainly(parts.endpoints.opensearchUrl, PLAIN_DOCUMENTS)
        figures.add('catch_up_opensearch_alone', Math.round(alone), 'documents/s')
        const { documentsPerSecond, recordsPerSecond, seconds } = await measureOne(
          options,
          async () => sink,
          log,
        )
        figures.add('catch_up_documents', Math.round(documentsPerSecond), 'documents/s', {
          min: DOCUMENTS_PER_SECOND_MIN,
        })
        figures.add('catch_up_records', Math.round(recordsPerSecond), 'records/s')
        figures.add('catch_up_time', seconds, 's')
      } finally {
        await parts.stop()
      }
    })
  }
}

type Mark = { atMs: number; documents: number; records: number }

async function measureOne(
  { perSecond, waiting }: CatchUpOptions,
  openSink: () => Promise<OpenSearchSink>,
  log: (line: string) => void,
): Promise<{ documentsPerSecond: number; recordsPerSecond: number; seconds: number }> {
  let documents = 0
  let from: Mark | undefined
  let to: Mark | undefined
  let startMs = 0
  await pacedRun({
    pace: { shards: SHARDS, perSecond, startMs: Date.now() - (waiting / perSecond) * 1000 },
    openSink,
    onAcknowledged: actions => {
      documents += actions.length
    },
    async during({ ledger, startedAtMs, signal }) {
      startMs = startedAtMs
      for (let toldAtMs = startedAtMs; ; await sleep(LOOK_MS, undefined, { signal })) {
        const now = Date.now()
        const mark = { atMs: now, documents, records: ledger.acknowledged() }
        if (mark.records >= waiting * LEFT_OUT) from ??= mark
        // To look for the oldest among all that wait costs too much to do it long before the end.
        if (mark.records >= waiting && ledger.oldestMs(now) <= WAITS_AT_MOST_MS) {
          to = mark
          return
        }
        if (now - startedAtMs > GIVE_UP_MS) throw new Error(`not caught up after ${GIVE_UP_MS / 1000} s`)
        if (now - toldAtMs < TELL_EVERY_MS) continue
        toldAtMs = now
        log(`  ${mark.records} records acknowledged after ${Math.round((now - startedAtMs) / 1000)} s`)
      }
    },
  })
  const seconds = (to!.atMs - from!.atMs) / 1000
  return {
    documentsPerSecond: (to!.documents - from!.documents) / seconds,
    recordsPerSecond: (to!.records - from!.records) / seconds,
    seconds: (to!.atMs - startMs) / 1000,
  }
}
