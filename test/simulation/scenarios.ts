/**
 * The scenarios, by the numbers of the reference: which faults are on. Fault rates are far above life: a run of ten
 * seconds sees what a fleet sees in years. Each number is how often at most a fault happens in a run.
 */
import { calm, type Roughness } from './network.ts'
import type { SourceFaults } from './source.ts'

export type Scenario = SourceFaults & {
  name: string
  shards: number
  /** Two thirds of these at least. */
  commits: number
  network: Roughness
  /** How far the wall clocks of the machines are apart at most. */
  clockMs: number
  pauses: number
  /** A process dies at once; another one, under a new id, takes its place. */
  kills: number
  /** A process is told to go, drains, and is replaced. */
  leaves: number
  /** The same id again: after a kill, or while the one before is only paused and comes back. */
  restarts: number
  reshards: number
  deletedItems: number
  lostTables: number
  /** An index is closed, or takes no writes, for up to three lease times. */
  blocks: number
  restores: number
  foreign: boolean
  /** The index holds documents under fences years ahead of now. */
  futureDocuments: boolean
  /** Whether a process stops writing by its own clock; without it, old and new holder write at once. */
  selfFencing: boolean
  /** Every other process counts control records into the ordinals, the others do not. */
  mixedCode: boolean
  /** Nothing is ever replayed, so a row that moves must be found at every moment. */
  isWatched: boolean
}

const quiet: Omit<Scenario, 'name'> = {
  shards: 2,
  commits: 18,
  network: calm,
  clockMs: 0,
  pauses: 0,
  kills: 0,
  leaves: 0,
  restarts: 0,
  reshards: 0,
  deletedItems: 0,
  lostTables: 0,
  blocks: 0,
  restores: 0,
  foreign: false,
  futureDocuments: false,
  selfFencing: true,
  mixedCode: false,
  isWatched: false,
  tables: ['t', 'k'],
  changesMax: 1,
  resends: false,
  reloads: false,
  controls: false,
  unindexable: false,
  keyChanges: false,
  oldKeyDecides: false,
  keepOnNull: false,
  loadsElsewhere: false,
}

const rough: Roughness = {
  lostRequest: 0.03,
  lostAnswer: 0.04,
  lateRequest: 0.04,
  lostBulk: 0.04,
  lateItem: 0.12,
  twiceItem: 0.12,
  busyItem: 0.06,
}

const workersComeAndGo = { pauses: 3, kills: 1, leaves: 1 }
const allIsWell = { network: calm, pauses: 0, kills: 0, leaves: 0 }
const pairs = { commits: 14, changesMax: 2 }
const keyChanges = { keyChanges: true, changesMax: 6 }
const HOUR_MS = 3_600_000

const given: Record<string, Partial<Scenario>> = {
  '01 retries, steals and pauses': {},
  '02 old and new holder overlap, nobody fences itself': { selfFencing: false, pauses: 5 },
  '03 splits and merges': { reshards: 3 },
  '04 lease items deleted, clocks an hour apart': { deletedItems: 4, clockMs: HOUR_MS },
  '05 lease items deleted': { deletedItems: 4 },
  '06 lease table lost, clocks an hour apart': { lostTables: 2, clockMs: HOUR_MS },
  '06b documents carry a fence from the future, lease table lost': { lostTables: 1, futureDocuments: true },
  '07 lease table restored from a backup, clocks an hour apart': { restores: 2, clockMs: HOUR_MS },
  '08 restarts under the same id': { restarts: 4 },
  '09 takes answered by silence': { network: { ...rough, lostAnswer: 0.25 }, restarts: 1 },
  '12 a foreign KCL worker takes and creates leases, clocks an hour apart': {
    foreign: true,
    deletedItems: 3,
    clockMs: HOUR_MS,
  },
  '13 the producer sends a window again': { resends: true, reshards: 1 },
  '14 control records counted differently by two versions of the code': { controls: true, mixedCode: true },
  '16 columns whose unchanged values are not in the log': {
    keepOnNull: true,
    changesMax: 4,
    reshards: 1,
  },
  '16b the same, and rows that cannot be indexed': {
    keepOnNull: true,
    changesMax: 4,
    unindexable: true,
  },
  '17 tables loaded again while they change': { reloads: true, reshards: 1 },
  '18 loads in other shards than the changes of their table': { loadsElsewhere: true, restarts: 1, ...pairs },
  '18b the same, and loaded again while they change': {
    ...pairs,
    loadsElsewhere: true,
    reloads: true,
    resends: true,
    restarts: 1,
    reshards: 1,
  },
  '18c the same, and columns whose unchanged values are not in the log': {
    ...pairs,
    loadsElsewhere: true,
    reloads: true,
    resends: true,
    restarts: 1,
    reshards: 1,
    keepOnNull: true,
    changesMax: 3,
  },
  '20 key changes': { ...keyChanges, ...allIsWell, isWatched: true },
  '21 key changes under faults': { ...keyChanges, restarts: 1 },
  '21b the same, and a foreign KCL worker creates leases without hash keys': {
    ...keyChanges,
    restarts: 1,
    foreign: true,
    deletedItems: 4,
  },
  '24 key changes partitioned by the old key': { ...keyChanges, tables: ['k'], oldKeyDecides: true },
  '25 key changes, splits and merges': { ...keyChanges, reshards: 3 },
  '26 key changes of rows with unchanged values, by table': {
    ...keyChanges,
    ...pairs,
    tables: ['t'],
    keepOnNull: true,
    kills: 3,
    restarts: 4,
  },
  '27 key changes of rows with unchanged values, by key': {
    ...keyChanges,
    ...pairs,
    tables: ['k'],
    keepOnNull: true,
    kills: 3,
    restarts: 4,
  },
  '28 rows that cannot be indexed': { unindexable: true },
  '33 indices closed or blocked for a while': { blocks: 4, changesMax: 3 },
  '33b the same, splits and merges, and columns whose unchanged values are not in the log': {
    blocks: 4,
    changesMax: 4,
    reshards: 2,
    keepOnNull: true,
  },
  '33c the same, key changes, and rows that cannot be indexed': {
    ...keyChanges,
    blocks: 4,
    reshards: 1,
    restarts: 1,
    unindexable: true,
  },
  '33d the same, documents under a fence from the future, lease table lost': {
    blocks: 4,
    changesMax: 3,
    lostTables: 1,
    futureDocuments: true,
  },
  '40 everything at once': {
    reshards: 2,
    deletedItems: 2,
    lostTables: 1,
    restores: 1,
    restarts: 2,
    foreign: true,
    clockMs: HOUR_MS,
    controls: true,
    mixedCode: true,
    resends: true,
    reloads: true,
    unindexable: true,
  },
}

export const scenarios: Scenario[] = Object.entries(given).map(([name, faults]) => ({
  ...quiet,
  network: rough,
  ...workersComeAndGo,
  ...faults,
  name,
}))

/** @throws when no scenario begins with the text */
export function scenarioNamed(beginning: string): Scenario {
  const found = scenarios.find(({ name }) => name === beginning || name.startsWith(`${beginning} `))
  if (!found)
    throw new Error(
      `no scenario is named "${beginning}": expected one of ${scenarios.map(({ name }) => name.split(' ')[0]).join(', ')}`,
    )
  return found
}
