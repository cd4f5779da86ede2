/**
 * The questions both indices answer: the fake, and OpenSearch through the client. `n` is mapped as a number, `j` as a
 * `flat_object`; the real index has several shards, so that routing matters.
 */
import { expect, test } from 'vitest'
import type { Place } from '../../src/core/letter.ts'
import type { BulkAnswer } from '../../src/core/outcome.ts'
import { currentVersion } from '../../src/core/version.ts'
import { actionText } from '../fakes/action-text.ts'
import { versionsOf } from '../fakes/version.ts'

export type SearchUnderTest = {
  bulk: (body: string) => Promise<BulkAnswer>
  documents: (places: readonly Place[]) => Promise<(string | undefined)[]>
  index: string
}

const versionOf = versionsOf(442_000_000)

/** Of each action: done, or status and type of its error. An answer without errors only counts them. */
function outcomes(answer: BulkAnswer): string[] {
  if (answer.kind === 'done') return new Array(answer.count).fill('done')
  if (answer.kind !== 'items') throw new Error(`expected items, found ${JSON.stringify(answer)}`)
  return answer.items.map(({ status, error }) => (error ? `${status} ${error.type}` : 'done'))
}

export function searchContract(make: () => Promise<SearchUnderTest>): void {
  async function answers(
    search: SearchUnderTest,
    ...actions: [kind: 'index' | 'delete', id: string, version: string, document?: string][]
  ) {
    const texts = actions.map(([kind, id, version, document = '{}']) =>
      actionText({ kind, index: search.index, id, document }, version),
    )
    return outcomes(await search.bulk(texts.join('')))
  }

  function documents(search: SearchUnderTest, ...ids: string[]): Promise<(string | undefined)[]> {
    return search.documents(ids.map(id => ({ index: search.index, id })))
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
    ).toEqual(['done', 'done', '409 version_conflict_engine_exception'])
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
    ).toEqual(['done', '409 version_conflict_engine_exception', 'done'])
    expect(await answers(search, ['delete', 'a', versionOf(7)], ['index', 'a', versionOf(6)])).toEqual([
      'done',
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
    ).toEqual(['done', '400 mapper_parsing_exception', 'done'])
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
    ).toEqual([
      'done',
      '409 version_conflict_engine_exception',
      'done',
      '409 version_conflict_engine_exception',
    ])
  })

  test('a document with a member twice is refused alone, also where it is nested', async () => {
    const search = await make()
    expect(
      await answers(
        search,
        ['index', '1', versionOf(1), '{"a":1}'],
        ['index', '2', versionOf(2), '{"a":1,"b":{"c":"a"},"a":2}'],
        ['index', '3', versionOf(3), '{"a":2,"j":{"b":[{"c":1,"d":"}","c":1}]}}'],
        ['index', '4', versionOf(4), '{"a":3,"\\u0061":4}'],
        ['index', '5', versionOf(5), '{"a":3,"j":{"a":[{"a":1},{"a":2}]},"b":"\\",\\"a\\":"}'],
      ),
    ).toEqual([
      'done',
      '400 mapper_parsing_exception',
      '400 mapper_parsing_exception',
      '400 mapper_parsing_exception',
      'done',
    ])
    expect(await documents(search, '2', '5')).toEqual([
      undefined,
      '{"a":3,"j":{"a":[{"a":1},{"a":2}]},"b":"\\",\\"a\\":"}',
    ])
  })

  test('a JSON field that holds objects takes lists of them and null, but no scalar', async () => {
    const search = await make()
    const shapes = ['{"x":1}', '{"x":"s","y":[true]}', '[{"x":1},{"x":"s"}]', '{}', 'null', '[]']
    const scalars = ['5', '"s"', 'true', '[1]', '["s",{"x":1}]']
    const found = await answers(
      search,
      ...[...shapes, ...scalars].map((shape, at): ['index', string, string, string] => [
        'index',
        String(at),
        versionOf(at + 1),
        `{"j":${shape}}`,
      ]),
    )
    expect(found).toEqual([...shapes.map(() => 'done'), ...scalars.map(() => '400 mapper_parsing_exception')])
  })

  test('documents are read as they are this moment: written, overwritten, deleted, never there, of no index', async () => {
    const search = await make()
    const digits = '{"n":1,"d":12345678901234567890.0123456789,"s":"\\u00e9 ž 😀"}'
    await answers(
      search,
      ['index', 'digits', versionOf(1), digits],
      ['index', 'twice', versionOf(2), '{"n":2}'],
      ['index', 'gone', versionOf(3), '{"n":3}'],
    )
    expect(await documents(search, 'digits', 'twice', 'gone', 'never')).toEqual([
      digits,
      '{"n":2}',
      '{"n":3}',
      undefined,
    ])
    await answers(search, ['index', 'twice', versionOf(4), '{"n":4}'], ['delete', 'gone', versionOf(5)])
    expect(await documents(search, 'gone', 'twice', 'digits', 'twice')).toEqual([
      undefined,
      '{"n":4}',
      digits,
      '{"n":4}',
    ])
    expect(
      await search.documents([
        { index: `${search.index}_absent`, id: 'digits' },
        { index: search.index, id: 'twice' },
      ]),
    ).toEqual([undefined, '{"n":4}'])
  })

  test('a document with a routing is read, overwritten and deleted by id and routing', async () => {
    const search = await make()
    const places = ['a', 'b', 'c', 'd', 'e', 'f'].map(
      (routing): Place => ({ index: search.index, id: `${routing}|1`, routing }),
    )
    const write = async (kind: 'index' | 'delete', ordinal: number): Promise<string[]> => {
      const texts = places.map(place =>
        actionText({ kind, ...place, document: `{"n":${ordinal}}` }, versionOf(ordinal)),
      )
      return outcomes(await search.bulk(texts.join('')))
    }
    expect(await write('index', 1)).toEqual(places.map(() => 'done'))
    expect(await write('index', 2)).toEqual(places.map(() => 'done'))
    expect(await search.documents(places)).toEqual(places.map(() => '{"n":2}'))
    expect(await write('delete', 3)).toEqual(places.map(() => 'done'))
    expect(await search.documents(places)).toEqual(places.map(() => undefined))
  })
}
