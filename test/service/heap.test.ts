import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

/** Megabytes of the space for new objects after many of them, a thousand alive at a time. */
function newSpaceAfterLoad(imported: string): number {
  const program = `${imported}
    import { getHeapSpaceStatistics } from 'node:v8'
    let alive = []
    for (let n = 0; n < 3e6; n++) { alive.push({ n, text: String(n) }); if (alive.length > 2e5) alive = [] }
    const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
    console.log(space.space_size / 2 ** 20)`
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], { env: {} })
  return Number(output.toString())
}

test('the space for new objects stays small under load, where V8 alone would let it grow', () => {
  const heap = fileURLToPath(new URL('../../src/heap.ts', import.meta.url))
  expect(newSpaceAfterLoad(`import ${JSON.stringify(heap)}`)).toBeLessThanOrEqual(8)
  expect(newSpaceAfterLoad('')).toBeGreaterThan(8)
})
