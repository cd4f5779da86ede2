/** The rows of the status contract that a node of our own can be brought to give. */
import { readsWithJackson3 } from '../../docker/local/opensearch.ts'
import { type Contract, type Culprit, dead, done, item, retry, versionOf, whole } from './status-contract.ts'

/** OpenSearch as the rows change it. */
export type Scene = {
  request(method: string, path: string, body?: object): Promise<unknown>
  newIndex(body?: object): Promise<string>
  /** A name that no index has yet. */
  newName(): string
  /** One action by itself, which is taken. */
  write(action: Culprit): Promise<void>
}

export type ProvokedRow = Contract & {
  provoke: (scene: Scene) => Promise<{
    culprit: Culprit
    /** Ends the fault; then the action in question is taken. */
    mend?: () => Promise<unknown>
  }>
}

/** A document that is at fault itself, in an index of this kind. */
const refused = (
  name: string,
  document: string,
  type: string,
  cause: string | undefined,
  index: object = {},
): ProvokedRow => ({
  name,
  provoke: async scene => ({ culprit: { index: await scene.newIndex(index), document } }),
  answer: item(400, type),
  judgement: dead(cause === undefined ? type : `${type}, caused by ${cause}`),
})

const parsing = 'mapper_parsing_exception'
const argument = 'illegal_argument_exception'
// These two are named after classes of the parser. The service goes by neither.
const [cutShort, objectForNumber] = readsWithJackson3()
  ? ['unexpected_end_of_input_exception', 'input_coercion_exception']
  : ['json_e_o_f_exception', 'json_parse_exception']
const mapped = (properties: object) => ({ mappings: { properties } })
const nested = (levels: number) => `${'{"d":'.repeat(levels)}1${'}'.repeat(levels)}`

const documents: ProvokedRow[] = [
  refused('malformed document', '{"a":', parsing, cutShort),
  refused('duplicate key', '{"a":1,"a":2}', parsing, 'json_parse_exception'),
  refused('empty field name', '{"":1}', parsing, argument),
  refused('field name with nothing between dots', '{"a..b":1}', parsing, argument),
  refused('_id in the body', '{"_id":"1"}', parsing, parsing),
  refused('21 levels deep', nested(21), parsing, 'parse_exception'),
  refused(
    'term over 32,766 bytes',
    `{"k":"${'x'.repeat(32_767)}"}`,
    argument,
    'max_bytes_length_exceeded_exception',
    mapped({ k: { type: 'keyword' } }),
  ),
  refused('text for a number', '{"a":"x"}', parsing, argument, mapped({ a: { type: 'long' } })),
  refused(
    'number over 64 bits',
    '{"a":99999999999999999999}',
    parsing,
    'input_coercion_exception',
    mapped({ a: { type: 'long' } }),
  ),
  refused('object for a number', '{"a":{"b":1}}', parsing, objectForNumber, mapped({ a: { type: 'long' } })),
  refused('field that a strict mapping lacks', '{"a":1}', 'strict_dynamic_mapping_exception', undefined, {
    mappings: { dynamic: 'strict' },
  }),
  refused('one field too many', '{"a":1,"b":1,"c":1}', argument, undefined, {
    settings: { 'index.mapping.total_fields.limit': 2 },
  }),
  {
    name: '20 levels deep',
    provoke: async scene => ({ culprit: { index: await scene.newIndex(), document: nested(20) } }),
    answer: { kind: 'done' },
    judgement: done(),
  },
  {
    name: 'empty id',
    provoke: async scene => ({ culprit: { index: await scene.newIndex(), id: '' } }),
    answer: item(400, argument),
    judgement: dead(argument),
  },
  {
    name: 'bad index name',
    provoke: async () => ({ culprit: { index: 'Bad Name' } }),
    answer: item(400, 'invalid_index_name_exception'),
    judgement: dead('invalid_index_name_exception'),
  },
]

