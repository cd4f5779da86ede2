/**
 * A real Prometheus on this machine, with the rules of docker/prometheus, over workers that run as plain processes.
 *
 * It scrapes every second, so that what takes the operator's Prometheus minutes can be seen in a test; rules and queries are the same.
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Child, Parts } from '../local/parts.ts'
import { freePorts } from '../local/ports.ts'
import { requirePrograms } from '../local/requirements.ts'
import { projectDir } from '../local/state.ts'

export type Series = { metric: Record<string, string>; values: [number, number][] }

export type Prometheus = {
  url: string
  /** Scrapes these workers from now on, and no others. */
  scrape(workerUrls: string[]): void
  /** The latest value of each series; NaN included. */
  query(expr: string): Promise<Series[]>
  queryRange(expr: string, range: { from: number; to: number; step: number }): Promise<Series[]>
  child: Child
}

export const SCRAPE_S = 1

const READY_MS = 30_000
const CALL_MS = 20_000
const POLL_MS = 50

/** Both come from Debian's package. */
const PROGRAMS = ['prometheus', 'promtool'].map(program => ({
  program,
  what: `Prometheus (${program})`,
  aptPackage: 'prometheus',
}))

export type ProgramPaths = { prometheus: string; promtool: string }

export async function requirePrometheus(options: {
  log: (line: string) => void
  signal: AbortSignal
}): Promise<ProgramPaths> {
  const [prometheus, promtool] = await requirePrograms(PROGRAMS, options)
  return { prometheus: prometheus!, promtool: promtool! }
}

/** @param name names its folder and its log */
export async function startPrometheus(
  parts: Parts,
  program: string,
  name = 'prometheus',
): Promise<Prometheus> {
  const dir = join(parts.instanceDir, name)
  mkdirSync(dir, { recursive: true })
  const targets = join(dir, 'targets.json')
  const config = join(dir, 'prometheus.yml')
  writeFileSync(config, configText(targets))
  const scrape = (workerUrls: string[]): void => {
    writeFileSync(`${targets}.new`, JSON.stringify([{ targets: workerUrls.map(url => new URL(url).host) }]))
    renameSync(`${targets}.new`, targets)
  }
  scrape([])
  const [port] = await freePorts(1)
  const url = `http://127.0.0.1:${port}`
  const flags = [`--config.file=${config}`, `--storage.tsdb.path=${join(dir, 'data')}`]
  const child = parts.spawn(name, [program, ...flags, `--web.listen-address=127.0.0.1:${port}`], {})
  await untilReady(url, child)
  return {
    url,
    scrape,
    child,
    async query(expr) {
      const result = await ask<{ metric: Record<string, string>; value: [number, string] }>(url, 'query', {
        query: expr,
      })
      return result.map(({ metric, value }) => ({ metric, values: [[value[0], Number(value[1])]] }))
    },
    async queryRange(expr, { from, to, step }) {
      const range = { query: expr, start: String(from), end: String(to), step: String(step) }
      const result = await ask<{ metric: Record<string, string>; values: [number, string][] }>(
        url,
        'query_range',
        range,
      )
      return result.map(({ metric, values }) => ({
        metric,
        values: values.map(([at, value]) => [at, Number(value)]),
      }))
    },
  }
}

function configText(targets: string): string {
  return `global: { scrape_interval: ${SCRAPE_S}s, scrape_timeout: ${SCRAPE_S}s, evaluation_interval: ${SCRAPE_S}s }
rule_files: [${JSON.stringify(join(projectDir, 'docker/prometheus/rules.yml'))}]
scrape_configs:
  - job_name: cdc-consumer
    file_sd_configs: [{ files: [${JSON.stringify(targets)}], refresh_interval: 1s }]
`
}

async function untilReady(url: string, child: Child): Promise<void> {
  const giveUpAt = performance.now() + READY_MS
  let hasEnded = false
  void child.exited.then(() => {
    hasEnded = true
  })
  for (;;) {
    const answer = await fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(CALL_MS) }).catch(
      () => undefined,
    )
    await answer?.arrayBuffer()
    if (answer?.ok) return
    if (hasEnded || performance.now() > giveUpAt)
      throw new Error(`Prometheus was not ready after ${READY_MS / 1000} s; its log: ${child.logFile}`)
    await sleep(POLL_MS)
  }
}

async function ask<T>(url: string, what: string, parameters: Record<string, string>): Promise<T[]> {
  const response = await fetch(`${url}/api/v1/${what}`, {
    method: 'POST',
    body: new URLSearchParams(parameters),
    signal: AbortSignal.timeout(CALL_MS),
  })
  const answer = (await response.json()) as { status: string; error?: string; data: { result: T[] } }
  if (answer.status !== 'success')
    throw new Error(`Prometheus refuses ${what} ${JSON.stringify(parameters)}: ${answer.error}`)
  return answer.data.result
}
