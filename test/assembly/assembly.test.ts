import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ASSEMBLIES, compile, pathOf } from './compile.ts'

test.each(ASSEMBLIES)('$target is what `npm run assembly` makes of its source', async assembly => {
  expect(readFileSync(pathOf(assembly.target), 'utf8')).toBe(await compile(assembly))
})
