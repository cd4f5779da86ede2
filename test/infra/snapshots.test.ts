/** Every change of a template is seen in a diff. `npx vitest run --config test/vitest.config.ts --project infra -u` accepts it. */
import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { NAMES, of } from './synthesised.ts'

/** Hashes of assets change with every source file; how a file is zipped, with the version of Node. */
function masked(text: string): string {
  return text
    .replaceAll(/\b[0-9a-f]{64}\b/g, '<asset>')
    .replace(/^data:application\/gzip;base64,(.+)$/, (_, zipped: string) =>
      gunzipSync(Buffer.from(zipped, 'base64')).toString(),
    )
}

/** JSON inside of strings is shown as what it is. */
function readable(template: unknown): unknown {
  return JSON.parse(JSON.stringify(template), (_, value) => {
    if (typeof value !== 'string') return value
    if (!/^[{[].*[}\]]$/s.test(value)) return masked(value)
    try {
      return { json: JSON.parse(masked(value)) }
    } catch {
      // A piece of a text that CloudFormation joins.
      return masked(value)
    }
  })
}

test.each(NAMES)('%s is as it was', async name => {
  const text = Object.entries(of(name).templates)
    .map(([part, { Resources }]) => `# ${part}\n${stringify(readable(Resources), { lineWidth: 0 })}`)
    .join('\n')
  await expect(text).toMatchFileSnapshot(`snapshots/${name}.yaml`)
})
