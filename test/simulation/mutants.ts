/**
 * Worse services: in each, one rule of the versions is taken away. The simulation must see every one of them diverge; an
 * oracle that never failed is no evidence. They replace models and parts handed in; the service has no switch for them.
 */
import { documentOf } from '../../src/core/document.ts'
import { documentKey, withKept } from '../../src/core/keep.ts'
import type { Answer } from '../../src/core/outcome.ts'
import { LAST_HASH_KEY } from '../../src/core/shard.ts'
import { BELOW_CHANGES, fenceAt, isBelow, type Version } from '../../src/core/version.ts'
import type { Tenure } from '../../src/tenure.ts'
import { writeOf } from '../fakes/write.ts'
import { calm } from './network.ts'
import { type Scenario, scenarioNamed } from './scenarios.ts'
import type { Outside, Patch } from './service.ts'
import type { Mutation } from './world.ts'

export type Mutant = {
  name: string
  /** The scenario that shows it; made rougher where what it needs is rare. */
  scenario: Scenario
  /** One for each run: what a mutant remembers is not known to the next. */
  make: () => Mutation[]
}

/** Bulk requests that are lost in silence or land late, and nothing else. */
const slowIndex: Partial<Scenario> = {
  pauses: 0,
  kills: 0,
  leaves: 0,
  network: { ...calm, lostBulk: 0.5, lateItem: 0.5 },
}

/**
 * Two are met in the company of the next: the jump mends most of what the wrong clock and the bare counter break, so
 * with it they show in a few of ten thousand runs only. That one alone is harmless in those scenarios (no divergence in
 * 250 runs of each).
 */
export const mutants: Mutant[] = [
  {
    name: 'conditions on the counter alone',
    scenario: { ...scenarioNamed('08'), restarts: 8, pauses: 0, kills: 0, leaves: 0 },
    make: () => [counterAlone(), noJump()],
  },
  {
    name: 'an own lease is renewed, not begun anew under a new fence',
    scenario: scenarioNamed('08'),
    make: () => [renewalForFence()],
  },
  {
    name: "fences by the machine's bare clock",
    scenario: scenarioNamed('04'),
    make: () => [bareClock(), noJump()],
  },
  {
    name: 'no jump: every conflict is taken for success',
    scenario: scenarioNamed('06b'),
    make: () => [noJump()],
  },
  {
    name: 'of coalesced writes only the newest is tried',
    scenario: scenarioNamed('28'),
    make: () => [newestAlone()],
  },
  {
    name: 'an answer is matched to the document, not to the attempt',
    scenario: { ...scenarioNamed('01'), ...slowIndex },
    make: () => [{ world: outside => Object.assign(outside, { answersFit: 'document' }) }],
  },
  {
    name: 'checkpoints cover what was read, not what was settled',
    scenario: scenarioNamed('01'),
    make: () => [earlyCheckpoint()],
  },
  { name: 'writes without a version', scenario: scenarioNamed('01'), make: () => [withoutVersion()] },
  { name: 'a child is read beside its parents', scenario: scenarioNamed('03'), make: () => [orphans()] },
  { name: 'a busy index is taken for success', scenario: scenarioNamed('01'), make: () => [busyIsDone()] },
  {
    name: 'what earlier writes of the batch carry is not looked at',
    scenario: scenarioNamed('16'),
    make: () => [unfolded()],
  },
  {
    name: 'loads in other shards have a version as any change',
    scenario: scenarioNamed('18b'),
    make: () => [loadsAsChanges()],
  },
  {
    name: 'at a key change the old document is deleted before the new one is there',
    scenario: scenarioNamed('20'),
    make: () => [deleteFirst()],
  },
  {
    name: 'the foreign half of a key change is written by version',
    scenario: scenarioNamed('20'),
    make: () => [{ tenure: tenure => ({ ...tenure, range: { start: 0n, end: LAST_HASH_KEY } }) }],
  },
  {
    name: 'no letter where a key change left values behind',
    scenario: scenarioNamed('26'),
    make: () => [withoutLetters('kept-columns-moved')],
  },
  {
    name: 'no letter where the document to keep values of was not there',
    scenario: scenarioNamed('18c'),
    make: () => [withoutLetters('kept-columns-unknown')],
  },
  {
    name: 'a lease item without hash keys stands for all of them',
    scenario: scenarioNamed('21b'),
    make: () => [rangelessIsAll()],
  },
]

