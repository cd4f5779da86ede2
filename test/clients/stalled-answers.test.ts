/** Answers of AWS that begin and then stall, on a connection that stays open. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { deadLetters } from '../../src/clients/dead-letters.ts'
import { leaseTable } from '../../src/clients/lease-table.ts'

const server = createServer((request, response) => {
  request.resume()
  request.on('end', () => response.writeHead(200, { 'content-length': 500 }).write('{"Items":['))
})
let url: string

beforeAll(async () => {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  vi.stubEnv('AWS_ENDPOINT_URL', url)
  vi.stubEnv('AWS_REGION', 'eu-west-1')
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test')
})
afterAll(() => {
  vi.unstubAllEnvs()
  server.closeAllConnections()
  server.close()
})

test('of the lease table are an error after the time for a request', async () => {
  const table = leaseTable({ tableName: 't', requestTimeoutMs: 100, now: Date.now })
  await expect(table.list()).rejects.toThrow(/timed out after 100 ms/)
  table.close()
})

test('of the queue are an error after the time for a request', async () => {
  const queue = deadLetters(`${url}/q`, { requestTimeoutMs: 100 })
  await expect(queue.check()).rejects.toThrow(/timed out after 100 ms/)
  queue.close()
})
