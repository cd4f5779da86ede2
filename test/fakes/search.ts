/** An index in memory with external versions and tombstones. It answers the contract test of the real one. */
import { DocumentUnreadable } from '../../src/core/multi-get.ts'
import type { BulkAnswer, Item } from '../../src/core/outcome.ts'

type Stored = { version: bigint; document: string | undefined }

export function fakeSearch() {
  const documents = new Map<string, Stored>()
  const requests: string[][] = []
  /** Index -> what is answered to each write of it. */
  const blocked = new Map<string, Item>()

  function apply(kind: 'index' | 'delete', key: string, version: bigint, document: string | undefined): Item {
    const block = blocked.get(key.slice(0, key.indexOf('/')))
    if (block) return block
    const found = documents.get(key)
    if (found && found.version >= version) {
      const reason = `[x]: version conflict, current version [${found.version}] is higher or equal to the one provided [${version}]`
      return { status: 409, error: { type: 'version_conflict_engine_exception', reason } }
    }
    const wasThere = found?.document !== undefined
    if (kind === 'index' && isRefused(document!))
      return { status: 400, error: { type: 'mapper_parsing_exception' } }
    documents.set(key, { version, document })
    return { status: kind === 'delete' ? (wasThere ? 200 : 404) : wasThere ? 200 : 201 }
  }

  return {
    requests,
    blocked,
    /** `index/id` -> the document's text, for those that are there. */
    found: () =>
      new Map(
        [...documents].flatMap(([key, { document }]) => (document === undefined ? [] : [[key, document]])),
      ),
    apply,
    async documents(places: readonly { index: string; id: string }[]): Promise<(string | undefined)[]> {
      const closed = places.find(({ index }) => blocked.get(index)?.error?.type === 'index_closed_exception')
      if (closed) throw new DocumentUnreadable('index_closed_exception')
      return places.map(({ index, id }) => documents.get(`${index}/${id}`)?.document)
    },
    async bulk(body: string | Buffer): Promise<BulkAnswer> {
      const actions = actionsOf(String(body))
      requests.push(actions.map(({ kind, key }) => `${kind} ${key}`))
      const items = actions.map(({ kind, key, version, document }) => apply(kind, key, version, document))
      return items.some(({ error }) => error)
        ? { kind: 'items', items }
        : { kind: 'done', count: items.length }
    },
  }
}

export type BulkAction = {
  kind: 'index' | 'delete'
  /** `index/id` */
  key: string
  version: bigint
  document: string | undefined
}

export function actionsOf(body: string): BulkAction[] {
  const lines = body.trimEnd().split('\n')
  const actions: BulkAction[] = []
  for (let at = 0; at < lines.length; at++) {
    const [kind, action] = Object.entries(JSON.parse(lines[at]!))[0] as [
      'index' | 'delete',
      Record<string, string>,
    ]
    actions.push({
      kind,
      key: `${action._index}/${action._id}`,
      version: BigInt(action.version!),
      document: kind === 'index' ? lines[++at] : undefined,
    })
  }
  return actions
}

/** What OpenSearch refuses: a member twice, and what the mapping of the contract test does not take. */
function isRefused(document: string): boolean {
  const row = JSON.parse(document) as { n?: unknown; j?: unknown }
  const isNumber = row.n === undefined || typeof row.n === 'number'
  const isJson = [row.j].flat().every(value => value === undefined || typeof value === 'object')
  return !isNumber || !isJson || hasMemberTwice(document, row)
}

/** @param row the document's value: where it prints as it came, nothing was dropped from it */
function hasMemberTwice(document: string, row: object): boolean {
  if (JSON.stringify(row) === document) return false
  const names: Set<string>[] = []
  for (const [token, name] of document.matchAll(
    /("[^"\\]*(?:\\.[^"\\]*)*")\s*:|"[^"\\]*(?:\\.[^"\\]*)*"|[{}]/gs,
  )) {
    if (token === '{') names.push(new Set())
    else if (token === '}') names.pop()
    else if (name !== undefined) {
      const known = names.at(-1)!
      const text = JSON.parse(name) as string
      if (known.has(text)) return true
      known.add(text)
    }
  }
  return false
}
