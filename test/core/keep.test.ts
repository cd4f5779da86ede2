import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decode } from '../../src/core/change.ts'
import { type Decision, decide, documentOf } from '../../src/core/document.ts'
import { documentKey, fillKept, withKept } from '../../src/core/keep.ts'
import { reversion, sendable, settle, unsettledWrites } from '../../src/core/page.ts'
import { type Plan, plan } from '../../src/core/plan.ts'
import type { StreamRecord } from '../../src/core/stream.ts'
import { parseTableFile } from '../../src/table-file.ts'
import { decideContext } from '../../src/tables.ts'

const file = parseTableFile(
  'tables: { public.t: { keepOnNull: [toast] }, public.two: { keepOnNull: [x, y] }, public.k: { partition: key } }',
  'tables.yaml',
)
const context = {
  ...decideContext({
    file,
    indexPatterns: ['*'],
    onUnknownTable: 'hold',
    beforeImage: 'before-image',
    beforeImagePrefix: '',
  }),
  range: { start: 0n, end: 2n ** 128n - 1n },
}

type Change = {
  operation: 'load' | 'insert' | 'update' | 'delete'
  data: string
  before?: string
  table?: string
  type?: string
}

function textOf({ operation, data, before, table = 't', type = 'schema-table' }: Change): string {
  const image = before === undefined ? '' : `,"before-image":${before}`
  return `{"data":${data}${image},"metadata":{"timestamp":"2024-07-29T00:58:17.983670Z","record-type":"data","operation":"${operation}","partition-key-type":"${type}","schema-name":"public","table-name":"${table}"}}`
}

const bytesOf = (change: Change) => new TextEncoder().encode(textOf(change))
const row = (id: string, toast?: number | null) =>
  `{"id":"${id}"${toast === undefined ? '' : `,"toast":${toast}`}}`
const insert = (id: string, toast: number | null): Change => ({ operation: 'insert', data: row(id, toast) })
const update = (id: string, toast?: number | null): Change => ({ operation: 'update', data: row(id, toast) })
const remove = (id: string): Change => ({ operation: 'delete', data: row(id) })
const move = (from: string, to: string, toast?: number | null): Change => ({
  ...update(to, toast),
  before: row(from),
})

function planned(
  changes: readonly Change[],
  given: { from?: number; ordinal?: number; keptMax?: number } = {},
): Plan {
  const records = changes.map(
    (change, at): StreamRecord => ({
      sequenceNumber: String(at),
      partitionKey: 'public.t',
      arrivedAtMs: undefined,
      data: bytesOf(change),
    }),
  )
  return plan(records, given.from ?? 0, {
    decode: bytes => decode(bytes),
    context,
    recordBytesMax: 1_000_000,
    keptMax: given.keptMax ?? 100,
    ordinal: given.ordinal ?? 0,
    fence: 500,
  })
}

/** The text of each document as the page would write it last. */
function newest({ page }: Plan): Record<string, string | undefined> {
  return Object.fromEntries(
    page.newest.map(({ write }) => [write.id, write.kind === 'index' ? documentOf(write) : undefined]),
  )
}

const readings = ({ folded }: Plan) => folded.readings.map(({ id }) => id)
const letters = (work: Plan) => work.letters.map(({ letter }) => `${letter.reason} ${letter.id}`)

function filled(work: Plan, documents: Record<string, string>): number {
  const read = Object.entries(documents).map(([id, text]): [string, string] => [
    documentKey({ index: 'public_t', id }),
    text,
  ])
  return fillKept(work.folded, 'public_t', new Map(read)).length
}

describe('values carried within a batch', () => {
  test('newest alone would be null for ever: the insert gives it to the update behind it (trace T8)', () => {
    const work = planned([insert('a', 5), update('a', null)])
    expect(newest(work)).toEqual({ a: '{"id":"a","toast":5}' })
    expect(readings(work)).toEqual([])
  })

  test('over several updates without it, null or absent, from the last one that has it', () => {
    const work = planned([
      update('a', 5),
      update('a', null),
      update('a'),
      update('a', 6),
      update('a'),
      update('a', null),
    ])
    expect(newest(work)).toEqual({ a: '{"id":"a","toast":6}' })
    expect(readings(work)).toEqual([])
  })

  test('a delete forgets: nothing of the row before it is carried or read', () => {
    const work = planned([insert('a', 5), remove('a'), update('a', null)])
    expect(newest(work)).toEqual({ a: '{"id":"a","toast":null}' })
    expect(readings(work)).toEqual([])
  })

  test('an insert after a delete is a row of its own, and its NULL is meant', () => {
    expect(newest(planned([update('a', 5), remove('a'), insert('a', 7), update('a')]))).toEqual({
      a: '{"id":"a","toast":7}',
    })
    const nulled = planned([update('a', 5), remove('a'), insert('a', null), update('a', null)])
    expect(newest(nulled)).toEqual({ a: '{"id":"a","toast":null}' })
    expect(readings(nulled)).toEqual([])
  })

  test('a load below changes is the oldest, wherever it stands', () => {
    const load: Change = { operation: 'load', data: row('a', 7), type: 'primary-key' }
    const work = planned([update('a', null), load])
    expect(newest(work)).toEqual({ a: '{"id":"a","toast":7}' })
    expect(readings(work)).toEqual([])
  })

  test('each column by itself: one is carried, the other read', () => {
    const two = (data: string): Change => ({ operation: 'update', table: 'two', data })
    const work = planned([two('{"id":"a","x":1,"y":null}'), two('{"id":"a","x":null}')])
    fillKept(
      work.folded,
      'public_two',
      new Map([[documentKey({ index: 'public_two', id: 'a' }), '{"id":"a","x":8,"y":9}']]),
    )
    expect(newest(work)).toEqual({ a: '{"id":"a","x":1,"y":9}' })
  })
})

