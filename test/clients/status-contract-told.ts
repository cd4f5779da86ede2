/**
 * The rows of the status contract that a stub tells: those a node of our own cannot be brought to give (a large cluster
 * under load, AWS, the proxies and load balancers in between), and the plain ones, so that no machine is needed for them.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Contract, dead, done, item, retry, whole } from './status-contract.ts'

/** What the stub answers. */
type Reply =
  /** To the action in question; the others are created. */
  | { kind: 'item'; status: number; error?: object }
  /** To every request. */
  | { kind: 'whole'; status: number; body: string }
  /** To requests with the action in question; all others are done. */
  | { kind: 'refusal'; status: number; body: string }
  /** Instead of an answer. */
  | { kind: 'none'; how: (response: ServerResponse, request: IncomingMessage) => void }

/** `timeoutMs`: how long an answer is waited for, where none comes. */
export type ToldRow = Contract & { kind?: 'index' | 'delete'; reply: Reply; timeoutMs?: number }

const HTML = '<html><body><center><h1>Sorry</h1></center></body></html>'
const error = (type: string) => ({ type, reason: 'r' })
const body = (type: string, status: number) => JSON.stringify({ error: error(type), status })

const conflict = 'version_conflict_engine_exception'
const conflictReason =
  '[1]: version conflict, current version [160] is higher or equal to the one provided [16]'
const mapped = 'mapper [x] cannot be changed from type [long] to [float]'

/** An item with an error of this type. */
const told = (status: number, type: string): Pick<ToldRow, 'reply' | 'answer'> => ({
  reply: { kind: 'item', status, error: error(type) },
  answer: item(status, type),
})

const items: ToldRow[] = [
  { name: 'created', reply: { kind: 'item', status: 201 }, answer: { kind: 'done' }, judgement: done() },
  { name: 'overwritten', reply: { kind: 'item', status: 200 }, answer: { kind: 'done' }, judgement: done() },
  {
    name: 'deleted',
    kind: 'delete',
    reply: { kind: 'item', status: 200 },
    answer: { kind: 'done' },
    judgement: done('deleted'),
  },
  {
    name: 'delete that found nothing',
    kind: 'delete',
    reply: { kind: 'item', status: 404 },
    answer: { kind: 'done' },
    judgement: done('deleted'),
  },
  {
    name: 'conflict',
    reply: { kind: 'item', status: 409, error: { type: conflict, reason: conflictReason } },
    answer: item(409, conflict),
    judgement: { kind: 'conflict', current: 160n },
  },
  {
    name: 'conflict in words nobody knows: to be explained, not taken for done',
    ...told(409, conflict),
    judgement: { kind: 'conflict', current: undefined },
  },
  { name: 'another 409', ...told(409, 'never_heard_of'), judgement: retry('status-409', 'unknown') },
  {
    name: 'a field mapped otherwise by another request at the same time',
    reply: { kind: 'item', status: 400, error: { type: 'illegal_argument_exception', reason: mapped } },
    answer: item(400, 'illegal_argument_exception'),
    judgement: { kind: 'dead', detail: 'illegal_argument_exception', mayPass: true },
  },
  {
    name: 'red index: primary shard not active',
    ...told(503, 'unavailable_shards_exception'),
    judgement: retry('unavailable_shards_exception'),
  },
  {
    name: 'write queue full',
    ...told(429, 'es_rejected_execution_exception'),
    judgement: retry('status-429'),
  },
  {
    name: 'memory for indexing used up, elsewhere than here',
    ...told(429, 'rejected_execution_exception'),
    judgement: retry('status-429'),
  },
  {
    name: 'circuit breaker of the shard',
    ...told(429, 'circuit_breaking_exception'),
    judgement: retry('status-429'),
  },
  {
    name: 'mapping not updated in time',
    ...told(503, 'process_cluster_event_timeout_exception'),
    judgement: retry('status-503'),
  },
  {
    name: 'no shard to be had, said as 404',
    ...told(404, 'no_shard_available_action_exception'),
    judgement: retry('no_shard_available_action_exception'),
  },
  {
    name: 'index not permitted',
    ...told(403, 'security_exception'),
    judgement: retry('status-403', 'index'),
  },
  { name: 'user not known', ...told(401, 'security_exception'), judgement: retry('status-401', 'index') },
  { name: 'too slow', ...told(408, 'timeout_exception'), judgement: retry('status-408') },
  { name: 'broken shard', ...told(500, 'translog_exception'), judgement: retry('status-500') },
  { name: 'a 400 of a type nobody knows', ...told(400, 'never_heard_of'), judgement: dead('never_heard_of') },
  {
    name: 'a status nobody knows',
    ...told(418, 'never_heard_of'),
    judgement: retry('status-418', 'unknown'),
  },
]

