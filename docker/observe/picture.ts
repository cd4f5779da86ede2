/** A dashboard, or some of its rows, as one PNG. */
import { writeFileSync } from 'node:fs'
import { requirePrograms } from '../local/requirements.ts'
import { runCommand } from '../local/run-command.ts'
import { type Answer, COLORS, drawPanel, escaped, label, named } from './chart.ts'
import { type Dashboard, filledIn, type Panel } from './panels.ts'
import type { Prometheus } from './prometheus.ts'

type Range = { from: number; to: number }

const WIDTH = 1680
const MARGIN = 8
const HEADER = 34
const FOOTER = 24
const UNIT_HEIGHT = 30
const COLUMNS = 24
const RATE_INTERVAL = '10s'
const FONT = 'DejaVu Sans, Verdana, sans-serif'

const RSVG = { program: 'rsvg-convert', what: 'rsvg-convert, to make PNG of SVG', aptPackage: 'librsvg2-bin' }

export async function writePicture(
  path: string,
  dashboard: Dashboard,
  panels: Panel[],
  from: { prometheus: Prometheus; range: Range; log: (line: string) => void; signal: AbortSignal },
): Promise<void> {
  const [rsvg] = await requirePrograms([RSVG], from)
  const answers = new Map<number, Answer[]>()
  for (const panel of panels) answers.set(panel.id, await answersOf(panel, from))
  const svg = `${path}.svg`
  writeFileSync(svg, draw(dashboard.title, panels, answers, from.range))
  await runCommand([rsvg!, '--output', path, svg], { signal: from.signal })
  await runCommand(['rm', svg], { signal: from.signal })
}

async function answersOf(
  panel: Panel,
  { prometheus, range }: { prometheus: Prometheus; range: Range },
): Promise<Answer[]> {
  const answers = await Promise.all(
    (panel.targets ?? []).map(async ({ expr, legendFormat }) =>
      named(await prometheus.queryRange(filledIn(expr, RATE_INTERVAL), { ...range, step: 1 }), legendFormat),
    ),
  )
  return answers.flat()
}

function draw(title: string, panels: Panel[], answers: Map<number, Answer[]>, range: Range): string {
  const top = Math.min(...panels.map(({ gridPos }) => gridPos.y))
  const bottom = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h))
  const height = HEADER + (bottom - top) * UNIT_HEIGHT + FOOTER
  const column = (WIDTH - 2 * MARGIN) / COLUMNS
  const drawn = panels.map(panel => {
    const { x, y, w, h } = panel.gridPos
    const box = {
      x: MARGIN + x * column + 2,
      y: HEADER + (y - top) * UNIT_HEIGHT + 2,
      width: w * column - 4,
      height: h * UNIT_HEIGHT - 4,
    }
    if (panel.type === 'row')
      return label(`▾ ${panel.title}`, box.x + 4, box.y + 19, { size: 14, weight: 'bold' })
    return drawPanel(panel, answers.get(panel.id) ?? [], box, range)
  })
  const seconds = Math.round(range.to - range.from)
  const note = `${seconds} s on one machine; drawn from Prometheus by npm run observe, not by Grafana`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="${escaped(FONT)}">`,
    `<rect width="100%" height="100%" fill="${COLORS.page}"/>`,
    label(title, MARGIN + 6, 23, { size: 17, weight: 'bold' }),
    ...drawn,
    label(note, MARGIN + 6, height - 8, { size: 11, color: COLORS.faint }),
    '</svg>',
  ].join('\n')
}
