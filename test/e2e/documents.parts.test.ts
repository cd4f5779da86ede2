/** The tests' own look at an index, where it hardly exists yet: one run in CI met it between its making and its shard's start. */
import { expect, inject, onTestFinished, test } from 'vitest'
import { ask, documentsFound, documentsOf, removeIndices } from './documents.ts'

const { opensearchUrl } = inject('parts').endpoints

test('an index whose shard has not started has no documents', async () => {
  const index = 'e2e_documents_unstarted'
  onTestFinished(() => removeIndices(opensearchUrl, index))
  await ask(opensearchUrl, 'PUT', `/${index}?wait_for_active_shards=0&timeout=1s`, {
    body: { settings: { 'index.routing.allocation.require._name': 'nobody' } },
  })
  expect(await documentsFound(opensearchUrl, index)).toEqual(new Map())
})

test('an index that does not exist has none either', async () => {
  expect(await documentsOf(opensearchUrl, 'e2e_documents_missing')).toEqual(new Map())
})
