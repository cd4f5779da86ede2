/** An HTTP proxy in front of DynamoDB that counts calls by table and operation. What passes is not changed. */
import { Agent, request as call, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type CountingProxy = {
  /** What a worker is given as AWS_ENDPOINT_URL_DYNAMODB. */
  url: string
  /** Calls so far, such as `UpdateItem` on a table. */
  calls(table: string, operation: string): number
  close(): Promise<void>
}

export async function startCountingProxy(target: string): Promise<CountingProxy> {
  const { hostname, port } = new URL(target)
  const agent = new Agent({ keepAlive: true })
  const counts = new Map<string, number>()
  const server = createServer((asked, answered) => {
    const chunks: Buffer[] = []
    asked.on('data', (chunk: Buffer) => chunks.push(chunk))
    asked.on('end', () => {
      const body = Buffer.concat(chunks)
      const operation = String(asked.headers['x-amz-target']).split('.').at(-1)
      const { TableName } = JSON.parse(body.toString()) as { TableName?: string }
      const key = `${TableName} ${operation}`
      counts.set(key, (counts.get(key) ?? 0) + 1)
      const onward = call(
        { hostname, port, agent, method: asked.method, path: asked.url, headers: asked.headers },
        answer => {
          answered.writeHead(answer.statusCode!, answer.headers)
          answer.pipe(answered)
        },
      )
      onward.on('error', () => answered.destroy())
      onward.end(body)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls: (table, operation) => counts.get(`${table} ${operation}`) ?? 0,
    async close() {
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      server.closeAllConnections()
      agent.destroy()
      await closed
    },
  }
}
