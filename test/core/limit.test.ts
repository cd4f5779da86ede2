import { describe, expect, test } from 'vitest'
import { concurrencyLimit } from '../../src/core/limit.ts'
import type { Chance } from '../simulation/chance.ts'
import { run, type Server } from './limit-servers.ts'

const second = 1000
/** Time of a full request on an idle server. */
const WORK_MS = 200

/** 1 on average; the deviation is `share`. */
function jittered(chance: Chance, share: number): number {
  return 1 + 2 * share * (chance.random() + chance.random() + chance.random() - 1.5)
}

type Case = {
  name: string
  server: Server
  /** Requests at once beyond which there is nothing to gain, or a refusal. */
  limit: number
  max: number
  /** Full requests a second at best. */
  optimum: number
}

function constant(max: number): Case {
  return {
    name: `constant time, setting of ${max}`,
    server: { workMs: () => WORK_MS },
    limit: max,
    max,
    optimum: max * 5,
  }
}

function queueing(limit: number, jitter: number): Case {
  return {
    name: `queues above ${limit}, jitter ${jitter}`,
    server: { parallel: () => limit, workMs: ({ chance }) => WORK_MS * jittered(chance, jitter) },
    limit,
    max: 100,
    optimum: limit * 5,
  }
}

function refusing(limit: number, jitter: number): Case {
  return {
    name: `refuses above ${limit}, jitter ${jitter}`,
    server: { refuseAbove: () => limit, workMs: ({ chance }) => WORK_MS * jittered(chance, jitter) },
    limit,
    max: 100,
    optimum: limit * 5,
  }
}

/** Each request more makes all slower by a share; where that has doubled the time is the peak of throughput over time. */
function linear(growth: number): Case {
  const limit = 1 / growth
  return {
    name: `slower by ${growth} with each request`,
    server: { workMs: ({ working }) => WORK_MS * (1 + growth * (working - 1)) },
    limit,
    max: 100,
    optimum: (limit * 5) / (1 + growth * (limit - 1)),
  }
}

function linearRefusing(limit: number, jitter: number): Case {
  const growth = 0.5 / limit
  return {
    name: `slower with each request and refuses above ${limit}, jitter ${jitter}`,
    server: {
      refuseAbove: () => limit,
      workMs: ({ working, chance }) => WORK_MS * (1 + growth * (working - 1)) * jittered(chance, jitter),
    },
    limit,
    max: 100,
    optimum: (limit * 5) / (1 + growth * (limit - 1)),
  }
}

const cases: Case[] = [
  constant(4),
  constant(20),
  ...[1, 2, 4, 8, 20, 40].flatMap(limit => [queueing(limit, 0), queueing(limit, 0.1)]),
  ...[1, 4, 8, 20, 40].flatMap(limit => [refusing(limit, 0), refusing(limit, 0.1)]),
  queueing(4, 0.2),
  queueing(8, 0.2),
  queueing(8, 0.3),
  refusing(20, 0.2),
  refusing(8, 0.3),
  linear(0.05),
  linear(0.1),
  linear(0.2),
  linearRefusing(8, 0.1),
  linearRefusing(20, 0.1),
]

describe.each(cases)('a server with $name', ({ server, limit, max, optimum }) => {
  test.each([1, 2, 3])(
    'is used to nine tenths and never held above 1.2 of its limit for 10 s (seed %d)',
    seed => {
      const forMs = 240 * second
      const result = run({ limit: concurrencyLimit({ max }), server, forMs, seed })
      expect(result.throughput(60 * second, forMs)).toBeGreaterThanOrEqual(0.9 * optimum)
      expect(result.longestAboveMs(1.2 * limit, 0, forMs)).toBeLessThan(10 * second)
      expect(result.reachedAtMs(Math.floor(0.9 * limit), 0)).toBeLessThan(60 * second)
    },
  )
})

test.each([1, 2, 3])('strong jitter at a high limit does not pass for queueing (seed %d)', seed => {
  const { server, optimum } = queueing(40, 0.3)
  const result = run({ limit: concurrencyLimit({ max: 100 }), server, forMs: 240 * second, seed })
  expect(result.throughput(90 * second, 240 * second)).toBeGreaterThan(0.85 * optimum)
})

