/**
 * What each part says of itself: how it is fetched, started, asked whether it is ready, and stopped.
 *
 * Rule: ready means that it answered a real call, the kind its users will make; an open port is not enough.
 */
import type { Download } from './downloads.ts'
import type { Tools } from './requirements.ts'
import type { PartName } from './state.ts'

export type Place = {
  /** The part's own folder, which exists; emptied between runs unless data is kept. */
  dir: string
  /** One for each name in `portNames`. */
  ports: Record<string, number>
  tools: Tools
  keepData: boolean
  signal: AbortSignal
}

export type Part = {
  name: PartName
  downloads: Download[]
  /** The first is the one its users speak to. */
  portNames: string[]
  /** Writes what it needs into its folder (again, if it was started there before) and says how it is started. */
  prepare(place: Place): Promise<{ argv: string[]; env?: Record<string, string> }>
  /** One call, rejected when it is not ready, within a time limit of its own. */
  callOnce(place: Place): Promise<void>
  /** What ends it in order, and how long that may take before it is killed. */
  stop: { signal: NodeJS.Signals; graceMs: number }
}

/** Long enough to write and close files on a busy machine. */
export const GRACE_MS = 12_000

/** A part that is ready answers much sooner; one that is not may never. */
export const CALL_MS = 2_000

/** For throw-away Java servers: start quickly, stay small, no second compiler. */
export const QUICK_JAVA = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto']
