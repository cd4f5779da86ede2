/**
 * Documents that OpenSearch refuses whatever the mapping says; the service leaves them to its answer for the one item.
 * That it does so is asked of a real one in test/clients/search.parts.test.ts.
 */

const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],]/gs

/** @param document proved JSON @returns why it would be refused; undefined when it would be taken */
export function refusalOf(document: string): string | undefined {
  /** Names of each open object; undefined for an array. */
  const open: (Set<string> | undefined)[] = []
  let isNameNext = false
  for (const { 0: token } of document.matchAll(TOKENS)) {
    const names = open.at(-1)
    if (token === '{') {
      open.push(new Set())
      isNameNext = true
    } else if (token === '[') {
      open.push(undefined)
      isNameNext = false
    } else if (token === '}' || token === ']') {
      open.pop()
      isNameNext = false
    } else if (token === ',') isNameNext = names !== undefined
    else if (isNameNext && names) {
      const name = JSON.parse(token) as string
      if (names.has(name)) return `two members of the name ${token}`
      names.add(name)
      isNameNext = false
    }
  }
  return undefined
}
