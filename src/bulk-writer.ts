/**
 * Actions of all shards -> bulk requests -> the answer to each action back to its shard.
 *
 * Natural batching: a request is sent when a slot is free, with what is there: small when quiet, full when behind, no
 * fixed wait. One attempt for each action: retries, coalescing and the meaning of a conflict are the shard's, which knows
 * what came before. A document that is in flight for one shard waits for the next request of another.
 *
 * A request refused as a whole is cut in two until the action at fault stands alone, so that one bad record never
 * fails the others.
 */
import { type RequestBody, requestBody } from './bulk-body.ts'
import type { Write } from './core/document.ts'
import { concurrencyLimit, type RequestOutcome } from './core/limit.ts'
import type { Answer, BulkAnswer, Item } from './core/outcome.ts'
import type { Version } from './core/version.ts'

/** A write with its version. */
export type Action = Version & { write: Write }

export type BulkWriterParts = {
  bulk: (body: Buffer) => Promise<BulkAnswer>
  limits: { bytesMax: number; actionsMax: number; inFlightMax: number }
  monotonic: () => number
  onRequest: (request: { outcome: string; seconds: number; actions: number; bytes: number }) => void
}

/** The actions of one call: those from `next` on are not sent yet, nor the ones passed over, as indexes. */
type Batch = {
  actions: readonly Action[]
  isAlive: () => boolean
  isAlone: boolean
  next: number
  passedOver: number[]
  answers: Answer[]
  open: number
  resolve: (answers: Answer[]) => void
}
/** Actions of one batch in a request, as indexes. */
type Part = { batch: Batch; ats: number[] }

/**
 * What is in flight of an index. Documents are told apart only while several calls have some of it, since those of one call
 * are different: a set of all of them costs three looks by text for each action.
 */
