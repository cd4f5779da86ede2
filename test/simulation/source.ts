/**
 * A source with a few tables of a few keys each, and the log of their changes as DMS writes it.
 *
 * `public.t` is partitioned by table: all of it lies in one line of shards. `public.k` is partitioned by key. So few keys
 * for some twenty commits: the same rows are met again and again, on purpose. Where rows change their keys, a key is free
 * at times: rows move to it, and others are inserted where they came from.
 */
import { createHash } from 'node:crypto'
import type { fakeStream } from '../fakes/stream.ts'
import type { Chance } from './chance.ts'

export type TableName = 't' | 'k'

/** @param keepOnNull whether the tables have a column whose unchanged values are not in the log */
export function tableFile(keepOnNull: boolean): string {
  const kept = keepOnNull ? ', keepOnNull: [toast]' : ''
  return `tables: { public.t: { partition: table${kept} }, public.k: { partition: key${kept} } }`
}

export type SourceFaults = {
  tables: readonly TableName[]
  /** A transaction changes so many rows at most. */
  changesMax: number
  /** The producer puts its last records once more. */
  resends: boolean
  /** A second full load while changes go on. */
  reloads: boolean
  controls: boolean
  /** Rows the mapping refuses: the document keeps its newest acceptable state. */
  unindexable: boolean
  keyChanges: boolean
  /** Of a table partitioned by key: whether the old key chooses the shard of a key change, or the new one. */
  oldKeyDecides: boolean
  keepOnNull: boolean
  /** Loads are partitioned otherwise than the changes of their table. */
  loadsElsewhere: boolean
}

type Key = { table: TableName; id: string }

/** A row keeps its number when its key changes. */
type State = { row: number; v: number; toast: number; isRefused: boolean }

type Operation = 'load' | 'insert' | 'update' | 'delete'

type Sent = {
  text: string
  partitionKey: string
  /** The documents from here on. */
  documents: [Key, string | undefined][]
  isRefused: boolean
  isMove: boolean
  isKept: boolean
}

/** What an update says of a value that did not change. */
type Toast = 'value' | 'null' | 'absent'

const documentKeyOf = ({ table, id }: Key) => `public_${table}/${id}`