/** As KCL 2.x: whoever knows the counter may write, and a counter one higher under the own name was an own write. */
function counterAlone(): Mutation {
  return {
    world({ table }) {
      const { write } = table.once
      const { refusal } = table
      table.once.write = (hold, change) => {
        const item = table.items.get(hold.leaseKey)
        const named = hold.isLeaving ? item?.checkpointOwner : item?.leaseOwner
        return item !== undefined && write({ ...hold, fence: item.fence!, owner: named! }, change)
      }
      table.refusal = (hold, change, item, mayHaveLanded) =>
        item?.leaseOwner === hold.owner && item.leaseCounter === hold.counter + 1
          ? 'landed'
          : refusal(hold, change, item, mayHaveLanded)
    },
  }
}

function renewalForFence(): Mutation {
  const kept = new Map<string, number>()
  const fenceOf = (leaseKey: string, claimed: number) => kept.get(`${leaseKey} ${claimed}`) ?? claimed
  return {
    table: table => ({
      ...table,
      async take(lease, claim) {
        if (claim.mode !== 'adopt' || lease.fence === undefined) return table.take(lease, claim)
        const { leaseKey, leaseCounter: counter, fence } = lease
        const hold = { leaseKey, owner: claim.owner, counter, fence, isLeaving: false }
        if ((await table.write(hold, { kind: 'renew' }, false)) !== 'landed') return undefined
        kept.set(`${leaseKey} ${claim.fence}`, fence)
        return { ...lease, leaseCounter: counter + 1 }
      },
      write: (hold, change, mayHaveLanded) =>
        table.write({ ...hold, fence: fenceOf(hold.leaseKey, hold.fence) }, change, mayHaveLanded),
    }),
    tenure: (tenure): Tenure => ({ ...tenure, fence: () => fenceOf(tenure.shardId, tenure.fence()) }),
  }
}

function rangelessIsAll(): Mutation {
  const all = { startingHashKey: '0', endingHashKey: String(LAST_HASH_KEY) }
  return {
    table: table => ({
      ...table,
      async list() {
        const { leases, ...rest } = await table.list()
        return { leases: leases.map(lease => ({ ...all, ...lease })), ...rest }
      },
    }),
  }
}

function bareClock(): Mutation {
  return { table: (table, self) => ({ ...table, serverNow: self.clock.now }) }
}

const isStatus = (answer: Answer, status: number) => answer.kind === 'item' && answer.item.status === status

/** Turns answers of one status into success. */
function takenForSuccess(status: number): NonNullable<Patch['consumer']> {
  return parts => ({
    ...parts,
    write: async (actions, isAlive) =>
      (await parts.write(actions, isAlive)).map(answer =>
        isStatus(answer, status) ? { kind: 'item', item: { status: 200 } } : answer,
      ),
  })
}

function noJump(): Mutation {
  return { consumer: takenForSuccess(409) }
}

function busyIsDone(): Mutation {
  return { consumer: takenForSuccess(429) }
}

/** Where the newest was refused for good, the earlier ones are refused unseen. */
function newestAlone(): Mutation {
  return {
    consumer(parts) {
      const refused = new Map<string, { version: Version; answer: Answer }>()
      return {
        ...parts,
        async write(actions, isAlive) {
          const known = actions.map(({ write, fence, ordinal }) => {
            const newer = refused.get(documentKey(write))
            return newer && isBelow({ fence, ordinal }, newer.version) ? newer.answer : undefined
          })
          const answers = await parts.write(
            actions.filter((_, at) => known[at] === undefined),
            isAlive,
          )
          return actions.map(({ write, fence, ordinal }, at) => {
            const answer = known[at] ?? answers.shift()!
            if (isStatus(answer, 400))
              refused.set(documentKey(write), { version: { fence, ordinal }, answer })
            return answer
          })
        },
      }
    },
  }
}

