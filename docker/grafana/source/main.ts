/** `npm run dashboards`: writes the JSON Grafana is provisioned with. A test holds the files to it. */
import { writeFileSync } from 'node:fs'
import { dashboardFiles } from './files.ts'

for (const [path, text] of dashboardFiles) {
  writeFileSync(path, text)
  process.stdout.write(`${path} written\n`)
}
