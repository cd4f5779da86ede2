/** What many panels of the overview are alike in. */
import { CHOSEN, type PanelSource } from './panel.ts'

export const RATE = '[$__rate_interval]'
export const GOAL_S = 1.5

export const good = { from: null, color: 'green' } as const
export const stat = (source: Omit<PanelSource, 'kind' | 'width'>): PanelSource => ({
  kind: 'stat',
  width: 3,
  ...source,
})
export const series = (source: Omit<PanelSource, 'kind' | 'width'> & { width?: number }): PanelSource => ({
  kind: 'timeseries',
  width: 8,
  ...source,
})
export const one = (expr: string, legend = '') => [{ expr, legend }]

export const quantiles = (histogram: string): PanelSource['queries'] =>
  [0.5, 0.95, 0.99].map(q => ({
    expr: `histogram_quantile(${q}, sum by (le) (rate(${histogram}_bucket{${CHOSEN}}${RATE})))`,
    legend: `p${q * 100}`,
  }))
