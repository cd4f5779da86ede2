/** Corpora against the service's decisions: `npm run corpus -- --help`. */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { parseCorpus } from './line.ts'
import { run } from './runner.ts'

const HELP = `npm run corpus -- [--notes] FILE...

Runs each line of corpora (JSON lines; the format is described in test/corpus/README.md) through decode, table file,
decision and, for sequences, the page writer. Prints every difference and "N passed, N failed".

  --notes   also what a line asks that is not checked
  --help

Exit codes: 0 all passed, 1 some failed, 2 wrong usage, a file that cannot be read or is no corpus.`

async function main(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { notes: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  })
  if (values.help) {
    console.log(HELP)
    return 0
  }
  if (positionals.length === 0) throw new Error(`expected a FILE\n\n${HELP}`)
  // All are read before any runs: a corpus that is none is found at once.
  const corpora = positionals.map(file => parseCorpus(readFileSync(file, 'utf8'), basename(file)))
  let passed = 0
  let failed = 0
  for (const line of corpora.flat()) {
    const { differences, notes } = await run(line)
    if (differences.length === 0) passed++
    else failed++
    if (differences.length > 0) console.log(`${line.at} ${line.name}`)
    for (const { what, expected, found } of differences)
      console.log(`  ${what}\n    expected ${expected}\n    found    ${found}`)
    if (values.notes) for (const note of notes) console.log(`${line.at} ${line.name}: note: ${note}`)
  }
  console.log(`${passed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
}
