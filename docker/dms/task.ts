/**
 * One run of a task: announce the tables, load them unless that is done, then follow the changes until told to stop.
 *
 * The rule it keeps: a position is confirmed to PostgreSQL only when every record up to it is in Kinesis. So a run may end
 * anywhere, and the next one repeats at most what was not confirmed.
 */
import { type Client, type ClientConfig, DatabaseError } from 'pg'
import type { Pgoutput } from 'pg-logical-replication'
import { createCatalog, type SourceTable } from './catalog.ts'
import { rowChange } from './changes.ts'
import { createConfirmations } from './confirmations.ts'
import { applyExceptionsTable, controlRecord } from './control.ts'
import { loadTables } from './full-load.ts'
import { parseLsn } from './lsn.ts'
import {
  checkLogicalDecoding,
  createPlainSlot,
  dropSlot,
  publicationNames,
  publish,
  type SlotState,
  slotState,
} from './publication.ts'
import { changeRecord, qualifiedName } from './records.ts'
import { createChangeStream, createSlot } from './replication.ts'
import type { Settings } from './settings.ts'
import { createSink, type Put, type Sink } from './sink.ts'
import { openSession, SourceRefusedError, sessionConfig } from './source.ts'
import { createState } from './state.ts'
import { createTransactions } from './transactions.ts'

export type Log = {
  info: (facts: object, message: string) => void
  warn: (facts: object, message: string) => void
}

export type World = {
  put: Put
  nowMicros: () => number
  random: () => number
  /** Ends early when the signal is aborted. */
  wait: (ms: number, signal: AbortSignal) => Promise<void>
  log: Log
}

/** Of one request, data and keys; the service allows 5 MiB and its emulators count differently at the edge. */
const requestBytesMax = 4_900_000

/** How long a slot may be held by a connection that is about to end: that of the run before. */
const slotFreeMsMax = 15_000
const slotLookMs = 100

/** How long a stop waits for PostgreSQL to note the last position. */
const confirmMsMax = 2_000
const confirmLookMs = 20

/** Runs until the signal is aborted, or, for a full load alone, until it is done. */
export async function runTask(settings: Settings, world: World, signal: AbortSignal): Promise<void> {
  const ending = new AbortController()
  let lost: Error | null = null
  const onLost = (error: Error): void => {
    lost = new SourceRefusedError(`source database ended the session: ${error.message}`, { cause: error })
    ending.abort()
  }
  const stop = AbortSignal.any([signal, ending.signal])
  const config = sessionConfig(settings.sourceUrl)
  const client = await openSession(config, onLost)
  const sink = createSink(
    {
      recordsMax: settings.putRecordsMax,
      requestBytesMax,
      recordBytesMax: settings.recordBytesMax,
      pendingBytesMax: settings.pendingBytesMax,
      tooLarge: settings.recordTooLarge,
    },
    {
      put: world.put,
      wait: ms => world.wait(ms, stop),
      random: world.random,
      onRetry: failure => world.log.warn(failure, 'PutRecords failed, sending again'),
      onDropped: dropped => world.log.warn(dropped, 'record is over the limit of the stream, left out'),
    },
  )
  // From here on nothing is sent or waited for; what was not sent the slot sends again after the next start.
  stop.addEventListener('abort', () => void sink.close(), { once: true })
  try {
    await runWith({ client, config, sink, settings, world, signal: stop, onLost })
    if (lost !== null) throw lost
  } catch (error) {
    if (lost !== null) throw lost
    if (!(error instanceof DatabaseError)) throw error
    throw new SourceRefusedError(`source database refuses: ${error.message}`, { cause: error })
  } finally {
    await sink.close()
    await client.end().catch(() => {})
  }
}

type Start = {
  client: Client
  config: ClientConfig
  sink: Sink
  settings: Settings
  world: World
  signal: AbortSignal
  onLost: (error: Error) => void
}

