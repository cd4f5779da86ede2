/**
 * A Kinesis stream whose records arrive by the clock (records/pace): ListShards, GetShardIterator at TRIM_HORIZON and at a
 * sequence number, GetRecords. A process of its own. Reading may begin anew anywhere, as after the death of a worker.
 *
 * More than five calls a second of a shard are refused, as Kinesis does; its 2 MB a second are not held, for they would be
 * the bound of what is measured behind it.
 *
 * Its owner may POST to /bench: `{"stop":true}` ends the arrivals and is answered with the records of each shard;
 * `{"fail":"throttled"|"failed"|"expired","forMs":N}` answers every GetRecords so; `{}` only asks for the figures.
 */

import { callLimit } from '../paced/call-limit.ts'
import { changeLog } from '../paced/change-log.ts'
import { arrivalMs, arrived, type Pace } from '../paced/pace.ts'
import { placeOf, sequenceNumberOf } from '../paced/sequence-number.ts'
import { secondsText } from '../records/answer-pages.ts'
import type { Mix } from '../records/changes.ts'
import { recordText, SCHEMA, tableOf } from '../records/record-text.ts'
import { describedShard, json, shardOf } from './kinesis-answers.ts'
import { serveStub } from './stub-server.ts'

export type PacedSettings = { pace: Pace; mix?: Mix }
export type PacedCall = { stop?: boolean; fail?: ReadFailure; forMs?: number }
export type ReadFailure = keyof typeof FAILURES
/** `counts`: records of each shard that have arrived. `refused`: calls beyond five a second. */
export type PacedState = { counts: number[]; calls: number; refused: number }

const FAILURES = {
  throttled: { status: 400, __type: 'ProvisionedThroughputExceededException' },
  failed: { status: 500, __type: 'InternalFailure' },
  expired: { status: 400, __type: 'ExpiredIteratorException' },
} as const

const LIMIT_DEFAULT = 10_000

const { pace, mix } = JSON.parse(process.argv[2]!) as PacedSettings
const shards = Array.from({ length: pace.shards }, (_, shard) => ({
  log: changeLog(shard, mix),
  isWithinLimit: callLimit(),
}))
let stoppedAtMs = Number.POSITIVE_INFINITY
let failure: { kind: ReadFailure; untilMs: number } | undefined
let calls = 0
let refused = 0

const now = (): number => Math.min(Date.now(), stoppedAtMs)

await serveStub((asked, body) => {
  const input = JSON.parse(body.toString()) as Record<string, unknown>
  if (asked.url === '/bench') return json(200, JSON.stringify(told(input)))
  const operation = String(asked.headers['x-amz-target']).split('.').at(-1)
  switch (operation) {
    case 'ListShards':
      return json(200, JSON.stringify({ Shards: shards.map((_, at) => describedShard(at, pace.shards)) }))
    case 'GetShardIterator':
      return json(200, JSON.stringify({ ShardIterator: iteratorFrom(input) }))
    case 'GetRecords':
      return records(String(input.ShardIterator), Number(input.Limit ?? LIMIT_DEFAULT))
    default:
      throw new Error(`the paced stream stub does not answer ${operation}`)
  }
})

function told({ stop, fail, forMs = 0 }: PacedCall): PacedState {
  if (stop) stoppedAtMs = Math.min(stoppedAtMs, Date.now())
  if (fail) failure = { kind: fail, untilMs: Date.now() + forMs }
  return { counts: shards.map((_, shard) => arrived(pace, shard, now())), calls, refused }
}

function iteratorFrom(input: Record<string, unknown>): string {
  const shard = shardOf(String(input.ShardId))
  if (input.ShardIteratorType === 'TRIM_HORIZON') return iteratorAt(shard, 0)
  if (input.ShardIteratorType !== 'AT_SEQUENCE_NUMBER')
    throw new Error(`the paced stream stub does not open at ${input.ShardIteratorType}`)
  return iteratorAt(shard, placeOf(String(input.StartingSequenceNumber)))
}

function iteratorAt(shard: number, place: number): string {
  return `${'A'.repeat(200)}-${shard}-${place}`
}

function records(iterator: string, limit: number) {
  const [shard, from] = iterator.split('-').slice(1).map(Number) as [number, number]
  calls++
  if (failure && failure.untilMs > Date.now()) return refusal(failure.kind)
  if (!shards[shard]!.isWithinLimit(performance.now())) {
    refused++
    return refusal('throttled')
  }
  const count = arrived(pace, shard, now())
  const to = Math.min(count, from + limit)
  const texts: string[] = []
  for (let place = from; place < to; place++) texts.push(recordAt(shard, place))
  const behindMs = to < count ? Math.round(Math.max(0, Date.now() - arrivalMs(pace, shard, to))) : 0
  return json(
    200,
    `{"MillisBehindLatest":${behindMs},"NextShardIterator":"${iteratorAt(shard, Math.max(from, to))}","Records":[${texts.join(',')}]}`,
  )
}

function recordAt(shard: number, place: number): string {
  const arrivedAtMs = Math.floor(arrivalMs(pace, shard, place))
  const committedAt = `${new Date(arrivedAtMs).toISOString().slice(0, -1)}000Z`
  const data = Buffer.from(recordText(shards[shard]!.log.at(place), shard, committedAt)).toString('base64')
  return `{"ApproximateArrivalTimestamp":${secondsText(arrivedAtMs)},"Data":"${data}","PartitionKey":"${SCHEMA}.${tableOf(shard)}","SequenceNumber":"${sequenceNumberOf(place)}"}`
}

function refusal(kind: ReadFailure) {
  const { status, __type } = FAILURES[kind]
  return json(status, JSON.stringify({ __type, message: 'answered so by the bench' }))
}