describe('values read', () => {
  test('where nothing is carried the document is read once, for all its updates', () => {
    const work = planned([update('a', null), update('a', null), update('b', 1)])
    expect(readings(work)).toEqual(['a'])
    expect(filled(work, { a: '{"id":"a","toast":12.50}' })).toBe(0)
    expect(
      unsettledWrites(work.page).flatMap(({ write }) => (write.id === 'a' ? [documentOf(write)] : [])),
    ).toEqual(['{"id":"a","toast":12.50}', '{"id":"a","toast":12.50}'])
  })

  test('where there is no document the update stays as it came, and is counted', () => {
    const work = planned([update('a', null)])
    expect(filled(work, {})).toBe(1)
    expect(newest(work)).toEqual({ a: '{"id":"a","toast":null}' })
  })

  test('a retry under another fence keeps what was read', () => {
    const work = planned([update('a', null)])
    filled(work, { a: row('a', 5) })
    reversion(sendable(work.page), 900)
    expect(newest(work)).toEqual({ a: '{"id":"a","toast":5}' })
    expect(sendable(work.page)[0]).toMatchObject({ fence: 900, ordinal: 1 })
  })
})

describe('key changes', () => {
  test('the old document of the batch is carried from, without a reading or a letter', () => {
    const work = planned([insert('a', 5), move('a', 'b', null)])
    expect(newest(work)).toEqual({ a: undefined, b: '{"id":"b","toast":5}' })
    expect(readings(work)).toEqual([])
    expect(letters(work)).toEqual([])
  })

  test('else the new id is read first, then the old; and a letter names the new one', () => {
    const work = planned([move('a', 'b', null)])
    expect(readings(work)).toEqual(['b', 'a'])
    expect(letters(work)).toEqual(['kept-columns-moved b'])
    expect(work.letters[0]!.letter.settle).toBe('source-row')
    expect(filled(work, { a: row('a', 5) })).toBe(0)
    expect(newest(work)).toEqual({ a: undefined, b: '{"id":"b","toast":5}' })
    const replay = planned([move('a', 'b', null)])
    filled(replay, { a: row('a', 9), b: row('b', 5) })
    expect(newest(replay)).toEqual({ a: undefined, b: '{"id":"b","toast":5}' })
  })

  test('along a chain a -> b -> c: the value goes all the way, or each new id has its letter', () => {
    const carried = planned([update('a', 5), move('a', 'b'), move('b', 'c', null)])
    expect(newest(carried)).toEqual({ a: undefined, b: undefined, c: '{"id":"c","toast":5}' })
    expect(letters(carried)).toEqual([])
    const lacking = planned([move('a', 'b', null), move('b', 'c', null)])
    expect(readings(lacking)).toEqual(['b', 'a', 'c'])
    expect(letters(lacking)).toEqual(['kept-columns-moved b', 'kept-columns-moved c'])
    filled(lacking, { a: row('a', 5) })
    expect(newest(lacking)).toEqual({ a: undefined, b: undefined, c: '{"id":"c","toast":5}' })
  })

  test('a replay that deletes the new document first reads what the old key has become: only the letter tells (trace T7)', () => {
    const work = planned([remove('c'), move('a', 'c', null), insert('a', 9)])
    expect(readings(work)).toEqual(['a'])
    filled(work, { a: row('a', 9) })
    expect(newest(work)).toEqual({ c: '{"id":"c","toast":9}', a: '{"id":"a","toast":9}' })
    expect(letters(work)).toEqual(['kept-columns-moved c'])
  })
})

