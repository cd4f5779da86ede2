import { fakeStream } from '../fakes/stream.ts'
import { streamContract } from './stream.contract.ts'

streamContract(async () => {
  const stream = fakeStream(2)
  return {
    ...stream,
    put: async text => {
      stream.put('shardId-000000000000', text)
    },
    split: async shardId => {
      stream.split(shardId)
    },
  }
})
