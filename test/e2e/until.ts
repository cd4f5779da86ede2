/** Waiting for a named moment. Each wait has a deadline, and one in vain says what it waited for and what was seen last. */
import { setTimeout as pause } from 'node:timers/promises'

const LOOK_EVERY_MS = 50

/**
 * @param what completes "waited 20 s for ..."
 * @param look anything but undefined and false ends the wait; what it throws passes through
 * @param seen is asked at the deadline
 */
export async function until<Found>(
  what: string,
  look: () => Promise<Found | undefined | false> | Found | undefined | false,
  options: { deadlineMs?: number; seen?: () => string } = {},
): Promise<Found> {
  const { deadlineMs = 20_000, seen = () => '' } = options
  const giveUpAtMs = performance.now() + deadlineMs
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (performance.now() > giveUpAtMs)
      throw new Error(`waited ${deadlineMs / 1000} s for ${what}\n${seen()}`)
    await pause(LOOK_EVERY_MS)
  }
}
