import { fakeSearch } from '../fakes/search.ts'
import { searchContract } from './search.contract.ts'

searchContract(async () => ({ bulk: fakeSearch().bulk, index: 'i' }))
