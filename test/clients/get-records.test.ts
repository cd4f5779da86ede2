import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeGetRecords } from '../../src/clients/get-records.ts'
import type { StreamRecord } from '../../src/core/stream.ts'

/** The same by way of a tree, for answers in the form the decoder takes; what it ought to find. */
function parsed(body: Buffer) {
  const answer = JSON.parse(body.toString())
  return {
    records: answer.Records.map((record: Record<string, unknown>) => ({
      sequenceNumber: record.SequenceNumber,
      partitionKey: record.PartitionKey,
      arrivedAtMs:
        record.ApproximateArrivalTimestamp === undefined
          ? undefined
          : Math.round((record.ApproximateArrivalTimestamp as number) * 1000),
      data: strictBase64(record.Data as string),
    })),
    next: answer.NextShardIterator ?? undefined,
    behindMs: answer.MillisBehindLatest ?? 0,
  }
}

/** The members of a record, which it makes when asked for them. */
const plain = ({ sequenceNumber, partitionKey, arrivedAtMs, data }: StreamRecord) => ({
  sequenceNumber,
  partitionKey,
  arrivedAtMs,
  data: Buffer.from(data),
})

function found(body: Buffer) {
  const answer = decodeGetRecords(Buffer.from(body))
  return answer && { ...answer, records: answer.records.map(plain) }
}

function strictBase64(text: string): Buffer {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new Error(`no base64: ${text}`)
  return Buffer.from(text, 'base64')
}

const bodyOf = (text: string) => Buffer.from(text)
const oneRecord = (members: string) => bodyOf(`{"Records":[{${members}}],"NextShardIterator":"n"}`)
const FIELDS = '"Data":"YQ==","PartitionKey":"k","SequenceNumber":"1"'
const msOf = (number: string) =>
  decodeGetRecords(oneRecord(`${FIELDS},"ApproximateArrivalTimestamp":${number}`))?.records[0]?.arrivedAtMs

const space = fc.constantFrom('', '', '', ' ', '\n', '\r\n\t ')
const seconds = fc.oneof(
  fc.integer({ min: 1, max: 9_999_999_999_999 }).map(ms => String(ms / 1000)),
  fc.integer({ min: 1_000_000_000_000, max: 1_999_999_999_999 }).map(ms => `${ms / 1e12}E9`),
  fc
    .tuple(fc.integer({ min: 1, max: 999_999 }), fc.nat(20), fc.nat(12))
    .map(([whole, fraction, exponent]) => `${whole}.${fraction}e+${exponent % 9}`),
  fc.double({ min: 1, max: 8.64e12, noNaN: true }).map(String),
)
const key = fc.oneof(
  fc.constantFrom('public.orders', 'a-b_c', '"', '\\', '\\"', '\u0000', '\ud800', 'ž😀', '"Data":"'),
  fc.string({ unit: 'binary' }),
)
/** A text as JSON, now and then with every character escaped. */
const token = (text: fc.Arbitrary<string>) =>
  fc.tuple(text, fc.boolean()).map(([value, isEscaped]) =>
    isEscaped && value.length < 20
      ? `"${[...value]
          .flatMap(char => char.split(''))
          .map(unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
          .join('')}"`
      : JSON.stringify(value),
  )
const member = (name: string, value: fc.Arbitrary<string>) => fc.tuple(fc.constant(`"${name}"`), value)
const spaced = (parts: readonly string[], spaces: readonly string[]) =>
  parts.map((part, at) => `${spaces[at % spaces.length]}${part}`).join('')
const shuffled = <Value>(values: fc.Arbitrary<Value[]>) =>
  fc.tuple(values, fc.infiniteStream(fc.nat())).map(([all, keys]) =>
    all
      .map(value => ({ value, at: keys.next().value }))
      .sort((one, other) => one.at - other.at)
      .map(({ value }) => value),
  )
const object = (members: fc.Arbitrary<[string, string][]>) =>
  fc
    .tuple(shuffled(members), fc.array(space, { minLength: 1, maxLength: 5 }))
    .map(([all, spaces]) =>
      spaced(
        ['{', ...all.flatMap(([name, value], at) => [...(at > 0 ? [','] : []), name, ':', value]), '}'],
        spaces,
      ),
    )
const some = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined })
const present = <Value>(values: readonly (Value | undefined)[]): Value[] =>
  values.filter(value => value !== undefined)

