/**
 * The ways of one process to the lease table, the stream and the index, with a network between.
 *
 * Requests are lost, come late (also after their sender has given up and sent another), answers are lost. The lease
 * table's client does what the real one does: three tries a call, a second look at a refusal, the table's clock by the
 * Date header. One bulk request is not one moment: each of its items lands on its own, some twice, some much later.
 */

import type { Place, SealedLetter } from '../../src/core/letter.ts'
import { DocumentUnreadable } from '../../src/core/multi-get.ts'
import type { BulkAnswer, Item } from '../../src/core/outcome.ts'
import type { StreamPage } from '../../src/core/stream.ts'
import type { LeaseTable } from '../../src/worker.ts'
import type { fakeLeaseTable } from '../fakes/lease-table.ts'
import { actionsOf, type BulkAction, type fakeSearch } from '../fakes/search.ts'
import type { fakeStream } from '../fakes/stream.ts'
import type { Chance } from './chance.ts'
import { type Fate, type SimulatedProcess, START_MS } from './process.ts'
import type { Timeline } from './timeline.ts'

/** Probabilities, of each request. */
export type Roughness = {
  lostRequest: number
  lostAnswer: number
  lateRequest: number
  /** Of a bulk request: lost, by a refused connection or in silence. */
  lostBulk: number
  /** Of a bulk item: lands long after it was sent; a second time; is refused for now. */
  lateItem: number
  twiceItem: number
  busyItem: number
}

export const calm: Roughness = {
  lostRequest: 0,
  lostAnswer: 0,
  lateRequest: 0,
  lostBulk: 0,
  lateItem: 0,
  twiceItem: 0,
  busyItem: 0,
}

/** As rough as the run is at this moment: the faults end before the run does. */
export type Weather = {
  roughness: () => Roughness
  /** A closed index cannot be read either. */
  blockOf: (index: string) => 'blocked' | 'closed' | undefined
}

const BLOCKED: Item = { status: 403, error: { type: 'cluster_block_exception' } }
const CLOSED: Item = { status: 400, error: { type: 'index_closed_exception' } }

const lost = Number.POSITIVE_INFINITY

function fateOf(chance: Chance, { lostRequest, lostAnswer, lateRequest }: Roughness, lateMs: number): Fate {
  const usual = { requestMs: chance.whole(1, 15), answerMs: chance.whole(1, 15) }
  const roll = chance.random()
  if (roll < lostRequest) return { ...usual, requestMs: lost }
  if (roll < lostRequest + lostAnswer) return { ...usual, answerMs: lost }
  if (roll < lostRequest + lostAnswer + lateRequest) return { ...usual, requestMs: chance.whole(15, lateMs) }
  return usual
}

const TRIES = 3

export function leaseClient(
  time: Timeline,
  self: SimulatedProcess,
  table: ReturnType<typeof fakeLeaseTable>,
  weather: Weather,
  leaseMs: number,
): LeaseTable {
  const { clock, chance } = self
  const timeoutMs = Math.floor(leaseMs / 3)
  let offsetMs: number | undefined

  async function call<Value>(serve: () => Value): Promise<{ value: Value; isRetried: boolean }> {
    for (let tries = 1; ; tries++) {
      const sentAt = clock.now()
      try {
        const fate = fateOf(chance, weather.roughness(), timeoutMs * 3)
        const answer = await self.call(
          () => ({ value: serve(), date: Math.floor((START_MS + time.now()) / 1000) * 1000 }),
          fate,
          timeoutMs,
        )
        offsetMs = answer.date + 500 - (sentAt + clock.now()) / 2
        return { value: answer.value, isRetried: tries > 1 }
      } catch (error) {
        if (tries === TRIES) throw error
        await clock.sleep(chance.whole(0, 50 * tries))
      }
    }
  }

  const answerTo = async <Value>(serve: () => Value) => (await call(serve)).value
  const copyOf = (leaseKey: string) => structuredClone(table.items.get(leaseKey))

  return {
    async list() {
      // A scan of two pages is no snapshot.
      const keys = await answerTo(() => [...table.items.keys()])
      const middle = chance.isHit(0.2) ? chance.whole(0, keys.length) : keys.length
      const page = (wanted: readonly string[]) => () =>
        wanted.flatMap(leaseKey => structuredClone(table.items.get(leaseKey)) ?? [])
      const first = await answerTo(page(keys.slice(0, middle)))
      const second = middle < keys.length ? await answerTo(page(keys.slice(middle))) : []
      return { leases: [...first, ...second], corrupt: 0, units: 1 }
    },
    get: leaseKey => answerTo(() => copyOf(leaseKey)),
    create: lease =>
      answerTo(() => {
        if (table.items.has(lease.leaseKey)) return false
        table.items.set(lease.leaseKey, structuredClone(lease))
        return true
      }),
    async take(lease, claim) {
      return (await call(() => table.once.take(lease, claim))).value
    },
    async write(hold, change, mayHaveLanded) {
      const { value, isRetried } = await call(() => table.once.write(hold, change))
      if (value) return 'landed'
      const item = await answerTo(() => copyOf(hold.leaseKey))
      return table.refusal(hold, change, item, mayHaveLanded || isRetried)
    },
    async startHandoff(lease, next) {
      const { value, isRetried } = await call(() => table.once.startHandoff(lease, next))
      if (value) return true
      const item = await answerTo(() => copyOf(lease.leaseKey))
      return isRetried && item?.leaseOwner === next && item.checkpointOwner === lease.leaseOwner
    },
    cancelHandoff: (leaseKey, next, fence) => answerTo(() => void table.cancelHandoff(leaseKey, next, fence)),
    setRange: (leaseKey, range) => answerTo(() => void table.setRange(leaseKey, range)),
    remove: lease => answerTo(() => void table.remove(lease)),
    serverNow: () => clock.now() + (offsetMs ?? 0),
    clockOffsetMs: () => offsetMs,
  }
}

