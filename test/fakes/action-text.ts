/** An action as the lines of a bulk request, for what is sent by hand. */
import { actionLine } from '../../src/core/batch.ts'
import { documentOf, type Write } from '../../src/core/document.ts'

/** The two lines of an action (one for a delete), each with its line end. */
export function actionText(write: Write, version: string): string {
  const line = actionLine(write, version)
  return write.kind === 'index' ? `${line}${documentOf(write)}\n` : line
}
