/** `run`: builds every client once, hands them out, drains on SIGTERM. Here the compiler proves that the clients fit the loops. */
import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import type { Logger } from 'pino'
import { blockedIndices } from '../blocked-indices.ts'
import { bulkWriter } from '../bulk-writer.ts'
import { deadLetters } from '../clients/dead-letters.ts'
import { kinesisStream } from '../clients/kinesis.ts'
import { leaseTable } from '../clients/lease-table.ts'
import { openSearch } from '../clients/opensearch.ts'
import { type Clock, realClock } from '../clock.ts'
import type { Config } from '../config.ts'
import { backoffMs } from '../core/backoff.ts'
import { decoder } from '../decoder.ts'
import { OutsideError } from '../errors.ts'
import { emfLines } from '../http/emf-lines.ts'
import { serviceMetrics } from '../http/metrics.ts'
import { httpServer } from '../http/server.ts'
import { readBudget } from '../read-budget.ts'
import { consumeShard } from '../shard-consumer.ts'
import { worker } from '../worker.ts'
import { templateOptions } from './bootstrap.ts'
import { contextOf } from './decide-context.ts'
import { searchOptions } from './search-options.ts'

/** Below so many letters a minute their share of the records says little. */
const LETTERS_SHARE_FROM = 100

/** Beyond the drain deadline the process ends whatever still hangs. */
const EXIT_GRACE_MS = 3000

export type RunSignals = {
  /** SIGTERM or SIGINT: drain. */
  drain: AbortSignal
  /** The same a second time: leave now. */
  abandon: AbortSignal
  /** Ends the process although something still hangs; the last resort of a drain. */
  end: () => void
}

/** @param print writes a line beside those of the log */
export async function run(
  config: Config,
  log: Logger,
  version: string,
  signals: RunSignals,
  print: (line: string) => void,
): Promise<void> {
  const clock = realClock
  const random = Math.random
  const owner = config.WORKER_ID || `${hostname()}-${randomBytes(6).toString('hex')}`
  const context = contextOf(config)

  const metrics = serviceMetrics({ version, workerId: owner, stream: config.STREAM_NAME })
  const stream = kinesisStream(config.STREAM_NAME, {
    decoder: config.GET_RECORDS_DECODER,
    onDecodedBySdk: metrics.decodedBySdk,
  })
  const table = leaseTable({
    tableName: config.LEASE_TABLE,
    requestTimeoutMs: Math.floor(config.LEASE_MS / 3),
    now: clock.now,
  })
  const queue = deadLetters(config.DEAD_LETTER_QUEUE_URL)
  const search = openSearch({ ...searchOptions(config, log), opaqueId: owner })

  const budget = readBudget(config.READ_BUDGET_BYTES)
  const parkingRoom = readBudget(config.PARKED_BYTES_MAX)
  const retry = { firstMs: config.RETRY_FIRST_MS, maxMs: config.RETRY_MAX_MS }
  const blocked = blockedIndices({ clock, random, log }, retry)
  const writer = bulkWriter({
    bulk: body => search.bulk(body, config.BULK_TIMEOUT_MS),
    limits: {
      bytesMax: config.BULK_BYTES_MAX,
      actionsMax: config.BULK_ACTIONS_MAX,
      inFlightMax: config.BULK_IN_FLIGHT_MAX,
    },
    monotonic: clock.monotonic,
    onRequest: metrics.bulkRequest,
  })
  metrics.gauges.queueBytes = writer.queuedBytes
  metrics.gauges.bulksInFlight = writer.inFlight
  metrics.gauges.bulkLimit = writer.limit
  metrics.gauges.reservedBytes = budget.reservedBytes
  metrics.gauges.parkedBytes = parkingRoom.reservedBytes
  metrics.gauges.blockedIndices = blocked.all

  const me = worker(
    {
      table,
      listShards: stream.listShards,
      consume: (tenure, stop) =>
        consumeShard(
          {
            open: stream.open,
            read: stream.read,
            write: writer.write,
            documents: places => search.documents(places, config.BULK_TIMEOUT_MS),
            sendLetters: queue.send,
            leases: async () => (await table.list()).leases,
            createChildren: me.createChildren,
            onRead: metrics.read,
            metrics: metrics.shard,
            budget,
            parkingRoom,
            blocked,
            decode: decoder(config.BEFORE_IMAGE),
            context,
            clock,
            random,
            log,
          },
          tenure,
          stop,
          {
            stream: config.STREAM_NAME,
            service: version,
            pollMs: config.POLL_MS,
            stallMs: config.STALL_MS,
            onTrimmed: config.ON_TRIMMED,
            limit: config.GET_RECORDS_LIMIT,
            checkpointMs: config.CHECKPOINT_MS,
            heldRetryMs: config.HELD_RETRY_MS,
            unknownAnswerMs: config.UNKNOWN_ANSWER_MS,
            onUnknownAnswer: config.ON_UNKNOWN_ANSWER,
            recordBytesMax: config.RECORD_BYTES_MAX,
            keptMax: config.KEPT_MAX,
            letters: {
              lettersMax: config.LETTERS_MAX,
              shareMax: config.LETTER_SHARE_MAX / 100,
              shareFrom: LETTERS_SHARE_FROM,
            },
            retry,
          },
        ),
      destroySockets: search.destroySockets,
      clock,
      random,
      log,
      metrics: metrics.worker,
    },
    {
      owner,
      leaseMs: config.LEASE_MS,
      handoffMs: config.HANDOFF_MS,
      maxLeases: config.MAX_LEASES,
      scanUnitsMax: config.SCAN_UNITS_MAX,
      shardSyncMs: config.SHARD_SYNC_MS,
      initialPosition: config.INITIAL_POSITION,
    },
  )

  let isChecked = false
  const startedAtMs = clock.monotonic()
  const http = httpServer({
    // Waiting at the start for what is away is a turning loop as well.
    isTurning: () => me.isTurning() || clock.monotonic() - startedAtMs < 30_000 || !isChecked,
    isDraining: () => signals.drain.aborted,
    searchAnswers: () => search.ping(2000),
    heldShards: metrics.heldShards,
    registry: metrics.registry,
  })
  await listen(http, config)
  const address = http.addresses()[0] as AddressInfo
  log.info({ url: `http://${address.address}:${address.port}`, workerId: owner, version }, 'listening')

  const ended = new AbortController()
  const emf = emfLines(
    { registry: metrics.registry, clock, print },
    { namespace: config.EMF_NAMESPACE, stream: config.STREAM_NAME, worker: owner },
    ended.signal,
  )
  const deadline = drainDeadline(clock, log, signals, config.DRAIN_MS)
  try {
    await untilReady({ clock, log, stop: signals.drain, random }, [
      { what: 'Kinesis stream', check: stream.check },
      { what: 'lease table', check: table.check },
      { what: 'dead-letter queue', check: queue.check },
      {
        what: 'OpenSearch',
        check: async () => refuseUnlessBootstrapped(await search.faults(templateOptions(config))),
      },
    ])
    isChecked = true
    if (!signals.drain.aborted)
      log.info({ stream: config.STREAM_NAME, leaseTable: config.LEASE_TABLE }, 'started')
    await me.run({ drain: signals.drain, abandon: deadline.abandon })
    log.info({}, 'drained')
  } finally {
    deadline.cancel()
    ended.abort()
    await emf
    await http.close()
    for (const client of [stream, table, queue, search]) client.close()
  }
}