export function streamClient(
  self: SimulatedProcess,
  stream: ReturnType<typeof fakeStream>,
  weather: Weather,
) {
  const { chance } = self
  const TIMEOUT_MS = 400
  const call = <Value>(serve: () => Promise<Value>): Promise<Value> =>
    self.call(serve, fateOf(chance, weather.roughness(), TIMEOUT_MS * 2), TIMEOUT_MS)

  return {
    listShards: () => call(stream.listShards),
    open: (shardId: string, from: string) => call(() => stream.open(shardId, from)),
    /** Kinesis may answer with less than there is, or with nothing although it is behind. */
    async read(iterator: string, limit: number): Promise<StreamPage> {
      if (chance.isHit(weather.roughness().lostRequest / 2)) return { kind: 'expired' }
      return call(() => stream.read(iterator, chance.whole(1, limit)))
    },
  }
}

/**
 * The queue, of which only the letters count that are settled against the source's row: they name documents that may be
 * wrong until then. A letter whose confirmation is lost is sent again: it is in the queue twice, which is no harm.
 */
export function lettersClient(self: SimulatedProcess, letters: Map<string, Set<string>>, weather: Weather) {
  const TIMEOUT_MS = 400
  return (sealed: readonly SealedLetter[]): Promise<void> =>
    self.call(
      () => {
        for (const { letter } of sealed) {
          if (letter.settle !== 'source-row') continue
          const name = `${letter.index}/${letter.id}`
          letters.set(name, (letters.get(name) ?? new Set()).add(letter.reason))
        }
      },
      fateOf(self.chance, weather.roughness(), TIMEOUT_MS * 2),
      TIMEOUT_MS,
    )
}

const indexOf = (key: string) => key.slice(0, key.indexOf('/'))

export type Index = ReturnType<typeof fakeSearch> & { pending: number }

export function indexClient(
  outside: { time: Timeline; index: Index; weather: Weather; answersFit: 'attempt' | 'document' },
  self: SimulatedProcess,
  leaseMs: number,
) {
  const { time, index, weather } = outside
  const { chance } = self
  const waiting = new Map<string, (item: Item) => void>()
  const timeoutMs = leaseMs * 1.5
  const open = new Set<() => void>()

  /** @param landed told of the first landing */
  function send(action: BulkAction, landed: (item: Item) => void): void {
    const { lateItem, twiceItem, busyItem } = weather.roughness()
    if (chance.isHit(busyItem)) {
      const item = { status: 429, error: { type: 'es_rejected_execution_exception' } }
      time.outside(time.now() + chance.whole(1, 15), () => landed(item))
      return
    }
    const block = weather.blockOf(indexOf(action.key))
    if (block) {
      time.outside(time.now() + chance.whole(1, 15), () => landed(block === 'closed' ? CLOSED : BLOCKED))
      return
    }
    const land = (afterMs: number, told: (item: Item) => void) => {
      index.pending++
      time.outside(time.now() + afterMs, () => {
        index.pending--
        told(index.apply(action.kind, action.key, action.version, action.document))
      })
    }
    const firstMs = chance.isHit(lateItem) ? chance.whole(15, leaseMs * 4) : chance.whole(1, 15)
    land(firstMs, landed)
    if (chance.isHit(twiceItem)) land(firstMs + chance.whole(1, leaseMs * 4), () => {})
  }

  return {
    bulk(body: Buffer): Promise<BulkAnswer> {
      const { lostBulk, lostAnswer } = weather.roughness()
      const isLost = chance.isHit(lostBulk)
      const isRefused = isLost && chance.isHit(0.5)
      return new Promise(resolve => {
        const answer = (given: BulkAnswer) => {
          cancel()
          open.delete(cut)
          resolve(given)
        }
        const cut = () => answer({ kind: 'failed', reason: 'connection', mayHaveLanded: true })
        const cancel = isRefused
          ? self.later(chance.whole(1, 50), () =>
              answer({ kind: 'failed', reason: 'connection', mayHaveLanded: false }),
            )
          : self.later(timeoutMs, () => answer({ kind: 'failed', reason: 'timeout', mayHaveLanded: true }))
        open.add(cut)
        const actions = actionsOf(String(body))
        const items: Item[] = []
        const isAnswered = !chance.isHit(lostAnswer)
        let missing = actions.length
        for (const [at, action] of actions.entries()) {
          const fits = (item: Item) => {
            if (items[at]) return
            items[at] = item
            if (--missing === 0 && isAnswered) answer({ kind: 'items', items })
          }
          waiting.set(action.key, fits)
          if (isLost) continue
          send(action, item => {
            const told = () => (outside.answersFit === 'document' ? waiting.get(action.key)! : fits)(item)
            time.at(time.now() + chance.whole(1, 15), () => self.deliver(told))
          })
        }
      })
    },
    /** A reading is of the moment it arrives; its answer may come late, or never. */
    documents: (places: readonly Place[]) =>
      self.call(
        async () => {
          if (places.some(place => weather.blockOf(place.index) === 'closed'))
            throw new DocumentUnreadable('index_closed_exception')
          return index.documents(places)
        },
        fateOf(chance, weather.roughness(), timeoutMs * 2),
        timeoutMs,
      ),
    destroySockets(): void {
      for (const cut of [...open]) cut()
    },
  }
}
