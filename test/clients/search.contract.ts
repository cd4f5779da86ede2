/** The questions both indices answer: the fake, and OpenSearch through the client. `n` is mapped as a number. */
import { expect, test } from 'vitest'
import { actionText } from '../../src/core/batch.ts'
import type { BulkAnswer } from '../../src/core/outcome.ts'
import { currentVersion, versionsOf } from '../../src/core/version.ts'

export type SearchUnderTest = { bulk: (body: string) => Promise<BulkAnswer>; index: string }

const versionOf = versionsOf(442_000_000)

export function searchContract(make: () => Promise<SearchUnderTest>): void {
  async function answers(
    search: SearchUnderTest,
    ...actions: [kind: 'index' | 'delete', id: string, version: string, document?: string][]
  ) {
    const texts = actions.map(([kind, id, version, document = '{}']) =>
      actionText({ kind, index: search.index, id, document }, version),
    )
    const answer = await search.bulk(texts.join(''))
    if (answer.kind !== 'items') throw new Error(`expected items, found ${JSON.stringify(answer)}`)
    return answer.items.map(({ status, error }) => (error ? `${status} ${error.type}` : status))
  }

  test('one document in one request: applied in order, an older version is a conflict', async () => {
    const search = await make()
    expect(
      await answers(
        search,
        ['index', '1', versionOf(1)],
        ['index', '1', versionOf(3)],
        ['index', '1', versionOf(2)],
      ),
    ).toEqual([201, 200, '409 version_conflict_engine_exception'])
  })

  test('an equal version is a conflict whose reason gives the current one, digit for digit', async () => {
    const search = await make()
    await answers(search, ['index', '1', versionOf(1)])
    const answer = await search.bulk(
      actionText({ kind: 'index', index: search.index, id: '1', document: '{}' }, versionOf(1)),
    )
    const error = answer.kind === 'items' ? answer.items[0]!.error : undefined
    expect(currentVersion(error?.reason ?? '')).toBe(BigInt(versionOf(1)))
  })

  test('a delete leaves a tombstone that refuses older writes, also of an id never seen', async () => {
    const search = await make()
    expect(
      await answers(
        search,
        ['delete', 'a', versionOf(5)],
        ['index', 'a', versionOf(4)],
        ['index', 'a', versionOf(6)],
      ),
    ).toEqual([404, '409 version_conflict_engine_exception', 201])
    expect(await answers(search, ['delete', 'a', versionOf(7)], ['index', 'a', versionOf(6)])).toEqual([
      200,
      '409 version_conflict_engine_exception',
    ])
  })

  test('a document that cannot be indexed fails alone', async () => {
    const search = await make()
    expect(
      await answers(
        search,
        ['index', '1', versionOf(1), '{"n":1}'],
        ['index', '2', versionOf(2), '{"n":"x"}'],
        ['index', '3', versionOf(3), '{"n":2}'],
      ),
    ).toEqual([201, '400 mapper_parsing_exception', 201])
  })

  test('a load below changes applies once and never over a change', async () => {
    const search = await make()
    expect(
      await answers(
        search,
        ['index', '1', '16'],
        ['index', '1', '16'],
        ['index', '1', versionOf(1)],
        ['index', '1', '16'],
      ),
    ).toEqual([201, '409 version_conflict_engine_exception', 200, '409 version_conflict_engine_exception'])
  })
}
