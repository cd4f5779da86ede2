/** Actions -> the text of a bulk request. */
import type { Write } from './document.ts'

/** OpenSearch: 100 MiB on most instances, 10 MiB on small ones; 5 MB is where AWS's guidance stops gaining. */
export type BatchLimits = { bytesMax: number; actionsMax: number }

/** The two lines of an action (one for a delete), each with its line end. Ids and names are escaped as JSON. */
export function actionText(write: Write, version: string): string {
  const { kind, index, id, routing, document } = write
  const route = routing === undefined ? '' : `,"routing":${quoted(routing)}`
  const line = `{"${kind}":{"_index":${quoted(index)},"_id":${quoted(id)}${route},"version":"${version}","version_type":"external"}}\n`
  return kind === 'index' ? `${line}${document}\n` : line
}

/** Most ids and names have nothing to escape, and JSON.stringify costs more than to see that. */
function quoted(text: string): string {
  return /^[\w.:-]*$/.test(text) ? `"${text}"` : JSON.stringify(text)
}