function earlyCheckpoint(): Mutation {
  const read = new Map<string, string>()
  return {
    consumer: (parts, { owner }) => ({
      ...parts,
      async read(iterator, limit) {
        const page = await parts.read(iterator, limit)
        const last = page.kind === 'records' ? page.records.at(-1) : undefined
        if (last) read.set(`${owner} ${iterator.split(' ')[0]}`, last.sequenceNumber)
        return page
      },
    }),
    table: (table, { owner }) => ({
      ...table,
      write(hold, change, mayHaveLanded) {
        const checkpoint = read.get(`${owner} ${hold.leaseKey}`)
        const isEarly = change.kind === 'renew' && checkpoint !== undefined
        return table.write(hold, isEarly ? { kind: 'checkpoint', checkpoint } : change, mayHaveLanded)
      },
    }),
  }
}

function withoutVersion(): Mutation {
  return {
    world({ index }) {
      const { apply } = index
      let version = 2n ** 62n
      index.apply = (kind, key, _, document) => apply(kind, key, version++, document)
    },
  }
}

function orphans(): Mutation {
  return {
    table: table => ({
      ...table,
      async list() {
        const { leases, ...rest } = await table.list()
        return { leases: leases.map(lease => ({ ...lease, parentShardId: [] })), ...rest }
      },
    }),
  }
}

/** Each update is filled from the index alone, at the moment it is sent. */
function unfolded(): Mutation {
  let documents: Outside['index']['documents']
  return {
    world({ index }) {
      documents = index.documents
    },
    consumer: parts => ({
      ...parts,
      write: async (actions, isAlive) =>
        parts.write(
          await Promise.all(
            actions.map(async action => {
              const { keep, document, ...place } = action.write
              if (!keep) return action
              const [found] = await documents([place])
              const nulls = Object.fromEntries(keep.columns.map(column => [column, null]))
              const bare = JSON.stringify({ ...JSON.parse(document!), ...nulls })
              const filled = withKept(bare, keep.columns, found ?? '{}')
              return { ...action, write: { ...action.write, document: filled } }
            }),
          ),
          isAlive,
        ),
    }),
  }
}

function loadsAsChanges(): Mutation {
  return {
    consumer: (parts, { clock }) => ({
      ...parts,
      write: (actions, isAlive) =>
        parts.write(
          actions.map(action =>
            action.fence === BELOW_CHANGES.fence ? { ...action, fence: fenceAt(clock.now()) } : action,
          ),
          isAlive,
        ),
    }),
  }
}

function deleteFirst(): Mutation {
  /** Text of the new document -> id of the old one. */
  const moves = new Map<string, string>()
  return {
    world({ stream }) {
      const { put } = stream
      stream.put = (shardId, text, partitionKey) => {
        const move = /^{"data":({[^}]*}),"before-image":{"id":"([^"]+)"}/.exec(String(text))
        if (move) moves.set(move[1]!, move[2]!)
        return put(shardId, text, partitionKey)
      }
    },
    consumer: parts => ({
      ...parts,
      async write(actions, isAlive) {
        const deletes = actions.flatMap(action => {
          const id = moves.get(documentOf(action.write))
          return id === undefined
            ? []
            : [{ ...action, write: writeOf({ kind: 'delete', index: action.write.index, id }) }]
        })
        for (const one of deletes) await parts.write([one], isAlive)
        return parts.write(actions, isAlive)
      },
    }),
  }
}

function withoutLetters(reason: string): Mutation {
  return {
    consumer: parts => ({
      ...parts,
      sendLetters: sealed => parts.sendLetters(sealed.filter(({ letter }) => letter.reason !== reason)),
    }),
  }
}
