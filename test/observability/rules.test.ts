/** docker/prometheus/rules.yml: what promtool does not look at. `promtool test rules` itself runs in prometheus.parts.test.ts. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import type { HoldReason } from '../../src/core/document.ts'
import { declaredMetrics, metricsIn } from './expressions.ts'

const project = new URL('../../', import.meta.url).pathname
const rulesDir = join(project, 'docker/prometheus')

type Rule = {
  alert?: string
  record?: string
  expr: string
  labels?: { severity: string }
  annotations?: { summary: string; runbook: string }
}

const { groups } = parse(readFileSync(join(rulesDir, 'rules.yml'), 'utf8')) as { groups: { rules: Rule[] }[] }
const rules = groups.flatMap(group => group.rules)
const alerts = rules.filter(rule => rule.alert !== undefined)
const runbook = readFileSync(join(project, 'infra/RUNBOOK.md'), 'utf8')
/** Headings of other kinds of alarms are not ours to check. */
const headings = Array.from(runbook.matchAll(/^### (Cdc\w+)$/gm), ([, heading]) => heading!)

test('names in an expression', () => {
  const expression =
    'sum by (shard, le) (rate(a_bucket{le="1.5", x=~"b|c"}[5m])) / on (stream) group_left (w) (d:e offset 10m > bool 0) or vector(0)'
  expect(metricsIn(expression)).toEqual(['a_bucket', 'd:e'])
})

test('every alert has a heading in the runbook, and every such heading an alert', () => {
  expect(headings.sort()).toEqual([...new Set(alerts.map(({ alert }) => alert!))].sort())
  expect(new Set(headings).size).toBe(headings.length)
})

test.each(alerts)(
  '$alert says how bad it is, what is wrong and where to read on',
  ({ alert, labels, annotations }) => {
    expect(['page', 'ticket']).toContain(labels?.severity)
    expect(annotations?.summary.length).toBeGreaterThan(10)
    expect(annotations?.runbook).toBe(`infra/RUNBOOK.md#${alert!.toLowerCase()}`)
  },
)

const section = (heading: string): string => {
  const [, after = ''] = runbook.split(new RegExp(`^### ${heading}$`, 'm'))
  return after.split(/^##/m)[0]!
}

test.each(headings)('%s: the runbook says what it means, where to look and how to mend it', heading => {
  for (const part of ['**Meaning.**', '**Look.**', '**Mend.**']) expect(section(heading)).toContain(part)
})

/** An object, so that the compiler asks for a reason that is new. */
const holdReasons: Record<HoldReason, true> = {
  'unknown-table': true,
  'partition-contradiction': true,
  'index-shared': true,
  'index-without-template': true,
  trimmed: true,
  'too-many-letters': true,
  'unknown-answer': true,
}

test.each(Object.keys(holdReasons))('a shard held for %s: the runbook says what to do', reason => {
  const [row = ''] = section('CdcShardHeld').match(new RegExp(`^\\| \`${reason}\` \\|.*$`, 'm')) ?? []
  expect(row.split('|')).toHaveLength(5)
})

test('every metric of the rules is one the service declares, or a recorded one', async () => {
  const known = await declaredMetrics()
  const recorded = new Set(rules.flatMap(({ record }) => record ?? []))
  const unknown = rules
    .flatMap(({ expr }) => metricsIn(expr))
    .filter(name => !known.has(name) && !recorded.has(name) && name !== 'up')
  expect(unknown).toEqual([])
})

test('every alert is tested both ways', () => {
  const tests = readdirSync(join(rulesDir, 'tests')).flatMap(
    file =>
      (parse(readFileSync(join(rulesDir, 'tests', file), 'utf8')) as { tests: { name: string }[] }).tests,
  )
  for (const { alert } of alerts) {
    expect(
      tests.some(({ name }) => name.startsWith(`${alert} fires: `)),
      `${alert} fires`,
    ).toBe(true)
    expect(
      tests.some(({ name }) => name.startsWith(`${alert} does not fire: `)),
      `${alert} does not`,
    ).toBe(true)
  }
})