/** Every status that is waited out, with what says it. */
const waitedOut: [name: string, status: number, body: string, type: string | undefined, landed: boolean][] = [
  ['redirect', 302, '', undefined, false],
  ['basic authentication refused', 401, 'Unauthorized', undefined, false],
  ['user refused', 403, body('security_exception', 403), 'security_exception', false],
  ['role refused by AWS', 403, '{"Message":"User: anonymous is not authorized"}', undefined, false],
  ['signature of a clock that is wrong', 403, '{"message":"Signature expired"}', undefined, false],
  ['throttled by AWS', 403, '{"message":"Request throttled due to too many requests"}', undefined, false],
  ['nothing there', 404, HTML, undefined, false],
  ['request timeout', 408, HTML, undefined, false],
  ['a status nobody knows', 418, HTML, undefined, false],
  ['too many requests to AWS', 429, '429 Too Many Requests /_bulk', undefined, false],
  ['circuit breaker', 429, body('circuit_breaking_exception', 429), 'circuit_breaking_exception', false],
  [
    'write queue full',
    429,
    body('es_rejected_execution_exception', 429),
    'es_rejected_execution_exception',
    false,
  ],
  ['fault inside', 500, body('null_pointer_exception', 500), 'null_pointer_exception', true],
  ['bad gateway', 502, HTML, undefined, true],
  ['no cluster manager', 503, body('cluster_block_exception', 503), 'cluster_block_exception', true],
  ['load balancer without targets', 503, HTML, undefined, true],
  ['gateway timeout', 504, HTML, undefined, true],
]

const wholes: ToldRow[] = [
  ...waitedOut.map(
    ([name, status, text, type, mayHaveLanded]): ToldRow => ({
      name: `${status} of all: ${name}`,
      reply: { kind: 'whole', status, body: text },
      answer: whole(status, type),
      judgement: retry(`status-${status}`, [302, 404, 418].includes(status) ? 'unknown' : 'service'),
      mayHaveLanded,
    }),
  ),
  {
    name: '400 of all: closed index',
    reply: { kind: 'whole', status: 400, body: body('index_closed_exception', 400) },
    answer: whole(400, 'index_closed_exception'),
    judgement: retry('status-400', 'unknown'),
    mayHaveLanded: false,
  },
  {
    name: '400 of all: not from OpenSearch',
    reply: { kind: 'whole', status: 400, body: HTML },
    answer: whole(400),
    judgement: retry('status-400', 'unknown'),
    mayHaveLanded: false,
  },
  ...['action_request_validation_exception', 'illegal_argument_exception', 'json_parse_exception'].map(
    (type): ToldRow => ({
      name: `400 of all: ${type}`,
      reply: { kind: 'refusal', status: 400, body: body(type, 400) },
      answer: whole(400, type),
      judgement: dead(`status 400 ${type}`),
    }),
  ),
  ...(
    [
      ['by OpenSearch', ''],
      ['by a proxy', HTML],
    ] as const
  ).map(
    ([by, text]): ToldRow => ({
      name: `413 of all: one document too large, ${by}`,
      reply: { kind: 'refusal', status: 413, body: text },
      answer: whole(413),
      judgement: dead('status 413 no error type'),
    }),
  ),
]

const DONE = '{"index":{"status":201}}'
const REFUSED = '{"index":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"r"}}}'

/** With status 200, and yet no answer to the request. */
const unusable: [name: string, body: string, answer?: Contract['answer']][] = [
  ['cut short', `{"errors":false,"items":[${DONE},${DONE},{"index":`],
  ['HTML', HTML],
  ['garbage', '\u0000\u0001{]'],
  ['empty', ''],
  ['without items', '{"took":1,"errors":false}'],
  ['items without status', '{"errors":true,"items":[{"index":{}},{"index":{}},{"index":{}}]}'],
  ['one item too few', `{"errors":false,"items":[${DONE},${DONE}]}`, { kind: 'other-count' }],
  [
    'one item too many',
    `{"errors":false,"items":[${DONE},${DONE},${DONE},${DONE}]}`,
    { kind: 'other-count' },
  ],
  ['one item too few, with errors', `{"errors":true,"items":[${DONE},${REFUSED}]}`, { kind: 'other-count' }],
  ['no items at all', '{"errors":false,"items":[]}', { kind: 'other-count' }],
]

const failures: ToldRow[] = [
  ...unusable.map(
    ([name, text, answer = { kind: 'failed', reason: 'malformed-answer' }]): ToldRow => ({
      name: `200: ${name}`,
      reply: { kind: 'whole', status: 200, body: text },
      answer,
      judgement: retry('malformed-answer'),
      mayHaveLanded: true,
    }),
  ),
  {
    name: 'connection reset before the answer',
    reply: { kind: 'none', how: (_, request) => void request.socket.resetAndDestroy() },
    answer: { kind: 'failed', reason: 'connection' },
    judgement: retry('connection'),
    mayHaveLanded: true,
  },
  {
    name: 'connection closed inside the answer',
    reply: {
      kind: 'none',
      how: response => {
        response.writeHead(200, { 'content-length': 500 }).write('{"errors":false', () => response.destroy())
      },
    },
    answer: { kind: 'failed', reason: 'connection' },
    judgement: retry('connection'),
    mayHaveLanded: true,
  },
  {
    name: 'no answer in time',
    timeoutMs: 200,
    reply: { kind: 'none', how: () => {} },
    answer: { kind: 'failed', reason: 'timeout' },
    judgement: retry('timeout'),
    mayHaveLanded: true,
  },
]

export const toldRows: ToldRow[] = [...items, ...wholes, ...failures]
