/**
 * A table with a column of every type, its rows, and the documents they must become, column by column.
 *
 * What is expected is SQL (PostgreSQL's own text of the value) or written by hand where the way through DMS changes it.
 * Nothing of it is computed by the code under test or by the stand-in.
 */

/** The value as JSON: SQL with `$` for the column, or JSON by hand for each value, in the order of `VALUES`. */
type Expected = string | readonly [string, string, string, string]

export type TypeColumn = {
  name: string
  ddl: string
  /** What is inserted, as literals of PostgreSQL: a typical value, a low and a high end, and an odd one. */
  values: readonly [string, string, string, string]
  /** As DMS writes it under the settings of the project's own stack, which is the document's value without a table file. */
  came: Expected
  /** As DMS writes it where it is left to its own settings, if that differs. */
  cameByDefault?: Expected
  /** The type in the table file: YAML. */
  as: string
  /** The document's value with the table file, if that differs from what came. */
  typed?: Expected
  typedByDefault?: Expected
}

/** A row's id tells what it holds by its last digit; the tens tell its way, such as load or insert. */
export const VALUES = { typical: 1, nothing: 2, low: 3, high: 4, odd: 5 }
const ORDER = [VALUES.typical, VALUES.low, VALUES.high, VALUES.odd]
/** Ids below it are loaded, those above come as changes. */
export const FIRST_CHANGE = 10

const PLAIN = '$::text'
const TEXT = 'to_json($::text)::text'

/** Its own text, of whatever type. */
function text(name: string, ddl: string, values: TypeColumn['values'], as = ddl): TypeColumn {
  return { name, ddl, values, as, came: TEXT }
}

function array(name: string, ddl: string, values: TypeColumn['values'], typed?: Expected): TypeColumn {
  return { ...text(name, ddl, values), typed: typed ?? 'to_json($)::text' }
}

/** Types of extensions that a server may lack. */
export const EXTENSIONS = ['citext', 'hstore'] as const

export const TYPES_DDL = `
  create type mood as enum ('happy', 'sad "q"', 'ä');
  create type pair as (a integer, b text);
  create domain address as text check (value like '%@%');`

