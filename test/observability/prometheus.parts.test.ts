/**
 * A real Prometheus over two real workers under load and faults: every panel's query and every rule finds what it asks for, the books
 * balance at every scrape, and a worker that drops one record in secret is found out by them.
 */
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { runCommand } from '../../docker/local/run-command.ts'
import { projectDir } from '../../docker/local/state.ts'
import { filledIn, readDashboards } from '../../docker/observe/panels.ts'
import {
  type ProgramPaths,
  type Prometheus,
  requirePrometheus,
  startPrometheus,
} from '../../docker/observe/prometheus.ts'
import { openScene, type Scene } from '../e2e/harness.ts'
import { createLoad } from '../e2e/load.ts'
import { controlRecord, dmsRecord } from '../e2e/records.ts'
import { until } from '../e2e/until.ts'
import { startProxy } from '../faults/proxy.ts'

const RATE_INTERVAL = '10s'
const DATA_MS = 30_000
const LOOKS_MIN = 15

let programs: ProgramPaths

beforeAll(async () => {
  const signal = AbortSignal.timeout(240_000)
  programs = await requirePrometheus({ log: line => console.error(line), signal })
})

async function prometheusOf(scene: Scene, workerUrls: string[]): Promise<Prometheus> {
  const prometheus = await startPrometheus(scene.parts, programs.prometheus, `${scene.name}-prometheus`)
  onTestFinished(async () => {
    prometheus.child.kill('SIGKILL')
    await prometheus.child.exited
  })
  prometheus.scrape(workerUrls)
  return prometheus
}

const hasNumber = async (prometheus: Prometheus, expr: string): Promise<boolean> =>
  (await prometheus.query(expr)).some(({ values }) => values.some(([, value]) => !Number.isNaN(value)))

/** At how many looks at each shard's books, one a second, and by how much any was out at the worst of them. */
async function booksOf(prometheus: Prometheus): Promise<{ looks: number; outBy: number }> {
  const latest = async (expr: string): Promise<number> =>
    (await prometheus.query(expr))[0]?.values[0]?.[1] ?? 0
  return {
    looks: await latest('min(count_over_time(cdc:records_missing:sum[10m]))'),
    outBy: await latest('max(max_over_time(abs(cdc:records_missing:sum)[10m:1s]))'),
  }
}

test('promtool: the rules are valid, and every alert fires where it must and only there', async () => {
  const dir = join(projectDir, 'docker/prometheus')
  const tests = readdirSync(join(dir, 'tests')).map(file => join(dir, 'tests', file))
  const signal = AbortSignal.timeout(100_000)
  await runCommand([programs.promtool, 'check', 'config', join(dir, 'prometheus.yml')], { signal })
  await runCommand([programs.promtool, 'test', 'rules', ...tests], { signal })
})

