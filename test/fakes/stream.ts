/** A stream in memory: shards, records, splits, merges. It answers the contract test of the real one (test/clients/stream.contract.ts). */
import { createHash } from 'node:crypto'
import { isAfter, LAST_HASH_KEY, type Shard } from '../../src/core/shard.ts'
import {
  ARRIVAL,
  PageRecord,
  RECORD_DOUBLES,
  RECORD_WORDS,
  recordPlaces,
  type StreamPage,
  type StreamRecord,
} from '../../src/core/stream.ts'

export function fakeStream(shardCount: number) {
  const shards: Shard[] = []
  const records = new Map<string, StreamRecord[]>()
  let sequence = 100
  const size = 2n ** 128n / BigInt(shardCount)

  function add(parents: string[], startingHashKey: string, endingHashKey: string): Shard {
    const shardId = `shardId-${String(shards.length).padStart(12, '0')}`
    const shard = {
      shardId,
      parents,
      startingHashKey,
      endingHashKey,
      startingSequenceNumber: String(sequence++),
      isOpen: true,
    }
    shards.push(shard)
    records.set(shardId, [])
    return shard
  }
  for (let at = 0n; at < BigInt(shardCount); at++)
    add(
      [],
      String(at * size),
      at === BigInt(shardCount) - 1n ? String(LAST_HASH_KEY) : String((at + 1n) * size - 1n),
    )

  const childrenOf = (shardId: string) => shards.filter(shard => shard.parents.includes(shardId))

  let recycled = 0
  const free: Buffer[] = []

  return {
    /** Pages whose memory was given back. */
    recycled: () => recycled,
    put(shardId: string, text: string | Uint8Array, partitionKey = 'public.t'): string {
      const data = typeof text === 'string' ? new TextEncoder().encode(text) : text
      const sequenceNumber = String(sequence++)
      records.get(shardId)!.push({ sequenceNumber, partitionKey, arrivedAtMs: undefined, data })
      return sequenceNumber
    },
    /** Puts where Kinesis would: into the open shard whose range holds the MD5 of the partition key. */
    putByKey(text: string, partitionKey: string): { shardId: string; sequenceNumber: string } {
      const hash = BigInt(`0x${createHash('md5').update(partitionKey).digest('hex')}`)
      const { shardId } = shards.find(
        ({ isOpen, startingHashKey, endingHashKey }) =>
          isOpen && BigInt(startingHashKey) <= hash && hash <= BigInt(endingHashKey),
      )!
      return { shardId, sequenceNumber: this.put(shardId, text, partitionKey) }
    },
    /** The open shards, by their hash keys: neighbours stand beside each other. */
    openShards: () =>
      shards
        .filter(({ isOpen }) => isOpen)
        .sort((one, other) => (BigInt(one.startingHashKey) < BigInt(other.startingHashKey) ? -1 : 1)),
    lastSequenceNumber: (shardId: string) => records.get(shardId)!.at(-1)?.sequenceNumber,
    merge(left: string, right: string): string {
      const parents = [left, right].map(shardId => shards.find(shard => shard.shardId === shardId)!)
      for (const parent of parents) parent.isOpen = false
      return add([left, right], parents[0]!.startingHashKey, parents[1]!.endingHashKey).shardId
    },
    split(shardId: string): string[] {
      const parent = shards.find(shard => shard.shardId === shardId)!
      parent.isOpen = false
      const middle = (BigInt(parent.startingHashKey) + BigInt(parent.endingHashKey)) / 2n
      return [
        add([shardId], parent.startingHashKey, String(middle)).shardId,
        add([shardId], String(middle + 1n), parent.endingHashKey).shardId,
      ]
    },
    listShards: async () => structuredClone(shards),
    async open(shardId: string, from: string): Promise<string | undefined> {
      const all = records.get(shardId)!
      if (from === 'TRIM_HORIZON') return `${shardId} 0`
      if (from === 'LATEST') return `${shardId} ${all.length}`
      const at = all.findIndex(({ sequenceNumber }) => !isAfter(from, sequenceNumber))
      return `${shardId} ${at < 0 ? all.length : at}`
    },
    async read(iterator: string, limit: number): Promise<StreamPage> {
      const [shardId, from] = iterator.split(' ') as [string, string]
      const all = records.get(shardId)!
      const page = all.slice(Number(from), Number(from) + limit)
      const next = Number(from) + page.length
      const isEnd = next === all.length && !shards.find(shard => shard.shardId === shardId)!.isOpen
      return {
        kind: 'records',
        ...pageOf(page, free, () => recycled++),
        next: isEnd ? undefined : `${shardId} ${next}`,
        behindMs: next < all.length ? 1000 : 0,
        children: isEnd
          ? childrenOf(shardId).map(({ shardId: child, parents, startingHashKey, endingHashKey }) => ({
              shardId: child,
              parents,
              startingHashKey,
              endingHashKey,
            }))
          : [],
      }
    },
  }
}

const FREE_MAX = 16

/**
 * Records as they come from Kinesis, in one piece of memory, which nobody can make sense of once it is given back.
 *
 * @param free memory that was given back: a later page is written into it, so that who still reads there reads another's records
 */
function pageOf(records: readonly StreamRecord[], free: Buffer[], onRecycle: () => void) {
  const pieces = records.flatMap(({ data, sequenceNumber }) => [
    data,
    new TextEncoder().encode(sequenceNumber),
  ])
  const size = pieces.reduce((sum, { length }) => sum + length + 1, 0)
  const found = free.findIndex(({ length }) => length >= size)
  const bytes = found < 0 ? Buffer.alloc(size) : free.splice(found, 1)[0]!
  const places = recordPlaces(new Int32Array(records.length * RECORD_WORDS))
  const page = { bytes, isUtf8: false, ...places }
  let end = 0
  const [starts, ends] = [[] as number[], [] as number[]]
  for (const piece of pieces) {
    bytes.set(piece, end)
    bytes[end + piece.length] = 0
    starts.push(end)
    ends.push(end + piece.length)
    end += piece.length + 1
  }
  return {
    records: records.map(({ partitionKey, arrivedAtMs }, n) => {
      const own = [starts[2 * n]!, ends[2 * n]!, starts[2 * n + 1]!, ends[2 * n + 1]!]
      places.places.set(own, n * RECORD_WORDS)
      places.arrivedAtMs[n * RECORD_DOUBLES + ARRIVAL] = arrivedAtMs ?? -1
      return new PageRecord(page, n, partitionKey)
    }),
    recycle() {
      bytes.fill(0x21)
      if (free.length < FREE_MAX) free.push(bytes)
      onRecycle()
    },
  }
}
