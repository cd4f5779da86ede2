/**
 * One shard from iterator to checkpoint.
 *
 * The promise: a checkpoint covers only records that are *settled*, all of them, in shard order: applied, superseded,
 * skipped by rule, or confirmed in the dead-letter queue. Shard end and shutdown obey the same rule. If the process dies
 * between a write and its checkpoint the records are read again, and their versions make the second time harmless.
 *
 * The next page is read while this one is written, never more than one ahead.
 */

import { sleepAfterFailure } from './back-off.ts'
import type { ChildShard } from './core/stream.ts'
import { ORDINAL_MAX } from './core/version.ts'
import { type PageWriterParts, type PageWriterSettings, pageWriter } from './page-writer.ts'
import { type ReaderParts, type ReaderSettings, type ReadPage, shardReader } from './shard-reader.ts'
import type { Tenure } from './tenure.ts'

export type ConsumerParts = Omit<ReaderParts, 'log' | 'metrics'> &
  Omit<PageWriterParts, 'metrics'> & {
    createChildren: (ending: string, children: readonly ChildShard[]) => Promise<void>
    metrics: PageWriterParts['metrics'] & {
      received: (shardId: string, records: number, bytes: number) => void
      behind: (shardId: string, seconds: number) => void
      /** The series of a shard live as long as its tenure; in flight is asked at each scrape. */
      watch: (
        shardId: string,
        ask: { inFlight: () => number; parked: () => number; checkpointAgeSeconds: () => number },
        fence: number,
      ) => () => void
      held: (shardId: string, reason: string | undefined) => void
      checkpointed: (shardId: string, outcome: 'ok' | 'lost') => void
    }
  }

export type ConsumerSettings = PageWriterSettings &
  ReaderSettings & {
    checkpointMs: number
    /** What to do when retention has passed the checkpoint: records may be missing, and nothing in the stream tells. */
    onTrimmed: 'hold' | 'continue'
  }

/** `drain`: finish what is in hand and leave. `abandon`: leave now; what is in hand stays unsettled. */
export type StopSignals = { drain: AbortSignal; abandon: AbortSignal }

export type Ending = 'shard-end' | 'lost' | 'left' | 'handed-over' | 'stalled'

