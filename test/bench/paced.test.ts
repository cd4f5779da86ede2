import fc from 'fast-check'
import { expect, test } from 'vitest'
import { callLimit } from './paced/call-limit.ts'
import { changeLog } from './paced/change-log.ts'
import { hitsOf, isSource } from './paced/compare-documents.ts'
import { latencies } from './paced/latencies.ts'
import { ledger } from './paced/ledger.ts'
import { arrivalMs, arrived } from './paced/pace.ts'
import { placeOf, sequenceNumberOf } from './paced/sequence-number.ts'
import { hoursOf, settledPoints, slopePerHour } from './paced/slope.ts'
import { changesOf } from './records/changes.ts'
import { rowText } from './records/record-text.ts'

const PACE = { shards: 4, perSecond: 1_000, startMs: 1_000_000 }

test('records arrive in turn: at 1,000 a second over four shards each shard has a new one every 4 ms', () => {
  const countsAt = (nowMs: number) => [0, 1, 2, 3].map(shard => arrived(PACE, shard, nowMs))
  expect(countsAt(999_999)).toEqual([0, 0, 0, 0])
  expect(countsAt(1_000_000)).toEqual([1, 0, 0, 0])
  expect(countsAt(1_000_004)).toEqual([2, 1, 1, 1])
  expect(arrivalMs(PACE, 3, 2)).toBe(1_000_011)
})

test('whatever the rate, no record is there before it arrives, and all shards together have as many as the rate says', () => {
  const paces = fc.record({
    shards: fc.integer({ min: 1, max: 64 }),
    perSecond: fc.integer({ min: 1, max: 20_000 }),
    startMs: fc.integer({ min: 1.7e12, max: 1.8e12 }),
  })
  fc.assert(
    fc.property(paces, fc.integer({ min: 0, max: 10_000_000 }), (pace, sinceMs) => {
      const nowMs = pace.startMs + sinceMs
      let all = 0
      for (let shard = 0; shard < pace.shards; shard++) {
        const count = arrived(pace, shard, nowMs)
        all += count
        if (count > 0) expect(arrivalMs(pace, shard, count - 1)).toBeLessThan(nowMs + 1)
        expect(arrivalMs(pace, shard, count)).toBeGreaterThan(nowMs - 1)
      }
      expect(all).toBe(Math.floor((sinceMs * pace.perSecond) / 1000) + 1)
    }),
  )
})

test('five reads a second pass however they jitter, a sixth within the second does not, and a refused one costs nothing', () => {
  const jitter = [0, 30, -30, 10, -40, 50, 0]
  const calm = callLimit()
  for (let read = 0; read < 100; read++) expect(calm(read * 200 + jitter[read % 7]!)).toBe(true)
  const hasty = callLimit()
  const passed = Array.from({ length: 100 }, (_, read) => hasty(read * 100)).filter(Boolean).length
  // Ten seconds at ten a second: five of each second, and the five there were at the start.
  expect(passed).toBeGreaterThanOrEqual(50)
  expect(passed).toBeLessThanOrEqual(55)
  const burst = callLimit()
  expect(Array.from({ length: 7 }, () => burst(0))).toEqual([true, true, true, true, true, false, false])
  expect(burst(199)).toBe(false)
  expect(burst(200)).toBe(true)
})

test('a quantile is the least time within which that share lies', () => {
  const times = latencies()
  expect(times.quantile(0.5)).toBeNaN()
  for (let ms = 1; ms <= 100; ms++) times.add(ms)
  times.add(5_000)
  expect([times.quantile(0.5), times.quantile(0.99), times.quantile(1), times.max(), times.count()]).toEqual([
    51, 100, 5_000, 5_000, 101,
  ])
  times.add(-3)
  expect(times.quantile(0)).toBe(0)
  times.clear()
  expect(times.count()).toBe(0)
})

