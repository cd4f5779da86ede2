/** `bootstrap`: makes OpenSearch ready for `run`. Idempotent; run it before the first deploy and after a change of its settings. */
import type { Logger } from 'pino'
import { openSearch } from '../clients/opensearch.ts'
import { realClock } from '../clock.ts'
import type { Config } from '../config.ts'
import { backoffMs } from '../core/backoff.ts'
import { TEMPLATE_NAME, type TemplateOptions } from '../core/template.ts'
import { OutsideError } from '../errors.ts'
import { searchOptions } from './search-options.ts'

export function templateOptions(config: Config): TemplateOptions {
  return { patterns: config.INDEX_PATTERNS, shards: config.INDEX_SHARDS, replicas: config.INDEX_REPLICAS }
}

/** How long a domain that does not answer is waited for: in compose and in a deploy it may still be starting. */
const WAIT_MS = 60_000

export async function bootstrap(config: Config, log: Logger, stop: AbortSignal): Promise<void> {
  const search = openSearch(searchOptions(config, log))
  const template = templateOptions(config)
  const startedAtMs = realClock.monotonic()
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        await search.putTemplate(template)
        break
      } catch (error) {
        if (error instanceof OutsideError) throw error
        if (stop.aborted || realClock.monotonic() - startedAtMs > WAIT_MS) {
          throw new OutsideError(
            `OpenSearch at ${config.OPENSEARCH_URL} did not answer within ${WAIT_MS / 1000} s: is it running, and is OPENSEARCH_URL right?`,
            { cause: error },
          )
        }
        log.warn({ attempt, err: error }, 'OpenSearch does not answer yet, trying again')
        await realClock.sleep(100 + backoffMs(attempt, Math.random(), { firstMs: 200, maxMs: 5000 }), stop)
      }
    }
    await search.mendIndices(template.patterns)
    const faults = await search.faults(template)
    if (faults.length > 0)
      throw new OutsideError(`OpenSearch is not as bootstrapped after all: ${faults.join('; ')}`)
    log.info({ template: TEMPLATE_NAME, patterns: template.patterns }, 'index template put')
  } finally {
    search.close()
  }
}