type IndexInFlight = { batch: Batch; actions: number; ids: Set<string> | undefined }

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
  const inFlight = new Map<string, IndexInFlight>()
  /** All that is counted in `inFlight`. */
  const sent = new Set<Part>()
  const resets = resetCounts()
  const freeBodies: Buffer[] = []
  const limit = concurrencyLimit({ max: limits.inFlightMax })
  let requestsInFlight = 0

  const allowed = () => Math.min(limits.inFlightMax, Math.max(IN_FLIGHT_LEAST, limit.current()))

  function answer({ batch, ats }: Part, given: (n: number) => Answer): void {
    for (let n = 0; n < ats.length; n++) batch.answers[ats[n]!] = given(n)
    batch.open -= ats.length
    if (batch.open === 0) batch.resolve(batch.answers)
  }

  /** Whether another call has the document in flight, perhaps in the request that is being made. */
  function isBusy(batch: Batch, { write }: Action, request: readonly Part[]): boolean {
    const found = inFlight.get(write.index)
    if (!found) return false
    if (!found.ids) {
      if (found.batch === batch) return false
      found.ids = new Set()
      for (const part of [...sent, ...request])
        for (const at of part.ats) {
          const { index, id } = part.batch.actions[at]!.write
          if (index === write.index) found.ids.add(id)
        }
    }
    return found.ids.has(write.id)
  }

  function enter(batch: Batch, { write: { index, id } }: Action): void {
    const found = inFlight.get(index)
    if (!found) inFlight.set(index, { batch, actions: 1, ids: undefined })
    else {
      found.actions++
      found.ids?.add(id)
    }
  }

  /** Answers what was in flight; before that it is so no more, for an answer may bring the next write of a document. */
  function end(part: Part, given: (n: number) => Answer): void {
    const { batch, ats } = part
    sent.delete(part)
    for (const at of ats) {
      const { index, id } = batch.actions[at]!.write
      const found = inFlight.get(index)!
      found.ids?.delete(id)
      if (--found.actions === 0) inFlight.delete(index)
    }
    answer(part, given)
  }

  /** Takes from the queue, in order, what fits one request. */
  function nextRequest(): { parts: Part[]; body: RequestBody } {
    const body = requestBody(freeBodies.pop() ?? Buffer.allocUnsafeSlow(limits.bytesMax), limits.bytesMax)
    const request: Part[] = []
    let count = 0
    let isFull = false
    for (const batch of queue) {
      if (isFull) break
      const part: Part = { batch, ats: [] }
      const tried = batch.passedOver
      batch.passedOver = []
      if (!batch.isAlive()) {
        while (batch.next < batch.actions.length) tried.push(batch.next++)
        answer({ batch, ats: tried }, () => FENCED)
        continue
      }
      if (batch.isAlone && count > 0) {
        batch.passedOver = tried
        continue
      }
      request.push(part)
      const take = (at: number): void => {
        const action = batch.actions[at]!
        if (isFull || isBusy(batch, action, request)) batch.passedOver.push(at)
        else if (count === limits.actionsMax || !body.add(action)) {
          isFull = true
          batch.passedOver.push(at)
        } else {
          enter(batch, action)
          part.ats.push(at)
          count++
        }
      }
      for (const at of tried) take(at)
      while (!isFull && batch.next < batch.actions.length) take(batch.next++)
      if (part.ats.length === 0) request.pop()
      if (batch.isAlone && count > 0) break
    }
    queue = queue.filter(({ next, actions, passedOver }) => next < actions.length || passedOver.length > 0)
    return { parts: request, body }
  }

  function pump(): void {
    while (requestsInFlight < allowed() && queue.length > 0) {
      const { parts: request, body } = nextRequest()
      if (request.length === 0) {
        freeBodies.push(body.buffer())
        return
      }
      requestsInFlight++
      for (const part of request) sent.add(part)
      void send(request, body).then(() => {
        requestsInFlight--
        pump()
      })
    }
  }

  async function send(request: readonly Part[], body: RequestBody): Promise<void> {
    const startedAtMs = parts.monotonic()
    const text = body.text()
    const count = countOf(request)
    const size = Math.max(text.length / limits.bytesMax, count / limits.actionsMax)
    const ended = limit.started({ size, nowMs: startedAtMs })
    const given = await parts.bulk(text)
    ended(loadOf(given), parts.monotonic())
    // Without an answer, or refused while still on its way, its bytes may yet be read: such a buffer is not used again.
    if (given.kind === 'done' || given.kind === 'items') freeBodies.push(body.buffer())
    const report = (outcome: string) =>
      parts.onRequest({
        outcome,
        seconds: (parts.monotonic() - startedAtMs) / 1000,
        actions: count,
        bytes: text.length,
      })
    const all = (same: Answer) => {
      for (const part of request) end(part, () => same)
    }
    const inTwo = async (whole: readonly Part[]) => {
      const [first, second] = halves(whole)
      for (const part of [...request, ...whole]) sent.delete(part)
      for (const part of [...first, ...second]) sent.add(part)
      await sendAgain(first)
      await sendAgain(second)
    }
    const isReset = given.kind === 'failed' && given.reason === 'connection' && given.mayHaveLanded
    if (!isReset) resets.forget(request)
    if (given.kind === 'failed') {
      report(given.reason)
      const isLarge = count > 1 && text.length > SMALL_BYTES
      const { worn, others } = isReset && isLarge ? resets.count(request) : { worn: [], others: request }
      for (const part of others)
        end(part, () => ({ kind: 'request', reason: given.reason, mayHaveLanded: given.mayHaveLanded }))
      await inTwo(worn)
    } else if (answeredOf(given) !== count && given.kind !== 'status') {
      // Items are matched by position; with another count none can be believed.
      report('malformed-answer')
      all({ kind: 'request', reason: 'malformed-answer', mayHaveLanded: true })
    } else if (given.kind === 'done') {
      report('ok')
      all(DONE)
    } else if (given.kind === 'items') {
      report(given.items.every(item => item.status < 300) ? 'ok' : 'partial')
      let before = 0
      for (const part of request) {
        const from = before
        end(part, n => ({ kind: 'item', item: given.items[from + n]! }))
        before += part.ats.length
      }
    } else if (isCutInTwo(given)) {
      report(`status-${given.status}`)
      if (count === 1) return all({ kind: 'refused', reason: `status ${given.status} ${given.type}` })
      await inTwo(request)
    } else {
      report(`status-${given.status}`)
      all({ kind: 'request', reason: `status-${given.status}`, mayHaveLanded: given.status >= 500 })
    }
  }

  /** A part of a request that was refused as a whole; what is no longer ours is left out. */
  async function sendAgain(half: readonly Part[]): Promise<void> {
    const request = half.filter(part => {
      if (part.batch.isAlive()) return true
      end(part, () => FENCED)
      return false
    })
    if (request.length === 0) return
    const body = requestBody(
      freeBodies.pop() ?? Buffer.allocUnsafeSlow(limits.bytesMax),
      Number.POSITIVE_INFINITY,
    )
    for (const { batch, ats } of request) for (const at of ats) body.add(batch.actions[at]!)
    await send(request, body)
  }

  return {
    write(actions, isAlive, isAlone = false) {
      return new Promise(resolve => {
        if (actions.length === 0) return resolve([])
        queue.push({
          actions,
          isAlive,
          isAlone,
          next: 0,
          passedOver: [],
          answers: new Array(actions.length),
          open: actions.length,
          resolve,
        })
        pump()
      })
    },
    queuedBytes: () =>
      queue
        .flatMap(({ actions, next, passedOver }) => [
          ...passedOver.map(at => actions[at]!),
          ...actions.slice(next),
        ])
        .reduce((sum, { write }) => sum + bytesOf(write), 0),
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

function answeredOf(answer: BulkAnswer): number {
  return answer.kind === 'items' ? answer.items.length : answer.kind === 'done' ? answer.count : 0
}

/** About: of a text its length. */
function bytesOf({ document, start, end }: Write): number {
  return end - start + (document?.length ?? 0)
}

function countOf(request: readonly Part[]): number {
  return request.reduce((sum, { ats }) => sum + ats.length, 0)
}

/** The first half of the actions of a request, and the others. */
function halves(request: readonly Part[]): [Part[], Part[]] {
  let left = Math.ceil(countOf(request) / 2)
  const first: Part[] = []
  const second: Part[] = []
  for (const { batch, ats } of request) {
    const taken = Math.min(left, ats.length)
    left -= taken
    if (taken > 0) first.push({ batch, ats: ats.slice(0, taken) })
    if (taken < ats.length) second.push({ batch, ats: ats.slice(taken) })
  }
  return [first, second]
}

/**
 * A body that is too large may be seen only as a connection that breaks: who refuses it closes while it is still on its way.
 * So actions that have met that so often in a row are cut in two, as a 413 would have it. It may as well be the network: then
 * the halves break too, down to this size, and all is tried again later as ever.
 */
const RESETS_MAX = 3
const SMALL_BYTES = 262_144

function resetCounts() {
  /** Under one fence: only the broken attempts of its version have been told to the one who judges its conflicts. */
  const counts = new WeakMap<Action, { fence: number; count: number }>()
  let isEmpty = true
  const actionsOf = (request: readonly Part[]) =>
    request.flatMap(({ batch, ats }) => ats.map(at => batch.actions[at]!))
  return {
    /** Counts one more for each action. @returns those that have had too many apart from the others */
    count(request: readonly Part[]): { worn: Part[]; others: Part[] } {
      isEmpty = false
      const isWorn = (action: Action): boolean => {
        const found = counts.get(action)
        const count = found?.fence === action.fence ? found.count + 1 : 1
        counts.set(action, { fence: action.fence, count })
        return count >= RESETS_MAX
      }
      const worn: Part[] = []
      const others: Part[] = []
      for (const { batch, ats } of request) {
        const { true: tried = [], false: fresh = [] } = Object.groupBy(ats, at =>
          isWorn(batch.actions[at]!) ? 'true' : 'false',
        )
        if (tried.length > 0) worn.push({ batch, ats: tried })
        if (fresh.length > 0) others.push({ batch, ats: fresh })
      }
      return { worn, others }
    },
    /** The connection held: what broke before was something else. */
    forget(request: readonly Part[]): void {
      if (isEmpty) return
      for (const action of actionsOf(request)) counts.delete(action)
    },
  }
}
