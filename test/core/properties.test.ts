/** What holds for any row, any bytes, any key and any array: 10,000 cases each. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { parse } from 'postgres-array'
import { describe, expect, test } from 'vitest'
import { canonical } from '../../docker/demo/raw-json.ts'
import { type Decoded, decode } from '../../src/core/change.ts'
import { converted } from '../../src/core/column.ts'
import { decide, documentOf, withDocument } from '../../src/core/document.ts'
import { documentId } from '../../src/core/key.ts'
import { decoder } from '../../src/decoder.ts'
import { noTableFile } from '../../src/table-file.ts'
import { decideContext } from '../../src/tables.ts'

const RUNS = { numRuns: 10_000 }
/** Ten times what the slowest takes alone. */
const SLOW = { timeout: 40_000 }

const context = {
  ...decideContext({
    file: noTableFile,
    indexPatterns: ['*'],
    onUnknownTable: 'dead-letter',
    beforeImage: 'before-image',
    beforeImagePrefix: 'BI_',
  }),
  range: { start: 0n, end: 2n ** 128n - 1n },
}

/** JSON is made as tokens, never printed from values: digits and escapes are those of a source that is not JavaScript. */
type Tokens = readonly string[]

const stringToken = fc
  .array(
    fc.constantFrom(
      ...['a', 'Z', '0', ' ', 'ž', '日', '😀', '\u2028', '\u007f', '/', '{', '}', '[', ']', ',', ':', "'"],
      ...['\\"', '\\\\', '\\/', '\\b', '\\f', '\\n', '\\r', '\\t', '\\u0000', '\\u00e9', '\\uD83D\\uDE00'],
      ...['\\ud800', '__proto__', 'constructor', 'null', '\\u005f', '\ufeff', '\u00a0'],
    ),
    { maxLength: 5 },
  )
  .map(pieces => `"${pieces.join('')}"`)

const digits = (max: number) =>
  fc.array(fc.constantFrom(...'0123456789'), { minLength: 1, maxLength: max }).map(found => found.join(''))

const numberToken = fc
  .tuple(
    fc.constantFrom('', '-'),
    fc.oneof(
      fc.constant('0'),
      fc.tuple(fc.constantFrom(...'123456789'), digits(40)).map(parts => parts.join('')),
    ),
    fc.oneof(
      fc.constant(''),
      digits(20).map(found => `.${found}`),
    ),
    fc.oneof(
      { weight: 3, arbitrary: fc.constant('') },
      fc.tuple(fc.constantFrom('e', 'E', 'e+', 'E-'), digits(3)).map(parts => parts.join('')),
    ),
  )
  .map(parts => parts.join(''))

const scalar: fc.Arbitrary<Tokens> = fc
  .oneof(stringToken, numberToken, fc.constantFrom('true', 'false', 'null', '-0', '1.10', '1e400'))
  .map(token => [token])

/** `id` is the key, and `BI_` begins what is not the row's own. */
const name = stringToken.filter(token => !/^(id|BI_)/.test(JSON.parse(token) as string))

const container = (value: fc.Arbitrary<Tokens>): fc.Arbitrary<Tokens> =>
  fc.oneof(
    fc.array(value, { maxLength: 3 }).map(arrayOf),
    fc.array(fc.tuple(name, value), { maxLength: 3 }).map(objectOf),
  )

function arrayOf(values: readonly Tokens[]): Tokens {
  return ['[', ...values.flatMap((value, at) => (at === 0 ? value : [',', ...value])), ']']
}

function objectOf(members: readonly (readonly [string, Tokens])[]): Tokens {
  return [
    '{',
    ...members.flatMap(([key, value], at) => [...(at === 0 ? [] : [',']), key, ':', ...value]),
    '}',
  ]
}

const shallow = fc.oneof(scalar, container(fc.oneof(scalar, container(scalar))))

/** Up to 18 containers within the row. */
const value: fc.Arbitrary<Tokens> = fc
  .tuple(shallow, fc.array(fc.constantFrom('array', 'object'), { maxLength: 16 }))
  .map(([inner, around]) =>
    around.reduce<Tokens>(
      (tokens, kind) => (kind === 'array' ? arrayOf([tokens]) : objectOf([['"x"', tokens]])),
      inner,
    ),
  )

