/** The questions both streams answer: the fake, and Kinesis through the client. */
import { expect, test } from 'vitest'
import type { Shard } from '../../src/core/shard.ts'
import type { StreamPage } from '../../src/core/stream.ts'

export type StreamUnderTest = {
  listShards: () => Promise<Shard[]>
  open: (shardId: string, from: string) => Promise<string | undefined>
  read: (iterator: string, limit: number) => Promise<StreamPage>
  /** Puts into the first shard. */
  put: (text: string) => Promise<void>
  split: (shardId: string) => Promise<void>
}

const textOf = (data: Uint8Array) => new TextDecoder().decode(data)

/** @param make a stream of two open shards */
export function streamContract(make: () => Promise<StreamUnderTest>): void {
  /** Reads until a page brings records, or the shard ends: an empty page says nothing. */
  async function pageFrom(stream: StreamUnderTest, iterator: string, limit = 100) {
    for (let next: string | undefined = iterator; ; ) {
      const page: StreamPage = await stream.read(next!, limit)
      if (page.kind !== 'records') throw new Error(`expected records, found ${page.kind}`)
      if (page.records.length > 0 || page.next === undefined) return page
      next = page.next
    }
  }

  test('the shards of a new stream are open, without parents, and cover every hash', async () => {
    const shards = await (await make()).listShards()
    expect(shards.map(({ isOpen, parents }) => [isOpen, parents])).toEqual([
      [true, []],
      [true, []],
    ])
    expect([shards[0]!.startingHashKey, shards.at(-1)!.endingHashKey]).toEqual(['0', String(2n ** 128n - 1n)])
  })

  test('records come in the order they were put, with their bytes; a limit cuts the page', async () => {
    const stream = await make()
    for (const text of ['a', 'b', 'ž']) await stream.put(text)
    const [shard] = await stream.listShards()
    const first = await pageFrom(stream, (await stream.open(shard!.shardId, 'TRIM_HORIZON'))!, 2)
    const second = await pageFrom(stream, first.next!)
    expect([...first.records, ...second.records].map(({ data }) => textOf(data))).toEqual(['a', 'b', 'ž'])
  })

  test('opened at a sequence number the record of that number comes first', async () => {
    const stream = await make()
    for (const text of ['a', 'b', 'c']) await stream.put(text)
    const [shard] = await stream.listShards()
    const all = await pageFrom(stream, (await stream.open(shard!.shardId, 'TRIM_HORIZON'))!)
    const again = await pageFrom(stream, (await stream.open(shard!.shardId, all.records[1]!.sequenceNumber))!)
    expect(again.records.map(({ data }) => textOf(data))).toEqual(['b', 'c'])
  })

  test('a split shard ends after its last record and names its children; they list it as parent', async () => {
    const stream = await make()
    await stream.put('a')
    const [shard] = await stream.listShards()
    await stream.split(shard!.shardId)
    let page = await pageFrom(stream, (await stream.open(shard!.shardId, 'TRIM_HORIZON'))!)
    const texts = page.records.map(({ data }) => textOf(data))
    while (page.next !== undefined) page = await pageFrom(stream, page.next)
    expect(texts).toEqual(['a'])
    const shards = await stream.listShards()
    const children = shards.filter(({ parents }) => parents.includes(shard!.shardId))
    expect(page.children.map(({ shardId }) => shardId).toSorted()).toEqual(
      children.map(({ shardId }) => shardId).toSorted(),
    )
    expect(children).toHaveLength(2)
    expect(page.children.every(({ parents }) => parents.length === 1 && parents[0] === shard!.shardId)).toBe(
      true,
    )
    expect(shards.find(({ shardId }) => shardId === shard!.shardId)!.isOpen).toBe(false)
  })

  test('LATEST sees only what comes after it', async () => {
    const stream = await make()
    await stream.put('before')
    const [shard] = await stream.listShards()
    const iterator = (await stream.open(shard!.shardId, 'LATEST'))!
    await stream.put('after')
    expect((await pageFrom(stream, iterator)).records.map(({ data }) => textOf(data))).toEqual(['after'])
  })
}