describe('a key change of a table partitioned by key: what is not at home is never written by version', () => {
  const hashes: Record<string, bigint> = { a: 1n, b: 2n, d: 9n }
  const halves = (
    from: string,
    to: string,
    decides: string,
    range: { start: bigint; end: bigint },
  ): string[] => {
    const record = bytesOf({ ...move(from, to), table: 'k', type: 'primary-key' })
    const decision: Decision = decide(decode(record), decides, {
      ...context,
      md5: text => hashes[text]!,
      range,
    })
    if (decision.kind !== 'write') throw new Error(decision.kind)
    return [
      ...decision.writes.map(({ kind, id }) => `${kind} ${id}`),
      ...decision.letters.map(({ reason, id, settle: by }) => `${reason} ${id} ${by}`),
    ]
  }
  const low = { start: 0n, end: 4n }
  const high = { start: 5n, end: 9n }

  test('the shard of the new key does not delete the old document, whose own shard may have inserted it again (trace T4)', () => {
    expect(halves('b', 'd', 'd', high)).toEqual(['index d', 'key-moved b source-row'])
  })

  test('nor is its delete taken for superseded where the fence of its own shard is higher: it is lettered (trace T5)', () => {
    expect(halves('d', 'a', 'a', low)).toEqual(['index a', 'key-moved d source-row'])
  })

  test('the shard of the old key does not index the new document, so no later update of it is refused (trace T6)', () => {
    expect(halves('a', 'd', 'a', low)).toEqual(['delete a', 'key-moved d source-row'])
  })

  test('with both at home it is exact', () => {
    expect(halves('a', 'b', 'b', low)).toEqual(['index b', 'delete a'])
    expect(halves('a', 'b', 'a', low)).toEqual(['index b', 'delete a'])
  })

  test('with a partition key that is neither, both are foreign', () => {
    expect(halves('a', 'b', 'x', low)).toEqual(['key-moved b source-row', 'key-moved a source-row'])
  })
})

describe('withKept', () => {
  test('digits stay as they came', () => {
    expect(withKept('{"id":1,"n":null}', ['n'], '{"n":12345678901234567890.10}')).toBe(
      '{"id":1,"n":12345678901234567890.10}',
    )
  })

  test('an absent column is appended, its name as JSON has it', () => {
    expect(withKept('{"id":1}', ['a"b', 'c'], '{"a\\"b":[1, 2],"c":"x"}')).toBe(
      '{"id":1,"a\\"b":[1, 2],"c":"x"}',
    )
  })

  test('a document with tabs', () => {
    expect(withKept('{\n\t"id":\t3,\n\t"x":\tnull\n}', ['x', 'y'], '{"x":1,"y":2}')).toBe(
      '{\n\t"id":\t3,\n\t"x":\t1\n,"y":2}',
    )
  })

  test('an empty document', () => {
    expect(withKept('{}', ['x'], '{"x":1}')).toBe('{"x":1}')
    expect(withKept('{ }', ['x', 'y'], '{"x":1,"y":2}')).toBe('{ "x":1,"y":2}')
  })

  test('what the other state does not have either stays as it is', () => {
    expect(withKept('{"id":1,"x":null}', ['x', 'y'], '{"x":null}')).toBe('{"id":1,"x":null}')
  })
})

type Step = { id: string; to: string; action: number; form: 'value' | 'null' | 'absent' }

/** The changes of a source that takes the steps, and the row of each key after each change. */
function history(steps: readonly Step[]): { changes: Change[]; states: Map<string, number>[] } {
  const rows = new Map<string, number>()
  const changes: Change[] = []
  const states: Map<string, number>[] = []
  for (const [at, { id, to, action, form }] of steps.entries()) {
    const toast = rows.get(id)
    const told = form === 'value' ? at : form === 'null' ? null : undefined
    const isMove = toast !== undefined && action === 2 && !rows.has(to)
    if (toast === undefined) changes.push(insert(id, at))
    else if (action === 0) changes.push(remove(id))
    else changes.push(isMove ? move(id, to, told) : update(id, told))
    if (isMove || (toast !== undefined && action === 0)) rows.delete(id)
    if (toast === undefined) rows.set(id, at)
    else if (action !== 0) rows.set(isMove ? to : id, form === 'value' ? at : toast)
    states.push(new Map(rows))
  }
  return { changes, states }
}

test('in any batches, carrying and reading give the documents that the rows have', () => {
  const ids = fc.constantFrom('a', 'b', 'c')
  const step: fc.Arbitrary<Step> = fc.record({
    id: ids,
    to: ids,
    action: fc.integer({ min: 0, max: 3 }),
    form: fc.constantFrom('value', 'null', 'absent'),
  })
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 1, maxLength: 20 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 6 })),
      fc.integer({ min: 1, max: 4 }),
      (steps, sizes, keptMax) => {
        const { changes, states } = history(steps)
        const documents: Record<string, string> = {}
        for (let from = 0; from < changes.length; ) {
          const batch = changes.slice(0, from + sizes.next().value!)
          const work = planned(batch, { from, ordinal: from, keptMax })
          expect(filled(work, documents)).toBe(0)
          while (unsettledWrites(work.page).length > 0) {
            for (const op of sendable(work.page)) {
              if (op.write.kind === 'delete') delete documents[op.write.id]
              else documents[op.write.id] = documentOf(op.write)
              settle(work.page, op, op.write.kind === 'delete' ? 'deleted' : 'indexed', [])
            }
          }
          from += work.records.length
          const rows = [...states[from - 1]!].map(([id, toast]) => [id, row(id, toast)])
          expect(documents).toEqual(Object.fromEntries(rows))
        }
      },
    ),
    { numRuns: 10_000 },
  )
})
