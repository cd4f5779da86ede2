/**
 * Mistakes somebody could make, one each, for the templates of every environment. `npm run infra:mutants` says which of them the tests
 * see (snapshots left out, they see everything), and which cfn-lint and CDK's own validation see.
 */
import type { Mutant } from './change.ts'
import { replicationMutants } from './replication.ts'
import { serviceMutants } from './service.ts'
import { storeMutants } from './stores.ts'
import { watchingMutants } from './watching.ts'

export const mutants: Mutant[] = [
  ...replicationMutants,
  ...storeMutants,
  ...serviceMutants,
  ...watchingMutants,
]
