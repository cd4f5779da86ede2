/**
 * Panels drawn as SVG from what Prometheus answers: plain charts with the titles, units, thresholds and places of the dashboards.
 *
 * They stand in for a look at Grafana where there is none. What Grafana draws better it draws better; what a query answers is the same.
 */
import type { Panel } from './panels.ts'
import type { Series } from './prometheus.ts'
import { shown } from './units.ts'

/** What a panel's queries answered, each series under the name its legend gives it. */
export type Answer = { name: string; values: [number, number][] }

export type Box = { x: number; y: number; width: number; height: number }
type Range = { from: number; to: number }

export const COLORS = {
  page: '#111217',
  panel: '#181b1f',
  edge: '#2c3036',
  text: '#d8d9da',
  faint: '#8e9196',
  green: '#73bf69',
  orange: '#ff9830',
  red: '#f2495c',
  blue: '#5794f2',
}
const PALETTE = [
  '#73bf69',
  '#f2cc0c',
  '#5794f2',
  '#ff9830',
  '#f2495c',
  '#b877d9',
  '#8ab8ff',
  '#96d98d',
  '#ffcb7d',
  '#c4162a',
  '#37872d',
  '#fade2a',
]

const LEGEND_LINE = 15
const LEGEND_LINES_MAX = 6
const AXIS_WIDTH = 62
const TITLE_HEIGHT = 26
const NAME_MAX = 44

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

export function label(
  text: string,
  x: number,
  y: number,
  { size = 11, color = COLORS.text, anchor = 'start', weight = 'normal' } = {},
): string {
  return `<text x="${x}" y="${y}" font-size="${size}" fill="${color}" text-anchor="${anchor}" font-weight="${weight}">${escaped(text)}</text>`
}

export function named(series: Series[], legend: string): Answer[] {
  return series.map(({ metric, values }) => ({
    name: legend.replaceAll(/\{\{(\w+)\}\}/g, (_, key: string) => shortName(metric[key] ?? '')),
    values: values.filter(([, value]) => Number.isFinite(value)),
  }))
}

/** The zeros in the middle of a shard's name say nothing. */
function shortName(text: string): string {
  return text.replace(/^shardId-0+(?=\d)/, 'shard-')
}

export function drawPanel(panel: Panel, answers: Answer[], box: Box, range: Range): string {
  const frame = `<rect x="${box.x}" y="${box.y}" width="${box.width}" height="${box.height}" rx="3" fill="${COLORS.panel}" stroke="${COLORS.edge}"/>`
  const title = label(panel.title, box.x + 10, box.y + 18, { size: 12.5, weight: 'bold' })
  const inner = {
    x: box.x + 10,
    y: box.y + TITLE_HEIGHT,
    width: box.width - 20,
    height: box.height - TITLE_HEIGHT - 8,
  }
  const hasData = answers.some(({ values }) => values.length > 0)
  const content = hasData
    ? DRAWN_BY[panel.type]!(panel, answers, inner, range)
    : label(
        panel.fieldConfig!.defaults.noValue ?? 'No data',
        inner.x + inner.width / 2,
        inner.y + inner.height / 2,
        {
          size: 13,
          color: COLORS.faint,
          anchor: 'middle',
        },
      )
  return frame + (panel.type === 'stat' && hasData ? content + title : title + content)
}

const DRAWN_BY: Record<string, (panel: Panel, answers: Answer[], box: Box, range: Range) => string> = {
  stat: drawStat,
  timeseries: drawSeries,
  heatmap: drawHeatmap,
  'state-timeline': drawTimeline,
}

function unitOf(panel: Panel): string {
  return panel.fieldConfig!.defaults.unit
}

function colorAt(panel: Panel, value: number): string {
  const step = panel.fieldConfig!.defaults.thresholds.steps.findLast(
    ({ value: from }) => from === null || value >= from,
  )
  return COLORS[(step?.color ?? 'text') as keyof typeof COLORS]
}

