/**
 * JSON read as text, so that every digit stays what it was.
 *
 * `JSON.parse` makes a double of each number, and two documents that differ in the twentieth digit become equal. Here
 * a value is a piece of the text; numbers are compared by their characters, strings by what they say, and blanks
 * between tokens by nothing. The order of members counts.
 */

/** What stands between tokens: the four blanks of RFC 8259. */
const blanks = /[ \t\n\r]*/y
// Unrolled, so that a string of a megabyte takes one step for each escape and not one for each character.
const string = /"[^"\\]*(?:\\.[^"\\]*)*"/sy
const word = /[-+.0-9A-Za-z]+/y

function match(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : -1
}

function afterBlanks(text: string, at: number): number {
  return match(blanks, text, at)
}

/** The end of the token that starts at `at`: a string, a number, a name, or one of `{}[]:,`. */
function tokenEnd(text: string, at: number): number {
  const first = text.charAt(at)
  const end =
    first === '"' ? match(string, text, at) : '{}[]:,'.includes(first) ? at + 1 : match(word, text, at)
  if (first === '' || end < 0) throw new SyntaxError(`not JSON at character ${at} of ${text.length}`)
  return end
}

/** The end of the value that starts at `at`. A loop, not a recursion: depth costs nothing. */
function valueEnd(text: string, at: number): number {
  let depth = 0
  for (let i = at; ; i = afterBlanks(text, i)) {
    const first = text.charAt(i)
    i = tokenEnd(text, i)
    if (first === '{' || first === '[') depth++
    if (first === '}' || first === ']') depth--
    if (depth === 0) return i
  }
}

/** The members of an object, each value as its own text, in the order written. */
export function membersOf(text: string): Map<string, string> {
  const members = new Map<string, string>()
  let i = opened(text, '{')
  while (text.charAt(i) !== '}') {
    const nameEnd = tokenEnd(text, i)
    const name = JSON.parse(text.slice(i, nameEnd)) as string
    const colon = afterBlanks(text, nameEnd)
    const start = afterBlanks(text, colon + 1)
    const end = valueEnd(text, start)
    members.set(name, text.slice(start, end))
    i = afterComma(text, end)
  }
  return members
}

/** The elements of an array, each as its own text. */
export function elementsOf(text: string): string[] {
  const elements: string[] = []
  let i = opened(text, '[')
  while (text.charAt(i) !== ']') {
    const end = valueEnd(text, i)
    elements.push(text.slice(i, end))
    i = afterComma(text, end)
  }
  return elements
}

function opened(text: string, bracket: string): number {
  const start = afterBlanks(text, 0)
  if (text.charAt(start) !== bracket) throw new SyntaxError(`expected ${bracket} at character ${start}`)
  return afterBlanks(text, start + 1)
}

function afterComma(text: string, end: number): number {
  const i = afterBlanks(text, end)
  return text.charAt(i) === ',' ? afterBlanks(text, i + 1) : i
}

/**
 * One text for all ways to write the same document: no blanks, strings escaped one way, numbers digit for digit
 * (`1.50` and `1.5` stay different, for a NUMERIC column they are).
 */
export function canonical(text: string): string {
  const tokens: string[] = []
  for (let i = afterBlanks(text, 0); i < text.length; ) {
    const end = tokenEnd(text, i)
    const token = text.slice(i, end)
    tokens.push(token.startsWith('"') ? JSON.stringify(JSON.parse(token)) : token)
    i = afterBlanks(text, end)
  }
  return tokens.join('')
}
