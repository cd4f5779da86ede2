/**
 * Panels as this project uses them, and the grid they lie in: what repeats in Grafana's JSON is written once.
 *
 * Rule: every panel says what it shows and what a bad value means, has a unit, and leads to the runbook where an alert stands behind it.
 */

export const DATASOURCE = { type: 'prometheus', uid: 'prometheus' } as const

/** What every query about the service is narrowed to. */
export const CHOSEN = 'stream=~"$stream", worker=~"$worker"'

type Query = { expr: string; legend: string }
type Step = { from: number | null; color: 'green' | 'orange' | 'red' | 'blue' | 'text' }

export type PanelSource = {
  kind: 'stat' | 'timeseries' | 'heatmap' | 'state-timeline'
  title: string
  /** What it shows and what a bad value means. */
  about: string
  unit: string
  queries: Query[]
  /** Heading in the runbook. */
  alert?: string
  /** From this value on in this colour; on a time series drawn as lines. */
  steps?: Step[]
  width: number
  isStacked?: boolean
  decimals?: number
  /** What is written where a query rightly finds nothing: as long as all is well, or before the first. */
  whenEmpty?: string
}

export type Row = { title: string; height: number; panels: PanelSource[] }

const GRID_WIDTH = 24
const ROW_HEIGHT = 1
const RATE_INTERVAL = '15s'

export function panelsOf(rows: Row[]): object[] {
  const panels: object[] = []
  let y = 0
  let id = 1
  for (const row of rows) {
    const place = { x: 0, y, w: GRID_WIDTH, h: ROW_HEIGHT }
    panels.push({ id: id++, type: 'row', title: row.title, gridPos: place, collapsed: false, panels: [] })
    y += ROW_HEIGHT
    let x = 0
    for (const source of row.panels) {
      if (x + source.width > GRID_WIDTH) {
        x = 0
        y += row.height
      }
      panels.push(panel(source, id++, { x, y, w: source.width, h: row.height }))
      x += source.width
    }
    y += row.height
  }
  return panels
}

function panel(source: PanelSource, id: number, gridPos: object): object {
  const { kind, title, about, queries, alert } = source
  return {
    id,
    type: kind,
    title,
    description: about,
    gridPos,
    datasource: DATASOURCE,
    // Where scrapes are seconds apart Grafana would otherwise ask for a rate over too few of them.
    interval: RATE_INTERVAL,
    targets: queries.map(({ expr, legend }, at) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + at),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend,
      range: kind !== 'stat',
      instant: kind === 'stat',
      ...(kind === 'heatmap' ? { format: 'heatmap' } : {}),
    })),
    fieldConfig: { defaults: defaultsOf(source), overrides: [] },
    options: optionsOf(source),
    links: alert ? [{ title: `Runbook: ${alert}`, url: runbookUrl(alert), targetBlank: true }] : [],
  }
}

export function runbookUrl(alert: string): string {
  return `\${runbook}#${alert.toLowerCase()}`
}

function defaultsOf({ kind, unit, steps, isStacked, decimals, whenEmpty }: PanelSource): object {
  const thresholds = {
    mode: 'absolute',
    steps: (steps ?? [{ from: null, color: 'text' }]).map(({ from, color }) => ({ value: from, color })),
  }
  const shared = {
    unit,
    thresholds,
    ...(decimals === undefined ? {} : { decimals }),
    ...(whenEmpty === undefined ? {} : { noValue: whenEmpty }),
  }
  if (kind === 'timeseries')
    return {
      ...shared,
      min: 0,
      color: { mode: 'palette-classic' },
      custom: {
        drawStyle: 'line',
        lineWidth: 1,
        fillOpacity: isStacked ? 40 : 8,
        showPoints: 'never',
        stacking: { mode: isStacked ? 'normal' : 'none' },
        thresholdsStyle: { mode: steps ? 'dashed' : 'off' },
      },
    }
  if (kind === 'state-timeline') return { ...shared, color: { mode: 'fixed', fixedColor: 'blue' } }
  return { ...shared, color: { mode: 'thresholds' } }
}

function optionsOf({ kind, steps }: PanelSource): object {
  switch (kind) {
    case 'stat':
      return {
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
        colorMode: steps ? 'background' : 'value',
        graphMode: 'none',
        textMode: 'value',
      }
    case 'timeseries':
      return {
        legend: { displayMode: 'table', placement: 'bottom', calcs: ['lastNotNull', 'max'] },
        tooltip: { mode: 'multi', sort: 'desc' },
      }
    case 'heatmap':
      return {
        calculate: false,
        cellGap: 1,
        color: { mode: 'scheme', scheme: 'Oranges', steps: 64 },
        yAxis: { unit: 's' },
        tooltip: { mode: 'single', yHistogram: false },
      }
    case 'state-timeline':
      return { showValue: 'never', mergeValues: true, rowHeight: 0.8, legend: { showLegend: false } }
  }
}