const requests: ProvokedRow[] = [
  {
    name: 'id over 512 bytes: the request as a whole, found by cutting it',
    provoke: async scene => ({ culprit: { index: await scene.newIndex(), id: 'x'.repeat(513) } }),
    answer: whole(400, 'action_request_validation_exception'),
    judgement: dead('status 400 action_request_validation_exception'),
  },
  {
    name: 'version 2^63: the request as a whole',
    provoke: async scene => ({ culprit: { index: await scene.newIndex(), version: String(2n ** 63n) } }),
    answer: whole(400, argument),
    judgement: dead(`status 400 ${argument}`),
  },
  {
    name: 'negative version: the request as a whole',
    provoke: async scene => ({ culprit: { index: await scene.newIndex(), version: '-1' } }),
    answer: whole(400, 'action_request_validation_exception'),
    judgement: dead('status 400 action_request_validation_exception'),
  },
  {
    name: 'line of action cut short: the request as a whole',
    // The id cannot do that: it is escaped. The version is written as it is.
    provoke: async scene => ({ culprit: { index: await scene.newIndex(), version: '1"\n' } }),
    answer: whole(400, cutShort),
    judgement: dead(`status 400 ${cutShort}`),
  },
]

const [older, same, newer] = [versionOf(1), versionOf(2), versionOf(3)] as const
const conflict = 'version_conflict_engine_exception'

const versions: ProvokedRow[] = [
  {
    name: 'version equal to that of the document',
    provoke: async scene => {
      const index = await scene.newIndex()
      await scene.write({ index, version: same })
      return { culprit: { index, version: same } }
    },
    answer: item(409, conflict),
    judgement: { kind: 'conflict', current: BigInt(same) },
  },
  {
    name: 'document of a higher version',
    provoke: async scene => {
      const index = await scene.newIndex()
      await scene.write({ index, version: newer })
      return { culprit: { index, version: same } }
    },
    answer: item(409, conflict),
    judgement: { kind: 'conflict', current: BigInt(newer) },
  },
  {
    name: 'delete of a document of a higher version',
    provoke: async scene => {
      const index = await scene.newIndex()
      await scene.write({ index, version: newer })
      return { culprit: { kind: 'delete', index, version: older } }
    },
    answer: item(409, conflict),
    judgement: { kind: 'conflict', current: BigInt(newer) },
  },
  {
    name: 'older than the delete of an id never seen',
    provoke: async scene => {
      const index = await scene.newIndex()
      await scene.write({ kind: 'delete', index, version: same })
      return { culprit: { index, version: older } }
    },
    answer: item(409, conflict),
    judgement: { kind: 'conflict', current: BigInt(same) },
  },
  {
    name: 'version over 2^53, digit for digit',
    provoke: async scene => {
      const index = await scene.newIndex()
      await scene.write({ index, version: '9007199254740993' })
      return { culprit: { index, version: '9007199254740992' } }
    },
    answer: item(409, conflict),
    judgement: { kind: 'conflict', current: 9007199254740993n },
  },
  {
    name: 'delete of a document that is missing',
    provoke: async scene => ({ culprit: { kind: 'delete', index: await scene.newIndex() } }),
    answer: { kind: 'done' },
    judgement: done('deleted'),
  },
  {
    name: 'delete from an index that is missing makes it',
    provoke: async scene => ({ culprit: { kind: 'delete', index: scene.newName() } }),
    answer: { kind: 'done' },
    judgement: done('deleted'),
  },
]

/** An index that holds the document already and then gets this setting. */
const withSetting =
  (setting: string, culprit: Omit<Culprit, 'index'> = {}): ProvokedRow['provoke'] =>
  async scene => {
    const index = await scene.newIndex()
    await scene.write({ index })
    const set = (value: true | null) => scene.request('PUT', `/${index}/_settings`, { [setting]: value })
    await set(true)
    return { culprit: { index, ...culprit }, mend: () => set(null) }
  }

/** A setting of the cluster, and the action it is in the way of. */
const withClusterSetting =
  (setting: string, value: unknown, culprit: (scene: Scene) => Promise<Culprit>): ProvokedRow['provoke'] =>
  async scene => {
    const made = await culprit(scene)
    const set = (to: unknown) => scene.request('PUT', '/_cluster/settings', { transient: { [setting]: to } })
    await set(value)
    return { culprit: made, mend: () => set(null) }
  }

const blocks = 'cluster_block_exception'
const existing = async (scene: Scene): Promise<Culprit> => ({ index: await scene.newIndex() })
const absent = async (scene: Scene): Promise<Culprit> => ({ index: scene.newName() })

