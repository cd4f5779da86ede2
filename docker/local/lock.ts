/**
 * A lock that is a file, for work only one process at a time may do: a download, the claim on an instance.
 *
 * Rule: a lock never outlives its holder. The file names the process that holds it; a holder that is dead is pushed aside.
 */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { identityOf, isRunning, type ProcessIdentity } from './process-identity.ts'

const POLL_MS = 100

/**
 * Runs `work` while holding the lock at `path`, waiting for its turn as long as `signal` allows.
 *
 * @param onWait is told once which process is in the way
 */
export async function withLock<T>(
  path: string,
  options: { signal: AbortSignal; onWait?: (holder: ProcessIdentity) => void },
  work: () => Promise<T>,
): Promise<T> {
  let hasWaited = false
  mkdirSync(dirname(path), { recursive: true })
  for (;;) {
    options.signal.throwIfAborted()
    if (tryLock(path)) break
    const holder = liveHolder(path)
    if (holder === undefined) continue
    if (!hasWaited) options.onWait?.(holder)
    hasWaited = true
    await sleep(POLL_MS, undefined, { signal: options.signal })
  }
  try {
    return await work()
  } finally {
    rmSync(path, { force: true })
  }
}

function tryLock(path: string): boolean {
  // The content is written first and linked into place, so that nobody ever reads a lock without its holder.
  const written = `${path}.${process.pid}`
  writeFileSync(written, JSON.stringify(identityOf(process.pid)))
  try {
    linkSync(written, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(written, { force: true })
  }
}

/** The process that holds the lock; undefined when it is free, after a dead holder's file was taken away. */
function liveHolder(path: string): ProcessIdentity | undefined {
  try {
    const seen = statSync(path).ino
    const holder = JSON.parse(readFileSync(path, 'utf8')) as ProcessIdentity
    if (isRunning(holder)) return holder
    // Two waiters may find the same dead holder. The rename gives the file to one of them; if it caught a newer lock, it gives it back.
    const aside = `${path}.dead.${process.pid}`
    renameSync(path, aside)
    if (statSync(aside).ino !== seen) linkSync(aside, path)
    rmSync(aside, { force: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  return undefined
}