export const TYPE_COLUMNS: readonly TypeColumn[] = [
  { name: 'small', ddl: 'smallint', values: ['7', '-32768', '32767', '0'], as: 'smallint', came: PLAIN },
  {
    name: 'whole',
    ddl: 'integer',
    values: ['42', '-2147483648', '2147483647', '0'],
    as: 'integer',
    came: PLAIN,
  },
  {
    name: 'big',
    ddl: 'bigint',
    values: ['123456789012345678', '-9223372036854775808', '9223372036854775807', '9007199254740993'],
    as: 'bigint',
    // UseLargeIntegerValue ends at 18 digits; what is longer goes through a double, as all integers do without it.
    came: ['123456789012345678', '-9.2233720368547758e+18', '9.2233720368547758e+18', '9007199254740993'],
    cameByDefault: [
      '1.2345678901234568e+17',
      '-9.2233720368547758e+18',
      '9.2233720368547758e+18',
      '9007199254740992',
    ],
  },
  {
    name: 'exact',
    ddl: 'numeric(38,10)',
    values: [
      '12345678901234567890.0123456789',
      '-9999999999999999999999999999.9999999999',
      '9999999999999999999999999999.9999999999',
      '0',
    ],
    as: 'numeric(38,10)',
    came: PLAIN,
    cameByDefault: ['1.2345678901234567e+19', '-1e+28', '1e+28', '0'],
  },
  {
    name: 'as_text',
    ddl: 'numeric(20,5)',
    values: ['99.99', '-123456789012345.12345', '123456789012345.12345', 'NaN'],
    as: '{ type: "numeric(20,5)", as: text }',
    came: ['99.99000', '-123456789012345.12345', '123456789012345.12345', 'null'],
    cameByDefault: ['99.99', '-123456789012345.12', '123456789012345.12', 'null'],
    typed: ['"99.99000"', '"-123456789012345.12345"', '"123456789012345.12345"', 'null'],
    typedByDefault: ['"99.99"', '"-123456789012345.12"', '"123456789012345.12"', 'null'],
  },
  {
    name: 'long_number',
    ddl: 'numeric(40,2)',
    values: [
      '1.50',
      '-99999999999999999999999999999999999999.99',
      '99999999999999999999999999999999999999.99',
      '0',
    ],
    as: 'numeric(40,2)',
    came: TEXT,
    typed: PLAIN,
  },
  {
    name: 'free',
    ddl: 'numeric',
    values: ['0.611111104488373', '-1.9999999', '12345678901234567890.1234567', '5'],
    as: 'numeric',
    // NUMERIC(28,6) to DMS: what is behind six decimals is cut off.
    came: ['0.611111', '-1.999999', '12345678901234567890.123456', '5'],
    cameByDefault: ['0.611111', '-1.999999', '1.2345678901234567e+19', '5'],
  },
  {
    name: 'single',
    ddl: 'real',
    values: ['2.2', '-3.4028235e38', '1.17549435e-38', 'NaN'],
    as: 'real',
    came: ['2.20000005', '-3.40282347e+38', '1.17549435e-38', 'null'],
  },
  {
    name: 'double',
    ddl: 'double precision',
    values: ['20.2', '-1.7976931348623157e308', '5e-324', 'Infinity'],
    as: 'double precision',
    came: ['20.2', '-1.7976931348623157e+308', '4.94065645841247e-324', 'null'],
  },
  {
    name: 'wavering',
    ddl: 'double precision',
    values: ['55', '-0', '1e15', '61.5'],
    as: 'double precision',
    // A whole value loses its point, so one column is now a whole number and now none.
    came: ['55', '-0', '1e+15', '61.5'],
  },
  {
    name: 'flag',
    ddl: 'boolean',
    values: ['true', 'false', 'true', 'false'],
    as: 'boolean',
    came: PLAIN,
    cameByDefault: `case when id < ${FIRST_CHANGE} then to_json($::text)::text else '"' || left($::text, 1) || '"' end`,
    typed: PLAIN,
  },
  text('padded', 'char(6)', ['ab', '', 'äöü€😀x', ' a"b\\']),
  text('short', 'varchar(20)', ['Zoë "Z" Müller', '', '東京 太郎 🚲', 'tab\t\\']),
  text('long_text', 'text', [
    "it's\na line",
    '',
    'e\u0301 \u2028 \u2029 \u007f \ufffe 👩‍👩‍👧',
    '"quotes" \\ / \b\f\r\u0001 \\u0000',
  ]),
  text('folded', 'citext', ['Mixed Case', '', 'ÄÖ', 'x"y']),
  text('named', 'address', ['a@b', '@', 'é@ü', '"@"'], 'text'),
  {
    name: 'bytes',
    ddl: 'bytea',
    values: ['\\x80057d942e', '\\x', '\\x00ff', '\\xdeadbeef'],
    as: 'bytea',
    came: `'"0x' || upper(encode($, 'hex')) || '"'`,
    cameByDefault: `'"' || upper(encode($, 'hex')) || '"'`,
  },
  text('day', 'date', ['2018-01-02', '0044-03-15 BC', '5874897-12-31', 'infinity']),
  {
    name: 'clock',
    ddl: 'time',
    values: ['09:15:01.123456', '00:00:00', '24:00:00', '23:59:59.999999'],
    as: 'time',
    came: ['"09:15:01"', '"00:00:00"', '"24:00:00"', '"23:59:59"'],
  },
  {
    name: 'zoned_clock',
    ddl: 'timetz',
    values: ['09:15:01.5+02', '00:00:00+14', '23:59:59-11:30', '12:00:00Z'],
    as: 'timetz',
    // DMS's TIME has neither a fraction nor a zone.
    came: ['"09:15:01"', '"00:00:00"', '"23:59:59"', '"12:00:00"'],
  },
  {
    name: 'moment',
    ddl: 'timestamp',
    values: ['2010-11-01 00:02:00.1', '0044-03-15 12:00:00 BC', '12345-01-01 00:00:00', 'infinity'],
    as: 'timestamp',
    came: [
      '"2010-11-01T00:02:00.100000Z"',
      '"0044-03-15 12:00:00 BC"',
      '"12345-01-01T00:00:00Z"',
      '"infinity"',
    ],
  },
  {
    name: 'milli',
    ddl: 'timestamp(3)',
    values: ['2022-12-18 19:28:42.44', '1900-01-01', '9999-12-31 23:59:59.999', '-infinity'],
    as: 'timestamp(3) without time zone',
    came: [
      '"2022-12-18T19:28:42.440Z"',
      '"1900-01-01T00:00:00Z"',
      '"9999-12-31T23:59:59.999Z"',
      '"-infinity"',
    ],
  },
  {
    // Mapped as a date, by its name.
    name: 'seen_at',
    ddl: 'timestamptz',
    values: [
      '2022-12-18 21:28:42.442556+02',
      '4713-01-01 00:00:00+00 BC',
      '2024-02-29 23:59:60+00',
      'infinity',
    ],
    as: 'timestamptz',
    came: [
      '"2022-12-18T19:28:42.442556Z"',
      '"4713-01-01 00:00:00+00 BC"',
      '"2024-03-01T00:00:00Z"',
      '"infinity"',
    ],
  },
  text('span', 'interval', [
    '1 day 04:00:00',
    '-1 days -01:42:30',
    '178000000 years',
    '1 year 2 mons 3.5 secs',
  ]),
  text('ident', 'uuid', [
    'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
    '00000000-0000-0000-0000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
    '{a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11}',
  ]),
  text('feeling', 'mood', ['happy', 'sad "q"', 'ä', 'happy'], 'enum'),
  {
    ...text('host', 'inet', ['192.168.0.1', '0.0.0.0/0', '::ffff:1.2.3.4/128', '2001:db8::1/64']),
    // A cast of inet to text alone adds /32; the type's own output, which DMS reads, does not.
    came: 'to_json($)::text',
  },
  text('net', 'cidr', ['192.168.0.0/24', '0.0.0.0/0', '::/0', '10/8']),
  text('card', 'macaddr', ['08:00:2b:01:02:03', '000000000000', 'ff-ff-ff-ff-ff-ff', '0800.2b01.0203']),
  text('mask', 'bit(4)', ['1010', '0000', '1111', '0001']),
  text('bits', 'bit varying', ['101', '', '11111111111111111111', '0']),
  text('numbers', 'int4range', ['[1,10)', '(,5]', '(,)', 'empty']),
  text('prices', 'numrange', ['[1.50,2.5]', '(,0]', '[9007199254740993,)', 'empty']),
  text('stay', 'tstzrange', ['["2024-01-01 00:00:00+00",)', '(-infinity,infinity)', 'empty', '(,)']),
  text('days', 'daterange', ['[2024-01-01,2024-02-01)', '(,)', 'empty', '[2024-01-01,2024-01-01]']),
  text('place', 'point', ['(1.5,-2)', '(0,0)', '(1e300,-1e-300)', '(NaN,Infinity)']),
  text('area', 'box', ['((1,1),(0,0))', '((0,0),(0,0))', '((3,4),(1,2))', '((-1,-1),(-2,-2))']),
  text('ring', 'circle', ['<(1,2),3.5>', '<(0,0),0>', '<(1e10,1e10),1>', '<(-1,-1),2>']),
  text('way', 'path', ['[(0,0),(1,1)]', '[(0,0)]', '((0,0),(1,1),(2,0))', '((1,1))']),
  text('shape', 'polygon', ['((0,0),(1,1),(2,0))', '((0,0))', '((1e5,1),(2,2))', '((-1,-1),(0,0))']),
  {
    ...text('doc', 'json', [
      '{"foo": "bar",  "n": 1.50, "e": [ ] }',
      '{}',
      '{"big": 12345678901234567890.0123456789, "u": "\\u00e9 😀", "deep": [[[{"a": null}]]]}',
      '{"text": "a\\"b\\\\c\\n\\u0001", "__proto__": {"a": true}, "a.b": 1e5}',
    ]),
    typed: PLAIN,
  },
  {
    ...text('binary_doc', 'jsonb', [
      '{"foo": "bar", "n": 1.50, "list": [{"x": 1}, {"x": "s"}]}',
      '[]',
      '{"big": 12345678901234567890.0123456789, "u": "\\u00e9 😀", "deep": [[[{"a": null}]]]}',
      '{"text": "a\\"b\\\\c\\n\\u0001", "__proto__": {"a": true}, "a.b": 1e5}',
    ]),
    typed: PLAIN,
  },
  array('ints', 'integer[]', ['{1,-2,NULL}', '{}', '{{1,2},{3,4}}', '[0:1]={7,8}']),
  array('bigs', 'bigint[]', ['{1}', '{-9223372036854775808}', '{9223372036854775807}', '{NULL}']),
  array('amounts', 'numeric(40,2)[]', ['{1.5,NULL}', '{0}', '{12345678901234567890.01}', '{{{1},{2}}}']),
  array('words', 'text[]', [
    '{1,2,"a b",NULL}',
    '{}',
    '{"x,y","q\\"q","b\\\\s","NULL","","{c}","é😀"}',
    '{{"a",NULL},{"line\nbreak","\t"}}',
  ]),
  array('flags', 'boolean[]', ['{t,f,NULL}', '{}', '{true}', '{{t},{f}}']),
  array('idents', 'uuid[]', ['{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', '{}', '{NULL}', '{}']),
  array(
    'moments',
    'timestamp[]',
    [
      '{"2018-01-02 03:04:05.5",NULL}',
      '{}',
      '{{"2018-01-02 00:00:00"},{"9999-12-31 23:59:59"}}',
      '{infinity}',
    ],
    [
      '["2018-01-02T03:04:05.5Z",null]',
      '[]',
      '[["2018-01-02T00:00:00Z"],["9999-12-31T23:59:59Z"]]',
      '["infinity"]',
    ],
  ),
  array('docs', 'jsonb[]', [
    '{"{\\"a\\": [1.50, \\"x\\"]}",NULL}',
    '{}',
    '{{"{\\"a\\": {\\"b\\": \\"\\\\\\"\\"}}"}}',
    '{"{}"}',
  ]),
  text('couple', 'pair', ['(1,"a ""b"", c")', '(,"")', '(2147483647,é)', '(,)'], 'composite'),
  text('labels', 'hstore', ['"a"=>"1", "b"=>NULL', '', '"k é"=>"v\\"q"', '"a"=>""']),
  {
    name: 'price',
    ddl: 'money',
    values: ['1234.56', '-92233720368547758.08', '92233720368547758.07', '0'],
    as: 'money',
    came: '$::numeric::text',
    cameByDefault: ['1234.56', '-92233720368547760', '92233720368547760', '0'],
  },
  text('markup', 'xml', ['<a b="c">é</a>', '<a/>', '<a><![CDATA[ "]] ]]></a>', '<x>&amp;</x>']),
  text('search', 'tsvector', ["'cat':3 'fat':2", '', "'é':1A,2B", "'it''s'"]),
]

