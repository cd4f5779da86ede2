/**
 * Runs the service in a world of faults and compares, when all is quiet, the index with what the stream implies.
 *
 * What is modelled: some processes, each with its own clock; the stream with its shards; the lease table; the index with
 * external versions and tombstones that last; the network between. Faults happen for eight lease times, then all of them
 * end, and the service has a minute to come to rest. A run is told by its scenario and seed alone, so that any
 * can be looked at again:
 *
 *     SCENARIO=08 SEED=17 npx vitest run --config test/vitest.config.ts --project simulation test/simulation/simulation.test.ts
 */
import type { Lease } from '../../src/core/lease.ts'
import { fakeLeaseTable } from '../fakes/lease-table.ts'
import { fakeSearch } from '../fakes/search.ts'
import { fakeStream } from '../fakes/stream.ts'
import { versionsOf } from '../fakes/version.ts'
import { type Chance, seededChance } from './chance.ts'
import { foreignWorker } from './foreign-worker.ts'
import { calm, type Index } from './network.ts'
import { judgeIndex, watchMoves } from './oracle.ts'
import { START_MS, simulatedProcess } from './process.ts'
import type { Scenario } from './scenarios.ts'
import { LEASE_MS, type Outside, type Patch, type RunningService, startService } from './service.ts'
import { source } from './source.ts'
import { timeline } from './timeline.ts'

const FAULTS_MS = 8 * LEASE_MS
const REST_MS = 60 * LEASE_MS

/** Of those of an index the newest says how it is. */
type Block = { index: string; kind: 'blocked' | 'closed'; untilMs: number }

export type Run = {
  /** What is wrong, or undefined. */
  divergence: string | undefined
  documents: number
  /** Documents that differ and are named by a letter, which `redrive` settles against the source. */
  excused: number
  jumps: number
  tenures: number
  lost: number
}

/** Patches of the models and of the parts handed in; the service itself is never told that it is tested. */
export type Mutation = Patch & {
  world?: (outside: Outside) => void
}

export async function simulate(
  scenario: Scenario,
  seed: number,
  mutations: readonly Mutation[] = [],
  trace: (line: string) => void = () => {},
): Promise<Run> {
  const chance = seededChance(seed)
  const time = timeline()
  let roughness = scenario.network
  const blocks: Block[] = []
  const outside: Outside = {
    time,
    stream: fakeStream(scenario.shards),
    table: fakeLeaseTable(() => START_MS + time.now()),
    index: Object.assign(fakeSearch(), { pending: 0 }),
    weather: {
      roughness: () => roughness,
      blockOf: index => blocks.find(block => block.index === index && time.now() < block.untilMs)?.kind,
    },
    answersFit: 'attempt',
    letters: new Map(),
    tables: scenario.keepOnNull ? 'kept' : 'plain',
    trace: line => trace(`${String(Math.round(time.now())).padStart(6)} ${line}`),
    onEnd: [],
    counts: { jumps: 0, lost: 0, tenures: 0 },
  }
  for (const { world } of mutations) world?.(outside)
  const { stream, index, counts } = outside
  const origin = source(stream, chance.fork(), scenario)
  const fleet = fleetOf(outside, scenario, chance.fork(), mutations)

  if (scenario.futureDocuments) putFutureDocuments(index, origin.documentKeys)
  const watched = scenario.isWatched ? watchMoves(index, origin.isMovedFrom) : []
  origin.begin()
  planFaults(outside, scenario, chance, fleet, origin.commit, blocks)
  await time.runUntil(FAULTS_MS)
  roughness = calm
  outside.trace('the faults end')
  fleet.mend()

  let isQuiet = false
  while (!isQuiet && time.now() < FAULTS_MS + REST_MS) {
    await time.runUntil(time.now() + 100)
    isQuiet = index.pending === 0 && isSettled(outside)
  }
  outside.trace = () => {}
  for (const end of outside.onEnd) end()
  const { faults, documents, excused } = judgeIndex(origin, index.found(), outside.letters)
  const wrong = isQuiet ? [...watched, ...faults] : [`not at rest: ${restless(outside)}`]
  return { divergence: wrong.length > 0 ? wrong.join('; ') : undefined, documents, excused, ...counts }
}

function isSettled(outside: Outside): boolean {
  return restless(outside) === ''
}