describe.each([1, 2, 3])('a server that changes (seed %d)', seed => {
  const forMs = 300 * second
  const changeMs = 100 * second
  const limit = 8
  const work = ({ chance }: { chance: Chance }) => WORK_MS * jittered(chance, 0.1)
  const serve = (server: Server, max = 100) => run({ limit: concurrencyLimit({ max }), server, forMs, seed })

  test('after an outage of 30 s the limit is there again within 10 s', () => {
    const backMs = changeMs + 30 * second
    const isDown = (nowMs: number) => nowMs >= changeMs && nowMs < backMs
    const result = serve({ parallel: () => limit, workMs: work, isDown })
    expect(result.meanLimit(changeMs + 5 * second, backMs)).toBe(1)
    expect(result.reachedAtMs(0.9 * limit, backMs) - backMs).toBeLessThan(10 * second)
    expect(result.throughput(backMs + 10 * second, forMs)).toBeGreaterThan(0.9 * 5 * limit)
    expect(result.longestAboveMs(1.2 * limit, 0, forMs)).toBeLessThan(10 * second)
  })

  test('that halves its limit by refusing is followed at once', () => {
    const refuseAbove = (nowMs: number) => (nowMs < changeMs ? limit : limit / 2)
    const result = serve({ refuseAbove, workMs: work })
    expect(result.throughput(changeMs + 10 * second, forMs)).toBeGreaterThan(0.9 * 5 * (limit / 2))
    expect(result.longestAboveMs((1.2 * limit) / 2, changeMs, forMs)).toBeLessThan(10 * second)
  })

  test('that halves its limit by queueing is followed within 10 s', () => {
    const parallel = (nowMs: number) => (nowMs < changeMs ? limit : limit / 2)
    const result = serve({ parallel, workMs: work })
    expect(result.throughput(changeMs + 10 * second, forMs)).toBeGreaterThan(0.9 * 5 * (limit / 2))
    expect(result.longestAboveMs((1.2 * limit) / 2, changeMs, forMs)).toBeLessThan(10 * second)
  })

  test('that doubles its limit is followed within 20 s', () => {
    const parallel = (nowMs: number) => (nowMs < changeMs ? limit : limit * 2)
    const result = serve({ parallel, workMs: work })
    expect(result.throughput(changeMs + 20 * second, forMs)).toBeGreaterThan(0.9 * 5 * limit * 2)
  })

  test('that becomes three times as slow, or as fast, gives 90 % of what it can do after half a minute', () => {
    const slower = serve({
      parallel: () => limit,
      workMs: request => work(request) * (request.nowMs < changeMs ? 1 : 3),
    })
    expect(slower.throughput(changeMs + 30 * second, forMs)).toBeGreaterThan((0.9 * 5 * limit) / 3)
    const faster = serve({
      parallel: () => limit,
      workMs: request => work(request) / (request.nowMs < changeMs ? 1 : 3),
    })
    expect(faster.throughput(changeMs + 30 * second, forMs)).toBeGreaterThan(0.9 * 5 * limit * 3)
  })

  test('that starts five times as slow is used as soon as it is warm', () => {
    const result = serve({
      parallel: () => limit,
      workMs: request => work(request) * (1 + 4 * Math.exp(-request.nowMs / (10 * second))),
    })
    expect(result.throughput(60 * second, forMs)).toBeGreaterThan(0.9 * 5 * limit)
    expect(result.longestAboveMs(1.2 * limit, 60 * second, forMs)).toBeLessThan(10 * second)
  })
})