export function source(stream: ReturnType<typeof fakeStream>, chance: Chance, faults: SourceFaults) {
  const ids = faults.keyChanges ? ['1', '2', '3'] : ['1', '2']
  const keys: Key[] = faults.tables.flatMap(table =>
    // Chance decides where the MD5s of the keys fall.
    ids.map(id => ({ table, id: table === 't' ? id : `${id}-${chance.whole(0, 9999)}` })),
  )
  /** DMS can put schema and table before the key (PartitionIncludeSchemaTable). */
  const prefix = faults.keyChanges && chance.isHit(0.5) ? 'public.k.' : ''
  const there = new Map<Key, State>()
  const expected = new Map<string, string>()
  const ordered = new Map<string, string>()
  /** `index/id` -> the last state of a row that was there. */
  const latest = new Map<string, State>()
  const due = new Map<string, Set<string>>()
  const sent: Sent[] = []
  let rows = 0
  let values = 0

  const partitionKeyOf = ({ table, id }: Key, type: string) =>
    type === 'schema-table' ? `public.${table}` : table === 'k' ? prefix + id : id

  function textOf(key: Key, { row, v, toast, isRefused }: State, form: Toast = 'value'): string {
    const kept = !faults.keepOnNull || form === 'absent' ? '' : `,"toast":${form === 'null' ? null : toast}`
    return `{"id":"${key.id}","row":${row},"v":${v}${isRefused ? ',"n":"x"' : ''}${kept}}`
  }

  function put(one: Sent): void {
    const { shardId } = stream.putByKey(one.text, one.partitionKey)
    for (const [key, document] of one.documents) {
      const name = documentKeyOf(key)
      const isHome = !one.isMove || key.table === 't' || isInShard(key, shardId)
      if (!isHome) addDue(name, 'key-moved')
      else if (document !== undefined && one.isKept && one.isMove) addDue(name, 'kept-columns-moved')
      if (one.isRefused && document !== undefined) {
        if (faults.keepOnNull) addDue(name, 'rejected')
        continue
      }
      for (const state of isHome ? [expected, ordered] : [expected]) {
        if (document === undefined) state.delete(name)
        else state.set(name, document)
      }
    }
  }

  function isInShard(key: Key, shardId: string): boolean {
    const shard = stream.openShards().find(one => one.shardId === shardId)!
    const md5 = createHash('md5').update(partitionKeyOf(key, 'primary-key')).digest('hex')
    const hash = BigInt(`0x${md5}`)
    return BigInt(shard.startingHashKey) <= hash && hash <= BigInt(shard.endingHashKey)
  }

  /** A letter without a cause would excuse what it should not. */
  function addDue(name: string, reason: string): void {
    due.set(name, (due.get(name) ?? new Set()).add(reason))
  }

  function change(
    operation: Operation,
    key: Key,
    state: State,
    { from, toast = 'value' }: { from?: Key; toast?: Toast } = {},
  ): void {
    const isByTable = (key.table === 't') !== (faults.loadsElsewhere && operation === 'load')
    const type = isByTable ? 'schema-table' : 'primary-key'
    const before = from ? `,"before-image":{"id":"${from.id}"}` : ''
    const one: Sent = {
      text: `{"data":${textOf(key, state, toast)}${before},"metadata":{"timestamp":"2026-07-29T00:58:17.983670Z","record-type":"data","operation":"${operation}","partition-key-type":"${type}","schema-name":"public","table-name":"${key.table}"}}\n`,
      partitionKey: partitionKeyOf(from && faults.oldKeyDecides ? from : key, type),
      documents: [[key, operation === 'delete' ? undefined : textOf(key, state)]],
      isRefused: state.isRefused,
      isMove: from !== undefined,
      isKept: toast !== 'value',
    }
    if (from) one.documents.push([from, undefined])
    sent.push(one)
    put(one)
    if (from) there.delete(from)
    if (operation === 'delete') there.delete(key)
    else there.set(key, state)
    latest.set(documentKeyOf(key), state)
  }

  function stateOf(row: number, toast = ++values): State {
    return { row, v: ++values, toast, isRefused: faults.unindexable && chance.isHit(0.25) }
  }

  /** A real NULL is never set: the log does not tell it from a value that did not change. */
  function update(key: Key, { row, toast }: State): void {
    const free = keys.filter(other => other.table === key.table && !there.has(other))
    const isMoved = faults.keyChanges && free.length > 0 && chance.isHit(0.8)
    const isUnchanged = faults.keepOnNull && chance.isHit(0.85)
    change('update', isMoved ? chance.pick(free) : key, stateOf(row, isUnchanged ? toast : undefined), {
      ...(isMoved && { from: key }),
      toast: !isUnchanged ? 'value' : chance.isHit(0.5) ? 'null' : 'absent',
    })
  }

  function changeOne(): void {
    const key = chance.pick(keys)
    const state = there.get(key)
    if (state === undefined) change('insert', key, stateOf(++rows))
    else if (chance.isHit(0.3)) change('delete', key, state)
    else update(key, state)
  }

  function control(): void {
    const partitionKey = chance.pick(keys).id
    stream.putByKey(
      '{"control":{"table-def":{}},"metadata":{"timestamp":"2026-07-29T00:58:17.983670Z","record-type":"control","operation":"create-table","partition-key-type":"task-id","schema-name":"public","table-name":"t"}}\n',
      chance.isHit(0.5) ? 'public.t' : partitionKey,
    )
  }

  return {
    /** `index/id` of every document there can be. */
    documentKeys: keys.map(documentKeyOf),
    /** What the stream implies: `index/id` -> the document. */
    expected,
    /** The same without the halves of key changes that lie in another shard than their document, which has no order with them. */
    ordered,
    /** `index/id` -> why a letter may name it: what is behind it cannot be settled by versions. */
    due,
    /** Whether a document is the last there was of its key, and its row lives on under another. */
    isMovedFrom(key: string, document: string): boolean {
      const { row, v } = JSON.parse(document) as State
      return latest.get(key)?.v === v && [...there.values()].some(state => state.row === row)
    },
    /** Every row is met, so that what an index held before the run cannot stay. */
    begin(): void {
      for (const key of keys)
        if (!faults.keyChanges || key.id[0] !== '3') change('load', key, stateOf(++rows))
      // What changed during the load comes right behind it.
      if (faults.loadsElsewhere) for (let left = 4; left > 0; left--) changeOne()
    },
    commit(): void {
      for (let left = faults.changesMax === 1 ? 1 : chance.whole(1, faults.changesMax); left > 0; left--)
        changeOne()
      if (faults.controls && chance.isHit(0.5)) control()
      if (faults.resends && chance.isHit(0.15)) for (const one of sent.slice(-chance.whole(1, 6))) put(one)
      if (faults.reloads && chance.isHit(0.15))
        for (const [each, state] of [...there]) change('load', each, state)
    },
  }
}