const row = fc
  .tuple(fc.array(fc.tuple(name, value), { maxLength: 4 }), fc.nat({ max: 4 }))
  .map(([columns, at]) => objectOf([...columns.slice(0, at), ['"id"', ['7']] as const, ...columns.slice(at)]))

const METADATA = objectOf(
  Object.entries({
    'record-type': 'data',
    operation: 'insert',
    'partition-key-type': 'schema-table',
    'schema-name': 'public',
    'table-name': 't',
  }).map(([key, text]) => [JSON.stringify(key), [JSON.stringify(text)]]),
)

const blanks = fc.array(fc.constantFrom('', '', '', ' ', '\t', '\n', '\r\n', '  \n\t'), {
  minLength: 7,
  maxLength: 7,
})

const laidOut = (tokens: Tokens, between: readonly string[]) =>
  tokens.map((token, at) => between[at % between.length] + token).join('') + between[0]

const record = fc.tuple(row, blanks, fc.boolean()).map(([data, between, isDataFirst]) => {
  const members: [string, Tokens][] = [
    ['"data"', data],
    ['"metadata"', METADATA],
  ]
  const tokens = objectOf(isDataFirst ? members : members.reverse())
  return { data, text: laidOut(tokens, between) }
})

const bytesOf = (text: string) => new TextEncoder().encode(text)

describe('the document', SLOW, () => {
  test('any row, in any layout: the document says the same, digit for digit, on one line', () => {
    fc.assert(
      fc.property(record, ({ data, text }) => {
        const decision = decide(decode(bytesOf(text)), 'public.t', context)
        const [write] = decision.kind === 'write' ? decision.writes : []
        const document = documentOf(write!)
        expect(canonical(document)).toBe(canonical(data.join('')))
        expect(document).not.toMatch(/[\n\r]/)
        expect(write?.id).toBe('7')
      }),
      RUNS,
    )
  })
})

