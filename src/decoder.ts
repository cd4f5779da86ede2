/** The decoder with Node's own test of UTF-8, which makes no text of it. */
import { isUtf8 } from 'node:buffer'
import { type Decode, decodeUtf8 } from './core/change.ts'

/** @param beforeImage the member of a record that holds the before-image */
export function decoder(beforeImage: string): Decode {
  return (bytes, start = 0, end = bytes.length, isKnownUtf8 = false) =>
    isKnownUtf8 || isUtf8(bytes.subarray(start, end))
      ? decodeUtf8(bytes, start, end, beforeImage)
      : { kind: 'unreadable', reason: 'not-utf8' }
}
