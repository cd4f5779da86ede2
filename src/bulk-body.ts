/**
 * The body of a bulk request, written action by action into a buffer that is used over and over: to join the texts of
 * thousands of actions and encode them anew costs more than all else here.
 */
import { actionLine } from './core/batch.ts'
import type { Write } from './core/document.ts'
import { VERSION_BYTES_MAX, type Version, versionText, writeVersion } from './core/version.ts'

export type RequestBody = {
  /** @returns false when the action does not fit any more; the first one always does */
  add(action: Version & { write: Write }): boolean
  text(): Buffer
  buffer(): Buffer
}

const NEWLINE = 0x0a
const QUOTE = 0x22
const BACKSLASH = 0x5c
/** UTF-8 takes at most three bytes for a UTF-16 unit. */
const BYTES_MAX_OF_UNIT = 3
/** Indices whose lines are remembered. */
const HEADS_MAX = 1000

/** What stands in the line of a usual action around its index, id and version; `actionLine` is the rule. */
const BEFORE_VERSION = Buffer.from('","version":"')
const AFTER_VERSION = Buffer.from('","version_type":"external"}}\n')
const AROUND_VERSION_BYTES = BEFORE_VERSION.length + AFTER_VERSION.length

/** The beginnings of lines up to the id, of one kind of action, by index; and the one met last: mostly it is the next. */
function lineHeads(kind: Write['kind']): (index: string) => Uint8Array {
  const known = new Map<string, Uint8Array>()
  let lastIndex: string | undefined
  let last: Uint8Array = new Uint8Array()
  return index => {
    if (index === lastIndex) return last
    const found = known.get(index) ?? Buffer.from(`{"${kind}":{"_index":${JSON.stringify(index)},"_id":"`)
    if (known.size >= HEADS_MAX) known.clear()
    known.set(index, found)
    lastIndex = index
    last = found
    return found
  }
}

const headOf = { index: lineHeads('index'), delete: lineHeads('delete') }

/** Whether a text stands for itself in JSON and in UTF-8. */
function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit < 0x20 || unit > 0x7e || unit === QUOTE || unit === BACKSLASH) return false
  }
  return true
}

// Byte by byte: for so few a call into the engine costs more.
function writeAscii(text: string, target: Buffer, at: number): number {
  for (let n = 0; n < text.length; n++) target[at + n] = text.charCodeAt(n)
  return at + text.length
}

function writeBytes(bytes: Uint8Array, target: Buffer, at: number): number {
  for (let n = 0; n < bytes.length; n++) target[at + n] = bytes[n]!
  return at + bytes.length
}

/** Records come as Buffers, whose own copy makes no view. */
function writePart(bytes: Uint8Array, start: number, end: number, target: Buffer, at: number): number {
  if (Buffer.isBuffer(bytes)) bytes.copy(target, at, start, end)
  else target.set(bytes.subarray(start, end), at)
  return at + end - start
}

/** @param given for the body; one of its own is made where an action alone is larger */
export function requestBody(given: Buffer, bytesMax: number): RequestBody {
  let buffer = given
  let end = 0

  /** Makes room. @returns false when there is to be none */
  function fits(bytes: number): boolean {
    if (end > 0 && end + bytes > bytesMax) return false
    if (end + bytes > buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end + bytes, 2 * buffer.length))
      buffer.copy(larger, 0, 0, end)
      buffer = larger
    }
    return true
  }

  return {
    add(action) {
      const { write } = action
      const { kind, index, id, routing, bytes } = write
      const document = write.document ?? ''
      // 0 where it is text.
      const rowBytes = write.end - write.start
      const head = headOf[kind](index)
      const isUsual = routing === undefined && isPlain(id)
      const line = isUsual ? '' : actionLine(write, versionText(action))
      const usualMost = head.length + id.length + AROUND_VERSION_BYTES + VERSION_BYTES_MAX
      const lineMost = isUsual ? usualMost : line.length * BYTES_MAX_OF_UNIT
      if (
        end + lineMost + document.length * BYTES_MAX_OF_UNIT + rowBytes + 1 >
        Math.min(bytesMax, buffer.length)
      ) {
        // Near the end it is worth knowing exactly.
        const lineBytes = isUsual
          ? usualMost - VERSION_BYTES_MAX + versionText(action).length
          : Buffer.byteLength(line)
        if (!fits(lineBytes + Buffer.byteLength(document) + rowBytes + 1)) return false
      }
      if (isUsual) {
        end = writeBytes(head, buffer, end)
        end = writeAscii(id, buffer, end)
        end = writeBytes(BEFORE_VERSION, buffer, end)
        end = writeVersion(action, buffer, end)
        end = writeBytes(AFTER_VERSION, buffer, end)
      } else end += buffer.write(line, end)
      if (kind === 'delete') return true
      if (bytes) end = writePart(bytes, write.start, write.end, buffer, end)
      else end += buffer.write(document, end)
      buffer[end++] = NEWLINE
      return true
    },
    text: () => buffer.subarray(0, end),
    // One that had to grow would stay large for ever.
    buffer: () => given,
  }
}