test('growth is by least squares, an hour; the first quarter of the time is left out, and never less than five minutes', () => {
  const points = Array.from({ length: 13 }, (_, at) => ({ atMs: at * 300_000, value: 100 + at * 2 }))
  expect(slopePerHour(points)).toBeCloseTo(24)
  expect(hoursOf(points)).toBe(1)
  const swinging = points.map(({ atMs, value }, at) => ({ atMs, value: value + (at % 2) * 10 }))
  expect(slopePerHour(swinging)).toBeCloseTo(24, 0)
  const young = points.map(({ atMs }) => ({ atMs, value: Math.min(atMs, 800_000) }))
  expect(slopePerHour(settledPoints(young))).toBeCloseTo(0)
  expect(settledPoints(points)).toHaveLength(10)
  expect(settledPoints(points.slice(0, 3))).toHaveLength(2)
  expect([slopePerHour([]), hoursOf([]), settledPoints([])]).toEqual([0, 0, []])
})

test('a sequence number tells its place, rises with it, and one of another stream is refused', () => {
  expect(sequenceNumberOf(7)).toHaveLength(56)
  expect(placeOf(sequenceNumberOf(123_456))).toBe(123_456)
  expect(sequenceNumberOf(99_999) < sequenceNumberOf(100_000)).toBe(true)
  expect(() => placeOf('123')).toThrow('no record of this stream')
})

test('a change log answers any place at any time, and the rows after a count are those of a replay', () => {
  const log = changeLog(1)
  const changes = changesOf(1, 200)
  expect(log.at(150)).toEqual(changes[150])
  expect(log.at(3)).toEqual(changes[3])
  const rows = new Map<number, number>()
  for (const { kind, id, revision } of changes.slice(0, 170)) {
    if (kind === 'delete') rows.delete(id)
    else rows.set(id, revision)
  }
  expect(log.rowsAfter(170)).toEqual(rows)
})

test('a record is acknowledged by its document in its own state or a later one, and its time is from its own arrival', () => {
  const pace = { shards: 1, perSecond: 1_000, startMs: 0 }
  // Few rows, so that many changes are of the same one.
  const log = changeLog(0, { rows: 2, insertsPer100: 0, deletesPer100: 0 })
  const times: [number, number][] = []
  const book = ledger(pace, [log], (latencyMs, arrivedAtMs) => times.push([latencyMs, arrivedAtMs]))
  const id = log.at(0).id
  const places = Array.from({ length: 11 }, (_, place) => place).filter(place => log.at(place).id === id)
  const [first, second, third] = places as [number, number, number]
  book.acknowledge([{ shard: 0, id, revision: second + 1 }], 10)
  expect(times).toEqual([
    [10 - first, first],
    [10 - second, second],
  ])
  expect(book.acknowledged()).toBe(2)
  expect(book.missing([11])).toBe(9)
  book.acknowledge([{ shard: 0, id, revision: second + 1 }], 10)
  expect(book.acknowledged()).toBe(2)
  // A deletion is the last change of its row and settles all before it.
  book.acknowledge([{ shard: 0, id, revision: Number.POSITIVE_INFINITY }], 10)
  expect(book.acknowledged()).toBe(places.length)
  expect(book.missing([third + 1])).toBeLessThan(third + 1)
  const other = Array.from({ length: 11 }, (_, place) => place).find(place => log.at(place).id !== id)!
  expect(book.oldestMs(10)).toBe(10 - other)
})

test('documents are cut out of a search answer and compared text for text', () => {
  const text = rowText({ kind: 'insert', id: 5, revision: 9 }, 2)
  const answer = `{"_scroll_id":"x","hits":{"total":{"value":2},"hits":[{"_index":"bench_orders_2","_id":"5","_score":null,"_source":${text},"sort":[0]},{"_index":"bench_orders_2","_id":"6","_score":null,"_source":{"id":6},"sort":[1]}]}}`
  const hits = hitsOf(answer, 'bench_orders_2')
  expect(hits.map(({ id }) => id)).toEqual([5, 6])
  expect(isSource(hits[0]!.rest, text)).toBe(true)
  expect(isSource(hits[1]!.rest, '{"id":6}')).toBe(true)
  // One digit less, another revision, more members: not the same.
  expect(isSource(hits[0]!.rest.replace('.00', '.0').replace(/(amount":\d+\.\d)\d/, '$1'), text)).toBe(false)
  expect(isSource(hits[0]!.rest, rowText({ kind: 'insert', id: 5, revision: 8 }, 2))).toBe(false)
  expect(isSource(hits[1]!.rest.replace('6}', '6,"x":1}'), '{"id":6}')).toBe(false)
})
