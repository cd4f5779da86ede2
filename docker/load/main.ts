/**
 * Traffic for a laptop: the demo's shop workload against one database until SIGTERM.
 *
 * It is the only writer of the shop's tables; a second one at the same time would trip over the keys of the first.
 * Exit codes: 0 stopped, 1 the database refused a statement, 2 settings.
 */
import pg from 'pg'
import { changes, prepareWorkload } from '../demo/workload.ts'

const SHOWN_EVERY_MS = 10_000
const FOR_EVER_S = 365 * 24 * 3600

/** Keys are numbered; the last one an earlier run gave is near the highest of these, and the room covers what it gave elsewhere. */
const LAST_SERIAL = `select greatest(100000, (select max(id) from orders), (select max(id) from customers),
  (select (max(id) - 9007199254740993) / 2 from ledger)) + 1000 as serial`

const { LOAD_DATABASE_URL = '', LOAD_CHANGES_PER_SECOND = '60', LOAD_SEED = '1' } = process.env

function mistakes(): string[] {
  const found: string[] = []
  if (!URL.canParse(LOAD_DATABASE_URL))
    found.push(
      'LOAD_DATABASE_URL is missing: expected a URL such as postgresql://user:password@host:5432/database',
    )
  for (const [name, text] of Object.entries({ LOAD_CHANGES_PER_SECOND, LOAD_SEED }))
    if (!/^[1-9]\d{0,5}$/.test(text))
      found.push(`${name} is "${text}": expected a whole number from 1 to 999999`)
  return found
}

async function main(): Promise<number> {
  const found = mistakes()
  if (found.length > 0) {
    process.stderr.write(`${found.join('\n')}\n`)
    return 2
  }
  const over = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => over.abort())
  const database = new pg.Client({ connectionString: LOAD_DATABASE_URL, options: '-c timezone=UTC' })
  await database.connect()
  try {
    const { rows } = await database.query<{ serial: string }>(LAST_SERIAL)
    const workload = await prepareWorkload(database, Number(LOAD_SEED), Number(rows[0]!.serial))
    const show = setInterval(() => {
      const { transactions } = workload.counts
      process.stdout.write(`${changes(workload.counts)} changes in ${transactions} transactions\n`)
    }, SHOWN_EVERY_MS)
    try {
      const changesPerSecond = Number(LOAD_CHANGES_PER_SECOND)
      process.stdout.write(`writing ${changesPerSecond} changes a second\n`)
      await workload.run({ changesPerSecond, seconds: FOR_EVER_S, signal: over.signal })
    } catch (error) {
      if (!over.signal.aborted) throw error
    } finally {
      clearInterval(show)
    }
    return 0
  } finally {
    await database.end()
  }
}

process.exitCode = await main()
