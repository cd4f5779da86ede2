import { fakeLeaseTable } from '../fakes/lease-table.ts'
import { leaseTableContract } from './lease-table.contract.ts'

leaseTableContract(async () => fakeLeaseTable(() => 0))