describe('decoding', SLOW, () => {
  const damage = fc.array(
    fc.tuple(
      fc.nat(),
      fc.constantFrom('cut', 'out', 'in', 'over'),
      fc.constantFrom(...'{}[]",:\\ue0-+.1tn \n\u0000\u00a0ž'),
    ),
    { minLength: 1, maxLength: 2 },
  )

  function damaged(text: string, changes: readonly (readonly [number, string, string])[]): string {
    return changes.reduce((found, [place, how, letter]) => {
      const at = place % (found.length + 1)
      if (how === 'cut') return found.slice(0, at)
      return found.slice(0, at) + (how === 'out' ? '' : letter) + found.slice(how === 'in' ? at : at + 1)
    }, text)
  }

  function isJson(text: string): boolean {
    try {
      JSON.parse(text)
      return true
    } catch {
      return false
    }
  }

  test('of any damaged record: not JSON is what JSON.parse refuses, and nothing else', () => {
    let accepted = 0
    fc.assert(
      fc.property(record, damage, ({ text }, changes) => {
        const found = damaged(text, changes)
        const decoded = decode(bytesOf(found))
        const isRefused = decoded.kind === 'unreadable' && decoded.reason === 'not-json'
        // A number or depth beyond the limits may be met before the text turns out to be no JSON; here are none.
        expect(isRefused).toBe(!isJson(bytesAsText(bytesOf(found))))
        if (!isRefused) accepted++
      }),
      RUNS,
    )
    expect(accepted).toBeGreaterThan(500)
  })

  test('a record among others is read as if it stood alone, whatever is read in between', () => {
    const decodeAt = decoder('before-image')
    const written = (decoded: Decoded) => {
      const decision = decide(decoded, 'public.t', context)
      if (decision.kind !== 'write') return decision
      return decision.writes.map(write => withDocument(write, documentOf(write)))
    }
    fc.assert(
      fc.property(
        record,
        damage,
        record,
        fc.constantFrom('', '0', '"', '\\', '}', 'e1'),
        (one, changes, other, more) => {
          for (const text of [one.text, damaged(one.text, changes)]) {
            const alone = bytesOf(text)
            const begin = bytesOf(`${more}\u0000`)
            const bytes = new Uint8Array([...begin, ...alone, 0, ...bytesOf(more)])
            const found = decodeAt(bytes, begin.length, begin.length + alone.length)
            const expected = written(decodeAt(alone))
            decodeAt(bytesOf(other.text))
            expect(written(found)).toEqual(expected)
          }
        },
      ),
      RUNS,
    )
  })

  /** Half a character has no UTF-8 form, and becomes what stands for it. */
  const bytesAsText = (bytes: Uint8Array) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)

  test('the metadata in any order, with any names escaped: each record is read by itself, whatever came before', () => {
    const member = (name: string, values: readonly string[]) =>
      fc.tuple(fc.constant(name), fc.constantFrom(...values), fc.nat({ max: 40 }))
    const metadata = fc
      .tuple(
        member('record-type', ['data']),
        member('operation', ['insert', 'update', 'delete', 'load']),
        member('schema-name', ['public', 'sales']),
        member('table-name', ['t', 'u', 'ž', 'ß']),
        member('partition-key-type', ['schema-table', 'primary-key']),
        member('timestamp', ['2026-03-02T09:15:01Z']),
        member('more', ['']),
      )
      .chain(members => fc.shuffledSubarray(members, { minLength: 6 }))
    /** The letter at the place, where there is one, written as an escape. */
    const nameOf = (name: string, place: number) => {
      const code = name.charCodeAt(place).toString(16).padStart(4, '0')
      return place < name.length ? `${name.slice(0, place)}\\u${code}${name.slice(place + 1)}` : name
    }
    fc.assert(
      fc.property(metadata, members => {
        const written = members.map(
          ([name, text, place]) => `"${nameOf(name, place)}":${JSON.stringify(text)}`,
        )
        const text = `{"data":{"id":1},"metadata":{${written.join(',')}}}`
        const seen = (JSON.parse(text) as { metadata: Record<string, string> }).metadata
        const decoded = decode(bytesOf(text))
        if (decoded.kind === 'unreadable') {
          expect(members.length).toBe(6)
          expect(Object.keys(seen)).not.toEqual(
            expect.arrayContaining(['record-type', 'operation', 'schema-name', 'table-name']),
          )
          return
        }
        if (decoded.kind !== 'change') throw new Error(`read as a ${decoded.kind} record`)
        const { operation, schema, table, partitionKeyType } = decoded
        expect([operation, schema, table, partitionKeyType]).toEqual([
          seen.operation,
          seen['schema-name'],
          seen['table-name'],
          seen['partition-key-type'] ?? '',
        ])
      }),
      RUNS,
    )
  })

  test('of any bytes: no throw, and no record where JSON.parse sees none', () => {
    fc.assert(
      fc.property(
        record,
        fc.uint8Array({ minLength: 1, maxLength: 4 }),
        fc.nat(),
        fc.nat({ max: 3 }),
        ({ text }, added, place, removed) => {
          const whole = bytesOf(text)
          const at = place % (whole.length + 1)
          const bytes = new Uint8Array([...whole.subarray(0, at), ...added, ...whole.subarray(at + removed)])
          const decoded = decode(bytes)
          if (decoded.kind !== 'unreadable')
            expect(isJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes))).toBe(true)
          else expect(decoded.reason).not.toBe('')
        },
      ),
      RUNS,
    )
  })
})

describe('ids', SLOW, () => {
  const sha256Hex = (text: string) => createHash('sha256').update(text).digest('hex')
  const part = fc.oneof(
    fc.string({ unit: fc.constantFrom('|', '\\', 'a', ''), maxLength: 6 }),
    fc.string({ unit: 'grapheme', maxLength: 4 }),
    fc
      .tuple(fc.constantFrom('x', 'ž', '日'), fc.integer({ min: 168, max: 172 }))
      .map(([letter, times]) => letter.repeat(times)),
    fc.integer({ min: 510, max: 514 }).map(length => '|'.repeat(length)),
  )
  const keys = fc.integer({ min: 1, max: 4 }).chain(length => {
    const key = fc.array(part, { minLength: length, maxLength: length })
    // Neighbours: the same text cut at another place.
    const moved = key.map(parts => [parts, [...parts.slice(1), parts[0]!]] as const)
    const shifted = key.map(parts => [parts, [`${parts[0]}|`, ...parts.slice(1)]] as const)
    return fc.oneof(fc.tuple(key, key), moved, shifted)
  })

  test('two keys of as many parts have one id only if they are the same, with any prefix', () => {
    fc.assert(
      fc.property(keys, fc.constantFrom('', 'a', 'orders|', '\\'), ([one, other], prefix) => {
        const isSame = one.every((text, at) => text === other[at])
        const [id, otherId] = [documentId(one, sha256Hex, prefix), documentId(other, sha256Hex, prefix)]
        expect(id === otherId).toBe(isSame)
        expect(id.startsWith(prefix)).toBe(true)
        expect(bytesOf(id).length).toBeLessThanOrEqual(512)
      }),
      RUNS,
    )
  })
})