const record = object(
  fc
    .tuple(
      member(
        'Data',
        fc.uint8Array({ maxLength: 40 }).map(data => `"${Buffer.from(data).toString('base64')}"`),
      ),
      member('PartitionKey', token(key)),
      member(
        'SequenceNumber',
        fc.bigInt({ min: 0n, max: 10n ** 56n }).map(number => `"${number}"`),
      ),
      some(member('ApproximateArrivalTimestamp', seconds)),
      some(member('EncryptionType', fc.constantFrom('"KMS"', '"NONE"'))),
      some(member('Later', fc.constantFrom('"text"', '""'))),
    )
    .map(present),
)
const answerText = object(
  fc
    .tuple(
      member(
        'Records',
        fc
          .tuple(fc.array(record, { maxLength: 4 }), space)
          .map(([all, gap]) => `[${gap}${all.join(`${gap},`)}${gap}]`),
      ),
      some(member('NextShardIterator', fc.constantFrom('"AAAA+/=="', 'null', '""', '"ž"'))),
      some(member('MillisBehindLatest', fc.constantFrom('0', '86400000', 'null'))),
      some(member('ChildShards', fc.constantFrom('[]', 'null'))),
      some(member('Later', fc.constantFrom('{"Records":1}', '[{}]', '"Records"', '1.5'))),
    )
    .map(present),
)

test('records in any order, with white space and escapes, are those a parser finds', () => {
  let taken = 0
  fc.assert(
    fc.property(answerText, text => {
      const body = bodyOf(text)
      const answer = found(body)
      if (answer === undefined) return
      taken++
      expect(answer).toEqual(parsed(body))
    }),
    { numRuns: 3000 },
  )
  // The rest names another member `Records`, which is for the parser.
  expect(taken).toBeGreaterThan(1500)
})

test('of a body with bytes changed, cut out or doubled it finds what a parser finds, or leaves it alone', () => {
  const change = fc.record({
    at: fc.nat(),
    kind: fc.constantFrom('set', 'cut', 'double', 'end'),
    byte: fc.oneof(
      fc.constantFrom(...Buffer.from('"\\{}[]:,-_=.eE+09 \n')),
      fc.integer({ min: 0, max: 255 }),
    ),
    length: fc.integer({ min: 1, max: 60 }),
  })
  let taken = 0
  fc.assert(
    fc.property(answerText, fc.array(change, { minLength: 1, maxLength: 3 }), (text, changes) => {
      let body = bodyOf(text)
      for (const { at, kind, byte, length } of changes) {
        const place = at % (body.length + 1)
        const rest = body.subarray(place)
        if (kind === 'set') body = Buffer.concat([body.subarray(0, place), Buffer.of(byte), rest.subarray(1)])
        if (kind === 'cut') body = Buffer.concat([body.subarray(0, place), rest.subarray(length)])
        if (kind === 'double') body = Buffer.concat([body.subarray(0, place), rest.subarray(0, length), rest])
        if (kind === 'end') body = body.subarray(0, place)
      }
      const answer = found(body)
      if (answer === undefined) return
      taken++
      // `parsed` throws where the body is not JSON, or a record of it lacks a member.
      expect(answer).toEqual(parsed(body))
    }),
    { numRuns: 12_000 },
  )
  expect(taken).toBeGreaterThan(100)
})

test('the usual answer is taken', () => {
  const body = bodyOf(
    `{"MillisBehindLatest":5,"NextShardIterator":"n","Records":[{"ApproximateArrivalTimestamp":1.441215410867E9,${FIELDS}}]}`,
  )
  expect(found(body)).toEqual({
    records: [
      { sequenceNumber: '1', partitionKey: 'k', arrivedAtMs: 1_441_215_410_867, data: Buffer.from('a') },
    ],
    next: 'n',
    behindMs: 5,
  })
})

test.each([
  ['1.441215410867E9', 1_441_215_410_867],
  ['1.44121541086E9', 1_441_215_410_860],
  ['1.7e9', 1_700_000_000_000],
  ['17E+8', 1_700_000_000_000],
  ['1700000000', 1_700_000_000_000],
  ['1700000000.1234567', 1_700_000_000_123],
  ['1700000000.9996', 1_700_000_001_000],
  ['8640000000000', 8.64e15],
])('arrival %s is %i ms', (number, ms) => {
  expect(msOf(number)).toBe(ms)
})

