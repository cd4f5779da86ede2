/** `transform`: what would be written for records, without any service: to try a table file. Sends nothing anywhere. */
import { createInterface } from 'node:readline'
import type { Config } from '../config.ts'
import { type Decision, decide, documentOf, type Write } from '../core/document.ts'
import type { Place } from '../core/letter.ts'
import { LOAD_BELOW_CHANGES } from '../core/version.ts'
import { decoder } from '../decoder.ts'
import { contextOf } from './decide-context.ts'

export const TRANSFORM_HELP = `usage: node src/main.ts transform < records.jsonl

Prints what would be written for each record, as JSON lines: action (index, delete, dead-letter, skip or hold), index, id,
document or reason. Nothing is read but the table file and nothing is sent; a summary goes to standard error.

Each line of the input is a record as DMS writes it (json-unformatted), or a record of
\`aws kinesis get-records --query 'Records[]' | jq -c '.[]'\`, with Data in base64 and its PartitionKey. Without a partition
key nobody can say which half of a key change is at home in the shard: with \`partition: key\` both are dead letters then.

  keeps    columns of the update whose values come from the document as it is (keepOnNull)
  version  the fence of the tenure and the record's place in it, here its line

settings: TABLE_FILE, ON_UNKNOWN_TABLE, INDEX_PATTERNS, BEFORE_IMAGE, BEFORE_IMAGE_PREFIX
exit codes: 0 done, 2 settings or the table file have mistakes
example: TABLE_FILE=tables.yaml node src/main.ts transform < records.jsonl
`

export const TRANSFORM_SETTINGS = [
  'TABLE_FILE',
  'ON_UNKNOWN_TABLE',
  'INDEX_PATTERNS',
  'BEFORE_IMAGE',
  'BEFORE_IMAGE_PREFIX',
] as const

const EVERYTHING = { start: 0n, end: 2n ** 128n - 1n }

/** @param print of one line of output; resolves when the next one may come */
export async function transform(
  config: Pick<Config, (typeof TRANSFORM_SETTINGS)[number]>,
  input: NodeJS.ReadableStream,
  print: (line: string) => Promise<void>,
): Promise<string> {
  const context = { ...contextOf(config), range: EVERYTHING }
  const decode = decoder(config.BEFORE_IMAGE)
  const counts = new Map<string, number>()
  let records = 0
  let line = 0
  for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    line++
    if (text.trim() === '') continue
    records++
    const { data, partitionKey } = recordOf(text)
    const decision = decide(decode(data), partitionKey, context)
    for (const { kind, fields, document } of results(decision, line)) {
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
      await print(resultLine({ line, ...fields }, document))
    }
  }
  const kinds = [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ')
  return `${records} ${records === 1 ? 'record' : 'records'}${kinds === '' ? '' : `: ${kinds}`}`
}

/** A record of the stream as the AWS command line prints it, or the data of one. */
function recordOf(text: string): { data: Uint8Array; partitionKey: string } {
  const data = Buffer.from(text)
  try {
    const record = JSON.parse(text) as { Data?: unknown; PartitionKey?: unknown } | null
    if (typeof record?.Data === 'string')
      return { data: Buffer.from(record.Data, 'base64'), partitionKey: String(record.PartitionKey ?? '') }
  } catch {
    // Not JSON: the decoder says so.
  }
  return { data, partitionKey: '' }
}

type Result = { kind: string; fields: Record<string, unknown>; document?: string | undefined }

function results(decision: Decision, line: number): Result[] {
  switch (decision.kind) {
    case 'write': {
      const version = decision.isBelowChanges ? LOAD_BELOW_CHANGES : `fence.${line}`
      return [
        ...decision.writes.map(write => writing(write, decision.table, version)),
        ...decision.letters.map(letter => ({
          kind: 'dead-letter',
          fields: { action: 'dead-letter', table: decision.table, ...letter },
        })),
      ]
    }
    case 'letter':
      return [
        {
          kind: `dead-letter (${decision.letter.reason})`,
          fields: { action: 'dead-letter', table: decision.table, ...decision.letter },
        },
      ]
    case 'control': {
      const { operation, table, misfits } = decision
      const fields = { action: 'skip', reason: 'control', operation, table }
      return [{ kind: 'skip (control)', fields: misfits.length > 0 ? { ...fields, misfits } : fields }]
    }
    case 'skip': {
      const { reason, table } = decision
      return [{ kind: `skip (${reason})`, fields: { action: 'skip', reason, table } }]
    }
    case 'hold':
      return [{ kind: `hold (${decision.hold.reason})`, fields: { action: 'hold', ...decision.hold } }]
  }
}

function writing(write: Write, table: string, version: string): Result {
  const { index, id, routing }: Place = write
  return {
    kind: write.kind,
    fields: { action: write.kind, table, index, id, routing, version, keeps: write.keep?.columns },
    document: write.kind === 'index' ? documentOf(write) : undefined,
  }
}

/** The document as it is: parsed and printed again it would lose digits. */
function resultLine(fields: Record<string, unknown>, document: string | undefined): string {
  const text = JSON.stringify(fields)
  return document === undefined ? text : `${text.slice(0, -1)},"document":${document}}`
}
