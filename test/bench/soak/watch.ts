/** What is seen of a soak while it goes on: memory each second, a line each minute. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Latencies, latencies } from '../paced/latencies.ts'
import type { Point } from '../paced/slope.ts'
import { residentBytes } from '../records/process-cost.ts'

export type Watch = {
  addLatency(latencyMs: number): void
  /** Of all records so far. */
  ofAll: Latencies
  /** Of the watched process, in MiB. */
  memory: readonly Point[]
  /** Resolves at the end, or rejects with the signal. */
  go(watched: Watched, span: { fromMs: number; minutes: number }, signal: AbortSignal): Promise<void>
}

/** `pid`: whose memory. The others are asked for each line. */
export type Watched = {
  pid: number
  acknowledged: () => number
  faults: () => number
  errors: () => number
}

const LOOK_MS = 1_000
const MINUTE_MS = 60_000
const MIB = 2 ** 20

export function createWatch(log: (line: string) => void): Watch {
  const [ofAll, ofMinute] = [latencies(), latencies()]
  const memory: Point[] = []

  function tellMinute(of: string, { acknowledged, faults, errors }: Watched): void {
    const lag = `lag p99 ${ofMinute.quantile(0.99)} ms, longest ${ofMinute.max()} ms`
    const resident = `resident ${Math.round(memory.at(-1)?.value ?? 0)} MiB`
    log(
      `minute ${of}: ${acknowledged()} records, ${lag}, ${resident}, ${faults()} faults, ${errors()} errors`,
    )
    ofMinute.clear()
  }

  return {
    ofAll,
    memory,
    addLatency(latencyMs) {
      ofAll.add(latencyMs)
      ofMinute.add(latencyMs)
    },
    async go(watched, { fromMs, minutes }, signal) {
      await sleep(Math.max(0, fromMs - Date.now()), undefined, { signal })
      for (let minute = 1; minute <= minutes; ) {
        await sleep(LOOK_MS, undefined, { signal })
        const now = Date.now()
        memory.push({ atMs: now, value: residentBytes(watched.pid) / MIB })
        if (now >= fromMs + minute * MINUTE_MS) tellMinute(`${minute++} of ${minutes}`, watched)
      }
    },
  }
}
