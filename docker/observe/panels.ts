/** The dashboards as Grafana reads them from their files, and the queries it would send for them. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export type Panel = {
  id: number
  type: string
  title: string
  description?: string
  gridPos: { x: number; y: number; w: number; h: number }
  datasource?: { type: string; uid: string }
  targets?: { refId: string; expr: string; legendFormat: string; datasource: { uid: string } }[]
  fieldConfig?: {
    defaults: {
      unit: string
      decimals?: number
      noValue?: string
      thresholds: { steps: { value: number | null; color: string }[] }
      custom?: { stacking: { mode: string }; thresholdsStyle: { mode: string } }
    }
  }
  links?: { title: string; url: string }[]
}

export type Dashboard = {
  file: string
  uid: string
  title: string
  panels: Panel[]
  templating: { list: { name: string; type: string; query: unknown; datasource?: { uid: string } }[] }
}

const dir = fileURLToPath(new URL('../grafana/dashboards/', import.meta.url))

export function readDashboards(): Dashboard[] {
  return readdirSync(dir).map(file => ({ file, ...JSON.parse(readFileSync(`${dir}${file}`, 'utf8')) }))
}

/** Every variable stands at All, as when a dashboard is opened. */
export function filledIn(expr: string, rateInterval: string): string {
  return expr.replaceAll('$__rate_interval', rateInterval).replaceAll(/\$(stream|worker|table)\b/g, '.*')
}
