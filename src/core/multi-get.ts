/** The answer to a multi-get, as text: a document's numbers must not pass a double. */
import { elementsOf, find, objectOf, onOneLine, stringOf, tokenAt } from './json-text.ts'

/** A document that could not be read because its index is closed, blocked or has no shard. */
export class DocumentUnreadable extends Error {
  readonly type: string

  constructor(type: string) {
    super(`OpenSearch could not read a document: ${type}`)
    this.type = type
  }
}

/**
 * @param text of the whole answer
 * @param count of the documents asked for
 * @returns the source of each, in the order asked for; undefined for one that is not there, or whose index is not
 * @throws DocumentUnreadable; Error when the answer is another
 */
export function sourcesOf(text: string, count: number): (string | undefined)[] {
  const docs = memberOf(text, 'docs')
  const elements = docs?.startsWith('[') ? elementsOf(docs) : []
  if (elements.length !== count)
    throw new Error(`expected ${count} documents in the answer to a multi-get, found ${elements.length}`)
  return elements.map(element => {
    const error = memberOf(element, 'error')
    const type = error?.startsWith('{') ? stringOf(error, objectOf(error).members, 'type') : error
    if (type !== undefined && type !== 'index_not_found_exception') throw new DocumentUnreadable(type)
    const source = memberOf(element, 'found') === 'true' ? memberOf(element, '_source') : undefined
    // Another writer's document may have line breaks; its values go into a line of a bulk body.
    return source && onOneLine(source)
  })
}

function memberOf(text: string, name: string): string | undefined {
  const { members } = objectOf(text)
  const at = find(text, members, name)
  return at < 0 ? undefined : tokenAt(text, members, at)
}