function drawStat(panel: Panel, answers: Answer[], box: Box): string {
  const value = answers[0]!.values.at(-1)![1]
  const fill = `<rect x="${box.x - 9}" y="${box.y - TITLE_HEIGHT + 1}" width="${box.width + 18}" height="${box.height + TITLE_HEIGHT + 6}" rx="3" fill="${colorAt(panel, value)}" fill-opacity="0.32"/>`
  const text = shown(value, unitOf(panel))
  return (
    fill +
    label(text, box.x + box.width / 2, box.y + box.height / 2 + 12, {
      size: 30,
      anchor: 'middle',
      weight: 'bold',
    })
  )
}

/** A round number of at least this much: the top of an axis. */
function roundedUp(value: number): number {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return [1, 1.5, 2, 3, 5, 7.5, 10, 15].map(step => step * power).find(step => step >= value * 1.02)!
}

function timeAxis({ x, y, width, height }: Box, range: Range): string {
  const ticks = 4
  return Array.from({ length: ticks + 1 }, (_, i) => {
    const seconds = ((range.to - range.from) * i) / ticks
    const at = x + (width * i) / ticks
    const anchor = i === 0 ? 'start' : i === ticks ? 'end' : 'middle'
    return label(`${Math.round(seconds)} s`, at, y + height + 13, { size: 10, color: COLORS.faint, anchor })
  }).join('')
}

function drawSeries(panel: Panel, answers: Answer[], box: Box, range: Range): string {
  const unit = unitOf(panel)
  const custom = panel.fieldConfig!.defaults.custom!
  const isStacked = custom.stacking.mode === 'normal'
  const lines = Math.min(answers.length, LEGEND_LINES_MAX)
  const plot = {
    x: box.x + AXIS_WIDTH,
    y: box.y + 4,
    width: box.width - AXIS_WIDTH,
    height: box.height - lines * LEGEND_LINE - 26,
  }
  const stacked = isStacked ? stack(answers) : answers
  const largest = Math.max(...stacked.flatMap(({ values }) => values.map(([, value]) => value)))
  const top = roundedUp(largest)
  const px = (at: number) => plot.x + ((at - range.from) / (range.to - range.from)) * plot.width
  const py = (value: number) => plot.y + plot.height - (Math.max(0, Math.min(value, top)) / top) * plot.height
  const grid = [0, 0.5, 1].map(share => {
    const y = py(top * share)
    return `<line x1="${plot.x}" x2="${plot.x + plot.width}" y1="${y}" y2="${y}" stroke="${COLORS.edge}"/>${label(shown(top * share, unit), plot.x - 6, y + 4, { size: 10, color: COLORS.faint, anchor: 'end' })}`
  })
  const drawn = stacked.map(({ values }, at) => {
    const color = PALETTE[at % PALETTE.length]!
    const points = values.map(([time, value]) => `${px(time).toFixed(1)},${py(value).toFixed(1)}`)
    if (points.length === 0) return ''
    const base = plot.y + plot.height
    const area = `<polygon points="${px(values[0]![0])},${base} ${points.join(' ')} ${px(values.at(-1)![0])},${base}" fill="${color}" fill-opacity="${isStacked ? 0.45 : 0.07}"/>`
    return `${area}<polyline points="${points.join(' ')}" fill="none" stroke="${color}" stroke-width="1.4"/>`
  })
  // The largest stack is drawn first, so that the smaller ones lie on it.
  if (isStacked) drawn.reverse()
  const thresholds = panel.fieldConfig!.defaults.thresholds.steps.flatMap(({ value, color }) =>
    custom.thresholdsStyle.mode === 'off' || value === null || value > top
      ? []
      : `<line x1="${plot.x}" x2="${plot.x + plot.width}" y1="${py(value)}" y2="${py(value)}" stroke="${COLORS[color as keyof typeof COLORS]}" stroke-dasharray="6 4"/>`,
  )
  const legend = answers
    .slice(0, lines)
    .map((answer, at) => legendLine(answer, at, unit, box, plot.y + plot.height + 30))
  const more = answers.length > lines ? `and ${answers.length - lines} more` : ''
  const hint = label(more, box.x + box.width, box.y - 8, { size: 10, color: COLORS.faint, anchor: 'end' })
  return [...grid, ...drawn, ...thresholds, timeAxis(plot, range), ...legend, hint].join('')
}