const indices: ProvokedRow[] = [
  ...(['index', 'delete'] as const).flatMap((kind): ProvokedRow[] => [
    {
      name: `${kind}, flood-stage block`,
      provoke: withSetting('index.blocks.read_only_allow_delete', { kind }),
      answer: item(429, blocks),
      judgement: retry(blocks),
    },
    {
      name: `${kind}, block of writes`,
      provoke: withSetting('index.blocks.write', { kind }),
      answer: item(403, blocks),
      judgement: retry(blocks),
    },
    {
      name: `${kind}, read-only index`,
      provoke: withSetting('index.blocks.read_only', { kind }),
      answer: item(403, blocks),
      judgement: retry(blocks),
    },
    {
      name: `${kind}, closed index: a 400 that is not the document's fault`,
      provoke: async scene => {
        const index = await scene.newIndex()
        await scene.write({ index })
        await scene.request('POST', `/${index}/_close`)
        return {
          culprit: { kind, index },
          mend: () => scene.request('POST', `/${index}/_open`),
        }
      },
      answer: item(400, 'index_closed_exception'),
      judgement: retry('index_closed_exception'),
    },
    {
      name: `${kind}, index missing and not made by itself`,
      provoke: withClusterSetting('action.auto_create_index', 'false', async scene => ({
        kind,
        index: scene.newName(),
      })),
      answer: item(404, 'index_not_found_exception'),
      judgement: retry('index_not_found_exception'),
    },
  ]),
  {
    name: 'block of metadata, and a field that is new',
    provoke: withSetting('index.blocks.metadata', { document: '{"b":1}' }),
    answer: item(403, blocks),
    judgement: retry(blocks),
  },
  {
    name: 'read-only cluster: the request as a whole',
    provoke: withClusterSetting('cluster.blocks.read_only', true, existing),
    answer: whole(403, blocks),
    judgement: retry('status-403'),
    mayHaveLanded: false,
  },
  {
    name: 'read-only cluster that lets indices be deleted: the request as a whole',
    provoke: withClusterSetting('cluster.blocks.read_only_allow_delete', true, existing),
    answer: whole(403, blocks),
    judgement: retry('status-403'),
    mayHaveLanded: false,
  },
  {
    name: 'circuit breaker of requests: the request as a whole',
    provoke: withClusterSetting('network.breaker.inflight_requests.limit', '600b', async scene => ({
      index: await scene.newIndex(),
      document: JSON.stringify({ a: 'x'.repeat(2000) }),
    })),
    answer: whole(429, 'circuit_breaking_exception'),
    judgement: retry('status-429'),
    mayHaveLanded: false,
  },
  {
    name: 'no room for the shards of an index to be made',
    provoke: withClusterSetting('cluster.max_shards_per_node', 1, absent),
    answer: item(400, 'validation_exception'),
    judgement: retry('validation_exception'),
  },
  {
    name: 'alias without an index to write to',
    provoke: async scene => {
      const alias = scene.newName()
      const members = [await scene.newIndex(), await scene.newIndex()]
      const actions = members.map(index => ({ add: { index, alias } }))
      await scene.request('POST', '/_aliases', { actions })
      return {
        culprit: { index: alias },
        mend: () =>
          scene.request('POST', '/_aliases', {
            actions: [{ add: { index: members[0], alias, is_write_index: true } }],
          }),
      }
    },
    answer: item(400, argument),
    judgement: retry(argument),
  },
  {
    name: 'red index: its primary shard is nowhere',
    provoke: async scene => {
      const allocation = 'index.routing.allocation.include._name'
      const index = await scene.newIndex({ settings: { [allocation]: 'nowhere' } })
      return {
        culprit: { index },
        mend: async () => {
          await scene.request('PUT', `/${index}/_settings`, { [allocation]: null })
          await scene.request('GET', `/_cluster/health/${index}?wait_for_status=yellow&timeout=30s`)
        },
      }
    },
    answer: item(503, 'unavailable_shards_exception'),
    judgement: retry('unavailable_shards_exception'),
  },
]

export const provokedRows: ProvokedRow[] = [...documents, ...requests, ...versions, ...indices]
