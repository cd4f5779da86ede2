/**
 * Values for the workload's rows, all from one seed: digits a double cannot hold, text that needs escaping, moments with
 * and without a fraction.
 */

export type Chance = {
  below(n: number): number
  pick<T>(list: readonly T[]): T
  /** Picks and removes. */
  take<T>(list: T[]): T
}

export const texts = [
  '',
  'plain',
  'She said "ship it"',
  'line one\nline two\r\n\tthree',
  'C:\\temp\\new',
  'żółć 東京 🚲 é',
  'bell \u0007',
  null,
]

export function seededChance(seed: number): Chance {
  let state = seed | 0
  // mulberry32: 32 bits of state, good enough to shuffle a shop.
  function next(): number {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (n: number) => Math.floor(next() * n)
  return {
    below,
    pick: list => list[below(list.length)]!,
    take(list) {
      const i = below(list.length)
      const [taken] = list.splice(i, 1)
      return taken!
    },
  }
}

export function price(chance: Chance): string {
  return `${chance.below(1000)}.${String(chance.below(100)).padStart(2, '0')}`
}

/** Up to 28 digits before the point and ten behind it. */
export function amount(chance: Chance): string {
  const digits = (n: number) => Array.from({ length: n }, () => chance.below(10)).join('')
  return `${chance.pick(['', '-'])}1${digits(chance.below(28))}.${digits(10)}`
}

/** With and without a fraction: DMS writes none where it is zero. */
export function moment(chance: Chance): string {
  const seconds = new Date(1_700_000_000_000 + chance.below(50_000_000) * 1000).toISOString().slice(0, 19)
  return seconds + chance.pick(['Z', '.5Z', '.123456Z', '.000001Z'])
}

/** Numbers a double cannot hold also inside jsonb; or no attributes at all. */
export function attributes(chance: Chance, id: number): string | null {
  if (chance.below(6) === 0) return null
  const tags = JSON.stringify(['b', chance.pick(['ä', '"', '\\', '\n'])])
  return `{"channel": "app", "weight": ${id}.${chance.below(90) + 10}, "tracking": 90071992547${10_000 + chance.below(80_000)}93, "tags": ${tags}, "gift": true}`
}

/** As long as those of shop.sql, and below 2 kB for the reason given there. */
export function description(chance: Chance): string {
  return Array.from({ length: 150 }, () =>
    chance.pick(['bicycle ', 'wheel, ', 'Größe\n', '"steel" ', 'no. 7 – ']),
  ).join('')
}
