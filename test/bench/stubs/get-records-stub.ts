/**
 * A Kinesis stream of prebuilt answers: ListShards, GetShardIterator at TRIM_HORIZON, GetRecords. A process of its own, so
 * that its cost is nobody else's. Behind the last record it answers empty pages, 0 ms behind, and tells its owner `{ ended }`:
 * how many shards have been read to their end.
 *
 * Its calls are not limited to five a second a shard: who wants to be kind to the real service does so unasked.
 */
import { type AnswerPages, answerPages, emptyPage, iteratorOf, pageOf } from '../records/answer-pages.ts'
import { describedShard, json, shardOf } from './kinesis-answers.ts'
import { serveStub, tell } from './stub-server.ts'

/** `pagesEach`: answers with records that each shard has in all. */
export type StreamSettings = { shards: number; page: number; pagesEach: number }

const settings = JSON.parse(process.argv[2]!) as StreamSettings
const { shards, pagesEach } = settings
const streams: AnswerPages[] = Array.from({ length: shards }, (_, shard) =>
  answerPages({ shard, shards, page: settings.page }),
)
const ended = new Set<number>()

await serveStub((asked, body) => {
  const operation = String(asked.headers['x-amz-target']).split('.').at(-1)
  const input = JSON.parse(body.toString()) as Record<string, unknown>
  switch (operation) {
    case 'ListShards':
      return json(200, JSON.stringify({ Shards: streams.map((_, shard) => describedShard(shard, shards)) }))
    case 'GetShardIterator':
      if (input.ShardIteratorType !== 'TRIM_HORIZON')
        throw new Error(
          `the bench reads each shard once from its beginning, not ${input.ShardIteratorType}: was a lease lost?`,
        )
      return json(200, JSON.stringify({ ShardIterator: iteratorOf(shardOf(String(input.ShardId)), 0) }))
    case 'GetRecords':
      return json(200, recordsAt(String(input.ShardIterator)))
    default:
      throw new Error(`the GetRecords stub does not answer ${operation}`)
  }
})

function recordsAt(iterator: string): Buffer {
  const { shard, number } = pageOf(iterator)
  if (number < pagesEach) return streams[shard]!.at(number)
  if (!ended.has(shard)) tell({ ended: ended.add(shard).size })
  return emptyPage(shard, number)
}