describe('arrays', SLOW, () => {
  const parseArray = (text: string) => parse(text, element => element) as unknown[]
  const asText = (literal: string) =>
    converted(JSON.stringify(literal), { kind: 'array', element: undefined }, parseArray)

  const element = fc.oneof(
    { weight: 1, arbitrary: fc.constant(null) },
    {
      weight: 6,
      arbitrary: fc.string({
        unit: fc.constantFrom(...'"\\{},;= \n\t\u000b[]()ab1-ž😀\u2028\'', 'NULL', 'null'),
        maxLength: 6,
      }),
    },
  )
  type Nested = (string | null | Nested)[]
  const dimension = (inner: fc.Arbitrary<string | null | Nested>): fc.Arbitrary<Nested> =>
    fc.array(inner, { minLength: 1, maxLength: 3 })
  const nested = fc.oneof(
    dimension(element),
    dimension(dimension(element)),
    dimension(dimension(dimension(element))),
    fc.constant([] as Nested),
  )
  const bounds = fc.constantFrom('', '', '[2:3]=', '[-1:0][5:7]=')

  /** As PostgreSQL's array_out does it. */
  function printed(of: string | null | Nested): string {
    if (of === null) return 'NULL'
    if (Array.isArray(of)) return `{${of.map(printed).join(',')}}`
    const isQuoted = of === '' || /[{},"\\\s]/.test(of) || of.toUpperCase() === 'NULL'
    return isQuoted ? `"${of.replace(/["\\]/g, '\\$&')}"` : of
  }

  test('any array printed as PostgreSQL prints it becomes the JSON of its elements', () => {
    fc.assert(
      fc.property(nested, bounds, (array, before) => {
        const literal = (array.length > 0 ? before : '') + printed(array)
        expect(JSON.parse(asText(literal) ?? '"broken"')).toEqual(array)
      }),
      RUNS,
    )
  })

  test('an array that was cut is broken, wherever it was cut', () => {
    fc.assert(
      fc.property(nested, bounds, fc.nat(), (array, before, place) => {
        const literal = (array.length > 0 ? before : '') + printed(array)
        expect(asText(literal.slice(0, place % literal.length))).toBeUndefined()
      }),
      RUNS,
    )
  })
})

describe('booleans', SLOW, () => {
  const forms = { true: ['t', 'true', 'y', 'yes', 'on', '1'], false: ['f', 'false', 'n', 'no', 'off', '0'] }
  const parseNothing = () => []

  test('every form of a boolean, in any case, quoted or not, is that boolean', () => {
    const form = fc
      .constantFrom(...(['true', 'false'] as const))
      .chain(meaning =>
        fc.tuple(
          fc.constant(meaning),
          fc.constantFrom(...forms[meaning]),
          fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
        ),
      )
    fc.assert(
      fc.property(form, ([meaning, word, upper]) => {
        const text = [...word].map((letter, at) => (upper[at] ? letter.toUpperCase() : letter)).join('')
        expect(converted(`"${text}"`, { kind: 'boolean' }, parseNothing)).toBe(meaning)
        expect(converted(/^[01]$/.test(word) ? word : meaning, { kind: 'boolean' }, parseNothing)).toBe(
          meaning,
        )
      }),
      RUNS,
    )
  })

  test('any other text stays what it was', () => {
    const words = new Set([...forms.true, ...forms.false])
    const letter = fc.constantFrom(...'tTrueEyesYonfalsFnof01 "\\ž2')
    fc.assert(
      fc.property(fc.string({ unit: letter, maxLength: 6 }), text => {
        fc.pre(!words.has(text.trimEnd().toLowerCase()))
        const token = JSON.stringify(text)
        expect(converted(token, { kind: 'boolean' }, parseNothing)).toBe(token)
      }),
      RUNS,
    )
  })
})
