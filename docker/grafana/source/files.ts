/** Which dashboard becomes which file. */
import { fileURLToPath } from 'node:url'
import { overview } from './overview.ts'
import { tables } from './tables.ts'

const path = (name: string): string => fileURLToPath(new URL(`../dashboards/${name}.json`, import.meta.url))
const text = (dashboard: object): string => `${JSON.stringify(dashboard, null, 2)}\n`

export const dashboardFiles = new Map([
  [path('overview'), text(overview)],
  [path('tables'), text(tables)],
])
