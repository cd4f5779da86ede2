/**
 * Columns an update says nothing of (unchanged TOAST): where their values come from.
 *
 * The writes of a batch are walked oldest to newest. A value carries forward over updates without one; a delete forgets it;
 * an insert or a load says NULL and means it. Only where nothing is carried is a document read, as it was before the batch:
 * nothing of the batch has been sent then, and no other write of these documents is in flight.
 *
 * At a key change the row goes on under another id, so it is the old document that is carried from or read; the new id is
 * read first, because on a replay the old one is gone and the new one has the value. A replay that has to delete the new
 * document first cannot tell: such a record also needs a dead letter for the new id, settled by the source's row.
 */
import { documentOf, type Write, withDocument } from './document.ts'
import { find, objectOf, tokenAt, withChanges } from './json-text.ts'
import type { Place } from './letter.ts'
import { documentAt, type Op, type Page, unsettledWrites } from './page.ts'
import { isBelow } from './version.ts'

/** What an update still lacks: columns, and the documents to look for them in, first to last. */
type Lack = { columns: readonly string[]; readings: readonly Place[] }

/** The newest state of each document that the batch has touched. */
type States = Map<number | undefined, Op | 'deleted'>

export type Folded = {
  /** Updates whose columns have to be read. */
  lacking: Map<Op, Lack>
  /** The documents to read, each once. */
  readings: Place[]
  /** Those of them whose key changed: each needs a letter for its new id. */
  moved: Op[]
}

/** Names a document in a map. The name of an index has no line end. */
export function documentKey({ index, id }: Place): string {
  return `${index}\n${id}`
}

/** Carries values within the batch, into the documents of its writes; while its records are being added. */
export function foldKept(page: Page): Folded {
  const lacking = new Map<Op, Lack>()
  const states: States = new Map()
  const ops = page.keeps === 0 ? [] : unsettledWrites(page).sort(byAge)
  for (const op of ops) {
    const lack = op.write.keep && carried(page, op, states, lacking)
    if (lack && lack.columns.length > 0 && lack.readings.length > 0) lacking.set(op, lack)
    states.set(op.document, op.write.kind === 'delete' ? 'deleted' : op)
  }
  const readings = new Map<string, Place>()
  for (const lack of lacking.values())
    for (const place of lack.readings) readings.set(documentKey(place), place)
  return {
    lacking,
    readings: [...readings.values()],
    moved: [...lacking.keys()].filter(op => op.write.keep!.movedFrom !== undefined),
  }
}

/** Stream order; of one record the new half of a key change before the old. */
function byAge(a: Op, b: Op): number {
  if (a.fence !== b.fence || a.ordinal !== b.ordinal) return isBelow(a, b) ? -1 : 1
  if (a.record !== b.record) return a.record - b.record
  return a.write.kind === b.write.kind ? 0 : a.write.kind === 'index' ? -1 : 1
}

function carried(page: Page, op: Op, states: States, lacking: ReadonlyMap<Op, Lack>): Lack {
  const { columns, movedFrom } = op.write.keep!
  const { index, id, routing } = op.write
  const here: Place = { index, id, routing }
  const own = states.get(op.document)
  const before = movedFrom ? states.get(documentAt(page, movedFrom)) : own
  const first = movedFrom && own === undefined ? [here] : []
  if (before === 'deleted') return { columns, readings: first }
  if (before === undefined) return { columns, readings: [...first, movedFrom ?? here] }
  const inherited = lacking.get(before)
  op.write = filledWith(op.write, columns, documentOf(before.write))
  return {
    columns: columns.filter(column => inherited?.columns.includes(column)),
    readings: [...first, ...(inherited?.readings ?? [])],
  }
}

/**
 * Puts what was read into the documents of an index; a row and the document it moved from are in the same one.
 *
 * @param folded no longer lacks or reads anything of this index afterwards
 * @param read the text of each document that was found, by `documentKey` of its place
 * @returns the updates that found none: their columns stay without a value, which only the source's row can give them
 */
export function fillKept(folded: Folded, index: string, read: ReadonlyMap<string, string>): Op[] {
  const unknown: Op[] = []
  for (const [op, { columns, readings }] of folded.lacking) {
    if (op.write.index !== index) continue
    folded.lacking.delete(op)
    const found = readings.map(place => read.get(documentKey(place))).find(text => text !== undefined)
    if (found === undefined) unknown.push(op)
    else op.write = filledWith(op.write, columns, found)
  }
  folded.readings = folded.readings.filter(place => place.index !== index)
  return unknown
}

function filledWith(write: Write, columns: readonly string[], source: string): Write {
  return withDocument(write, withKept(documentOf(write), columns, source))
}

/** The document with the columns' values from another state of its row; those that one does not have stay as they are. */
export function withKept(document: string, columns: readonly string[], source: string): string {
  const from = objectOf(source)
  const into = objectOf(document)
  const changes = new Map<number, string>()
  let added = ''
  for (const column of columns) {
    const at = find(source, from.members, column)
    const token = at < 0 ? 'null' : tokenAt(source, from.members, at)
    if (token === 'null') continue
    const place = find(document, into.members, column)
    if (place >= 0) changes.set(place, token)
    else added += `,${JSON.stringify(column)}:${token}`
  }
  const changed = withChanges(document, into, changes)
  if (added === '') return changed
  const isEmpty = into.members.length === 0
  return `${changed.slice(0, changed.lastIndexOf('}'))}${isEmpty ? added.slice(1) : added}}`
}
