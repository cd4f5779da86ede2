/**
 * Actions of all shards -> bulk requests -> the answer to each action back to its shard.
 *
 * Natural batching: a request is sent when a slot is free, with what is there: small when quiet, full when behind, no
 * fixed wait. One attempt for each action: retries, coalescing and the meaning of a conflict are the shard's, which knows
 * what came before. A document that is in flight for one shard waits for the next request of another.
 *
 * A request refused as a whole is cut in two until the action at fault stands alone, so that one bad record never
 * fails the others.
 *
 * Bodies are written into buffers that are used over and over: to join the texts of thousands of actions and encode them
 * anew costs more than all else here.
 */
import { actionLine } from './core/batch.ts'
import type { Piece, Write } from './core/document.ts'
import { concurrencyLimit, type RequestOutcome } from './core/limit.ts'
import type { Answer, BulkAnswer, Item } from './core/outcome.ts'

/** A write with its version; `key` names its document. */
export type Action = { write: Write; version: string; key: string }

export type BulkWriterParts = {
  bulk: (body: Buffer) => Promise<BulkAnswer>
  limits: { bytesMax: number; actionsMax: number; inFlightMax: number }
  monotonic: () => number
  onRequest: (request: { outcome: string; seconds: number; actions: number; bytes: number }) => void
}

/** The actions of one call; `waiting` are those not sent yet, as indexes. */
type Batch = {
  actions: readonly Action[]
  isAlive: () => boolean
  isAlone: boolean
  waiting: number[]
  answers: Answer[]
  open: number
  resolve: (answers: Answer[]) => void
}
type Entry = { batch: Batch; at: number }

export type BulkWriter = {
  /**
   * Answers in the order of the actions. Actions of one call are of different documents. Never rejects.
   *
   * @param isAlive asked as the request is made: whether the lease still stands
   * @param isAlone in a request of their own: it may hang, and no others are to wait for it
   */
  write(actions: readonly Action[], isAlive: () => boolean, isAlone?: boolean): Promise<Answer[]>
  /** About as many as the documents that wait would be; asked at each scrape. */
  queuedBytes(): number
  inFlight(): number
  /** Requests that may be under way at once, as OpenSearch's answers allow. */
  limit(): number
}

export function bulkWriter(parts: BulkWriterParts): BulkWriter {
  const { limits } = parts
  let queue: Batch[] = []
  const documentsInFlight = new Set<string>()
  const freeBodies: Buffer[] = []
  const limit = concurrencyLimit({ max: limits.inFlightMax })
  let requestsInFlight = 0

  const allowed = () => Math.min(limits.inFlightMax, Math.max(IN_FLIGHT_LEAST, limit.current()))

  function answer({ batch, at }: Entry, given: Answer): void {
    batch.answers[at] = given
    if (--batch.open === 0) batch.resolve(batch.answers)
  }

  /** Takes from the queue, in order, what fits one request. */
  function nextRequest(): { entries: Entry[]; body: RequestBody } {
    const body = requestBody(freeBodies.pop() ?? Buffer.allocUnsafeSlow(limits.bytesMax), limits.bytesMax)
    const entries: Entry[] = []
    let isFull = false
    for (const batch of queue) {
      if (isFull) break
      if (!batch.isAlive()) {
        for (const at of batch.waiting) answer({ batch, at }, FENCED)
        batch.waiting = []
        continue
      }
      if (batch.isAlone && entries.length > 0) continue
      const left: number[] = []
      for (const at of batch.waiting) {
        const action = batch.actions[at]!
        if (isFull || documentsInFlight.has(action.key)) left.push(at)
        else if (entries.length === limits.actionsMax || !body.add(action)) {
          isFull = true
          left.push(at)
        } else {
          documentsInFlight.add(action.key)
          entries.push({ batch, at })
        }
      }
      batch.waiting = left
      if (batch.isAlone && entries.length > 0) break
    }
    queue = queue.filter(batch => batch.waiting.length > 0)
    return { entries, body }
  }

  function pump(): void {
    while (requestsInFlight < allowed() && queue.length > 0) {
      const { entries, body } = nextRequest()
      if (entries.length === 0) {
        freeBodies.push(body.buffer())
        return
      }
      requestsInFlight++
      void send(entries, body).then(() => {
        requestsInFlight--
        for (const { batch, at } of entries) documentsInFlight.delete(batch.actions[at]!.key)
        pump()
      })
    }
  }

  async function send(entries: readonly Entry[], body: RequestBody): Promise<void> {
    const startedAtMs = parts.monotonic()
    const text = body.text()
    const size = Math.max(text.length / limits.bytesMax, entries.length / limits.actionsMax)
    const ended = limit.started({ size, nowMs: startedAtMs })
    const given = await parts.bulk(text)
    ended(loadOf(given), parts.monotonic())
    // Without an answer, or refused while still on its way, its bytes may yet be read: such a buffer is not used again.
    if (given.kind === 'done' || given.kind === 'items') freeBodies.push(body.buffer())
    const report = (outcome: string) =>
      parts.onRequest({
        outcome,
        seconds: (parts.monotonic() - startedAtMs) / 1000,
        actions: entries.length,
        bytes: text.length,
      })
    const all = (same: Answer) => {
      for (const entry of entries) answer(entry, same)
    }
    if (given.kind === 'failed') {
      report(given.reason)
      all({ kind: 'request', reason: given.reason, mayHaveLanded: given.mayHaveLanded })
    } else if (countOf(given) !== entries.length && given.kind !== 'status') {
      // Items are matched by position; with another count none can be believed.
      report('malformed-answer')
      all({ kind: 'request', reason: 'malformed-answer', mayHaveLanded: true })
    } else if (given.kind === 'done') {
      report('ok')
      all(DONE)
    } else if (given.kind === 'items') {
      report(given.items.every(item => item.status < 300) ? 'ok' : 'partial')
      for (const [n, entry] of entries.entries()) answer(entry, { kind: 'item', item: given.items[n]! })
    } else if (isCutInTwo(given)) {
      report(`status-${given.status}`)
      if (entries.length === 1)
        return all({ kind: 'refused', reason: `status ${given.status} ${given.type}` })
      const middle = Math.ceil(entries.length / 2)
      await sendAgain(entries.slice(0, middle))
      await sendAgain(entries.slice(middle))
    } else {
      report(`status-${given.status}`)
      all({ kind: 'request', reason: `status-${given.status}`, mayHaveLanded: given.status >= 500 })
    }
  }

  /** A part of a request that was refused as a whole; what is no longer ours is left out. */
  async function sendAgain(part: readonly Entry[]): Promise<void> {
    const entries = part.filter(entry => {
      if (entry.batch.isAlive()) return true
      answer(entry, FENCED)
      return false
    })
    if (entries.length === 0) return
    const body = requestBody(
      freeBodies.pop() ?? Buffer.allocUnsafeSlow(limits.bytesMax),
      Number.POSITIVE_INFINITY,
    )
    for (const { batch, at } of entries) body.add(batch.actions[at]!)
    await send(entries, body)
  }

  return {
    write(actions, isAlive, isAlone = false) {
      return new Promise(resolve => {
        if (actions.length === 0) return resolve([])
        queue.push({
          actions,
          isAlive,
          isAlone,
          waiting: Array.from(actions.keys()),
          answers: new Array(actions.length),
          open: actions.length,
          resolve,
        })
        pump()
      })
    },
    queuedBytes: () =>
      queue
        .flatMap(({ actions, waiting }) => waiting.map(at => bytesOf(actions[at]!.write)))
        .reduce((sum, bytes) => sum + bytes, 0),
    inFlight: () => requestsInFlight,
    limit: allowed,
  }
}

