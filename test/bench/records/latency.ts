/** The mode `latency`: from a record's arrival in the stream to its document acknowledged. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Parts, startParts } from '../../../docker/local/parts.ts'
import type { Figures } from '../figures.ts'
import { latencies } from '../paced/latencies.ts'
import { pacedRun } from '../paced/paced-run.ts'
import { loadPlainly } from '../paced/plain-load.ts'
import { openSearchSink, stubSink } from '../paced/sinks.ts'
import type { Attempt } from './cost.ts'
import type { LatencyOptions, Target } from './options.ts'

const SHARDS = 4
const P99_MAX_MS = 1_000
const LATE_ANSWER_MS = 50
/** A consumer starts and takes its leases meanwhile; so its start is no outage. */
const HEAD_START_MS = 5_000
/** A cold Java is slower than the rate for half a minute; and what it then does without us says how busy the machine is. */
const WARM_UP_DOCUMENTS = 50_000
const LEFT_OUT = 1 / 4

export async function measureLatency(
  options: LatencyOptions,
  figures: Figures,
  attempt: Attempt,
  log: (line: string) => void,
): Promise<void> {
  let parts: Parts | undefined
  try {
    for (const target of options.against) {
      for (let run = 1; run <= options.repeat; run++) {
        await attempt(`latency against ${target}`, async () => {
          if (target === 'opensearch') parts ??= await startParts({ instance: 'bench-records', log })
          log(`latency against ${target}, ${options.seconds} s, run ${run} of ${options.repeat}`)
          await measureOne(target, options, figures, parts)
        })
      }
    }
  } finally {
    await parts?.stop()
  }
}

async function measureOne(
  target: Target,
  { perSecond, seconds }: LatencyOptions,
  figures: Figures,
  parts: Parts | undefined,
): Promise<void> {
  const ready = target === 'opensearch' ? await openSearchSink(parts!) : undefined
  if (ready) {
    const alone = await loadPlainly(ready.world.opensearchUrl, WARM_UP_DOCUMENTS)
    figures.add('latency_opensearch_alone', Math.round(alone), 'documents/s')
  }
  const pace = { shards: SHARDS, perSecond, startMs: Date.now() + HEAD_START_MS }
  const countedFromMs = pace.startMs + seconds * 1000 * LEFT_OUT
  const counted = latencies()
  const { refused } = await pacedRun({
    pace,
    openSink: async onFault => ready ?? (await stubSink(onFault)),
    answerDelayMs: target === 'stub-50ms' ? LATE_ANSWER_MS : 0,
    onLatency(latencyMs, arrivedAtMs) {
      if (arrivedAtMs >= countedFromMs) counted.add(latencyMs)
    },
    during: ({ signal }) =>
      sleep(Math.max(0, pace.startMs + seconds * 1000 - Date.now()), undefined, { signal }),
  })
  const name = `latency_${target.replace('-', '_')}`
  figures.add(`${name}_p50`, counted.quantile(0.5), 'ms')
  figures.add(`${name}_p99`, counted.quantile(0.99), 'ms', P99_MAX_MS)
  figures.add(`${name}_longest`, counted.max(), 'ms')
  figures.add(`${name}_reads_beyond_limit`, refused, 'reads', 0)
}
