/** The randomized test with many seeds: `npm run campaign -- --help`. */
import { parseArgs } from 'node:util'
import { mutants } from './mutants.ts'
import { type Scenario, scenarioNamed, scenarios } from './scenarios.ts'
import { type Mutation, simulate } from './world.ts'

const HELP = `Runs the service in simulated worlds of faults and compares the index with what the stream implies.

  --seeds N        seeds a scenario (5000)
  --from N         the first seed (1)
  --scenario NAME  one scenario, by the beginning of its name: ${scenarios.map(({ name }) => name.split(' ')[0]).join(', ')}
  --mutants        instead: how many seeds catch each mutant
  --help

Prints "scenario: N runs, N diverged" for each, and how many documents differed but are named by a letter that is settled
against the source's row. Exit code 1 when any diverged (with --mutants: when one was never caught), 2 for wrong usage.
A seed that diverged is looked at again, with its trace, by
  SCENARIO=08 SEED=17 npx vitest run --config test/vitest.config.ts --project simulation test/simulation/simulation.test.ts`

type Usage = {
  seeds: number
  from: number
  scenario: string | undefined
  isMutants: boolean
  isHelp: boolean
}

function usage(): Usage {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '5000' },
      from: { type: 'string', default: '1' },
      scenario: { type: 'string' },
      mutants: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const whole = (name: string, text: string) => {
    if (!/^[1-9]\d*$/.test(text)) throw new Error(`--${name} is "${text}": expected a whole number above 0`)
    return Number(text)
  }
  return {
    seeds: whole('seeds', values.seeds),
    from: whole('from', values.from),
    scenario: values.scenario,
    isMutants: values.mutants,
    isHelp: values.help,
  }
}

/** @returns the seeds that diverged */
async function runAll(
  name: string,
  scenario: Scenario,
  { seeds, from }: Usage,
  make: () => Mutation[],
): Promise<{ seed: number; divergence: string }[]> {
  const diverged: { seed: number; divergence: string }[] = []
  let all = 0
  let differed = 0
  for (let seed = from; seed < from + seeds; seed++) {
    const { divergence, documents, excused } = await simulate(scenario, seed, make())
    all += documents
    differed += excused
    if (divergence) diverged.push({ seed, divergence })
    if (process.stdout.isTTY && seed % 50 === 0)
      process.stdout.write(`\r${name}: ${seed - from + 1} of ${seeds}, ${diverged.length} diverged`)
  }
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K')
  const lettered =
    differed === 0
      ? ''
      : `; ${differed} of ${all} documents (${((100 * differed) / all).toFixed(1)} %) differed under a letter`
  console.log(`${name}: ${seeds} runs, ${diverged.length} diverged${lettered}`)
  return diverged
}

async function campaign(given: Usage): Promise<boolean> {
  let isGood = true
  if (given.isMutants) {
    for (const { name, scenario, make } of mutants)
      isGood = (await runAll(name, scenario, given, make)).length > 0 && isGood
    return isGood
  }
  for (const scenario of given.scenario === undefined ? scenarios : [scenarioNamed(given.scenario)]) {
    const diverged = await runAll(scenario.name, scenario, given, () => [])
    for (const { seed, divergence } of diverged.slice(0, 10)) console.log(`  seed ${seed}: ${divergence}`)
    isGood = isGood && diverged.length === 0
  }
  return isGood
}

try {
  const given = usage()
  if (given.isHelp) console.log(HELP)
  else process.exitCode = (await campaign(given)) ? 0 : 1
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
}
