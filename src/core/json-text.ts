/**
 * JSON as text: where the members of an object stand, how deep it goes, how it looks on one line.
 *
 * A document is the row's own text, so nothing here builds values: a number stays the digits it came with.
 * Every function but `looksBounded` asks for text that `JSON.parse` has accepted; on other text the answer is
 * meaningless, never an endless loop. All loops are iterative, so depth costs no stack.
 */

/** A member of an object: its name, and where its value stands in the text (`end` is exclusive). */
export type Member = { name: string; start: number; end: number }

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}

function isNumberPart(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    code === 0x2e ||
    code === 0x2d ||
    code === 0x2b ||
    code === 0x65 ||
    code === 0x45
  )
}

function afterSpace(text: string, at: number): number {
  while (at < text.length && isSpace(text.charCodeAt(at))) at++
  return at
}

/** @param at of the opening quote; the answer is behind the closing one */
function afterString(text: string, at: number): number {
  for (let i = at + 1; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === BACKSLASH) i++
    else if (code === QUOTE) return i + 1
  }
  return text.length
}

function afterValue(text: string, at: number): number {
  const first = text.charCodeAt(at)
  if (first === QUOTE) return afterString(text, at)
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) {
    let i = at
    for (; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || isSpace(code)) break
    }
    return i
  }
  let depth = 0
  for (let i = at; i < text.length; ) {
    const code = text.charCodeAt(i)
    if (code === QUOTE) {
      i = afterString(text, i)
      continue
    }
    i++
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth++
    else if ((code === CLOSE_BRACE || code === CLOSE_BRACKET) && --depth === 0) return i
  }
  return text.length
}

/**
 * The members of the object that begins at `at`, in wire order, duplicates included.
 *
 * @returns undefined when what stands there is not an object
 */
export function members(text: string, at = 0): Member[] | undefined {
  let i = afterSpace(text, at)
  if (text.charCodeAt(i) !== OPEN_BRACE) return undefined
  const found: Member[] = []
  i = afterSpace(text, i + 1)
  while (i < text.length && text.charCodeAt(i) === QUOTE) {
    const nameEnd = afterString(text, i)
    const name = stringAt(text, i, nameEnd)
    const start = afterSpace(text, afterSpace(text, nameEnd) + 1)
    const end = afterValue(text, start)
    found.push({ name, start, end })
    i = afterSpace(text, end)
    if (text.charCodeAt(i) !== COMMA) break
    i = afterSpace(text, i + 1)
  }
  return found
}

/** The string a JSON string token stands for. A token without a backslash is its own content. */
export function stringAt(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end - 1)
  return inner.includes('\\') ? (JSON.parse(text.slice(start, end)) as string) : inner
}

/**
 * Whether text keeps the two limits that protect OpenSearch: nesting (deep JSON ends a node with a stack overflow)
 * and the length of one number. Safe on any text, also on text that is not JSON.
 */
export function looksBounded(
  text: string,
  limits: { depthMax: number; numberLengthMax: number },
): 'ok' | 'too-deep' | 'number-too-long' {
  let depth = 0
  let digits = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === QUOTE) {
      i = afterString(text, i) - 1
      digits = 0
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      digits = 0
      if (++depth > limits.depthMax) return 'too-deep'
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      digits = 0
      depth--
    } else if (isNumberPart(code)) {
      if (++digits > limits.numberLengthMax) return 'number-too-long'
    } else digits = 0
  }
  return 'ok'
}

/** The same JSON on one line. Needed because a line break ends a document in a bulk body; inside strings none can stand. */
export function onOneLine(text: string): string {
  if (!/[\n\r\t]/.test(text)) return text
  let out = ''
  let from = 0
  for (let i = 0; i < text.length; ) {
    const code = text.charCodeAt(i)
    if (code === QUOTE) i = afterString(text, i)
    else if (isSpace(code)) {
      out += text.slice(from, i)
      i = afterSpace(text, i)
      from = i
    } else i++
  }
  return out + text.slice(from)
}
