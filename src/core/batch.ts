/** Actions -> the text of a bulk request. */
import type { Write } from './document.ts'
import type { Place } from './letter.ts'

/** The first line of an action, with its line end; an index's document follows on the next. Ids and names are escaped as JSON. */
export function actionLine(
  { kind, index, id, routing }: Pick<Write, 'kind' | keyof Place>,
  version: string,
): string {
  const route = routing === undefined ? '' : `,"routing":${quoted(routing)}`
  return `{"${kind}":{"_index":${quoted(index)},"_id":${quoted(id)}${route},"version":"${version}","version_type":"external"}}\n`
}

/** Most ids and names have nothing to escape, and JSON.stringify costs more than to see that. */
function quoted(text: string): string {
  return /^[\w.:-]*$/.test(text) ? `"${text}"` : JSON.stringify(text)
}
