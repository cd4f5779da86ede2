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
import { actionText } from './core/batch.ts'
import type { Write } from './core/document.ts'
import type { Answer, BulkAnswer } from './core/outcome.ts'
import { documentKey } from './core/page.ts'

export type Action = { write: Write; version: string; isAlive: () => boolean }

export type BulkWriterParts = {
  bulk: (body: string) => Promise<BulkAnswer>
  limits: { bytesMax: number; actionsMax: number; inFlightMax: number }
  monotonic: () => number
  onRequest: (request: { outcome: string; seconds: number; actions: number; bytes: number }) => void
}

type Entry = { action: Action; text: string; bytes: number; answer: (answer: Answer) => void }

export type BulkWriter = {
  /** Answers in the order of the actions. Actions of one call are of different documents. Never rejects. */
  write(actions: readonly Action[]): Promise<Answer[]>
  queuedBytes(): number
  inFlight(): number
}

export function bulkWriter(parts: BulkWriterParts): BulkWriter {
  const { limits } = parts
  let queue: Entry[] = []
  const documentsInFlight = new Set<string>()
  let requestsInFlight = 0

  /** Takes from the queue, in order, what fits one request. */
  function nextRequest(): Entry[] {
    const taken: Entry[] = []
    const left: Entry[] = []
    let bytes = 0
    for (const entry of queue) {
      const fits =
        taken.length < limits.actionsMax && (taken.length === 0 || bytes + entry.bytes <= limits.bytesMax)
      const document = documentKey(entry.action.write)
      if (!fits || documentsInFlight.has(document)) left.push(entry)
      else {
        documentsInFlight.add(document)
        bytes += entry.bytes
        taken.push(entry)
      }
    }
    queue = left
    return taken
  }

  function pump(): void {
    while (requestsInFlight < limits.inFlightMax && queue.length > 0) {
      const request = nextRequest()
      if (request.length === 0) return
      requestsInFlight++
      void send(request).then(() => {
        requestsInFlight--
        for (const entry of request) documentsInFlight.delete(documentKey(entry.action.write))
        pump()
      })
    }
  }

  async function send(request: readonly Entry[]): Promise<void> {
    const entries = request.filter(entry => entry.action.isAlive())
    for (const entry of request) if (!entries.includes(entry)) entry.answer({ kind: 'fenced' })
    if (entries.length === 0) return
    const body = entries.map(entry => entry.text).join('')
    const startedAtMs = parts.monotonic()
    const answer = await parts.bulk(body)
    const report = (outcome: string) =>
      parts.onRequest({
        outcome,
        seconds: (parts.monotonic() - startedAtMs) / 1000,
        actions: entries.length,
        bytes: body.length,
      })
    const all = (same: Answer) => {
      for (const entry of entries) entry.answer(same)
    }
    if (answer.kind === 'failed') {
      report(answer.reason)
      all({ kind: 'request', reason: answer.reason, mayHaveLanded: answer.mayHaveLanded })
    } else if (answer.kind === 'items' && answer.items.length !== entries.length) {
      // Items are matched by position; with another count none can be believed.
      report('malformed-answer')
      all({ kind: 'request', reason: 'malformed-answer', mayHaveLanded: true })
    } else if (answer.kind === 'items') {
      report(answer.items.every(item => item.status < 300) ? 'ok' : 'partial')
      for (const [at, entry] of entries.entries()) entry.answer({ kind: 'item', item: answer.items[at]! })
    } else if (answer.status === 413 || (answer.status === 400 && answer.type !== 'index_closed_exception')) {
      report(`status-${answer.status}`)
      if (entries.length === 1)
        return all({ kind: 'refused', reason: `status ${answer.status} ${answer.type}` })
      const middle = Math.ceil(entries.length / 2)
      await send(entries.slice(0, middle))
      await send(entries.slice(middle))
    } else {
      report(`status-${answer.status}`)
      all({ kind: 'request', reason: `status-${answer.status}`, mayHaveLanded: false })
    }
  }

  return {
    write(actions) {
      return new Promise(resolve => {
        const answers: Answer[] = new Array(actions.length)
        let open = actions.length
        if (open === 0) resolve(answers)
        for (const [at, action] of actions.entries()) {
          const text = actionText(action.write, action.version)
          queue.push({
            action,
            text,
            bytes: Buffer.byteLength(text),
            answer: answer => {
              answers[at] = answer
              if (--open === 0) resolve(answers)
            },
          })
        }
        pump()
      })
    },
    queuedBytes: () => queue.reduce((sum, entry) => sum + entry.bytes, 0),
    inFlight: () => requestsInFlight,
  }
}
