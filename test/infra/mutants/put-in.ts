/** Where a mistake gets into the templates the tests look at: only in a run of `npm run infra:mutants`. */
import type { Stack } from './change.ts'
import { mutants } from './templates.ts'

/** @returns the templates, with the mistake of the environment variable INFRA_MUTANT in them if there is one */
export function mutated<Templates extends Record<string, Stack>>(templates: Templates): Templates {
  const wanted = process.env.INFRA_MUTANT
  if (wanted === undefined) return templates
  const mutant = mutants.find(({ name }) => name === wanted)
  if (!mutant)
    throw new Error(`INFRA_MUTANT is ${JSON.stringify(wanted)}: expected the name of a mutant of mutants/`)
  // The templates of an assembly are kept by CDK.
  const copy = structuredClone(templates)
  mutant.mutate(Object.values(copy))
  return copy
}
