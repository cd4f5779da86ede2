/**
 * The scenarios, 200 seeds each: after all faults have ended the index equals what the stream implies, but for documents
 * that a letter names which is settled against the source's row. More seeds with `npm run campaign`. 0 of 200 bounds the share of such runs that diverge below 1.5 %, 0 of 5,000 below 0.06 % (with 95 %
 * confidence), at fault rates far above life.
 */
import { describe, expect, test } from 'vitest'
import { scenarioNamed, scenarios } from './scenarios.ts'
import { simulate } from './world.ts'

const SEEDS = 200
/** Share of the documents that differ and are named by a letter: 0.18 in the roughest scenario. */
const SETTLED_BY_ROW_MAX = 0.25
const { SCENARIO, SEED } = process.env

const chosen = SCENARIO === undefined ? scenarios : [scenarioNamed(SCENARIO)]
const seeds = SEED === undefined ? Array.from({ length: SEEDS }, (_, at) => at + 1) : [Number(SEED)]

describe('after all faults, kills at random among them, the index equals the stream (143)', () => {
  for (const scenario of chosen) {
    test(scenario.name, { timeout: 120_000 }, async () => {
      const diverged: string[] = []
      let all = 0
      let differed = 0
      for (const seed of seeds) {
        const { divergence, documents, excused } = await simulate(
          scenario,
          seed,
          [],
          SEED === undefined ? undefined : console.log,
        )
        all += documents
        differed += excused
        if (divergence) diverged.push(`SCENARIO=${scenario.name.split(' ')[0]} SEED=${seed}: ${divergence}`)
      }
      expect(diverged).toEqual([])
      // A letter is for the few that versions cannot settle; it must not hide everything.
      if (SEED === undefined) expect(differed / all).toBeLessThan(SETTLED_BY_ROW_MAX)
    })
  }
})

test('a seed gives the same run, whatever ran before it', async () => {
  const traces = await Promise.all(
    [7, 7].map(async seed => {
      const lines: string[] = []
      await simulate(scenarioNamed('40'), seed, [], line => lines.push(line))
      return lines
    }),
  )
  expect(traces[0]!.length).toBeGreaterThan(10)
  expect(traces[0]).toEqual(traces[1])
})
