import { createServer, get, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type HoldingProxy, startProxy } from './proxy.ts'

let target: Server
let proxy: HoldingProxy
let applied: string[]

beforeEach(async () => {
  applied = []
  target = createServer((request, response) => {
    applied.push(`${request.method} ${request.url}`)
    request.resume().on('end', () => response.end('done'))
  })
  await new Promise<void>(resolve => target.listen(0, '127.0.0.1', resolve))
  proxy = await startProxy(`http://127.0.0.1:${(target.address() as AddressInfo).port}`)
})

afterEach(async () => {
  await proxy.close()
  target.closeAllConnections()
  target.close()
})

const bulk = (): Promise<string> =>
  fetch(`${proxy.url}/_bulk?filter_path=errors`, { method: 'POST', body: 'lines' }).then(answer =>
    answer.text(),
  )

test('a request and its answer pass', async () => {
  expect(await bulk()).toBe('done')
  expect(proxy.bulkRequests()).toBe(1)
  expect(proxy.withheld()).toEqual([])
})

test('a bulk request is applied while its answer is held back, and answered on release', async () => {
  const held = proxy.holdAnswers()
  let isAnswered = false
  const answer = bulk().finally(() => {
    isAnswered = true
  })
  expect(await held).toMatchObject({ statusLine: 'HTTP/1.1 200 OK' })
  expect(applied).toEqual(['POST /_bulk?filter_path=errors'])
  expect(isAnswered).toBe(false)
  proxy.release()
  expect(await answer).toBe('done')
  expect(proxy.withheld()).toEqual([])
})

test('other requests are answered while bulk answers are held back', async () => {
  const held = proxy.holdAnswers()
  const answer = bulk()
  await held
  expect(await (await fetch(`${proxy.url}/`)).text()).toBe('done')
  proxy.release()
  await answer
})

test('refused connections are refused, not left open, and accepted again on the same port', async () => {
  expect(await bulk()).toBe('done')
  await proxy.refuse()
  const { promise, resolve } = Promise.withResolvers<NodeJS.ErrnoException>()
  get(proxy.url).once('error', resolve)
  expect((await promise).code).toBe('ECONNREFUSED')
  await proxy.accept()
  expect(await bulk()).toBe('done')
})
