import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

/** MiB of the space for new objects, both halves of it, before and after many of them; up to 200,000 are alive. */
function newSpace(imported: string): { atStart: number; underLoad: number } {
  const program = `${imported}
    import { getHeapSpaceStatistics } from 'node:v8'
    const mib = () =>
      getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size / 2 ** 20
    const atStart = mib()
    let alive = []
    for (let n = 0; n < 3e6; n++) { alive.push({ n, text: String(n) }); if (alive.length > 2e5) alive = [] }
    console.log(JSON.stringify({ atStart, underLoad: mib() }))`
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], { env: {} })
  return JSON.parse(output.toString())
}

test('the space for new objects has its size from the start and keeps it, where V8 alone would let it grow', () => {
  const heap = fileURLToPath(new URL('../../src/heap.ts', import.meta.url))
  expect(newSpace(`import ${JSON.stringify(heap)}`)).toEqual({ atStart: 32, underLoad: 32 })
  const alone = newSpace('')
  expect(alone.atStart).toBeLessThan(32)
  expect(alone.underLoad).toBeGreaterThan(32)
})
