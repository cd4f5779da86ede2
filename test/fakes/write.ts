/** A write as a test names it: what it does not say is not there. */
import type { Write } from '../../src/core/document.ts'

export type GivenWrite = Pick<Write, 'kind' | 'index' | 'id'> & Partial<Write>

export function writeOf(given: GivenWrite): Write {
  return { document: undefined, bytes: undefined, start: 0, end: 0, keep: undefined, ...given }
}
