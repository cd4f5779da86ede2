/**
 * A source with two tables of two rows each, and the log of their changes as DMS writes it.
 *
 * `public.t` is partitioned by table: all of it lies in one line of shards. `public.k` is partitioned by key. Four keys
 * for some twenty commits: the same rows are met again and again, on purpose.
 */
import type { fakeStream } from '../fakes/stream.ts'
import type { Chance } from './chance.ts'

export const TABLE_FILE = 'tables: { public.k: { partition: key } }'

type Row = { table: 't' | 'k'; id: string }

export type SourceFaults = {
  /** The producer puts its last records once more. */
  resends: boolean
  /** A second full load while changes go on. */
  reloads: boolean
  controls: boolean
  /** Rows the mapping refuses: the document keeps its newest acceptable state. */
  unindexable: boolean
}

export function source(stream: ReturnType<typeof fakeStream>, chance: Chance, faults: SourceFaults) {
  const rows: Row[] = [
    ...['1', '2'].map(id => ({ table: 't' as const, id })),
    // Chance decides where their MD5s fall.
    ...['1', '2'].map(id => ({ table: 'k' as const, id: `${id}-${chance.whole(0, 9999)}` })),
  ]
  const there = new Map<Row, string>()
  const expected = new Map<string, string>()
  const sent: { text: string; partitionKey: string; key: string; document: string | null }[] = []
  let value = 0

  function put(one: (typeof sent)[number]): void {
    stream.putByKey(one.text, one.partitionKey)
    if (one.document === null) expected.delete(one.key)
    else if (!one.document.includes('"n":"')) expected.set(one.key, one.document)
  }

  function change(row: Row, operation: 'load' | 'insert' | 'update' | 'delete', document: string): void {
    const type = row.table === 't' ? 'schema-table' : 'primary-key'
    const one = {
      text: `{"data":${document},"metadata":{"timestamp":"2026-07-29T00:58:17.983670Z","record-type":"data","operation":"${operation}","partition-key-type":"${type}","schema-name":"public","table-name":"${row.table}"}}\n`,
      partitionKey: row.table === 't' ? 'public.t' : row.id,
      key: `public_${row.table}/${row.id}`,
      document: operation === 'delete' ? null : document,
    }
    sent.push(one)
    put(one)
    if (operation === 'delete') there.delete(row)
    else there.set(row, document)
  }

  function documentOf(row: Row): string {
    const n = faults.unindexable && chance.isHit(0.25) ? ',"n":"x"' : ''
    return `{"id":"${row.id}","v":${++value}${n}}`
  }

  function control(): void {
    const partitionKey = chance.pick(rows).id
    stream.putByKey(
      '{"control":{"table-def":{}},"metadata":{"timestamp":"2026-07-29T00:58:17.983670Z","record-type":"control","operation":"create-table","partition-key-type":"task-id","schema-name":"public","table-name":"t"}}\n',
      chance.isHit(0.5) ? 'public.t' : partitionKey,
    )
  }

  return {
    rows,
    /** What the stream implies: `index/id` -> the document. */
    expected,
    /** Every row is met, so that what an index held before the run cannot stay. */
    begin(): void {
      for (const row of rows) change(row, 'load', documentOf(row))
    },
    commit(): void {
      const row = chance.pick(rows)
      const document = there.get(row)
      if (document === undefined) change(row, 'insert', documentOf(row))
      else if (chance.isHit(0.3)) change(row, 'delete', document)
      else change(row, 'update', documentOf(row))
      if (faults.controls && chance.isHit(0.5)) control()
      if (faults.resends && chance.isHit(0.15)) for (const one of sent.slice(-chance.whole(1, 6))) put(one)
      if (faults.reloads && chance.isHit(0.15))
        for (const [each, state] of [...there]) change(each, 'load', state)
    },
  }
}
