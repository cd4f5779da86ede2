/** Actions -> the text of a bulk request. */
import type { Write } from './document.ts'

/** OpenSearch: 100 MiB on most instances, 10 MiB on small ones; 5 MB is where AWS's guidance stops gaining. */
export type BatchLimits = { bytesMax: number; actionsMax: number }

/** The two lines of an action (one for a delete), each with its line end. Ids and names are escaped as JSON. */
export function actionText(write: Write, version: string): string {
  const line = `{"${write.kind}":{"_index":${JSON.stringify(write.index)},"_id":${JSON.stringify(write.id)},"version":"${version}","version_type":"external"}}\n`
  return write.kind === 'index' ? `${line}${write.document}\n` : line
}