async function runWith(start: Start): Promise<void> {
  const { client, sink, settings, world, signal } = start
  const slot = `dms_${settings.task}`
  await checkLogicalDecoding(client)
  const state = createState(client, settings.task)
  const catalog = createCatalog(client)
  const tables = await catalog.tables(settings.tables)
  if (tables.length === 0) {
    throw new SourceRefusedError(
      `no table of the source matches ${settings.tables.join(', ')}: create it first, or mend DMS_TABLES`,
    )
  }
  await state.prepare()
  const known = settings.start === 'restart' ? null : await state.read()
  const held = await freeSlot(client, slot, world, signal)
  if (signal.aborted) return
  const isAfresh = known === null || !known.isLoaded
  if (!isAfresh && held.confirmed === null && settings.taskType !== 'full-load') {
    throw new SourceRefusedError(
      `replication slot ${slot} is gone, and the changes since with it: start once with DMS_START=restart`,
    )
  }
  if (isAfresh) await dropSlot(client, slot)
  // Decoding looks a publication up as of the change it decodes, so it must be there before the slot.
  await publish(client, settings.task, tables)
  const taskId = isAfresh ? await state.begin() : known.taskId
  await announce(tables, taskId, sink, settings, world)
  if (signal.aborted) return

  if (isAfresh && settings.taskType === 'cdc') await createPlainSlot(client, slot)
  if (isAfresh && settings.taskType !== 'cdc') {
    await fullLoad({ ...start, slot, tables, state })
  } else if (isAfresh) {
    await state.allLoaded()
  }
  if (!isAfresh && settings.taskType === 'full-load') {
    world.log.info(
      { task: settings.task },
      'all full loads were finished before; DMS_START=restart loads again',
    )
  }
  if (settings.taskType === 'full-load' || signal.aborted) return
  await followChanges({ ...start, slot, tables, catalog })
}

/** The slot once nobody reads from it: a run that ends lets go of it a moment after its process is gone. */
async function freeSlot(client: Client, slot: string, world: World, signal: AbortSignal): Promise<SlotState> {
  let found = await slotState(client, slot)
  for (let waitedMs = 0; found.isActive && !signal.aborted; waitedMs += slotLookMs) {
    if (waitedMs >= slotFreeMsMax) {
      throw new SourceRefusedError(
        `replication slot ${slot} is in use: another process runs this task; stop it or set another DMS_TASK`,
      )
    }
    await world.wait(slotLookMs, signal)
    found = await slotState(client, slot)
  }
  return found
}

async function announce(
  tables: SourceTable[],
  taskId: string,
  sink: Sink,
  settings: Settings,
  world: World,
): Promise<void> {
  const control = { ...settings.records, includeControlDetails: settings.includeControlDetails }
  await sink.add(controlRecord(applyExceptionsTable, 'create-table', taskId, control, world.nowMicros()))
  for (const table of tables) {
    if (settings.tablePrep === 'drop-and-create') {
      await sink.add(controlRecord(table, 'drop-table', taskId, control, world.nowMicros()))
    }
    await sink.add(controlRecord(table, 'create-table', taskId, control, world.nowMicros()))
  }
  await sink.flushed()
}

type Run = Start & { slot: string; tables: SourceTable[] }

async function fullLoad(run: Run & { state: ReturnType<typeof createState> }): Promise<void> {
  const { config, tables, sink, settings, world, signal, state } = run
  const snapshot = await createSlot(config, run.slot, settings.taskType === 'full-load')
  // A session of its own: the other one writes the state while this one stays in the snapshot's transaction.
  const reader = await openSession(config, run.onLost)
  try {
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    await reader.query(`SET TRANSACTION SNAPSHOT '${snapshot.name}'`)
    await loadTables(
      reader,
      tables,
      { rowsPerFetch: settings.loadRowsPerFetch, seed: settings.loadSeed },
      {
        onRow: (table, row) =>
          sink.add(
            changeRecord(
              table,
              { operation: 'load', row, before: null, transaction: null },
              settings.records,
              world.nowMicros(),
            ),
          ),
        onTable: async (table, rowCount) => {
          await sink.flushed()
          if (signal.aborted) return
          await state.tableLoaded(table, rowCount)
          world.log.info({ table: qualifiedName(table), rows: rowCount }, 'full load finished')
        },
      },
      signal,
    )
    if (signal.aborted) return
    await state.allLoaded()
    world.log.info({ tables: tables.length }, 'all full loads finished')
  } finally {
    await reader.end().catch(() => {})
    await snapshot.close().catch(() => {})
  }
}