/**
 * The limit never goes below this, though an overloaded OpenSearch would be better off with fewer: requests that hang (one
 * index is red, an answer is lost) must not hold up the other shards, nor their drain, until their time is over.
 */
const IN_FLIGHT_LEAST = 4

/** What an answer says of OpenSearch's load. A 429 of an index that is full says nothing of it. */
function loadOf(answer: BulkAnswer): RequestOutcome {
  if (answer.kind === 'failed') return 'failed'
  if (answer.kind === 'status') return OVERLOADED.has(answer.status) ? 'back-pressure' : 'refused'
  if (answer.kind === 'done') return 'success'
  const isOverloaded = ({ status, error }: Item) =>
    status === 429 && error?.type !== 'cluster_block_exception'
  return answer.items.some(isOverloaded) ? 'back-pressure' : 'success'
}

const OVERLOADED = new Set([429, 502, 503, 504])

/** Refused for what is in it. A 400 that names no error is not OpenSearch's, and says nothing of the actions. */
function isCutInTwo({ status, type }: { status: number; type: string }): boolean {
  return status === 413 || (status === 400 && type !== 'index_closed_exception' && type !== 'no error type')
}

const FENCED: Answer = { kind: 'fenced' }
const DONE: Answer = { kind: 'done' }

function countOf(answer: BulkAnswer): number {
  return answer.kind === 'items' ? answer.items.length : answer.kind === 'done' ? answer.count : 0
}

function bytesOf({ document, piece }: Write): number {
  return piece ? piece.end - piece.start : (document?.length ?? 0)
}

type RequestBody = {
  /** @returns false when the action does not fit any more; the first one always does */
  add(action: Action): boolean
  text(): Buffer
  buffer(): Buffer
}

/** Records come as Buffers, whose own copy makes no view. */
function copied({ bytes, start, end }: Piece, target: Buffer, at: number): number {
  if (Buffer.isBuffer(bytes)) return bytes.copy(target, at, start, end)
  target.set(bytes.subarray(start, end), at)
  return end - start
}

const NEWLINE = 0x0a
/** UTF-8 takes at most three bytes for a UTF-16 unit. */
const BYTES_MAX_OF_UNIT = 3

function requestBody(given: Buffer, bytesMax: number): RequestBody {
  let buffer = given
  let end = 0

  return {
    add({ write, version }) {
      const line = actionLine(write, version)
      const { piece } = write
      const document = piece ? '' : (write.document ?? '')
      const pieceBytes = piece ? piece.end - piece.start : 0
      const most = (line.length + document.length) * BYTES_MAX_OF_UNIT + pieceBytes + 2
      if (end + most > Math.min(bytesMax, buffer.length)) {
        // Near the end it is worth knowing exactly.
        const bytes = Buffer.byteLength(line) + Buffer.byteLength(document) + pieceBytes + 2
        if (end > 0 && end + bytes > bytesMax) return false
        if (end + bytes > buffer.length) {
          const larger = Buffer.allocUnsafeSlow(Math.max(end + bytes, 2 * buffer.length))
          buffer.copy(larger, 0, 0, end)
          buffer = larger
        }
      }
      end += buffer.write(line, end)
      if (write.kind === 'delete') return true
      if (piece) {
        end += copied(piece, buffer, end)
      } else end += buffer.write(document, end)
      buffer[end++] = NEWLINE
      return true
    },
    text: () => buffer.subarray(0, end),
    // One that had to grow would stay large for ever.
    buffer: () => given,
  }
}
