/** The two consumers, each as a process with the stubs for its world. Neither sees an AWS setting of this machine. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { TemplateOptions } from '../../../src/core/template.ts'

export type ConsumerName = 'ours' | 'reference'

/** `settings`: over those of the bench. */
export type World = {
  kinesisUrl: string
  dynamodbUrl: string
  queueUrl: string
  opensearchUrl: string
  settings: Readonly<Record<string, string>>
}

export type Consumer = {
  pid: number
  /** The text of its /metrics; undefined where it has none. */
  metrics(): Promise<string | undefined>
  /** Rejects when it ends before it was asked to. */
  failed: Promise<never>
  /** Asks it to end, and waits until it has. */
  stop(): Promise<void>
  kill(): void
}

export const TEMPLATE: TemplateOptions = { patterns: ['bench_*'], shards: 1, replicas: 1 }

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))
const LINES_SHOWN = 20

/** @param profileDir where a CPU profile of our process is written at its end */
export function startConsumer(name: ConsumerName, world: World, profileDir?: string): Consumer {
  const args = name === 'ours' ? ['src/main.ts', 'run'] : ['test/bench/reference-loop.ts']
  const profiling = profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`]
  const owned = ['--import', new URL('end-with-owner.ts', import.meta.url).href]
  const child = spawn(process.execPath, [...owned, ...profiling, ...args], {
    cwd: PROJECT,
    env: envOf(world),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const lines: string[] = []
  let metricsUrl: string | undefined
  for (const output of [child.stdout!, child.stderr!]) {
    createInterface({ input: output }).on('line', line => {
      lines.push(line)
      if (lines.length > LINES_SHOWN) lines.shift()
      metricsUrl ??= /"url":"([^"]+)".*"msg":"listening"/.exec(line)?.[1]
    })
  }
  const exited = exitOf(child)
  let isExpected = false
  return {
    pid: child.pid!,
    async metrics() {
      if (metricsUrl === undefined) return undefined
      return await (await fetch(`${metricsUrl}/metrics`)).text()
    },
    failed: exited.then(how => {
      // The reference ends by itself when it has read all there is.
      if (isExpected || (name === 'reference' && how === 'exit code 0')) return new Promise<never>(() => {})
      throw new Error(`${name} ended (${how}). Its last lines:\n${lines.join('\n')}`)
    }),
    async stop() {
      isExpected = true
      child.kill('SIGTERM')
      await exited
    },
    kill() {
      isExpected = true
      child.kill('SIGKILL')
    },
  }
}

function exitOf(child: ChildProcess): Promise<string> {
  return new Promise(resolve => {
    child.once('error', error => resolve(error.message))
    child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
}

/** All else is as it is delivered. */
function envOf({
  kinesisUrl,
  dynamodbUrl,
  queueUrl,
  opensearchUrl,
  settings,
}: World): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '',
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'bench',
    AWS_SECRET_ACCESS_KEY: 'bench',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_ENDPOINT_URL_KINESIS: kinesisUrl,
    AWS_ENDPOINT_URL_DYNAMODB: dynamodbUrl,
    STREAM_NAME: 'bench',
    LEASE_TABLE: 'bench-leases',
    DEAD_LETTER_QUEUE_URL: queueUrl,
    OPENSEARCH_URL: opensearchUrl,
    INDEX_PATTERNS: TEMPLATE.patterns.join(','),
    HTTP_PORT: '0',
    ...settings,
  }
}

/** Where the stub of the lease table is the queue as well. */
export function queueUrlAt(stubUrl: string): string {
  return `${stubUrl}/000000000000/letters`
}
