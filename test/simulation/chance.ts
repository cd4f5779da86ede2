/** Chance from a seed: the same seed gives the same run, so a failure can be looked at again. */

export type Chance = {
  /** From 0 (inclusive) to 1. */
  random(): number
  /** From `least` to `most`, both included. */
  whole(least: number, most: number): number
  isHit(probability: number): boolean
  pick<Value>(values: readonly Value[]): Value
  shuffled<Value>(values: readonly Value[]): Value[]
  /** Another source of chance; what is drawn from it does not move this one. */
  fork(): Chance
}

/** sfc32: 128 bits of state, small and fast. */
export function seededChance(seed: number): Chance {
  let a = 0x9e3779b9
  let b = 0x243f6a88
  let c = seed | 0
  let counter = 1
  function next(): number {
    const sum = (a + b + counter++) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    return sum >>> 0
  }
  for (let turn = 0; turn < 15; turn++) next()
  const random = () => next() / 2 ** 32
  const whole = (least: number, most: number) => least + Math.floor(random() * (most - least + 1))
  return {
    random,
    whole,
    isHit: probability => random() < probability,
    pick: values => values[Math.floor(random() * values.length)]!,
    shuffled: values =>
      values
        .map(value => ({ value, place: random() }))
        .sort((one, other) => one.place - other.place)
        .map(({ value }) => value),
    fork: () => seededChance(next()),
  }
}
