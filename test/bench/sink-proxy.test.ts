import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { type Acknowledged, type Disturbance, startSinkProxy } from './sink-proxy.ts'

const LONG_MS = 60_000
const closings: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of closings.splice(0).reverse()) await close()
})

const index = (id: number) =>
  `{"index":{"_index":"bench_orders_1","_id":"${id}"}}\n{"id":${id},"revision":${id + 10},"x":1}\n`
const remove = (id: number) => `{"delete":{"_index":"bench_orders_1","_id":"${id}"}}\n`

/** @param statuses of the items, in turn */
async function scene(statuses = [201]) {
  const bodies: string[] = []
  const server = createServer((asked, answered) => {
    let body = ''
    asked.on('data', chunk => {
      body += chunk
    })
    asked.on('end', () => {
      bodies.push(body)
      const items = body
        .split('\n')
        .filter(line => line.includes('"_index"'))
        .map((_, at) => ({ index: { status: statuses[at % statuses.length]! } }))
      answered.end(JSON.stringify({ errors: false, items }))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closings.push(async () => {
    server.closeAllConnections()
    await new Promise<void>(resolve => server.close(() => resolve()))
  })
  const acknowledged: Acknowledged[] = []
  const proxy = await startSinkProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, actions =>
    acknowledged.push(...actions),
  )
  closings.push(proxy.close)
  const send = (body: string, path = '/_bulk?filter_path=errors') =>
    fetch(`${proxy.url}${path}`, { method: 'POST', body })
  return { bodies, acknowledged, proxy, send }
}

test('what is done, absent already or newer already is acknowledged; what is refused is not', async () => {
  const { send, acknowledged } = await scene([201, 429, 404, 409, 400])
  await (await send(index(1) + index(2) + remove(3) + index(4) + index(5))).json()
  expect(acknowledged.map(({ shard, id, revision }) => [shard, id, revision])).toEqual([
    [1, 1, 11],
    [1, 3, Number.POSITIVE_INFINITY],
    [1, 4, 14],
  ])
})

test('every third action is refused and not passed on, and each item of the answer is that of its action', async () => {
  const { send, proxy, bodies, acknowledged } = await scene()
  proxy.disturb('items-429', LONG_MS)
  const { errors, items } = (await (
    await send(index(1) + remove(2) + index(3) + index(4) + index(5))
  ).json()) as { errors: boolean; items: { index: { status: number } }[] }
  expect(errors).toBe(true)
  expect(items.map(item => item.index.status)).toEqual([429, 201, 201, 429, 201])
  expect(bodies).toEqual([remove(2) + index(3) + index(5)])
  expect(acknowledged.map(({ id }) => id)).toEqual([2, 3, 5])
  // A request of refused actions alone is not passed on at all.
  await send(index(1))
  expect(bodies).toHaveLength(1)
})

test.each<[Disturbance, number, boolean]>([
  ['status-429', 429, false],
  ['status-503', 503, false],
  ['broken-before', 0, false],
  ['broken-after', 0, true],
])(
  '%s: answered with status %d (0: none), passed on: %s, nothing acknowledged',
  async (what, status, isPassedOn) => {
    const { send, proxy, bodies, acknowledged } = await scene()
    proxy.disturb(what, LONG_MS)
    const found = await send(index(1)).then(
      answer => answer.status,
      () => 0,
    )
    expect(found).toBe(status)
    expect(bodies).toHaveLength(isPassedOn ? 1 : 0)
    expect(acknowledged).toEqual([])
    // What is not a bulk request is not disturbed.
    expect((await send('', '/')).status).toBe(200)
  },
)

test('half an answer looks whole and is no JSON; it acknowledges nothing', async () => {
  const { send, proxy, acknowledged } = await scene()
  proxy.disturb('cut-answers', LONG_MS)
  const answer = await send(index(1))
  await expect(answer.json()).rejects.toThrow()
  expect(answer.status).toBe(200)
  expect(acknowledged).toEqual([])
})

test('a held answer comes when the disturbance is over', async () => {
  const { send, proxy, acknowledged } = await scene()
  const untilMs = Date.now() + 200
  proxy.disturb('held-answers', 200)
  await (await send(index(1))).json()
  expect(Date.now()).toBeGreaterThanOrEqual(untilMs - 1)
  expect(acknowledged).toHaveLength(1)
})