test.each([
  '0',
  '01',
  '-1',
  '+1',
  '1.',
  '.5',
  '1e',
  '1e+',
  '1e-3',
  '1.5.5',
  '1 5',
  'null',
  '"1"',
  '8640000000001',
  '1e400',
  '',
])('arrival %s is left to the SDK', number => {
  expect(decodeGetRecords(oneRecord(`${FIELDS},"ApproximateArrivalTimestamp":${number}`))).toBeUndefined()
})

test.each([
  ['no padding', 'YQ'],
  ['a padding too many', 'YQ==='],
  ['a padding in the middle', 'YQ==YQ=='],
  ['the URL-safe alphabet', '-_-_'],
  ['white space', 'YQ= '],
  ['an escape', 'YW\\/h'],
])('base64 with %s is left to the SDK', (_, data) => {
  expect(
    decodeGetRecords(oneRecord(`"Data":"${data}","PartitionKey":"k","SequenceNumber":"1"`)),
  ).toBeUndefined()
})

test.each([
  ['children', `{"Records":[{${FIELDS}}],"ChildShards":[{"ShardId":"s"}]}`],
  ['a record without a sequence number', '{"Records":[{"Data":"YQ==","PartitionKey":"k"}]}'],
  ['a record without a partition key', '{"Records":[{"Data":"YQ==","SequenceNumber":"1"}]}'],
  ['a record without data', '{"Records":[{"PartitionKey":"k","SequenceNumber":"1"}]}'],
  ['an empty record', '{"Records":[{}]}'],
  ['null for data', '{"Records":[{"Data":null,"PartitionKey":"k","SequenceNumber":"1"}]}'],
  ['an unknown member that is no text', `{"Records":[{${FIELDS},"Later":1}]}`],
  ['an escaped name', `{"Records":[{${FIELDS},"\\u0044ata":"Yg=="}]}`],
  ['a comma after the last member', `{"Records":[{${FIELDS},}]}`],
  ['a comma after the last record', `{"Records":[{${FIELDS}},]}`],
  ['no comma between records', `{"Records":[{${FIELDS}}{${FIELDS}}]}`],
  [
    'a control character in a partition key',
    '{"Records":[{"Data":"","PartitionKey":"\n","SequenceNumber":"1"}]}',
  ],
  ['a bad escape in a partition key', '{"Records":[{"Data":"","PartitionKey":"\\x","SequenceNumber":"1"}]}'],
  ['records below another member', `{"Later":{"Records":[{${FIELDS}}]}}`],
  ['records below another member as well', `{"Later":{"Records":[{${FIELDS}}]},"Records":[]}`],
  ['a known member twice', `{"Records":[{${FIELDS},"Data":"Yg=="}]}`],
  [
    'an arrival twice',
    `{"Records":[{${FIELDS},"ApproximateArrivalTimestamp":1,"ApproximateArrivalTimestamp":2}]}`,
  ],
  ['records twice', `{"Records":[{${FIELDS}}],"Records":[]}`],
  ['records twice, once escaped', `{"Records":[{${FIELDS}}],"\\u0052ecords":[]}`],
  ['records that are null', '{"Records":null}'],
  ['no records', '{"NextShardIterator":"n"}'],
  ['a list around it', `[{"Records":[{${FIELDS}}]}]`],
  ['something after it', `{"Records":[{${FIELDS}}]} {}`],
  ['an end inside the records', `{"Records":[{${FIELDS}}`],
  ['an end inside a text', '{"Records":[{"Data":"YQ'],
  ['an end after the records', `{"Records":[{${FIELDS}}]`],
  ['an iterator that is no text', '{"Records":[],"NextShardIterator":1}'],
  ['a byte order mark', '\ufeff{"Records":[]}'],
  ['nothing', ''],
  ['a page of HTML', '<html>"Records":[]</html>'],
])('an answer with %s is left to the SDK', (_, text) => {
  expect(decodeGetRecords(bodyOf(text))).toBeUndefined()
})

test('the data of a record outlives the bytes it was decoded from', () => {
  const body = oneRecord(FIELDS)
  const data = decodeGetRecords(body)!.records[0]!.data
  body.fill(0)
  expect(Buffer.from(data)).toEqual(Buffer.from('a'))
})
