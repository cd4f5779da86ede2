/**
 * Health and metrics. Read only, and nothing of a row is ever in them.
 *
 * live: the loops turn. It does not fail because OpenSearch or AWS is away, or ECS would kill every task in an incident.
 * ready: the leases are looked at, OpenSearch answers, no shard is held, and the worker is not draining.
 */
import Fastify from 'fastify'
import type { Registry } from 'prom-client'

export type HealthParts = {
  isTurning: () => boolean
  isDraining: () => boolean
  searchAnswers: () => Promise<boolean>
  heldShards: () => ReadonlyMap<string, string>
  registry: Registry
}

export function httpServer(parts: HealthParts) {
  const app = Fastify({ logger: false, bodyLimit: 1024, requestTimeout: 10_000, forceCloseConnections: true })

  app.get('/health/live', (_request, reply) => {
    const isLive = parts.isTurning()
    return reply.code(isLive ? 200 : 503).send({
      live: isLive,
      ...(isLive ? {} : { wrong: ['the lease loop has not turned for three lease times'] }),
    })
  })

  app.get('/health/ready', async (_request, reply) => {
    const wrong: string[] = []
    if (parts.isDraining()) wrong.push('draining')
    if (!parts.isTurning()) wrong.push('the lease loop does not turn')
    if (!(await parts.searchAnswers())) wrong.push('OpenSearch does not answer')
    for (const [shard, reason] of parts.heldShards()) wrong.push(`shard ${shard} is held: ${reason}`)
    return reply.code(wrong.length === 0 ? 200 : 503).send({ ready: wrong.length === 0, wrong })
  })

  app.get('/metrics', async (_request, reply) => {
    const text = await parts.registry.metrics()
    return reply.header('content-type', parts.registry.contentType).send(text)
  })

  return app
}
