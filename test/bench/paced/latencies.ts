/** Many times in whole ms: how many of each, so that an hour of them costs no more than a minute. */

export type Latencies = {
  add(ms: number): void
  count(): number
  /** @param share 0 to 1 @returns the least time within which this share lies; NaN where there is none */
  quantile(share: number): number
  max(): number
  clear(): void
}

export function latencies(): Latencies {
  const counts = new Map<number, number>()
  let count = 0
  return {
    add(ms) {
      const whole = Math.max(0, Math.round(ms))
      counts.set(whole, (counts.get(whole) ?? 0) + 1)
      count++
    },
    count: () => count,
    quantile(share) {
      let left = Math.max(1, Math.ceil(share * count))
      for (const [ms, times] of [...counts].sort(([a], [b]) => a - b)) {
        left -= times
        if (left <= 0) return ms
      }
      return Number.NaN
    },
    max: () => Math.max(...counts.keys()),
    clear() {
      counts.clear()
      count = 0
    },
  }
}
