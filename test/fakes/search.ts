/** An index in memory with external versions and tombstones. It answers the contract test of the real one. */
import type { BulkAnswer, Item } from '../../src/core/outcome.ts'

type Stored = { version: bigint; document: string | undefined }

export function fakeSearch() {
  const documents = new Map<string, Stored>()
  const requests: string[][] = []

  function apply(kind: 'index' | 'delete', key: string, version: bigint, document: string | undefined): Item {
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
    /** `index/id` -> the document's text, for those that are there. */
    found: () =>
      new Map(
        [...documents].flatMap(([key, { document }]) => (document === undefined ? [] : [[key, document]])),
      ),
    async bulk(body: string): Promise<BulkAnswer> {
      const lines = body.trimEnd().split('\n')
      const items: Item[] = []
      const seen: string[] = []
      for (let at = 0; at < lines.length; at++) {
        const [kind, action] = Object.entries(JSON.parse(lines[at]!))[0] as [
          'index' | 'delete',
          Record<string, string>,
        ]
        const key = `${action._index}/${action._id}`
        seen.push(`${kind} ${key}`)
        items.push(apply(kind, key, BigInt(action.version!), kind === 'index' ? lines[++at] : undefined))
      }
      requests.push(seen)
      return { kind: 'items', items }
    },
  }
}

/** What the mapping of the contract test refuses: `n` is a number there. */
function isRefused(document: string): boolean {
  const { n } = JSON.parse(document) as { n?: unknown }
  return n !== undefined && typeof n !== 'number'
}
