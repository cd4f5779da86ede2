import { describe, expect, test } from 'vitest'
import { bulkWriter } from '../../src/bulk-writer.ts'
import type { Answer, BulkAnswer } from '../../src/core/outcome.ts'
import { BELOW_CHANGES, ORDINAL_MAX, versionText } from '../../src/core/version.ts'
import { actionText } from '../fakes/action-text.ts'
import { actionsOf } from '../fakes/search.ts'
import { writeOf } from '../fakes/write.ts'

const action = (id: string, document = '{"a":1}', index = 'i') => ({
  write: writeOf({ kind: 'index', index, id, document }),
  ...BELOW_CHANGES,
})
const remove = (id: string) => ({
  write: writeOf({ kind: 'delete', index: 'i', id }),
  fence: 0,
  ordinal: 2,
})
const isAlive = () => true
const BROKEN: BulkAnswer = { kind: 'failed', reason: 'connection', mayHaveLanded: true }
const RESET: Answer = { kind: 'request', reason: 'connection', mayHaveLanded: true }
const DONE: Answer = { kind: 'done' }

/** @param bulk answers a request of so many actions and bytes; done if it does not */
function writerOn(bulk: (count: number, bytes: number) => BulkAnswer | undefined) {
  const requests: string[][] = []
  const open: (() => void)[] = []
  let isWaiting = false
  const writer = bulkWriter({
    async bulk(body) {
      const actions = actionsOf(String(body))
      requests.push(actions.map(({ key }) => key.slice(2)))
      if (isWaiting) await new Promise<void>(resolve => open.push(resolve))
      return bulk(actions.length, body.length) ?? { kind: 'done', count: actions.length }
    },
    limits: { bytesMax: 5_000_000, actionsMax: 1000, inFlightMax: 4 },
    monotonic: () => 0,
    onRequest: () => {},
  })
  return {
    writer,
    requests,
    /** From here on requests are answered only by `letGo`. */
    holdBack: () => (isWaiting = true),
    letGo: () => open.shift()!(),
  }
}

test('a body is what its actions are by themselves, whatever their ids, indices and documents hold', async () => {
  const ids = ['1', '', 'a"b', 'a\\b', 'ž', '\u0001', '\ud800', 'x|y', '~ !', '\u007f', '1'.repeat(512)]
  const bytes = Buffer.from('..{"a":"ž"}..')
  const actions = ['i', 'other', 'i'].flatMap((index, n) =>
    ids.flatMap(id => [
      action(`${id}${n}`, '{"a":"žluť"}', index),
      remove(`${id}${n}d`),
      {
        write: writeOf({ kind: 'index', index, id: `${id}${n}p`, bytes, start: 2, end: bytes.length - 2 }),
        fence: 2 ** 35 - 1,
        ordinal: ORDINAL_MAX,
      },
      {
        write: writeOf({ kind: 'index', index, id: `${id}${n}r`, document: '{}', routing: id }),
        fence: 442_000_000,
        ordinal: 0,
      },
    ]),
  )
  let text = ''
  const writer = bulkWriter({
    async bulk(body) {
      text = String(body)
      return { kind: 'done', count: actions.length }
    },
    limits: { bytesMax: 5_000_000, actionsMax: 1000, inFlightMax: 1 },
    monotonic: () => 0,
    onRequest: () => {},
  })
  await writer.write(actions, isAlive)
  expect(text).toBe(actions.map(one => actionText(one.write, versionText(one))).join(''))
})