async function listen(http: ReturnType<typeof httpServer>, config: Config): Promise<void> {
  try {
    await http.listen({ host: config.HTTP_HOST, port: config.HTTP_PORT })
  } catch (cause) {
    throw new OutsideError(
      `cannot listen on ${config.HTTP_HOST}:${config.HTTP_PORT}: ${(cause as Error).message}; choose another HTTP_PORT (0: any free one)`,
      { cause },
    )
  }
}

function refuseUnlessBootstrapped(faults: string[]): void {
  if (faults.length === 0) return
  throw new OutsideError(
    `OpenSearch is not as \`bootstrap\` leaves it: ${faults.join('; ')}. Run \`bootstrap\` with the same settings, then start again`,
  )
}

/** Asks each part until it answers: what is away may come back; what is missing or refuses for good ends the start. */
async function untilReady(
  parts: { clock: Clock; log: Logger; stop: AbortSignal; random: () => number },
  checks: { what: string; check: () => Promise<void> }[],
): Promise<void> {
  for (const { what, check } of checks) {
    for (let attempt = 0; !parts.stop.aborted; attempt++) {
      try {
        await check()
        break
      } catch (error) {
        if (error instanceof OutsideError) throw error
        parts.log.warn({ attempt, err: error }, `${what} does not answer yet, trying again`)
        await parts.clock.sleep(
          100 + backoffMs(attempt, parts.random(), { firstMs: 200, maxMs: 5000 }),
          parts.stop,
        )
      }
    }
  }
}

/** The signal that ends a drain: the deadline after SIGTERM, or a second SIGTERM. Then the process is ended a little later. */
function drainDeadline(clock: Clock, log: Logger, signals: RunSignals, drainMs: number) {
  const abandon = new AbortController()
  const over = new AbortController()
  const watch = async () => {
    log.info({ drainMs }, 'draining')
    await clock.sleep(drainMs, AbortSignal.any([signals.abandon, over.signal]))
    if (over.signal.aborted) return
    log.warn({}, 'the time to drain is over: what is in flight stays unsettled and will be read again')
    abandon.abort()
    await clock.sleep(EXIT_GRACE_MS, over.signal)
    if (over.signal.aborted) return
    log.error({}, 'still not drained, leaving')
    signals.end()
  }
  if (signals.drain.aborted) void watch()
  else signals.drain.addEventListener('abort', () => void watch(), { once: true })
  return { abandon: abandon.signal, cancel: () => over.abort() }
}
