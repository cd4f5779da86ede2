import { fakeSearch } from '../fakes/search.ts'
import { searchContract } from './search.contract.ts'

searchContract(async () => ({ ...fakeSearch(), index: 'i' }))