describe('a document', () => {
  test('in flight for one call waits for the next request of another; its neighbours do not', async () => {
    const { writer, requests, holdBack, letGo } = writerOn(() => undefined)
    holdBack()
    const first = writer.write([action('a'), action('b')], isAlive)
    const second = writer.write([action('b'), action('c')], isAlive)
    const third = writer.write([action('b'), action('d', '{}', 'j')], isAlive)
    expect(requests).toEqual([['a', 'b'], ['c'], ['d']])
    letGo()
    await first
    await expect.poll(() => requests[3]).toEqual(['b'])
    letGo()
    letGo()
    letGo()
    expect(await second).toEqual([DONE, DONE])
    await expect.poll(() => requests[4]).toEqual(['b'])
    letGo()
    expect(await third).toEqual([DONE, DONE])
    expect(requests).toHaveLength(5)
  })

  test('of two calls that wait together goes once into a request', async () => {
    const { writer, requests, holdBack, letGo } = writerOn(() => undefined)
    holdBack()
    for (const id of ['1', '2', '3', '4']) void writer.write([action(id)], isAlive)
    void writer.write([action('a'), action('b')], isAlive)
    const last = writer.write([action('b'), action('c')], isAlive)
    letGo()
    await expect.poll(() => requests.length).toBe(5)
    expect(requests[4]).toEqual(['a', 'b', 'c'])
    for (let n = 0; n < 4; n++) letGo()
    await expect.poll(() => requests.length).toBe(6)
    letGo()
    expect(await last).toEqual([DONE, DONE])
    expect(requests[5]).toEqual(['b'])
  })
})

describe('a connection that breaks', () => {
  const large = `{"a":"${'x'.repeat(100_000)}"}`
  const four = ['a', 'b', 'c', 'd'].map(id => action(id, large))

  test('three times in a row under the same large body: it is cut in two, as if it were too large', async () => {
    const { writer, requests } = writerOn((_, bytes) => (bytes > 250_000 ? BROKEN : undefined))
    expect(await writer.write(four, isAlive)).toEqual([RESET, RESET, RESET, RESET])
    expect(await writer.write(four, isAlive)).toEqual([RESET, RESET, RESET, RESET])
    expect(await writer.write(four, isAlive)).toEqual([DONE, DONE, DONE, DONE])
    expect(requests.slice(2)).toEqual([
      ['a', 'b', 'c', 'd'],
      ['a', 'b'],
      ['c', 'd'],
    ])
  })

  test('the halves are cut again without more tries, and one action alone is only tried again', async () => {
    const huge = action('e', `{"a":"${'x'.repeat(400_000)}"}`)
    const { writer, requests } = writerOn((_, bytes) => (bytes > 250_000 ? BROKEN : undefined))
    const all = [...four, huge]
    await writer.write(all, isAlive)
    await writer.write(all, isAlive)
    expect(await writer.write(all, isAlive)).toEqual([DONE, DONE, DONE, DONE, RESET])
    expect(requests.slice(3)).toEqual([['a', 'b', 'c'], ['a', 'b'], ['c'], ['d', 'e'], ['d'], ['e']])
  })

  test.each<[string, BulkAnswer]>([
    ['answered in between', { kind: 'status', status: 503, type: 'no error type' }],
    ['a timeout in between', { kind: 'failed', reason: 'timeout', mayHaveLanded: true }],
    ['never connected in between', { kind: 'failed', reason: 'connection', mayHaveLanded: false }],
  ])('%s: the count begins anew', async (_, between) => {
    const answers = [BROKEN, BROKEN, between, BROKEN, BROKEN]
    const { writer, requests } = writerOn(() => answers.shift())
    while (answers.length > 0) await writer.write(four, isAlive)
    expect(requests.every(ids => ids.length === 4)).toBe(true)
  })

  test('under a small body says nothing of its size, nor under another version of its conflicts', async () => {
    const { writer, requests } = writerOn(() => BROKEN)
    const small = [action('a'), action('b')]
    for (let n = 0; n < 5; n++) expect(await writer.write(small, isAlive)).toEqual([RESET, RESET])
    const changing = four.map(one => ({ ...one }))
    for (let n = 0; n < 5; n++) {
      for (const one of changing) one.fence = 100 + n
      await writer.write(changing, isAlive)
    }
    expect(requests).toHaveLength(10)
  })
})
