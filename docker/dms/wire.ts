/**
 * JSON text in the two layouts DMS writes, byte for byte.
 *
 * `json` is what the C library cJSON prints: a newline after `{`, one tab a level, a tab after each colon, no newline at the
 * end. `json-unformatted` has no white space at all and a newline at the end. Both leave `/` and everything beyond ASCII as
 * it is: letters and emoji travel as raw UTF-8.
 */

export type MessageFormat = 'json' | 'json-unformatted'

/**
 * `literal` is JSON text taken as it is (numbers, true, null). A `string` may be bytes that are not valid UTF-8: a LOB cut
 * in the middle of a character.
 */
export type JsonNode =
  | { literal: string }
  | { string: string | Buffer }
  | { list: JsonNode[] }
  | { members: [name: string, value: JsonNode][] }

export const jsonNull: JsonNode = { literal: 'null' }

/** The bytes of one record. */
export function writeRecord(node: JsonNode, format: MessageFormat): Buffer {
  const pieces: (string | Buffer)[] = []
  write(node, format === 'json', 1, pieces)
  if (format === 'json-unformatted') pieces.push('\n')
  if (pieces.every(piece => typeof piece === 'string')) return Buffer.from(pieces.join(''))
  return Buffer.concat(pieces.map(piece => (typeof piece === 'string' ? Buffer.from(piece) : piece)))
}

function write(node: JsonNode, isTabbed: boolean, depth: number, pieces: (string | Buffer)[]): void {
  if ('literal' in node) {
    pieces.push(node.literal)
  } else if ('string' in node) {
    writeString(node.string, pieces)
  } else if ('list' in node) {
    pieces.push('[')
    for (const [index, item] of node.list.entries()) {
      if (index > 0) pieces.push(isTabbed ? ', ' : ',')
      write(item, isTabbed, depth + 1, pieces)
    }
    pieces.push(']')
  } else {
    const indent = '\t'.repeat(depth)
    pieces.push(isTabbed ? '{\n' : '{')
    for (const [index, [name, value]] of node.members.entries()) {
      if (isTabbed) pieces.push(indent)
      writeString(name, pieces)
      pieces.push(isTabbed ? ':\t' : ':')
      write(value, isTabbed, depth + 1, pieces)
      if (index < node.members.length - 1) pieces.push(',')
      if (isTabbed) pieces.push('\n')
    }
    pieces.push(isTabbed ? `${indent.slice(1)}}` : '}')
  }
}

function writeString(value: string | Buffer, pieces: (string | Buffer)[]): void {
  if (typeof value === 'string') {
    pieces.push(`"${escapeText(value)}"`)
    return
  }
  // Every byte that needs escaping is ASCII, and no byte of a longer character is: as latin1 each byte stays one character.
  pieces.push('"', Buffer.from(escapeText(value.toString('latin1')), 'latin1'), '"')
}

const shortEscapes: Record<string, string> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

// JSON.stringify would also escape lone surrogates and leaves nothing to choose; cJSON escapes these and no others.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for
const needsEscape = /["\\\u0000-\u001f]/g

function escapeText(text: string): string {
  return text.replace(
    needsEscape,
    character => shortEscapes[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