function legendLine({ name, values }: Answer, at: number, unit: string, box: Box, top: number): string {
  const y = top + at * LEGEND_LINE
  const all = values.map(([, value]) => value)
  const figures = `last ${shown(all.at(-1) ?? Number.NaN, unit)}   max ${shown(Math.max(...all), unit)}`
  const mark = `<rect x="${box.x}" y="${y - 5}" width="12" height="3" fill="${PALETTE[at % PALETTE.length]}"/>`
  const text = name.length > NAME_MAX ? `${name.slice(0, NAME_MAX)}…` : name
  return `${mark}${label(text || 'value', box.x + 18, y, { size: 10.5 })}${label(figures, box.x + box.width, y, { size: 10.5, color: COLORS.faint, anchor: 'end' })}`
}

/** Each series on top of those before it; where one has no value it counts as nothing. */
function stack(answers: Answer[]): Answer[] {
  const times = [...new Set(answers.flatMap(({ values }) => values.map(([at]) => at)))].sort((a, b) => a - b)
  const sums = new Map(times.map(at => [at, 0]))
  return answers.map(({ name, values }) => {
    const own = new Map(values)
    for (const at of times) sums.set(at, sums.get(at)! + (own.get(at) ?? 0))
    return { name, values: times.map(at => [at, sums.get(at)!] as [number, number]) }
  })
}

/** Prometheus' buckets are cumulative: what lies between two bounds is their difference. */
function drawHeatmap(_panel: Panel, answers: Answer[], box: Box, range: Range): string {
  const bounds = answers
    .map(({ name, values }) => ({ bound: Number(name.replace('+Inf', 'Infinity')), counts: new Map(values) }))
    .sort((a, b) => a.bound - b.bound)
  const plot = { x: box.x + AXIS_WIDTH, y: box.y + 4, width: box.width - AXIS_WIDTH, height: box.height - 22 }
  const times = [...bounds[0]!.counts.keys()]
  const step = times.length > 1 ? times[1]! - times[0]! : 1
  const cells = bounds.flatMap(({ counts }, row) =>
    times.map(at => ({ row, at, count: (counts.get(at) ?? 0) - (bounds[row - 1]?.counts.get(at) ?? 0) })),
  )
  const most = Math.max(...cells.map(({ count }) => count), 1)
  const height = plot.height / bounds.length
  const width = Math.max(1, (step / (range.to - range.from)) * plot.width - 0.5)
  const drawn = cells
    .filter(({ count }) => count > 0)
    .map(({ row, at, count }) => {
      const x = plot.x + ((at - range.from) / (range.to - range.from)) * plot.width
      const y = plot.y + plot.height - (row + 1) * height
      return `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${width.toFixed(1)}" height="${(height - 1).toFixed(1)}" fill="${COLORS.orange}" fill-opacity="${(0.12 + 0.88 * Math.sqrt(count / most)).toFixed(2)}"/>`
    })
  const names = bounds.map(({ bound }, row) =>
    row % 2 === 1
      ? ''
      : label(
          Number.isFinite(bound) ? `≤ ${shown(bound, 's')}` : 'more',
          plot.x - 6,
          plot.y + plot.height - row * height - height / 3,
          {
            size: 10,
            color: COLORS.faint,
            anchor: 'end',
          },
        ),
  )
  return [...drawn, ...names, timeAxis(plot, range)].join('')
}

function drawTimeline(_panel: Panel, answers: Answer[], box: Box, range: Range): string {
  const nameWidth = 190
  const plot = { x: box.x + nameWidth, y: box.y + 4, width: box.width - nameWidth, height: box.height - 22 }
  const rows = [...answers].sort((a, b) => a.name.localeCompare(b.name))
  const height = plot.height / rows.length
  const drawn = rows.map(({ name, values }, row) => {
    const y = plot.y + row * height
    const step = plot.width / (range.to - range.from)
    const bars = values.map(
      ([at]) =>
        `<rect x="${(plot.x + (at - range.from) * step).toFixed(1)}" y="${(y + height * 0.12).toFixed(1)}" width="${(step + 0.6).toFixed(1)}" height="${(height * 0.76).toFixed(1)}" fill="${COLORS.blue}"/>`,
    )
    return label(name, box.x, y + height / 2 + 4, { size: 10.5 }) + bars.join('')
  })
  return [...drawn, timeAxis(plot, range)].join('')
}
