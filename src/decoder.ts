/** The decoder with Node's own test of UTF-8. */
import { isUtf8 } from 'node:buffer'
import { type Decoded, decode } from './core/change.ts'

/** @param beforeImage the member of a record that holds the before-image */
export function decoder(beforeImage: string): (bytes: Uint8Array) => Decoded {
  return bytes => decode(bytes, beforeImage, isUtf8)
}
