/** Damaged records of the corpus: `npm run fuzz -- --help`. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type Fuzzed, fuzz } from './fuzzer.ts'
import { parseCorpus } from './line.ts'

const HELP = `npm run fuzz -- [--records N] [--seed N]

Damages the records of test/corpus/corpus.jsonl and decides each, typed and untyped. No record may throw, take over 50 ms,
come to no decision, or become a document that is not one line of valid JSON.

  --records N  how many damaged records (200000)
  --seed N     which ones: the same number damages alike (another each time, printed)
  --help

Exit codes: 0 none was found, 1 some were (each is printed in base64), 2 wrong usage.`

function whole(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name} is "${text}": expected a whole number\n\n${HELP}`)
  return Number(text)
}

function main(argv: string[]): number {
  const { values } = parseArgs({
    args: argv,
    options: {
      records: { type: 'string', default: '200000' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help) {
    console.log(HELP)
    return 0
  }
  const records = whole('records', values.records)
  const seed = whole('seed', values.seed)
  const corpus = readFileSync(new URL('corpus.jsonl', import.meta.url), 'utf8')
  console.log(`seed ${seed}`)
  const result = fuzz({ lines: parseCorpus(corpus, 'corpus.jsonl'), seed, records, onProgress })
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  for (const { what, record, name, base64 } of result.violations)
    console.log(`seed ${seed}, record ${record}, from ${name}: ${what}\n  ${base64}`)
  console.log(summary(result))
  return result.violations.length === 0 ? 0 : 1

  function onProgress({ records: done, violations }: Fuzzed): void {
    if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${records}, ${violations.length} violations`)
  }
}

function summary({ records, accepted, refused, slowestMs, violations }: Fuzzed): string {
  const reasons = [...refused].sort(([, a], [, b]) => b - a).map(([reason, count]) => `${reason} ${count}`)
  const total = [...refused.values()].reduce((sum, count) => sum + count, 0)
  return `${records} records, ${accepted} accepted, ${total} refused (${reasons.join(', ')}), slowest ${slowestMs.toFixed(1)} ms, ${violations.length} violations`
}

try {
  process.exitCode = main(process.argv.slice(2))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
}
