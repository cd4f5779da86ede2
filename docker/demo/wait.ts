/** Waiting. Every wait has a deadline and ends at once with the signal's own reason; a wait in vain says where to look. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Child } from '../local/parts.ts'

/** Something did not happen or did not come out as it must. Print the message, exit 1. */
export class DemoError extends Error {}

/** Something that cannot call back: look, sleep a little, look again. */
type Wait<T> = {
  /** Completes "waited 60 s for ...". */
  what: string
  /** Where to look when it does not come. */
  see: string
  deadlineMs: number
  signal: AbortSignal
  /** Anything but undefined and false ends the wait. */
  look: () => Promise<T | undefined | false> | T | undefined | false
  everyMs?: number
}

/** @throws DemoError at the deadline; the signal's reason when it comes first */
export async function waitFor<T>({
  what,
  see,
  deadlineMs,
  signal,
  look,
  everyMs = 100,
}: Wait<T>): Promise<T> {
  const giveUpAt = performance.now() + deadlineMs
  for (;;) {
    signal.throwIfAborted()
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (performance.now() > giveUpAt)
      throw new DemoError(`waited ${deadlineMs / 1000} s for ${what}. See ${see}`)
    await pause(everyMs, signal)
  }
}

/** Sleeps, and throws the signal's own reason, not a general AbortError. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted())
}

/**
 * The first of a child's lines, past or to come, that `read` makes something of.
 *
 * @param what completes "worker-1 did not say ..."
 * @throws DemoError with the child's last lines when it ends first or the deadline passes
 */
export async function heard<T>(
  child: Child,
  read: (line: string) => T | undefined,
  { what, deadlineMs, signal }: { what: string; deadlineMs: number; signal: AbortSignal },
): Promise<T> {
  const line = child
    .line(text => read(text) !== undefined, deadlineMs)
    .catch(cause => {
      throw new DemoError(`${child.name} did not say ${what}. ${(cause as Error).message}`, { cause })
    })
  return read(await orAborted(line, signal))!
}

/** The promise, unless the signal comes first. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
