/** An action as the lines of a bulk request, for what is sent by hand. */
import { actionLine } from '../../src/core/batch.ts'
import { documentOf } from '../../src/core/document.ts'
import { type GivenWrite, writeOf } from './write.ts'

/** The two lines of an action (one for a delete), each with its line end. */
export function actionText(given: GivenWrite, version: string): string {
  const write = writeOf(given)
  const line = actionLine(write, version)
  return write.kind === 'index' ? `${line}${documentOf(write)}\n` : line
}
