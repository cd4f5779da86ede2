import { describe, expect, test } from 'vitest'
import { type Answer, type Item, judge } from '../../src/core/outcome.ts'

const item = (status: number, type?: string, reason?: string): Answer => ({
  kind: 'item',
  item: { status, ...(type ? { error: { type, ...(reason ? { reason } : {}) } } : {}) } satisfies Item,
})

describe('status contract', () => {
  test.each([
    ['index', item(201), { kind: 'done', outcome: 'indexed' }],
    ['index', item(200), { kind: 'done', outcome: 'indexed' }],
    ['delete', item(200), { kind: 'done', outcome: 'deleted' }],
    ['delete', item(404), { kind: 'done', outcome: 'deleted' }],
    [
      'delete',
      item(404, 'index_not_found_exception'),
      { kind: 'retry', reason: 'index_not_found_exception', scope: 'index' },
    ],
    [
      'index',
      item(404, 'index_not_found_exception'),
      { kind: 'retry', reason: 'index_not_found_exception', scope: 'index' },
    ],
    [
      'index',
      item(400, 'index_closed_exception'),
      { kind: 'retry', reason: 'index_closed_exception', scope: 'index' },
    ],
    [
      'index',
      item(403, 'cluster_block_exception'),
      { kind: 'retry', reason: 'cluster_block_exception', scope: 'index' },
    ],
    [
      'index',
      item(429, 'cluster_block_exception'),
      { kind: 'retry', reason: 'cluster_block_exception', scope: 'index' },
    ],
    [
      'index',
      item(429, 'es_rejected_execution_exception'),
      { kind: 'retry', reason: 'status-429', scope: 'service' },
    ],
    [
      'index',
      item(429, 'circuit_breaking_exception'),
      { kind: 'retry', reason: 'status-429', scope: 'service' },
    ],
    [
      'index',
      item(503, 'unavailable_shards_exception'),
      { kind: 'retry', reason: 'unavailable_shards_exception', scope: 'index' },
    ],
    ['index', item(401, 'security_exception'), { kind: 'retry', reason: 'status-401', scope: 'index' }],
    ['index', item(403, 'security_exception'), { kind: 'retry', reason: 'status-403', scope: 'index' }],
    ['index', item(404), { kind: 'retry', reason: 'status-404', scope: 'unknown' }],
    ['index', item(409, 'never_heard_of'), { kind: 'retry', reason: 'status-409', scope: 'unknown' }],
    ['index', item(408), { kind: 'retry', reason: 'status-408', scope: 'service' }],
    ['index', item(500, 'exception'), { kind: 'retry', reason: 'status-500', scope: 'service' }],
    ['index', item(418, 'never_heard_of'), { kind: 'retry', reason: 'status-418', scope: 'unknown' }],
    [
      'index',
      item(400, 'mapper_parsing_exception', 'value [secret]'),
      { kind: 'dead', detail: 'mapper_parsing_exception' },
    ],
    [
      'index',
      item(400, 'illegal_argument_exception'),
      { kind: 'dead', detail: 'illegal_argument_exception' },
    ],
    [
      'index',
      item(400, 'strict_dynamic_mapping_exception'),
      { kind: 'dead', detail: 'strict_dynamic_mapping_exception' },
    ],
    ['index', { kind: 'refused', reason: 'status 413' }, { kind: 'dead', detail: 'status 413' }],
    [
      'index',
      { kind: 'request', reason: 'timeout', mayHaveLanded: true },
      { kind: 'retry', reason: 'timeout', scope: 'service' },
    ],
    ['index', { kind: 'fenced' }, { kind: 'fenced' }],
  ] as ['index' | 'delete', Answer, object][])('%s %j -> %j', (kind, answer, expected) => {
    expect(judge(kind, answer)).toEqual(expected)
  })

  test('a conflict gives the version the document has', () => {
    const reason = '[1]: version conflict, current version [160] is higher or equal to the one provided [16]'
    expect(judge('index', item(409, 'version_conflict_engine_exception', reason))).toEqual({
      kind: 'conflict',
      current: 160n,
    })
  })

  test('the detail of a dead letter names the cause and no value of the row', () => {
    const answer: Answer = {
      kind: 'item',
      item: {
        status: 400,
        error: {
          type: 'mapper_parsing_exception',
          reason: "value 'secret'",
          caused_by: { type: 'number_format_exception' },
        },
      },
    }
    expect(judge('index', answer)).toEqual({
      kind: 'dead',
      detail: 'mapper_parsing_exception, caused by number_format_exception',
    })
  })
})
