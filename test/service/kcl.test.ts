import { globSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const root = new URL('../..', import.meta.url).pathname
const wanted = [...Array.from({ length: 107 }, (_, at) => at + 1), 138, 139, 140, 141, 142, 143]

/** `39`, `42, 44`, `93-99` or `7, overruled` -> numbers. */
function numbersIn(list: string): number[] {
  return list.split(',').flatMap(part => {
    const [first, last = first] = part.trim().split('-').map(Number)
    return Number.isInteger(first) && Number.isInteger(last)
      ? Array.from({ length: last! - first! + 1 }, (_, at) => first! + at)
      : []
  })
}

function namedByTests(): Set<number> {
  const files = globSync('test/**/*.{test,contract}.ts', { cwd: root }).map(file =>
    readFileSync(`${root}/${file}`, 'utf8'),
  )
  const lists = files.flatMap(text =>
    [...text.matchAll(/\((?:case )?(\d[^()]*)\)['"`],/g)].map(([, list]) => list!),
  )
  return new Set(lists.flatMap(numbersIn))
}

function listed(): Set<number> {
  const text = readFileSync(`${root}/test/KCL.md`, 'utf8')
  return new Set([...text.matchAll(/^\| (\d[\d, -]*) \|/gm)].flatMap(([, list]) => numbersIn(list!)))
}

test('each behaviour of KCL is named by a test, or listed with the reason why not', () => {
  const known = new Set([...namedByTests(), ...listed()])
  expect(wanted.filter(number => !known.has(number))).toEqual([])
})
