/** Something on the way resets every connection whose request is too large for it, and never says 413. */
import { expect, test } from 'vitest'
import { type Action, bulkWriter } from '../../src/bulk-writer.ts'
import type { BulkAnswer } from '../../src/core/outcome.ts'
import { writeOf } from '../fakes/write.ts'

const ATTEMPTS = 20

/** Far above what is cut no further: a network that breaks breaks small requests too. */
const PASSES_BYTES = 700_000
const DOCUMENT = JSON.stringify({ a: 'x'.repeat(300_000) })

test('a request whose connection is reset each time is cut until its parts pass', async () => {
  const writer = bulkWriter({
    bulk: async (body): Promise<BulkAnswer> =>
      body.length > PASSES_BYTES
        ? { kind: 'failed', reason: 'connection', mayHaveLanded: true }
        : { kind: 'done', count: body.toString().split('"index"').length - 1 },
    limits: { bytesMax: 5_000_000, actionsMax: 10, inFlightMax: 1 },
    monotonic: () => performance.now(),
    onRequest: () => {},
  })
  let open = ['a', 'b', 'c', 'd'].map(
    (id, at): Action => ({
      fence: 442_000_000,
      ordinal: at + 1,
      write: writeOf({ kind: 'index', index: 'i', id, document: DOCUMENT }),
    }),
  )
  for (let attempt = 0; attempt < ATTEMPTS && open.length > 0; attempt++) {
    const answers = await writer.write(open, () => true)
    open = open.filter((_, at) => answers[at]!.kind === 'request')
  }
  expect(open.map(({ write }) => write.id)).toEqual([])
})
