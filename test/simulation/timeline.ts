/**
 * Virtual time: what is to happen, in the order of its time. Between two happenings everything that can go on without
 * time goes on, to its end: all models answer by promises alone, so one turn of the event loop drains them.
 */

export type Planned = { atMs: number; order: number; run: (() => void) | undefined; isOutside: boolean }

export type Timeline = {
  now(): number
  /** @returns the plan; setting its `run` to undefined cancels it */
  at(ms: number, run: () => void): Planned
  /** The same for what happens outside the processes: nobody waits for it, so no promise needs its turn. */
  outside(ms: number, run: () => void): void
  /** Runs all that is planned up to that time. */
  runUntil(ms: number): Promise<void>
}

const turn = () => new Promise<void>(resolve => setImmediate(resolve))

export function timeline(): Timeline {
  let nowMs = 0
  let order = 0
  const heap: Planned[] = []

  const isBefore = (one: Planned, other: Planned) =>
    one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order)

  function push(planned: Planned): void {
    let at = heap.length
    heap.push(planned)
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!isBefore(planned, heap[above]!)) break
      heap[at] = heap[above]!
      at = above
    }
    heap[at] = planned
  }

  function plan(ms: number, run: () => void, isOutside: boolean): Planned {
    const planned = { atMs: Math.max(ms, nowMs), order: order++, run, isOutside }
    push(planned)
    return planned
  }

  function pop(): Planned {
    const first = heap[0]!
    const last = heap.pop()!
    if (heap.length === 0) return first
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below++
      if (!isBefore(heap[below]!, last)) break
      heap[at] = heap[below]!
      at = below
    }
    heap[at] = last
    return first
  }

  return {
    now: () => nowMs,
    at: (ms, run) => plan(ms, run, false),
    outside(ms, run) {
      plan(ms, run, true)
    },
    async runUntil(ms) {
      await turn()
      while (heap.length > 0 && heap[0]!.atMs <= ms) {
        const { atMs, run, isOutside } = pop()
        if (!run) continue
        nowMs = atMs
        run()
        if (!isOutside) await turn()
      }
      nowMs = Math.max(nowMs, ms)
    },
  }
}
