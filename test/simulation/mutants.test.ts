/** The oracle sees what it should: with one rule taken away, some seed diverges. */
import { describe, expect, test } from 'vitest'
import { mutants } from './mutants.ts'
import { simulate } from './world.ts'

const SEEDS_MAX = 1000

describe('caught', () => {
  for (const { name, scenario, make } of mutants) {
    test(name, { timeout: 120_000 }, async () => {
      let divergence: string | undefined
      for (let seed = 1; seed <= SEEDS_MAX && !divergence; seed++)
        divergence = (await simulate(scenario, seed, make())).divergence
      expect(divergence).toMatch(/stale|missing|extra/)
    })
  }
})
