/**
 * The status contract: for each answer OpenSearch gives, or something in front of it, what becomes of the action.
 *
 * A row is one answer. It is tried as the service meets it: the action in question between two good ones of another
 * index, through the bulk writer and the client. So a row shows three things at once: what the client makes of the
 * bytes, what is concluded for the action, and that its neighbours are not drawn in.
 */
import { expect } from 'vitest'
import { bulkWriter } from '../../src/bulk-writer.ts'
import {
  type Answer,
  type BulkAnswer,
  type Judgement,
  judge,
  type RetryScope,
} from '../../src/core/outcome.ts'
import type { Version } from '../../src/core/version.ts'
import { versionsOf } from '../fakes/version.ts'
import { writeOf } from '../fakes/write.ts'

/** What is expected of a row. */
export type Contract = {
  name: string
  /** The answer to the first request, as the client hands it on. */
  answer: /** Without errors: not told apart by item. */
    | { kind: 'done' }
    /** One of several items; without `type` it has no error. */
    | { kind: 'item'; status: number; type?: string }
    /** The request as a whole. */
    | { kind: 'status'; status: number; type: string }
    | { kind: 'failed'; reason: string }
    /** The answer has items, though not as many as there are actions. */
    | { kind: 'other-count' }
  judgement: Judgement
  /** Of a fault of the whole request: whether it may have been applied all the same. */
  mayHaveLanded?: boolean
}

/** The action in question; the rest is filled in. */
export type Culprit = {
  kind?: 'index' | 'delete'
  index: string
  id?: string
  version?: string
  document?: string
}

export const done = (outcome: 'indexed' | 'deleted' = 'indexed'): Judgement => ({ kind: 'done', outcome })
/** Reasons that are a type of OpenSearch's concern the index. */
export const retry = (
  reason: string,
  scope: RetryScope = reason.endsWith('_exception') ? 'index' : 'service',
): Judgement => ({ kind: 'retry', reason, scope })
export const dead = (detail: string): Judgement => ({ kind: 'dead', detail })
export const item = (status: number, type?: string) =>
  ({ kind: 'item', status, ...(type === undefined ? {} : { type }) }) as const
export const whole = (status: number, type = 'no error type') => ({ kind: 'status', status, type }) as const

/** The versions of the neighbours, and of the action in question unless the row says otherwise. */
const FENCE = 442_000_000
export const versionOf = versionsOf(FENCE)
let ordinal = 1000

/** Where the action in question stands. */
const MIDDLE = 1

export type Tried = { first: BulkAnswer; answers: Answer[]; judgements: Judgement[] }

/** Sends the action in question between two good ones of `neighbours`. */
export async function tryOut(
  bulk: (body: Buffer) => Promise<BulkAnswer>,
  culprit: Culprit,
  neighbours: string,
): Promise<Tried> {
  const given: BulkAnswer[] = []
  // Versions that the service cannot make are put into the text.
  const [made, wanted] = [versionOf(ordinal), culprit.version ?? versionOf(ordinal)]
  const versions: Version[] = [1, 0, 2].map(n => ({ fence: FENCE, ordinal: ordinal + n }))
  ordinal += 3
  const writer = bulkWriter({
    bulk: async body => {
      const text = body.toString().replace(`"version":"${made}"`, () => `"version":"${wanted}"`)
      const answer = await bulk(Buffer.from(text))
      given.push(answer)
      return answer
    },
    limits: { bytesMax: 1_000_000, actionsMax: 10, inFlightMax: 1 },
    monotonic: () => performance.now(),
    onRequest: () => {},
  })
  const neighbour = (id: string): Culprit => ({ index: neighbours, id })
  const actions = [neighbour('before'), culprit, neighbour('after')].map((action, at) => {
    const { kind = 'index', index, id = 'culprit', document = '{"a":1}' } = action
    const write = writeOf({ kind, index, id, document: kind === 'index' ? document : undefined })
    return { write, ...versions[at]! }
  })
  const answers = await writer.write(actions, () => true)
  return {
    first: given[0]!,
    answers,
    judgements: answers.map((answer, at) => judge(actions[at]!.write.kind, answer)),
  }
}

export function expectContract(row: Contract, { first, answers, judgements }: Tried): void {
  expect(first).toMatchObject(firstOf(row.answer))
  if (row.answer.kind === 'item' && first.kind === 'items')
    expect(first.items[MIDDLE]!.error?.type).toBe(row.answer.type)
  expect(judgements[MIDDLE]).toEqual(row.judgement)
  if (row.mayHaveLanded !== undefined)
    expect(answers[MIDDLE]).toMatchObject({ kind: 'request', mayHaveLanded: row.mayHaveLanded })
  // A refusal of one action, alone or found by cutting the request, leaves the others done; all else meets all of them.
  const isOfAll = answers[MIDDLE]!.kind === 'request'
  const neighbours = isOfAll ? row.judgement : done()
  expect([judgements[0], judgements[2]]).toEqual([neighbours, neighbours])
}

function firstOf(answer: Contract['answer']): object {
  if (answer.kind === 'done') return { kind: 'done', count: 3 }
  if (answer.kind === 'other-count') return { kind: expect.stringMatching(/^(done|items)$/) }
  if (answer.kind !== 'item') return answer
  const { status } = answer
  return { kind: 'items', items: [expect.anything(), expect.objectContaining({ status }), expect.anything()] }
}
