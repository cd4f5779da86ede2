/** Worker processes of a test: started, asked over HTTP as an operator would, ended. */
import { parseMetrics, type Sample, total, totalsBy } from '../../docker/demo/scrape.ts'
import type { Child, Parts } from '../../docker/local/parts.ts'

export type Worker = {
  id: string
  child: Child
  /** Its last log lines. */
  tail(): string
  samples(): Promise<Sample[]>
  ready(): Promise<{ status: number; wrong: string[] }>
  liveStatus(): Promise<number>
  /** The first log line with this message, past or to come, as an object. */
  said(message: string, deadlineMs?: number): Promise<Record<string, unknown>>
  /** SIGKILL, then waits until the process is gone. */
  kill(): Promise<void>
}

const START_MS = 20_000
const CALL_MS = 5_000
const LINES_SHOWN = 12

export async function startWorker(
  parts: Parts,
  logName: string,
  id: string,
  env: Record<string, string>,
  onStart: (child: Child) => void,
): Promise<Worker> {
  const child = parts.spawn(logName, [process.execPath, 'src/main.ts'], { ...env, WORKER_ID: id })
  onStart(child)
  const lines: string[] = []
  child.onLine(line => {
    lines.push(line)
    if (lines.length > LINES_SHOWN) lines.shift()
  })
  const said = async (message: string, deadlineMs = START_MS): Promise<Record<string, unknown>> =>
    parsed(await child.line(line => parsed(line).msg === message, deadlineMs))
  const url = String((await said('listening')).url)
  const ask = (path: string): Promise<Response> => fetch(url + path, { signal: AbortSignal.timeout(CALL_MS) })

  return {
    id,
    child,
    said,
    tail: () => `${id}, last lines:\n${lines.join('\n')}`,
    samples: async () => parseMetrics(await (await ask('/metrics')).text()),
    async ready() {
      const answer = await ask('/health/ready')
      const { wrong } = (await answer.json()) as { wrong: string[] }
      return { status: answer.status, wrong }
    },
    async liveStatus() {
      const answer = await ask('/health/live')
      await answer.arrayBuffer()
      return answer.status
    },
    async kill() {
      child.kill('SIGKILL')
      await child.exited
    },
  }
}

function parsed(line: string): Record<string, unknown> {
  return line.startsWith('{') ? (JSON.parse(line) as Record<string, unknown>) : {}
}

/** For each shard of a worker what it read, settled and has in flight; the first must be the sum of the others. */
export function booksOf(
  samples: Sample[],
): { shard: string; read: number; settled: number; inFlight: number }[] {
  const settled = totalsBy(samples, 'cdc_records_settled_total', 'shard')
  const inFlight = totalsBy(samples, 'cdc_records_in_flight', 'shard')
  return [...totalsBy(samples, 'cdc_records_received_total', 'shard')].map(([shard, read]) => ({
    shard,
    read,
    settled: settled.get(shard) ?? 0,
    inFlight: inFlight.get(shard) ?? 0,
  }))
}

/** In how many shards a tenure of this worker runs: a lease may carry its name a moment before that. */
export async function tenuresOf(worker: Worker): Promise<number> {
  return totalsBy(await worker.samples(), 'cdc_tenure_fence', 'shard').size
}

/** What happened to the worker's leases so far: event -> how often. */
export async function leaseEvents(worker: Worker): Promise<Map<string, number>> {
  return totalsBy(await worker.samples(), 'cdc_lease_events_total', 'event')
}

export const residentBytes = (samples: Sample[]): number => total(samples, 'process_resident_memory_bytes')
