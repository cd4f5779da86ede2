/** What the demo found, as text, and whether all of it is as promised. */
import { isEqual, type Outcome } from './compare.ts'
import type { Fleet } from './fleet.ts'
import { count, seconds } from './status.ts'
import { countedMin, isKept, type Latency, limitSeconds, share } from './windows.ts'
import { type Counts, changes } from './workload.ts'

export type Report = { lines: string[]; isGood: boolean }

const idsShown = 5

export function tablesReport(outcomes: Outcome[]): Report {
  const lines = [['table', 'rows', 'documents', ''], ...outcomes.map(outcomeCells)].map(
    ([table, rows, documents, verdict]) =>
      `${table!.padEnd(20)}${rows!.padStart(7)}${documents!.padStart(11)}  ${verdict}`.trimEnd(),
  )
  const differences = outcomes.flatMap(outcome =>
    (['missing', 'extra', 'different'] as const)
      .filter(kind => outcome[kind].length > 0)
      .map(kind => `${outcome.index}: ${count(outcome[kind].length)} ${kind}: ${someIds(outcome[kind])}`),
  )
  return { lines: [...lines, ...differences], isGood: differences.length === 0 }
}

function outcomeCells(outcome: Outcome): string[] {
  return [
    outcome.table,
    count(outcome.rows),
    count(outcome.documents),
    isEqual(outcome) ? 'equal' : 'NOT EQUAL',
  ]
}

function someIds(ids: string[]): string {
  return ids.slice(0, idsShown).join(', ') + (ids.length > idsShown ? ' ...' : '')
}

export function latencyReport(latency: Latency): Report {
  const isGood = isKept(latency)
  const rule = `at least ${share * 100} % of at least ${countedMin} must be`
  return {
    isGood,
    lines: [
      `commit to indexed: p50 ${seconds(latency.p50)}, p99 ${seconds(latency.p99)}; ${count(latency.withinLimit)} of ` +
        `${count(latency.counted)} changes within ${limitSeconds} s (${rule}${isGood ? '' : ': TOO FEW'})`,
      '  counted from 5 s after the workload started, without the changes committed from the kill until every shard was less than 1 s behind',
    ],
  }
}

export function booksReport(fleet: Fleet): Report {
  const { scrapes, unbalanced } = fleet.books
  const missing = fleet.missingMetrics()
  return {
    isGood: scrapes > 0 && unbalanced.length === 0 && missing.length === 0,
    lines: [
      `read = settled + in flight: held for every shard at ${count(scrapes - new Set(unbalanced.map(({ scrape }) => scrape)).size)} of ${count(scrapes)} scrapes of /metrics`,
      settledLine(fleet),
      ...unbalanced.slice(0, idsShown).map(({ books }) => `  ${books}`),
      ...missing.map(name => `  ${name} was in no scrape`),
    ],
  }
}

/** How the records read so far were settled, the killed worker's included up to its last scrape. */
function settledLine(fleet: Fleet): string {
  const outcomes = ['indexed', 'deleted', 'superseded', 'skipped', 'dead_lettered']
  return `records settled: ${outcomes.map(outcome => `${count(fleet.settled(outcome))} ${outcome.replace('_', '-')}`).join(', ')}`
}

export function workloadLine(counts: Counts): string {
  return (
    `${count(changes(counts))} rows changed in ${count(counts.transactions)} transactions: ${count(counts.inserts)} inserts, ` +
    `${count(counts.updates)} updates, ${count(counts.deletes)} deletes, ${count(counts.keyChanges)} key changes`
  )
}
