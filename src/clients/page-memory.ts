/**
 * Memory for the data of pages, used again once a page is settled. A new piece of some megabytes for each page costs page
 * faults, and waits for the garbage collector, which sees only how few objects it has.
 */

const MIB = 1_048_576
/** Smaller pages are made anew: they come when it is quiet. */
const SMALL_BYTES = MIB / 4
/**
 * What is kept free; how much is in use is bounded by the read budget, which by default is as much. With a third of it pages of
 * 64 shards were made anew all the time, and each 64 MB of new memory has V8 collect everything.
 */
const FREE_BYTES_MAX = 96 * MIB

export type PageMemory = {
  /** At least so many bytes, with anything in them. */
  take(bytes: number): Buffer
  /** Takes it back; from here on another page may be written into it. */
  give(memory: Buffer): void
}

export function pageMemory(): PageMemory {
  let free: Buffer[] = []
  let freeBytes = 0

  return {
    take(bytes) {
      if (bytes < SMALL_BYTES) return Buffer.allocUnsafeSlow(bytes)
      const found = free.find(memory => memory.length >= bytes)
      if (!found) return Buffer.allocUnsafeSlow(Math.ceil(bytes / MIB) * MIB)
      free = free.filter(memory => memory !== found)
      freeBytes -= found.length
      return found
    },
    give(memory) {
      if (memory.length < SMALL_BYTES || freeBytes + memory.length > FREE_BYTES_MAX) return
      // The smallest that is large enough is the first to be taken.
      free = [...free, memory].sort((a, b) => a.length - b.length)
      freeBytes += memory.length
    },
  }
}
