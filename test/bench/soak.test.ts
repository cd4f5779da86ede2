import { expect, test } from 'vitest'
import { UsageError } from './options.ts'
import { carryOut, FAULT_KINDS, faultOrder } from './soak/faults.ts'
import { errorOf } from './soak/fleet.ts'
import { memoryGrowth } from './soak/judge.ts'
import { readSoakOptions } from './soak/options.ts'

test('options of the soak: defaults, a seed of its own, help', () => {
  expect(readSoakOptions([], 5)).toEqual({ minutes: 60, perSecond: 1_000, seed: 5 })
  expect(readSoakOptions(['--minutes', '2', '--rate', '300', '--seed', '9'], 5)).toEqual({
    minutes: 2,
    perSecond: 300,
    seed: 9,
  })
  expect(readSoakOptions(['--help'], 5)).toBe('help')
})

test.each([[['--minutes', '0']], [['--minutes', 'ten']], [['--rate', '-1']], [['--hours', '1']], [['60']]])(
  'a mistake in the options of the soak is told: %j',
  argv => {
    expect(() => readSoakOptions(argv, 5)).toThrow(UsageError)
  },
)

test('a seed gives the same faults again, and each kind once before any comes again', () => {
  const taken = (seed: number, count: number) => {
    const order = faultOrder(seed)
    return Array.from({ length: count }, () => order.next().value)
  }
  const round = FAULT_KINDS.length
  const faults = taken(7, 3 * round)
  expect(taken(7, 3 * round)).toEqual(faults)
  expect(taken(8, round)).not.toEqual(faults.slice(0, round))
  for (let at = 0; at < faults.length; at += round)
    expect(new Set(faults.slice(at, at + round))).toEqual(new Set(FAULT_KINDS))
})

test('a fault is done to what it names', async () => {
  const done: string[] = []
  const stop = new AbortController()
  const targets = {
    proxy: {
      disturb: (what: string) => {
        done.push(what)
        stop.abort()
      },
    },
    tellStream: async ({ fail }: { fail?: string }) => {
      done.push(`told ${fail}`)
    },
    worker: {
      signal: (signal: string) => done.push(signal),
      end: async (signal: string) => {
        done.push(signal)
      },
      start: async () => {},
    },
  }
  for (const kind of ['bulk cut-answers', 'reads expired', 'worker stopped', 'worker killed'] as const)
    await expect(carryOut(kind, targets, stop.signal)).rejects.toThrow('abort')
  expect(done).toEqual(['cut-answers', 'told expired', 'SIGSTOP', 'SIGKILL'])
})

test('memory that grows evenly is beyond the bound of a long run; what a young or swinging heap does is not', () => {
  const points = (minutes: number, value: (minute: number) => number) =>
    Array.from({ length: minutes * 6 + 1 }, (_, at) => ({ atMs: at * 10_000, value: value(at / 6) }))
  const isWithin = (run: ReturnType<typeof points>): boolean => {
    const { slope, slopeMax } = memoryGrowth(run)
    return slope <= slopeMax!
  }
  expect(isWithin(points(60, minute => 200 + minute * 1.5))).toBe(false)
  expect(isWithin(points(60, minute => 200 + Math.min(minute, 15) * 10))).toBe(true)
  expect(isWithin(points(10, minute => 200 + 20 * Math.sin(minute * 3)))).toBe(true)
  expect(isWithin(points(10, minute => 200 + minute * 10))).toBe(false)
  expect(memoryGrowth(points(2, minute => minute)).slopeMax).toBeUndefined()
})

test('a log line is an error by its level; a line that is no log, as of a crash, is one too', () => {
  expect(errorOf('{"level":50,"msg":"still not drained, leaving"}')).toBe('still not drained, leaving')
  expect(errorOf('{"level":40,"msg":"read failed"}')).toBeUndefined()
  expect(errorOf('Error: out of memory')).toBe('Error: out of memory')
})
