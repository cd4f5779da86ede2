/** A scene of one worker and one source whose tables are compared with their indices member by member. */
import { expect } from 'vitest'
import { canonical, membersOf } from '../../docker/demo/raw-json.ts'
import { createScene, type Scene } from './harness.ts'
import { openSource, type Source } from './source.ts'
import type { Worker } from './workers.ts'

/** Loads go by primary key and changes by table, so that two shards suffice for a load to be elsewhere than its changes. */
const SHARDS = 2

/** What is asserted of a dead letter: `detail` where one of its reason has one here. */
export type ExpectedLetter = {
  reason: string
  table?: string | undefined
  id?: string | undefined
  detail?: string | undefined
}

export type TypesScene = {
  scene: Scene
  source: Source
  worker: Worker
  /** Rows of `id` and `document`. */
  expectedOf(sql: string): Promise<Record<string, string>>
  /** The index holds exactly these documents, digit for digit. @param expected id -> JSON text, or SQL of both */
  expectIndex(index: string, expected: string | Record<string, string>): Promise<void>
  /** Takes all letters there are; these and no others, in any order. */
  expectLetters(expected: readonly ExpectedLetter[]): Promise<void>
  close(): Promise<void>
}

/**
 * @param options.ddl run in the scene's schema before the full load; SQL
 * @param options.tables lines of the table file, given the schema
 */
export async function openTypesScene(
  name: string,
  options: {
    ddl: string
    tables: (schema: string) => string
    /** Runs before the worker begins, such as to create an index. */
    before?: (scene: Scene) => Promise<void>
    dms?: Record<string, string>
  },
): Promise<TypesScene> {
  const scene = await createScene(name, { shards: SHARDS })
  let source: Source | undefined
  const close = async (): Promise<void> => {
    await source?.close()
    await scene.close()
  }
  try {
    source = await openSource(scene, options.ddl)
    await options.before?.(scene)
    const worker = await scene.startWorker('worker', {
      TABLE_FILE: scene.tableFile('types', options.tables(scene.schema)),
    })
    await source.startDms(options.dms ?? {})
    return { scene, source, worker, close, ...comparing(scene, source) }
  } catch (error) {
    await close()
    throw error
  }
}

function comparing(
  scene: Scene,
  { database }: Source,
): Pick<TypesScene, 'expectedOf' | 'expectIndex' | 'expectLetters'> {
  async function expectedOf(sql: string): Promise<Record<string, string>> {
    const { rows } = await database.query<{ id: string; document: string }>(sql)
    expect(rows.length, 'rows that are expected').toBeGreaterThan(0)
    return Object.fromEntries(rows.map(({ id, document }) => [id, document]))
  }

  return {
    expectedOf,

    async expectIndex(table, given) {
      const expected = typeof given === 'string' ? await expectedOf(given) : given
      const found = Object.fromEntries(await scene.documents(table))
      // Apart, so that a failure names the members that differ and not two texts of 5,000 characters.
      expect(membersOfAll(found), `members of the documents of ${table}`).toEqual(membersOfAll(expected))
      for (const [id, text] of Object.entries(expected))
        expect(found[id], `document ${id} of ${table}, in the order of the row`).toBe(canonical(text))
    },

    async expectLetters(expected) {
      const detailed = new Set(
        expected.filter(({ detail }) => detail !== undefined).map(({ reason }) => reason),
      )
      const told = (await scene.queue.letters()).map(({ reason, table, id, detail }) => ({
        reason,
        table: table?.slice(`${scene.schema}.`.length),
        id,
        detail: detailed.has(reason) ? detail : undefined,
      }))
      expect(sorted(told)).toEqual(sorted(expected))
    },
  }
}

function sorted(letters: readonly ExpectedLetter[]): ExpectedLetter[] {
  const key = ({ reason, table, id, detail }: ExpectedLetter): string => `${reason} ${table} ${id} ${detail}`
  return [...letters].sort((a, b) => (key(a) < key(b) ? -1 : 1))
}

function membersOfAll(documents: Record<string, string>): Record<string, Record<string, string>> {
  return Object.fromEntries(
    Object.entries(documents).map(([id, text]) => [id, Object.fromEntries(membersOf(canonical(text)))]),
  )
}
