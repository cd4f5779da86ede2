/**
 * The index template of mirrored tables.
 *
 * `gc_deletes` keeps the tombstones that refuse late copies of older writes; `translog.durability: request` makes an
 * acknowledged write survive the death of a node, and a checkpoint relies on it. Detection is off: whether a column is
 * a date or a number must not depend on the first row seen. Dates come first, since the first match wins.
 */

export const TEMPLATE_NAME = 'aurora-opensearch-cdc'
export const GC_DELETES = '15m'
export const DURABILITY = 'request'

/** What PostgreSQL's timestamps and dates look like by way of DMS; others are kept in the document, not in the index. */
const DATE_FORMATS =
  'strict_date_optional_time_nanos||strict_date_optional_time||yyyy-MM-dd HH:mm:ss[.SSSSSS]||yyyy-MM-dd'

export type TemplateOptions = { patterns: readonly string[]; shards: number; replicas: number }

export function indexTemplate(options: TemplateOptions) {
  const date = { type: 'date', format: DATE_FORMATS, ignore_malformed: true }
  return {
    index_patterns: [...options.patterns],
    priority: 100,
    _meta: { description: 'Mirror of Aurora PostgreSQL tables; put by `bootstrap` of aurora-opensearch-cdc' },
    template: {
      settings: {
        index: {
          number_of_shards: options.shards,
          number_of_replicas: options.replicas,
          refresh_interval: '1s',
          gc_deletes: GC_DELETES,
          translog: { durability: DURABILITY },
          mapping: { total_fields: { limit: 2000 } },
        },
      },
      mappings: {
        dynamic: true,
        date_detection: false,
        numeric_detection: false,
        dynamic_templates: [
          // One field for all keys of a JSON value, whatever their types: rows of other shapes are never refused, and the
          // mapping does not grow with the data.
          { json_objects: { match_mapping_type: 'object', mapping: { type: 'flat_object' } } },
          { dates: { match: '*_at', match_mapping_type: 'string', mapping: date } },
          {
            whole_numbers: { match_mapping_type: 'long', mapping: { type: 'long', ignore_malformed: true } },
          },
          { numbers: { match_mapping_type: 'double', mapping: { type: 'double', ignore_malformed: true } } },
          {
            strings: {
              match_mapping_type: 'string',
              mapping: { type: 'keyword', ignore_above: 8191, fields: { text: { type: 'text' } } },
            },
          },
        ],
        properties: {
          id: {
            type: 'keyword',
            ignore_above: 8191,
            fields: { num: { type: 'long', ignore_malformed: true } },
          },
          created_at: date,
          updated_at: date,
        },
      },
    },
  }
}

/** The settings an index must have for the promises to hold, by their flat names. */
export const requiredSettings: Readonly<Record<string, string>> = {
  'index.gc_deletes': GC_DELETES,
  'index.translog.durability': DURABILITY,
}

/**
 * How a stored template differs from the one `bootstrap` would put: the paths, first to last. Numbers and booleans are
 * compared as text, for OpenSearch answers settings as text.
 */
export function templateDifferences(expected: unknown, found: unknown, path = ''): string[] {
  if (typeof expected !== 'object' || expected === null)
    return String(expected) === String(found) ? [] : [path]
  if (typeof found !== 'object' || found === null) return [path]
  const names = new Set([...Object.keys(expected), ...Object.keys(found)])
  return [...names].flatMap(name =>
    templateDifferences(
      (expected as Record<string, unknown>)[name],
      (found as Record<string, unknown>)[name],
      path === '' ? name : `${path}.${name}`,
    ),
  )
}