test('every panel and every rule finds data in a scrape of two workers, and the books balance throughout', async () => {
  const scene = await openScene('panels')
  const proxy = await startProxy(scene.parts.endpoints.opensearchUrl)
  onTestFinished(() => proxy.close())
  const env = { OPENSEARCH_URL: proxy.url, HELD_RETRY_MS: '500' }
  const workers = [await scene.startWorker('one', env), await scene.startWorker('two', env)]
  await scene.untilShares(workers, [2, 2])
  const prometheus = await prometheusOf(scene, await Promise.all(workers.map(urlOf)))
  const load = createLoad(scene)
  const loading = load.start()
  await scene.stream.put([
    { partitionKey: 'task', data: controlRecord('create-table', scene.schema, 'anything') },
    { partitionKey: 'stray', data: 'no change record' },
  ])
  await until(
    'letters and skips to be scraped',
    async () =>
      (await hasNumber(prometheus, 'cdc_dead_letters_total > 0')) &&
      hasNumber(prometheus, 'cdc_records_skipped_total > 0'),
  )
  await proxy.refuse()
  await until(
    'records in flight and retries to be scraped',
    async () =>
      (await hasNumber(prometheus, 'cdc_records_in_flight > 0')) &&
      hasNumber(prometheus, 'cdc_bulk_retries_total > 0'),
  )
  await proxy.accept()
  // An index that takes no writes: its record is parked.
  const shut = dmsRecord({ operation: 'insert', schema: scene.schema, table: 'shut', row: '{"id":1}' })
  const made = await fetch(`${scene.parts.endpoints.opensearchUrl}/${scene.indexOf('shut')}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: '{"settings":{"index.blocks.write":true}}',
  })
  expect(made.status).toBe(200)
  await scene.stream.put([{ partitionKey: `${scene.schema}.shut`, data: shut }])
  await until('the parked record to be scraped', () => hasNumber(prometheus, 'cdc_parked_records > 0'))
  // A table whose key nobody has told: its shard is held.
  const keyless = dmsRecord({
    operation: 'insert',
    schema: scene.schema,
    table: 'keyless',
    row: '{"name":"x"}',
  })
  await scene.stream.put([{ partitionKey: `${scene.schema}.keyless`, data: keyless }])
  await until('the held shard to be scraped', () => hasNumber(prometheus, 'cdc_shard_held > 0'))

  const silent = new Set([...panelExpressions(), ...ruleExpressions()])
  await until(
    'every expression to find data',
    async () => {
      for (const expr of silent) if (await hasNumber(prometheus, expr)) silent.delete(expr)
      return silent.size === 0
    },
    { deadlineMs: DATA_MS, seen: () => `nothing found for:\n${[...silent].join('\n')}` },
  )
  await proxy.refuse()
  await until('records to wait again', () => hasNumber(prometheus, 'sum(cdc_records_in_flight) > 20'))
  await proxy.accept()
  await until('enough looks at the books', async () => (await booksOf(prometheus)).looks >= LOOKS_MIN)
  await loading.stop()
  expect((await booksOf(prometheus)).outBy, 'records missing at the worst look').toBe(0)
})

/** As Grafana sends them. A query that is a list of alternatives with `or vector(0)` is asked without its last resort. */
function panelExpressions(): string[] {
  return readDashboards()
    .flatMap(({ panels }) => panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)))
    .map(expr => filledIn(expr, RATE_INTERVAL).replace(/ or vector\(0\)$/, ''))
}

/** What is recorded, and the left side of each alert's comparison: that it could be true, not that it is. */
function ruleExpressions(): string[] {
  const { groups } = parse(readFileSync(join(projectDir, 'docker/prometheus/rules.yml'), 'utf8')) as {
    groups: { rules: { record?: string; alert?: string; expr: string }[] }[]
  }
  return (
    groups
      .flatMap(({ rules }) => rules)
      // There is a worker, and it has lost no lease: these two have nothing to find.
      .filter(({ alert }) => alert !== 'CdcNoWorker' && alert !== 'CdcLeasesLost')
      .map(({ record, expr }) => (record ? expr : expr.replaceAll(/ (?:>|==|!=) [\d.]+( \* [\d.]+)?/g, '')))
  )
}

async function urlOf(worker: { said(message: string): Promise<Record<string, unknown>> }): Promise<string> {
  return String((await worker.said('listening')).url)
}

/** What a careless change might do, each a fault no document shows at once. */
const DROPS = [
  {
    what: 'leaves out the last record of a page',
    file: 'src/shard-consumer.ts',
    from: 'writer.settleFrom(records, from)',
    to: 'writer.settleFrom(records.length > 1 ? records.slice(0, -1) : records, from)',
  },
  {
    what: 'counts one record of a batch too few as settled',
    file: 'src/page-writer.ts',
    from: 'metrics.settled(shardId, outcome, count)',
    to: 'metrics.settled(shardId, outcome, Math.max(1, count - 1))',
  },
]

test.each(DROPS)('a service that $what is found out by the books', async ({ file, from, to }) => {
  const scene = await openScene('drop', { shards: 1 })
  const root = join(scene.parts.instanceDir, `${scene.name}-src`)
  cpSync(join(projectDir, 'src'), join(root, 'src'), { recursive: true })
  cpSync(join(projectDir, 'package.json'), join(root, 'package.json'))
  const text = readFileSync(join(root, file), 'utf8')
  expect(text).toContain(from)
  writeFileSync(join(root, file), text.replace(from, to))
  const table = scene.tables[0]!
  const row = (id: number) => ({
    partitionKey: `${scene.schema}.${table}`,
    data: dmsRecord({ operation: 'insert', schema: scene.schema, table, row: `{"id":${id}}` }),
  })
  // Before the worker starts, so that they come as one page.
  await scene.stream.put([row(1), row(2), row(3)])
  const worker = scene.spawn('careless', [process.execPath, join(root, 'src/main.ts')], {
    ...scene.env,
    WORKER_ID: 'careless',
  })
  const { url } = JSON.parse(await worker.line(line => line.includes('"listening"'), DATA_MS))
  const prometheus = await prometheusOf(scene, [url])
  // One more page: what waits in the page in hand is in flight, and rightly so.
  await until('the first page to be read', () => hasNumber(prometheus, 'cdc_records_settled_total > 0'))
  await scene.stream.put([row(4)])
  await until('the books to be out', () => hasNumber(prometheus, 'cdc:records_missing:sum != 0'))
  await until('the alert to see it', () => hasNumber(prometheus, 'ALERTS{alertname="CdcBooksUnbalanced"}'))
})
