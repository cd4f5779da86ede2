/** The JSON Schema of the table file: what `--print-schema` prints, editors complete by, and the file is validated with. */
import { typeNames } from './core/column.ts'

const names = (description: string) => ({
  type: 'array',
  minItems: 1,
  uniqueItems: true,
  items: { type: 'string', minLength: 1 },
  description,
})

const column = {
  type: ['string', 'object'],
  description:
    'PostgreSQL type of the column, such as jsonb, boolean, numeric(12,2), timestamptz or text[]; an enum, domain or composite: text. Or an object with the type and what to do with it.',
  // For completion only: names with a length or with brackets are checked by the program.
  examples: typeNames,
  required: ['type'],
  additionalProperties: false,
  properties: {
    type: {
      type: 'string',
      minLength: 1,
      description: 'PostgreSQL type of the column.',
      examples: typeNames,
    },
    as: {
      enum: ['number', 'text'],
      description: 'numeric only: write its digits as a JSON number (default) or as text.',
    },
    onBroken: {
      enum: ['dead-letter', 'text'],
      description:
        'json, jsonb and arrays: a value that is none (cut at LobMaxSize) makes the record a dead letter (default), or is written as text into the field `<column>_text`, with null in its own.',
    },
  },
} as const

const table = {
  type: ['object', 'null'],
  additionalProperties: false,
  properties: {
    mode: {
      enum: ['mirror', 'append', 'skip'],
      description:
        'mirror (default): the document follows the row. append: rows are only added; an update or delete is a dead letter. skip: records of the table are counted and dropped.',
    },
    key: names('Key columns in order. Default: [id].'),
    index: {
      type: 'string',
      minLength: 1,
      description:
        'Index of the documents; {schema} and {table} stand for the names. Default: {schema}_{table}.',
    },
    idPrefix: {
      type: 'string',
      maxLength: 128,
      description:
        'Put before every id; {schema} and {table} stand for the names. Lets several tables share an index.',
    },
    routing: { type: 'string', minLength: 1, description: 'Key column whose value routes the document.' },
    partition: {
      enum: ['table', 'key'],
      description:
        'How the DMS object mapping partitions the table: table (schema-table, default) or key (primary-key).',
    },
    columns: {
      type: 'object',
      additionalProperties: column,
      description: 'Types of columns whose value changes on its way; others are written as they come.',
    },
    exclude: names('Columns left out of the document.'),
    keepOnNull: names(
      'Columns that keep their value when an update has none: unchanged TOAST arrives as null or not at all.',
    ),
  },
} as const

export const tableFileSchema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'Table file of aurora-opensearch-cdc',
  type: 'object',
  required: ['tables'],
  additionalProperties: false,
  properties: {
    tables: {
      type: 'object',
      description:
        'Rules by `schema.table` as the source spells it. * stands for any text: a table by its own name goes before patterns, of patterns the first one that fits.',
      additionalProperties: table,
    },
  },
} as const
