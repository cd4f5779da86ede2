/** The order of records through failures, and the limits of a request. */
import { describe, expect, test } from 'vitest'
import type { KinesisRecord } from '../../docker/dms/records.ts'
import {
  createSink,
  type Put,
  retryWaitMs,
  type SinkSettings,
  StreamRefusedError,
} from '../../docker/dms/sink.ts'

const record = (name: string, bytes = 1): KinesisRecord => ({
  table: 'public.orders',
  partitionKey: name,
  data: Buffer.alloc(bytes),
})

function sinkWith(put: Put, settings: Partial<SinkSettings> = {}) {
  const waits: number[] = []
  const dropped: number[] = []
  const sink = createSink(
    {
      recordsMax: 500,
      requestBytesMax: 1000,
      recordBytesMax: 1000,
      pendingBytesMax: 10_000,
      tooLarge: 'stop',
      ...settings,
    },
    {
      put,
      wait: async ms => {
        waits.push(ms)
      },
      random: () => 0,
      onRetry: () => {},
      onDropped: ({ bytes }) => dropped.push(bytes),
    },
  )
  return { sink, waits, dropped }
}

/** A stream that keeps what it is given; `fails` decides for each request which places of it fail. */
function streamOf(fails: (request: number) => number[] = () => []) {
  const requests: string[][] = []
  const put: Put = async records => {
    const failing = fails(requests.push(records.map(({ partitionKey }) => partitionKey)))
    return records.map((_, place) =>
      failing.includes(place) ? { isPut: false, error: 'throttled' } : { isPut: true },
    )
  }
  return { requests, put }
}

describe('batches', () => {
  test('records added together share a request, up to its limit', async () => {
    const { requests, put } = streamOf()
    const { sink } = sinkWith(put, { recordsMax: 2 })
    for (const name of ['a', 'b', 'c']) await sink.add(record(name))
    await sink.flushed()
    expect(requests).toEqual([['a', 'b'], ['c']])
  })

  test('a request stays below its bytes, and a large record goes alone', async () => {
    const { requests, put } = streamOf()
    const { sink } = sinkWith(put)
    for (const [name, bytes] of [
      ['a', 400],
      ['b', 500],
      ['c', 999],
      ['d', 1],
    ] as const)
      await sink.add(record(name, bytes))
    await sink.flushed()
    expect(requests).toEqual([['a', 'b'], ['c'], ['d']])
  })

  test('add waits while too much is pending', async () => {
    const letGo = Promise.withResolvers<void>()
    const { sink } = sinkWith(
      async records => {
        await letGo.promise
        return records.map(() => ({ isPut: true }))
      },
      { pendingBytesMax: 100 },
    )
    let isThrough = false
    const adding = sink.add(record('a', 200)).then(() => {
      isThrough = true
    })
    await new Promise(resolve => setImmediate(resolve))
    expect(isThrough).toBe(false)
    letGo.resolve()
    await adding
    expect(isThrough).toBe(true)
  })
})

describe('failures', () => {
  test('everything from the first failed record on is sent again, in order', async () => {
    const { requests, put } = streamOf(request => (request === 1 ? [1, 3] : []))
    const { sink, waits } = sinkWith(put)
    for (const name of ['a', 'b', 'c', 'd']) await sink.add(record(name))
    await sink.flushed()
    expect(requests).toEqual([
      ['a', 'b', 'c', 'd'],
      ['b', 'c', 'd'],
    ])
    expect(waits).toEqual([50])
  })

  test('a failed request is sent again with growing waits', async () => {
    let calls = 0
    const { sink, waits } = sinkWith(async records => {
      calls += 1
      if (calls < 4) throw new Error('connection refused')
      return records.map(() => ({ isPut: true }))
    })
    await sink.add(record('a'))
    await sink.flushed()
    expect(waits).toEqual([50, 100, 200])
  })

  test('waits grow to 5 s and are shortened by up to half', () => {
    expect([1, 2, 3, 8, 50].map(attempt => retryWaitMs(attempt, 0))).toEqual([50, 100, 200, 5000, 5000])
    expect(retryWaitMs(50, 1)).toBe(2500)
  })

  test('a mark passes only when everything before it is in the stream', async () => {
    const passed: string[] = []
    const { put, requests } = streamOf(request => (request === 1 ? [1] : []))
    const { sink } = sinkWith(async records => {
      passed.push(`request ${requests.length + 1}`)
      return put(records)
    })
    await sink.add(record('a'))
    sink.mark(() => passed.push('after a'))
    await sink.add(record('b'))
    sink.mark(() => passed.push('after b'))
    await sink.flushed()
    expect(passed).toEqual(['request 1', 'after a', 'request 2', 'after b'])
  })

  test('a stream that refuses for good fails the sink, and no mark passes', async () => {
    let isPassed = false
    const { sink } = sinkWith(async () => {
      throw new StreamRefusedError('no such stream')
    })
    await sink.add(record('a'))
    sink.mark(() => {
      isPassed = true
    })
    await expect(sink.flushed()).rejects.toThrow('no such stream')
    await expect(sink.failed).rejects.toThrow('no such stream')
    await expect(sink.add(record('b'))).rejects.toThrow('no such stream')
    expect(isPassed).toBe(false)
  })

  test('a record over the limit stops the task, and nothing behind it is confirmed', async () => {
    let isPassed = false
    const { put } = streamOf()
    const { sink } = sinkWith(put)
    await expect(sink.add(record('a', 1000))).rejects.toThrow(
      "a record of public.orders has 1001 bytes, over the stream's limit of 1000",
    )
    sink.mark(() => {
      isPassed = true
    })
    await new Promise(resolve => setImmediate(resolve))
    expect(isPassed).toBe(false)
  })

  test('or is left out, where that is asked for', async () => {
    const { requests, put } = streamOf()
    const { sink, dropped } = sinkWith(put, { tooLarge: 'drop' })
    await sink.add(record('a', 1000))
    await sink.add(record('b'))
    await sink.flushed()
    expect(requests).toEqual([['b']])
    expect(dropped).toEqual([1001])
  })

  test('close lets the request under way come home, sends nothing more, and passes no mark of what it turned away', async () => {
    const letGo = Promise.withResolvers<void>()
    const marks: string[] = []
    const sent: string[] = []
    const { sink } = sinkWith(async records => {
      sent.push(...records.map(({ partitionKey }) => partitionKey))
      await letGo.promise
      return records.map(() => ({ isPut: true }))
    })
    await sink.add(record('a'))
    sink.mark(() => marks.push('a'))
    await new Promise(resolve => setImmediate(resolve))
    const closing = sink.close()
    await sink.add(record('c'))
    sink.mark(() => marks.push('c'))
    letGo.resolve()
    await closing
    expect(sent).toEqual(['a'])
    expect(marks).toEqual(['a'])
    expect(sink.hasPutAll()).toBe(false)
  })
})