export async function consumeShard(
  parts: ConsumerParts,
  tenure: Tenure,
  stop: StopSignals,
  settings: ConsumerSettings,
): Promise<Ending> {
  const { clock, log, metrics } = parts
  const { shardId } = tenure
  const leaving = AbortSignal.any([tenure.lost, tenure.leaving, stop.drain, stop.abandon])
  const halt = AbortSignal.any([tenure.lost, stop.abandon])
  const reader = shardReader(parts, shardId, tenure.start, settings)
  const writer = pageWriter(parts, tenure, settings, { halt, leaving })
  let ahead = 0
  let checkpointedTo: string | undefined
  let takenTo: string | undefined
  let checkpointedAtMs = clock.monotonic()
  /** Arrival of the oldest record taken in hand that no checkpoint covers. */
  let uncoveredSinceMs: number | undefined
  const checkpointAgeSeconds = () =>
    uncoveredSinceMs === undefined ? 0 : Math.max(0, clock.now() - uncoveredSinceMs) / 1000
  const inFlight = () => ahead + writer.unsettled()
  const unwatch = metrics.watch(
    shardId,
    { inFlight, parked: writer.parked, checkpointAgeSeconds },
    tenure.fence(),
  )

  async function readAhead(): Promise<ReadPage | 'stalled' | undefined> {
    const page = await reader.next(leaving)
    if (page && page !== 'stalled') {
      ahead = page.records.length
      metrics.received(shardId, page.records.length, page.bytes)
      metrics.behind(shardId, page.behindMs / 1000)
    }
    return page
  }

  const isDue = () => clock.monotonic() - checkpointedAtMs >= settings.checkpointMs

  async function checkpoint(isWanted: boolean): Promise<void> {
    if (!isWanted) return
    const target = writer.settledTo()
    if (target === undefined || target === checkpointedTo) return
    const landed = await tenure.checkpoint(target)
    metrics.checkpointed(shardId, landed ? 'ok' : 'lost')
    checkpointedAtMs = clock.monotonic()
    checkpointedTo = target
    if (target === takenTo) uncoveredSinceMs = undefined
  }

  /** Settles a page, waiting at records that hold the shard. @returns false when stopped before its end */
  async function settlePage({ records }: ReadPage): Promise<boolean> {
    let from = 0
    let heldFor: string | undefined
    for (;;) {
      const result = await writer.settleFrom(records, from)
      if (result.kind === 'halted') return false
      from = result.count
      writer.tellHeld('record', result.hold?.reason)
      if (!result.hold) {
        if (heldFor) log.info({ shardId }, 'shard no longer held')
        return true
      }
      await checkpoint(true)
      const { sequenceNumber } = records[from]!
      if (heldFor !== sequenceNumber) log.error({ shardId, sequenceNumber, ...result.hold }, 'shard held')
      heldFor = sequenceNumber
      await clock.sleep(settings.heldRetryMs, leaving)
      if (leaving.aborted) return false
    }
  }

  async function leave(): Promise<Ending> {
    if (tenure.lost.aborted) return 'lost'
    const settledTo = writer.settledTo()
    await tenure.evict(settledTo === checkpointedTo ? undefined : settledTo)
    return tenure.lost.aborted ? 'lost' : tenure.leaving.aborted ? 'handed-over' : 'left'
  }

  /** Retention has passed the checkpoint. @returns whether to go on; by default the shard is held until an operator decides */
  async function passTrimmed(): Promise<boolean> {
    const hold = {
      reason: 'trimmed',
      table: 'all tables of this shard',
      found: `the record at checkpoint ${tenure.start} has left the stream: later ones may have left with it`,
      expected: 'a checkpoint within the retention of the stream',
      remedy:
        'load the tables anew or compare them with their indices; then start with ON_TRIMMED=continue, and raise the retention',
    }
    log.error(
      { shardId, ...hold },
      settings.onTrimmed === 'hold' ? 'shard held' : 'went on although records may be missing',
    )
    if (settings.onTrimmed === 'continue') return true
    writer.tellHeld('record', 'trimmed')
    while (!leaving.aborted) await clock.sleep(settings.heldRetryMs, leaving)
    return false
  }

  async function giveUp(): Promise<Ending> {
    log.error(
      { shardId, stallMs: settings.stallMs },
      'no read has succeeded for too long: leaving the shard to another worker',
    )
    const ending = await leave()
    return ending === 'left' ? 'stalled' : ending
  }

  /** A shard ends when all of it is settled, what is parked too. @returns false when stopped before */
  async function settleParked(): Promise<boolean> {
    while (writer.unsettled() > 0 && !leaving.aborted) {
      await writer.progress(leaving)
      await checkpoint(isDue())
    }
    return writer.unsettled() === 0
  }

  async function endShard(children: readonly ChildShard[]): Promise<Ending> {
    // Children first: if we die in between, the parent is read to its end again and they are simply there.
    for (;;) {
      try {
        await parts.createChildren(shardId, children)
        break
      } catch (error) {
        log.warn({ shardId, err: error }, 'could not create the leases of the child shards, trying again')
        await sleepAfterFailure(parts, 'lease', settings.retry.firstMs * 10, halt)
        if (halt.aborted) return leave()
      }
    }
    return (await tenure.shardEnd(children.map(child => child.shardId))) ? 'shard-end' : 'lost'
  }

  let coming: Promise<ReadPage | 'stalled' | undefined> | undefined = readAhead()
  try {
    for (;;) {
      const page: ReadPage | 'stalled' | undefined = await coming
      if (page === 'stalled') return await giveUp()
      if (!page || leaving.aborted || (page.isTrimmed && !(await passTrimmed()))) return await leave()
      writer.accept(page.records.length)
      ahead = 0
      const [first] = page.records
      if (first) {
        uncoveredSinceMs ??= first.arrivedAtMs ?? clock.now()
        takenTo = page.records.at(-1)!.sequenceNumber
      }
      // Each record takes an ordinal; a tenure that could run out of them ends, and the next one has a new fence.
      const isLast: boolean =
        page.end !== undefined || writer.ordinal() + 2 * settings.limit + page.records.length > ORDINAL_MAX
      coming = isLast ? undefined : readAhead()
      const isSettled = await settlePage(page)
      page.release()
      if (!isSettled) return await leave()
      page.recycle()
      if (page.end) return (await settleParked()) ? await endShard(page.end.children) : await leave()
      if (!coming || leaving.aborted) return await leave()
      await checkpoint(isDue())
    }
  } finally {
    // What was read ahead and never taken in hand goes back; nobody waits for it.
    void coming?.then(page => page !== 'stalled' && page?.release())
    writer.close()
    unwatch()
  }
}