/** The shards whose records are not all settled, as the lease table has it. */
function restless({ stream, table }: Outside): string {
  const open = stream.openShards().filter(({ shardId }) => {
    const last = stream.lastSequenceNumber(shardId)
    const checkpoint = table.items.get(shardId)?.checkpoint
    return checkpoint === undefined || (last !== undefined && checkpoint !== last)
  })
  const listed = new Set(stream.openShards().map(({ shardId }) => shardId))
  const ended = [...table.items.values()].filter(
    ({ leaseKey, checkpoint }) => !listed.has(leaseKey) && checkpoint !== 'SHARD_END',
  )
  return [...open.map(({ shardId }) => shardId), ...ended.map(({ leaseKey }) => leaseKey)].join(', ')
}

/** As a worker whose clock was years ahead has left them. */
function putFutureDocuments(index: Index, keys: readonly string[]): void {
  const versionOf = versionsOf(900_000_000)
  for (const [at, key] of keys.entries())
    index.apply('index', key, BigInt(versionOf(at + 1)), '{"v":"future"}')
}

/** The processes of the service that are meant to run; one that ends is replaced. */
function fleetOf(outside: Outside, scenario: Scenario, chance: Chance, mutations: readonly Mutation[]) {
  const places: (RunningService | undefined)[] = []
  const old: RunningService[] = []
  let started = 0
  let stoppedUntilMs = 0

  function start(place: number, formerOwner?: string): void {
    if (outside.time.now() < stoppedUntilMs) {
      outside.time.at(stoppedUntilMs, () => start(place, formerOwner))
      return
    }
    const owner = formerOwner ?? `w${started}`
    const clockMs = chance.whole(-scenario.clockMs, scenario.clockMs)
    const self = simulatedProcess(outside.time, chance.fork(), { owner, clockMs })
    outside.trace(`${owner} starts, its clock off by ${clockMs} ms`)
    const patches = [...scenarioPatches(scenario, started), ...mutations]
    started++
    places[place] = startService(outside, self, patches)
  }

  const running = () => places.flatMap((service, place) => (service ? [{ service, place }] : []))
  const one = () => chance.pick(running())
  const soon = (least: number, most: number, run: () => void) =>
    outside.time.at(outside.time.now() + chance.whole(least, most), run)

  for (const place of [0, 1, 2].slice(0, chance.whole(2, 3)))
    outside.time.at(chance.whole(0, 1500), () => start(place))

  return {
    pause(): void {
      if (running().length === 0) return
      const { self } = one().service
      outside.trace(`${self.owner} pauses`)
      self.pause()
      soon(100, 3 * LEASE_MS, () => {
        outside.trace(`${self.owner} resumes`)
        self.resume()
      })
    },
    kill(): void {
      if (running().length === 0) return
      const { service, place } = one()
      outside.trace(`${service.self.owner} is killed`)
      service.self.kill()
      places[place] = undefined
      soon(0, 2 * LEASE_MS, () => start(place))
    },
    stopAll(forMs: number): void {
      stoppedUntilMs = outside.time.now() + forMs
      for (const { service, place } of running()) {
        service.self.kill()
        places[place] = undefined
        soon(forMs, 2 * forMs, () => start(place))
      }
      for (const { self } of old) self.kill()
    },
    leave(): void {
      if (running().length === 0) return
      const { service, place } = one()
      outside.trace(`${service.self.owner} is told to go`)
      service.drain()
      old.push(service)
      places[place] = undefined
      soon(0, 2 * LEASE_MS, () => start(place))
    },
    restart(): void {
      if (running().length === 0) return
      const { service, place } = one()
      const { self } = service
      if (chance.isHit(0.5)) {
        outside.trace(`${self.owner} is killed, to come again`)
        self.kill()
      } else {
        outside.trace(`${self.owner} pauses, replaced under its id`)
        self.pause()
        old.push(service)
        soon(300, 3 * LEASE_MS, () => {
          outside.trace(`${self.owner}, the former, resumes`)
          self.resume()
        })
        soon(3 * LEASE_MS, 5 * LEASE_MS, () => self.kill())
      }
      places[place] = undefined
      soon(0, LEASE_MS, () => start(place, self.owner))
    },
    /** Ends all faults: what is paused goes on, what was replaced is gone. */
    mend(): void {
      for (const { self } of old) self.resume()
      for (const { service } of running()) service.self.resume()
      for (const { self } of old) soon(3 * LEASE_MS, 3 * LEASE_MS, () => self.kill())
      if (running().length === 0) start(0)
    },
  }
}

