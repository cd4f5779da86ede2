/**
 * Ports for the parts.
 *
 * Rule: ports are taken from below the range the system uses for outgoing connections (from 32768 on Linux, 49152 on macOS). A client
 * that keeps knocking while its part is stopped would otherwise one day be given that very port as its own and keep the part from it.
 */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { knownInstances, readState } from './state.ts'

const FIRST = 20_000
const LAST = 29_999
const ATTEMPTS = 200

/** So many different free ports, none of them another instance's (one of its parts may be stopped for a moment). */
export async function freePorts(count: number): Promise<number[]> {
  const taken = new Set(
    knownInstances().flatMap(instance =>
      Object.values(readState(instance)?.running?.ports ?? {}).flatMap(ports => Object.values(ports)),
    ),
  )
  const found: number[] = []
  for (let attempt = 0; attempt < ATTEMPTS && found.length < count; attempt++) {
    const port = randomInt(FIRST, LAST + 1)
    if (taken.has(port) || !(await isFree(port))) continue
    taken.add(port)
    found.push(port)
  }
  if (found.length < count) throw new Error(`no ${count} free ports found between ${FIRST} and ${LAST}`)
  return found
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    // On all interfaces, as two of the parts will listen.
    server.listen({ port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
