/** Bulk requests and their answers as text: taken apart, and put together again. */

export type Action = {
  kind: 'index' | 'delete'
  index: string
  id: string
  version: bigint
  /** As it was sent; undefined for a delete. */
  document: string | undefined
  /** Its lines, each with its line end. */
  text: string
}

/** One entry of an answer's `items`, by its kind. */
export type Item = Record<string, { status: number; error?: { type: string; reason: string } }>

type ActionLine = Partial<Record<'index' | 'delete', { _index: string; _id: string; version: string }>>

/** @throws where the text is no bulk request, or an action has no version */
export function actionsOf(body: string): Action[] {
  const lines = body.split('\n')
  if (lines.pop() !== '') throw new Error('a bulk request ends with a line end')
  const actions: Action[] = []
  for (let at = 0; at < lines.length; ) {
    const line = lines[at++]!
    const parsed = JSON.parse(line) as ActionLine
    const kind = parsed.index ? 'index' : 'delete'
    const target = parsed[kind]
    if (!target) throw new Error(`an action that is neither index nor delete: ${line}`)
    const document = kind === 'index' ? lines[at++] : undefined
    const text = document === undefined ? `${line}\n` : `${line}\n${document}\n`
    actions.push({
      kind,
      index: target._index,
      id: target._id,
      version: BigInt(target.version),
      document,
      text,
    })
  }
  return actions
}

/** As OpenSearch writes it under the `filter_path` of this service. */
export function answerText(items: readonly Item[]): string {
  const errors = items.some(item => Object.values(item)[0]!.error !== undefined)
  return JSON.stringify({ errors, items })
}

export function itemsOf(answer: string): Item[] {
  return (JSON.parse(answer) as { items: Item[] }).items
}

/** The answer to a request that is refused as a whole. */
export function refusalText(status: number, type: string): string {
  const error = { type, reason: 'told by a proxy' }
  return JSON.stringify({ error: { root_cause: [error], ...error }, status })
}