function scenarioPatches({ selfFencing, mixedCode }: Scenario, process: number): Patch[] {
  const patches: Patch[] = []
  if (!selfFencing) patches.push({ tenure: tenure => ({ ...tenure, isAlive: () => true }) })
  if (mixedCode && process % 2 === 1) patches.push({ consumer: withoutControls })
  return patches
}

/** Another version of the code: control records never reach the ordinals. The ends of a page stay, for their numbers. */
const withoutControls: NonNullable<Patch['consumer']> = parts => ({
  ...parts,
  async read(iterator, limit) {
    const page = await parts.read(iterator, limit)
    if (page.kind !== 'records') return page
    const isControl = ({ data }: { data: Uint8Array }) => new TextDecoder().decode(data).includes('"control"')
    return {
      ...page,
      records: page.records.filter(
        (record, at, all) => at === 0 || at === all.length - 1 || !isControl(record),
      ),
    }
  },
})

function planFaults(
  outside: Outside,
  scenario: Scenario,
  chance: Chance,
  fleet: ReturnType<typeof fleetOf>,
  commit: () => void,
  blocks: Block[],
): void {
  const { time, stream, table } = outside
  const some = (most: number, run: () => void) => {
    for (let left = most === 0 ? 0 : chance.whole(1, most); left > 0; left--)
      time.at(chance.whole(300, FAULTS_MS - 100), run)
  }
  for (let left = chance.whole(Math.ceil((scenario.commits * 2) / 3), scenario.commits); left > 0; left--)
    time.at(chance.whole(0, FAULTS_MS), commit)
  some(scenario.pauses, fleet.pause)
  some(scenario.kills, fleet.kill)
  some(scenario.leaves, fleet.leave)
  some(scenario.restarts, fleet.restart)
  some(scenario.reshards, () => reshard(outside, chance))
  // A replay that has begun must not be cut short by a backup with checkpoints further on: nothing can bear that.
  let damagedAtMs = 0
  some(scenario.deletedItems, () => {
    damagedAtMs = time.now()
    const keys = [...table.items.keys()]
    if (keys.length === 0) return
    const leaseKey = chance.pick(keys)
    outside.trace(`lease item ${leaseKey} deleted`)
    table.items.delete(leaseKey)
  })
  some(scenario.lostTables, () => {
    damagedAtMs = time.now()
    outside.trace('lease table lost')
    table.items.clear()
  })
  some(scenario.restores, () => {
    const backup = structuredClone([...table.items.values()])
    const takenAtMs = time.now()
    time.at(takenAtMs + chance.whole(500, 4 * LEASE_MS), () => {
      if (damagedAtMs >= takenAtMs || time.now() > FAULTS_MS - 2 * LEASE_MS) return
      damagedAtMs = time.now()
      if (scenario.reshards === 0) restore(outside, backup)
      else {
        // A backup mixes badly with the children that running workers create meanwhile: the rule is to stop them all.
        fleet.stopAll(2 * LEASE_MS)
        time.at(time.now() + LEASE_MS, () => restore(outside, backup))
      }
    })
  })
  some(scenario.blocks, () => {
    const index = `public_${chance.pick(scenario.tables)}`
    const kind = chance.pick(['blocked', 'closed'] as const)
    const untilMs = Math.min(FAULTS_MS, time.now() + chance.whole(100, 3 * LEASE_MS))
    outside.trace(`${index} is ${kind} until ${untilMs}`)
    blocks.unshift({ index, kind, untilMs })
  })
  if (scenario.foreign) {
    const fromMs = chance.whole(0, FAULTS_MS / 2)
    foreignWorker(
      time,
      { table, stream, chance: chance.fork() },
      { leaseMs: LEASE_MS, fromMs, untilMs: chance.whole(fromMs, FAULTS_MS) },
    )
  }
}

function restore({ table, trace }: Outside, backup: readonly Lease[]): void {
  trace('lease table restored from a backup')
  table.items.clear()
  for (const lease of backup) table.items.set(lease.leaseKey, structuredClone(lease))
}

function reshard({ stream, trace }: Outside, chance: Chance): void {
  const open = stream.openShards()
  const at = chance.whole(0, open.length - 1)
  const [left, right] = [open[at]!, open[at + 1]]
  if (right && chance.isHit(0.4))
    trace(`${left.shardId} and ${right.shardId} -> ${stream.merge(left.shardId, right.shardId)}`)
  else trace(`${left.shardId} -> ${stream.split(left.shardId).join(', ')}`)
}
