/** The rows of the status contract that are told by a stub. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openSearch } from '../../src/clients/opensearch.ts'
import { expectContract, retry, tryOut } from './status-contract.ts'
import { type ToldRow, toldRows } from './status-contract-told.ts'

let server: Server
let url: string
let row: ToldRow

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', () => answer(request, response, Buffer.concat(chunks).toString()))
  }).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

function answer(request: IncomingMessage, response: ServerResponse, body: string): void {
  const { reply } = row
  if (reply.kind === 'none') reply.how(response, request)
  else if (reply.kind === 'whole' || (reply.kind === 'refusal' && body.includes('"culprit"')))
    response.writeHead(reply.status).end(reply.body)
  else response.end(answerOf(body, reply.kind === 'item' ? reply : { status: 201 }))
}

/** As OpenSearch writes it under our `filter_path`: an object of its own for each item, `errors` first. */
function answerOf(body: string, culprit: { status: number; error?: object }): string {
  const actions = body.split('\n').filter(line => /^\{"(index|delete)":/.test(line))
  const items = actions.map(line => {
    const [kind, { _id }] = Object.entries(JSON.parse(line) as Record<string, { _id: string }>)[0]!
    const { status, error } = _id === 'culprit' ? culprit : { status: 201 }
    return { [kind]: { status, ...(error ? { error } : {}) } }
  })
  return JSON.stringify({ errors: culprit.error !== undefined, items })
}

async function tried(given: ToldRow, to: string): ReturnType<typeof tryOut> {
  row = given
  const search = openSearch({ url: to, authentication: { kind: 'none' }, compression: 'none' })
  try {
    const { kind = 'index', timeoutMs = 10_000 } = given
    return await tryOut(body => search.bulk(body, timeoutMs), { kind, index: 'x' }, 'y')
  } finally {
    search.close()
  }
}

test.each(toldRows)('$name', async given => {
  expectContract(given, await tried(given, url))
})

test('no connection: nothing can have landed', async () => {
  const { answers, judgements } = await tried(toldRows[0]!, 'http://127.0.0.1:1')
  expect(answers).toEqual(
    answers.map(() => ({ kind: 'request', reason: 'connection', mayHaveLanded: false })),
  )
  expect(judgements).toEqual(judgements.map(() => retry('connection')))
})