async function followChanges(run: Run & { catalog: ReturnType<typeof createCatalog> }): Promise<void> {
  const { client, config, slot, sink, settings, world, signal } = run
  const { confirmed } = await slotState(client, slot)
  if (signal.aborted) return
  if (confirmed === null)
    throw new SourceRefusedError(`replication slot ${slot} is gone: start once with DMS_START=restart`)
  const stream = createChangeStream(config, slot, publicationNames(settings.task))
  const transactions = createTransactions()
  const confirmations = createConfirmations({
    heldBack: settings.resendTransactions,
    start: parseLsn(confirmed),
  })
  const tables = new Map<number, SourceTable>()
  let isConfirmDue = false

  /** Many transactions of one request are confirmed by one message. */
  const confirmSoon = (): void => {
    if (isConfirmDue) return
    isConfirmDue = true
    setImmediate(() => {
      isConfirmDue = false
      stream.confirm(confirmations.position())
    })
  }

  const onMessage = async (message: Pgoutput.Message): Promise<void> => {
    // pgoutput describes types of the user's own in messages of their own; the captures know nothing like them.
    if (message.tag !== 'begin' && message.tag !== 'type') transactions.countMessage()
    switch (message.tag) {
      case 'begin': {
        if (message.commitLsn === null) throw new Error('a begin message has no commit position')
        const commitMicros = Number(message.commitTime)
        transactions.begin({ id: message.xid, commitMicros, lsn: message.commitLsn })
        return
      }
      case 'relation':
        tables.set(message.relationOid, await run.catalog.tableOf(message))
        return
      case 'insert':
      case 'update':
      case 'delete': {
        const table = tables.get(message.relation.relationOid)
        if (table === undefined)
          throw new Error(`a change of ${message.relation.name} came before its description`)
        const change = rowChange(message, table)
        if (change === null) return
        const transaction = transactions.nextRecord()
        await sink.add(changeRecord(table, { ...change, transaction }, settings.records, world.nowMicros()))
        return
      }
      case 'commit': {
        transactions.commit()
        if (message.commitEndLsn === null) throw new Error('a commit message has no end position')
        const endLsn = parseLsn(message.commitEndLsn)
        sink.mark(() => {
          confirmations.transactionPut(endLsn)
          confirmSoon()
        })
        return
      }
      default:
        // TRUNCATE is not seen by DMS; types, origins and logical messages say nothing about rows.
        return
    }
  }

  const running = stream.run({
    onStart: () => world.log.info({ slot }, 'streaming'),
    onMessage,
    onCaughtUp: lsn => {
      if (sink.hasPutAll() && !transactions.isOpen()) confirmations.idleAt(lsn)
    },
    position: confirmations.position,
  })
  const stopped = new Promise<void>(resolve =>
    signal.addEventListener('abort', () => resolve(), { once: true }),
  )
  try {
    await Promise.race([running, stopped, sink.failed])
    if (!signal.aborted)
      throw new SourceRefusedError(`change stream of slot ${slot} ended by itself: start again`)
    await sink.close()
    await confirmLast()
  } finally {
    await stream.stop()
    await running.catch(() => {})
  }

  /** Without this the last position could still be on its way when the connection is cut, and would be sent again. */
  async function confirmLast(): Promise<void> {
    const last = confirmations.position()
    stream.confirm(last)
    const looks = Math.ceil(confirmMsMax / confirmLookMs)
    for (let look = 0; look < looks; look += 1) {
      const { confirmed } = await slotState(client, slot)
      if (confirmed === null || parseLsn(confirmed) >= last) return
      await world.wait(confirmLookMs, AbortSignal.timeout(confirmMsMax))
    }
  }
}
