/**
 * What OpenSearch's answer means for each action.
 *
 * done: applied. conflict: the document has a version at or above ours; version.ts judges it. retry: the service is at
 * fault, or the whole index; nothing is lost by waiting. dead: the document is at fault and always will be.
 * An answer nobody foresaw is retried: a wait is visible and mendable, a dropped row is neither.
 */
import { currentVersion } from './version.ts'

/** One entry of `items` as `filter_path` leaves it. */
export type Item = {
  status: number
  error?: { type: string; reason?: string; caused_by?: { type?: string } }
}

/** The answer to one bulk request as a whole. */
export type BulkAnswer =
  /** All of them applied; a delete may have found nothing. */
  | { kind: 'done'; count: number }
  | { kind: 'items'; items: Item[] }
  /** Refused as a whole with this status; nothing was applied. */
  | { kind: 'status'; status: number; type: string }
  /** No usable answer. `mayHaveLanded` unless the connection was never made. */
  | { kind: 'failed'; reason: 'timeout' | 'connection' | 'malformed-answer'; mayHaveLanded: boolean }

/** The answer to one action. */
export type Answer =
  | { kind: 'done' }
  | { kind: 'item'; item: Item }
  /** The request as a whole: no answer, or one without items. `mayHaveLanded` when it may have been applied. */
  | { kind: 'request'; reason: RequestFault; mayHaveLanded: boolean }
  /** Refused alone in a request: too large or malformed. */
  | { kind: 'refused'; reason: string }
  /** The lease was no longer ours by our own clock: nothing was sent. */
  | { kind: 'fenced' }

export type RequestFault = 'timeout' | 'connection' | 'malformed-answer' | `status-${number}`

export type Judgement =
  | { kind: 'done'; outcome: 'indexed' | 'deleted' }
  | { kind: 'conflict'; current: bigint | undefined }
  | { kind: 'retry'; reason: string; scope: RetryScope }
  /** `mayPass`: sent again a few times, it may be taken all the same. */
  | { kind: 'dead'; detail: string; mayPass?: boolean }
  | { kind: 'fenced' }

/**
 * What is at fault. `index`: others can be written meanwhile. `service`: OpenSearch, or the way to it. `unknown`: an answer
 * nobody foresaw.
 */
export type RetryScope = 'index' | 'service' | 'unknown'

/** Refusals that concern the index, not the document, although their status says 400, 403 or 404. */
const INDEX_AT_FAULT = new Set([
  'index_not_found_exception',
  'index_closed_exception',
  'cluster_block_exception',
  'no_shard_available_action_exception',
  'unavailable_shards_exception',
  // No room for the shards of an index that would be made.
  'validation_exception',
])

/** Set-up that is missing at the index, told as an illegal argument of the document. */
const INDEX_INCOMPLETE = /^(no write index is defined for alias \[|pipeline with id \[.*\] does not exist)/s

/**
 * Two requests met a new field at once and mapped it differently (55 and 61.5). The field is there now: sent again, the
 * document is taken. But one document that maps a new field in two ways ([55, 61.5]) gets this answer each time.
 */
const MAPPED_MEANWHILE = /^mapper \[.*\] cannot be changed from type /s

const INDEXED: Judgement = { kind: 'done', outcome: 'indexed' }
const DELETED: Judgement = { kind: 'done', outcome: 'deleted' }

export function judge(kind: 'index' | 'delete', answer: Answer): Judgement {
  if (answer.kind === 'done') return kind === 'index' ? INDEXED : DELETED
  if (answer.kind === 'fenced') return answer
  if (answer.kind === 'request')
    return { kind: 'retry', reason: answer.reason, scope: scopeOf(answer.reason) }
  if (answer.kind === 'refused') return { kind: 'dead', detail: answer.reason }
  const { status, error } = answer.item
  if (status >= 200 && status < 300) return kind === 'index' ? INDEXED : DELETED
  // A delete that found nothing is what was wanted; its tombstone keeps older writes out.
  if (kind === 'delete' && status === 404 && !error) return DELETED
  const type = error?.type ?? 'no error type'
  if (status === 409 && type === 'version_conflict_engine_exception') {
    return { kind: 'conflict', current: currentVersion(error?.reason ?? '') }
  }
  if (INDEX_AT_FAULT.has(type)) return { kind: 'retry', reason: type, scope: 'index' }
  if (type === 'illegal_argument_exception' && INDEX_INCOMPLETE.test(error?.reason ?? ''))
    return { kind: 'retry', reason: type, scope: 'index' }
  if (status === 400 && type === 'illegal_argument_exception' && MAPPED_MEANWHILE.test(error?.reason ?? ''))
    return { kind: 'dead', detail: type, mayPass: true }
  if (status === 400) return { kind: 'dead', detail: deadDetail(type, error?.caused_by?.type) }
  // Told of one item, a missing permission is one for this index.
  if (type === 'security_exception') return { kind: 'retry', reason: `status-${status}`, scope: 'index' }
  return { kind: 'retry', reason: `status-${status}`, scope: isForeseen(status) ? 'service' : 'unknown' }
}

function scopeOf(fault: RequestFault): RetryScope {
  const status = /^status-(\d+)$/.exec(fault)
  return status && !isForeseen(Number(status[1])) ? 'unknown' : 'service'
}

/** Overloaded, broken, or not yet or no longer allowed. */
function isForeseen(status: number): boolean {
  return status >= 500 || [401, 403, 408, 429].includes(status)
}

/** Only the types: OpenSearch's reasons quote the values of the row. */
function deadDetail(type: string, cause: string | undefined): string {
  return cause ? `${type}, caused by ${cause}` : type
}
