/** The dashboards' files: what Grafana would show as an empty or a broken panel without a word. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { dashboardFiles } from '../../docker/grafana/source/files.ts'
import { filledIn, type Panel, readDashboards } from '../../docker/observe/panels.ts'
import { declaredMetrics, metricsIn } from './expressions.ts'

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const dashboards = readDashboards()
const panels = dashboards.flatMap(({ file, panels }) =>
  panels.filter(({ type }) => type !== 'row').map(panel => ({ file, panel, name: `${file} ${panel.title}` })),
)
const runbook = read('infra/RUNBOOK.md')
const anchors = new Set(Array.from(runbook.matchAll(/^#+ (\w+)$/gm), ([, heading]) => heading!.toLowerCase()))
const { datasources } = parse(read('docker/grafana/provisioning/datasources/prometheus.yaml')) as {
  datasources: { uid: string; url: string }[]
}
const compose = parse(read('docker/compose.yaml'), { merge: true }) as {
  services: Record<string, { volumes: string[]; environment: Record<string, string> }>
}

test('the files are what `npm run dashboards` writes', () => {
  for (const [path, text] of dashboardFiles) expect(readFileSync(path, 'utf8'), path).toBe(text)
  expect(dashboardFiles.size).toBe(dashboards.length)
})

test('the provisioned paths are those that compose mounts, and the data source is its Prometheus', () => {
  const { providers } = parse(read('docker/grafana/provisioning/dashboards/files.yaml')) as {
    providers: { options: { path: string } }[]
  }
  const { volumes, environment } = compose.services.grafana!
  const targets = volumes.map(volume => volume.split(':')[1])
  for (const { options } of providers) expect(targets).toContain(options.path)
  expect(targets).toContain('/etc/grafana/provisioning')
  const home = environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH!
  expect(dashboards.map(({ file }) => `/etc/grafana/dashboards/${file}`)).toContain(home)
  expect(datasources.map(({ url }) => new URL(url).hostname)).toEqual(['prometheus'])
})

test.each(dashboards)('$file: ids are unique and panels lie side by side', ({ panels: all }) => {
  expect(new Set(all.map(({ id }) => id)).size).toBe(all.length)
  for (const [at, { gridPos: a, title }] of all.entries()) {
    expect(a.x + a.w, title).toBeLessThanOrEqual(24)
    for (const { gridPos: b, title: other } of all.slice(at + 1)) {
      const isApart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y
      expect(isApart, `${title} and ${other}`).toBe(true)
    }
  }
})

test.each(dashboards)('$file: can be narrowed to a stream and a worker', ({ templating }) => {
  expect(templating.list.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['stream', 'worker', 'runbook']),
  )
})

test.each(panels)(
  '$name: says what it shows, in which unit, and asks the provisioned data source',
  ({ panel }) => {
    expect(panel.description!.length).toBeGreaterThan(10)
    expect(panel.fieldConfig!.defaults.unit).not.toBe('')
    const uids = [panel.datasource, ...panel.targets!.map(({ datasource }) => datasource)].map(
      found => found?.uid,
    )
    expect(new Set(uids)).toEqual(new Set(datasources.map(({ uid }) => uid)))
  },
)

test.each(panels)('$name: its links lead to headings of the runbook', ({ panel }) => {
  for (const { title, url } of panel.links ?? []) {
    const [, anchor] = /^\$\{runbook\}#(\w+)$/.exec(url) ?? []
    expect(anchors, `${title}: ${url}`).toContain(anchor)
  }
})

test.each(panels)('$name: asks for what there is', async ({ panel }) => {
  const known = await declaredMetrics()
  const recorded = Array.from(
    read('docker/prometheus/rules.yml').matchAll(/record: (\S+)/g),
    ([, name]) => name!,
  )
  const unknown = expressions(panel)
    .flatMap(metricsIn)
    .filter(name => !known.has(name) && !recorded.includes(name))
  expect(unknown).toEqual([])
  for (const expr of expressions(panel))
    expect(expr, 'every variable is one of the dashboard').not.toContain('$')
})

test('every panel the runbook sends to is there', () => {
  const there = new Set([...panels.map(({ panel }) => panel.title), ...dashboards.map(({ title }) => title)])
  const named = Array.from(runbook.matchAll(/(?<!\*)\*([A-Z][^*\n]+)\*(?!\*)/g), ([, name]) => name!)
  expect(named.length).toBeGreaterThan(15)
  expect(named.filter(name => !there.has(name))).toEqual([])
})

test('what a shard, a worker or a table is at fault for can be told from the others', () => {
  expect(panels.length).toBeGreaterThan(40)
  expect(panels.filter(({ panel }) => (panel.links ?? []).length > 0).length).toBeGreaterThan(35)
})

function expressions({ targets = [] }: Panel): string[] {
  return targets.map(({ expr }) => filledIn(expr, '15s'))
}
