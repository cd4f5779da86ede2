/**
 * One budget of bytes for all shards of a worker: what has been read and is not settled yet. A shard reserves before it
 * reads and waits its turn, first come first served, so memory stays bounded however many shards there are and however
 * long OpenSearch is away.
 */

export type ReadBudget = {
  /** Waits until `bytes` are free; a single reservation larger than the budget is let in alone. Resolves false on abort. */
  reserve(bytes: number, signal: AbortSignal): Promise<boolean>
  release(bytes: number): void
  reservedBytes(): number
}

export function readBudget(limitBytes: number): ReadBudget {
  let reserved = 0
  const waiting: { bytes: number; admit: (isIn: boolean) => void }[] = []

  const fits = (bytes: number) => reserved === 0 || reserved + bytes <= limitBytes

  function admitNext(): void {
    while (waiting.length > 0 && fits(waiting[0]!.bytes)) {
      const next = waiting.shift()!
      reserved += next.bytes
      next.admit(true)
    }
  }

  return {
    reserve(bytes, signal) {
      if (signal.aborted) return Promise.resolve(false)
      if (waiting.length === 0 && fits(bytes)) {
        reserved += bytes
        return Promise.resolve(true)
      }
      return new Promise(resolve => {
        const entry = {
          bytes,
          admit: (isIn: boolean) => {
            signal.removeEventListener('abort', leave)
            resolve(isIn)
          },
        }
        const leave = () => {
          waiting.splice(waiting.indexOf(entry), 1)
          entry.admit(false)
          admitNext()
        }
        signal.addEventListener('abort', leave, { once: true })
        waiting.push(entry)
      })
    },
    release(bytes) {
      reserved -= bytes
      admitNext()
    },
    reservedBytes: () => reserved,
  }
}