describe('sizes', () => {
  const limit = 8
  const bySize: Server = {
    parallel: () => limit,
    workMs: ({ size, chance }) => WORK_MS * (0.1 + 0.9 * size) * jittered(chance, 0.1),
  }

  test.each([1, 2, 3])('growing batches are not congestion (seed %d)', seed => {
    // Half a minute of quiet, then half a minute of more than the server can do, over and over.
    const load = (nowMs: number) => (nowMs % 60_000 < 30_000 ? limit / 4 : limit * 10)
    const result = run({
      limit: concurrencyLimit({ max: 100 }),
      server: bySize,
      forMs: 300 * second,
      seed,
      load,
    })
    for (const fromMs of [90, 150, 210, 270].map(seconds => seconds * second))
      expect(result.throughput(fromMs, fromMs + 30 * second)).toBeGreaterThan(0.9 * 5 * limit)
    expect(result.longestAboveMs(1.2 * limit, 0, 300 * second)).toBeLessThan(10 * second)
  })

  test('requests less than half full do not raise the limit, but lower it', () => {
    const limiter = concurrencyLimit({ max: 10 })
    let nowMs = 0
    const send = (size: number, outcome: 'success' | 'back-pressure') => {
      const ends = Array.from({ length: limiter.current() }, () => limiter.started({ size, nowMs }))
      nowMs += WORK_MS
      for (const end of ends) end(outcome, nowMs)
    }
    for (let turn = 0; turn < 100; turn++) send(0.5, 'success')
    expect(limiter.current()).toBe(1)
    for (let turn = 0; turn < 100; turn++) send(1, 'success')
    expect(limiter.current()).toBe(10)
    send(0.1, 'back-pressure')
    expect(limiter.current()).toBe(9)
  })

  test('a small request is compared with small ones alone', () => {
    const limiter = concurrencyLimit({ max: 4 })
    let nowMs = 0
    const send = (size: number, ms: number) => {
      const ends = Array.from({ length: limiter.current() }, () => limiter.started({ size, nowMs }))
      nowMs += ms
      for (const end of ends) end('success', nowMs)
    }
    for (let turn = 0; turn < 50; turn++) send(1, 1000)
    expect(limiter.current()).toBe(4)
    for (let turn = 0; turn < 50; turn++) send(0.01, 20)
    send(1, 1000)
    expect(limiter.current()).toBe(4)
    nowMs += 1000
    send(0.01, 30)
    expect(limiter.current()).toBe(3)
  })
})

describe('outcomes', () => {
  /** A limit of 10 with nothing in flight. */
  function atTen() {
    const limiter = concurrencyLimit({ max: 10 })
    let nowMs = 0
    while (limiter.current() < 10) {
      const ends = Array.from({ length: limiter.current() }, () => limiter.started({ size: 1, nowMs }))
      nowMs += WORK_MS
      for (const end of ends) end('success', nowMs)
    }
    return { limiter, nowMs }
  }

  test.each([
    ['back-pressure', 9],
    ['failed', 9],
    ['refused', 10],
  ] as const)('%s leads to %d', (outcome, expected) => {
    const { limiter, nowMs } = atTen()
    limiter.started({ size: 1, nowMs })(outcome, nowMs + WORK_MS)
    expect(limiter.current()).toBe(expected)
  })

  test('many refusals within one round trip lower it once', () => {
    const { limiter, nowMs } = atTen()
    const ends = Array.from({ length: 10 }, () => limiter.started({ size: 1, nowMs }))
    for (const [at, end] of ends.entries()) end('back-pressure', nowMs + WORK_MS + at)
    expect(limiter.current()).toBe(9)
    expect(limiter.inFlight()).toBe(0)
  })

  test('a limit that is not reached does not go up', () => {
    const limiter = concurrencyLimit({ max: 10 })
    for (let nowMs = 0; nowMs < 100 * WORK_MS; nowMs += WORK_MS)
      limiter.started({ size: 1, nowMs })('success', nowMs + WORK_MS)
    // One at a time reaches 1, never 2.
    expect(limiter.current()).toBe(2)
  })

  test('starts at 1, and stays there with a setting of 1', () => {
    const limiter = concurrencyLimit({ max: 1 })
    expect(limiter.current()).toBe(1)
    for (let nowMs = 0; nowMs < 100 * WORK_MS; nowMs += WORK_MS)
      limiter.started({ size: 1, nowMs })('success', nowMs + WORK_MS)
    expect(limiter.current()).toBe(1)
  })

  test('answers in no time at all are borne', () => {
    const limiter = concurrencyLimit({ max: 5 })
    for (let turn = 0; turn < 100; turn++) {
      const ends = Array.from({ length: limiter.current() }, () => limiter.started({ size: 1, nowMs: 0 }))
      for (const end of ends) end('success', 0)
    }
    expect(limiter.current()).toBeGreaterThanOrEqual(1)
    expect(limiter.current()).toBeLessThanOrEqual(5)
  })
})