const quoted = (literal: string): string => `'${literal.replaceAll("'", "''")}'`

/** @param columns those of the types the server has */
export function tableDdl(table: string, columns: readonly TypeColumn[]): string {
  return `create table ${table} (id integer primary key, ${columns.map(({ name, ddl }) => `${name} ${ddl}`).join(', ')});`
}

/** Rows 1 to 5. */
export function insertRows(table: string, columns: readonly TypeColumn[]): string {
  const rows = ORDER.map((id, at) => {
    const values = columns.map(({ ddl, values }) => `${quoted(values[at]!)}::${ddl}`)
    return `insert into ${table} values (${id}, ${values.join(', ')});`
  })
  return [...rows, `insert into ${table} (id) values (${VALUES.nothing});`].join('\n')
}

/** The columns of the table's entry in the table file. */
export function columnsYaml(columns: readonly TypeColumn[]): string {
  return columns.map(({ name, as }) => `      ${name}: ${as.startsWith('{') ? as : `"${as}"`}\n`).join('')
}

export type Variant = {
  /** Whether a table file names the columns' types. */
  isTyped: boolean
  /** Whether DMS is left to its own settings: then NULLs and empty strings are left out. */
  isByDefault: boolean
}

/** A SELECT of `id` and `document` for each row of the table. */
export function documentsSql(table: string, columns: readonly TypeColumn[], variant: Variant): string {
  const members = columns.map(column => {
    const json = jsonSql(column, variant)
    const value = variant.isByDefault ? `nullif(${json}, '""')` : `coalesce(${json}, 'null')`
    return `'"${column.name}":' || ${value}`
  })
  return `select id::text as id, '{' || concat_ws(',', '"id":' || id, ${members.join(', ')}) || '}' as document from ${table}`
}

function jsonSql(column: TypeColumn, { isTyped, isByDefault }: Variant): string {
  const came = (isByDefault ? column.cameByDefault : undefined) ?? column.came
  const typed = (isByDefault ? column.typedByDefault : undefined) ?? column.typed
  const expected = (isTyped ? typed : undefined) ?? came
  if (typeof expected === 'string') return expected.replaceAll('$', column.name)
  const cases = expected.map((json, at) => `when ${ORDER[at]} then ${quoted(json)}`)
  return `case id % 10 ${cases.join(' ')} end`
}
