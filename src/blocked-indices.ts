/**
 * The indices that OpenSearch cannot write to now (closed, blocked, without a shard), and who tries them again.
 *
 * One for all shards of a worker: a request to such an index may hang until its time is over, so a single one at a time
 * asks whether it is open again, and what it finds out is true for all.
 */
import type { Clock } from './clock.ts'
import { backoffMs } from './core/backoff.ts'

export type BlockedIndices = {
  isBlocked(index: string): boolean
  /** Told by a refusal that concerns the index. */
  block(index: string, reason: string): void
  /**
   * Waits until something may be written to the index: `open` when it is not blocked any more, `try` when the caller is the
   * one to find out, who must then call `tried`; `stopped` on the signal.
   */
  turn(index: string, signal: AbortSignal): Promise<'open' | 'try' | 'stopped'>
  /** @param found why it is still blocked; undefined when it took a write, `unknown` when that cannot be told */
  tried(index: string, found: { reason: string } | 'unknown' | undefined): void
  /** The reason of each, by the index. */
  all(): ReadonlyMap<string, string>
}

type Block = {
  reason: string
  attempt: number
  retryAtMs: number
  isTried: boolean
  changed: AbortController
}

export type BlockedIndicesParts = {
  clock: Clock
  random: () => number
  log: { info(fields: object, text: string): void; error(fields: object, text: string): void }
}

export function blockedIndices(
  { clock, random, log }: BlockedIndicesParts,
  retry: { firstMs: number; maxMs: number },
): BlockedIndices {
  const blocks = new Map<string, Block>()

  function tell(block: Block): void {
    const { changed } = block
    block.changed = new AbortController()
    changed.abort()
  }

  const retryAt = (attempt: number) => clock.monotonic() + backoffMs(attempt, random(), retry)

  return {
    isBlocked: index => blocks.has(index),
    block(index, reason) {
      if (blocks.has(index)) return
      const changed = new AbortController()
      blocks.set(index, { reason, attempt: 0, retryAtMs: retryAt(0), isTried: false, changed })
      log.error(
        { index, reason },
        'index blocked: OpenSearch cannot write to it; its records are parked, other tables go on, and no checkpoint passes them',
      )
    },
    async turn(index, signal) {
      while (!signal.aborted) {
        const block = blocks.get(index)
        if (!block) return 'open'
        const waitMs = block.retryAtMs - clock.monotonic()
        if (!block.isTried && waitMs <= 0) {
          block.isTried = true
          return 'try'
        }
        const changed = AbortSignal.any([signal, block.changed.signal])
        await clock.sleep(block.isTried ? retry.maxMs : waitMs, changed)
      }
      return 'stopped'
    },
    tried(index, found) {
      const block = blocks.get(index)
      if (!block) return
      if (found === undefined) {
        blocks.delete(index)
        log.info({ index, attempts: block.attempt + 1 }, 'index no longer blocked')
      } else {
        block.isTried = false
        if (found !== 'unknown') block.reason = found.reason
        block.attempt++
        block.retryAtMs = retryAt(block.attempt)
      }
      tell(block)
    },
    all: () => new Map([...blocks].map(([index, { reason }]) => [index, reason])),
  }
}
