/**
 * `bootstrap`: makes the source database ready for DMS, and OpenSearch for `run`. Idempotent; run it before the first deploy
 * and after a change of its settings.
 */
import type { Logger } from 'pino'
import { openSearch } from '../clients/opensearch.ts'
import { openSourceDatabase } from '../clients/source-database.ts'
import { realClock } from '../clock.ts'
import type { Config } from '../config.ts'
import { backoffMs } from '../core/backoff.ts'
import { isSameRole, mappingWith, ROLE_NAME, securityRole } from '../core/security-role.ts'
import { TEMPLATE_NAME, type TemplateOptions } from '../core/template.ts'
import { OutsideError } from '../errors.ts'
import { bootstrapDatabase } from './bootstrap-database.ts'
import { databaseSettings } from './database-options.ts'
import { tableFileOf } from './decide-context.ts'
import { searchOptions } from './search-options.ts'

export const BOOTSTRAP_HELP = `usage: node src/main.ts bootstrap

Makes ready what \`run\` and DMS need, in this order, and prints what it did and found. Run it again as often as you like.

1. The source database, where SOURCE_DATABASE_HOST or SOURCE_DATABASE_SECRET names one. It is checked: logical replication,
   slots, left slots, and for each table of SOURCE_SCHEMAS its keys against TABLE_FILE, replica identity and privileges.
   With DMS_USER that user is made as well: password (as a SCRAM verifier), replication, SELECT on the tables of
   SOURCE_SCHEMAS and on those to come, DMS_HEARTBEAT_SCHEMA; then a slot is tried as this user. Tables that TABLE_FILE
   skips are left alone. What cannot work is an error and ends it here; a warning says what to do and does not.
2. OpenSearch: the index template, and gc_deletes and translog.durability of the indices it covers.
3. With OPENSEARCH_BACKEND_ROLE: under fine-grained access control a role with what \`run\` needs, mapped to it; whoever is
   mapped already stays so. Needs a master user of the domain.

settings: OPENSEARCH_ (who may put templates and roles), INDEX_PATTERNS, INDEX_SHARDS, INDEX_REPLICAS, TABLE_FILE, SOURCE_, DMS_, LOG_LEVEL
exit codes: 0 done, 1 a fault in the program, 2 settings, 3 something outside refuses, or the database is not fit
example: SOURCE_DATABASE_SECRET="$MASTER" DMS_USER_SECRET="$DMS" OPENSEARCH_URL=https://search.example.com node src/main.ts bootstrap
`

export const BOOTSTRAP_SETTINGS = [
  'OPENSEARCH_URL',
  'OPENSEARCH_AUTH',
  'OPENSEARCH_USERNAME',
  'OPENSEARCH_PASSWORD',
  'OPENSEARCH_AWS_SERVICE',
  'AWS_REGION',
  'OPENSEARCH_CA_FILE',
  'OPENSEARCH_COMPRESSION',
  'OPENSEARCH_BACKEND_ROLE',
  'TABLE_FILE',
  'INDEX_PATTERNS',
  'INDEX_SHARDS',
  'INDEX_REPLICAS',
  'SOURCE_DATABASE_HOST',
  'SOURCE_DATABASE_PORT',
  'SOURCE_DATABASE_NAME',
  'SOURCE_DATABASE_USER',
  'SOURCE_DATABASE_PASSWORD',
  'SOURCE_DATABASE_SECRET',
  'SOURCE_DATABASE_CA',
  'SOURCE_SCHEMAS',
  'DMS_USER',
  'DMS_USER_PASSWORD',
  'DMS_USER_SECRET',
  'DMS_HEARTBEAT_SCHEMA',
  'LOG_LEVEL',
] as const

type Named = Pick<Config, (typeof BOOTSTRAP_SETTINGS)[number]>

export function templateOptions(
  config: Pick<Config, 'INDEX_PATTERNS' | 'INDEX_SHARDS' | 'INDEX_REPLICAS'>,
): TemplateOptions {
  return { patterns: config.INDEX_PATTERNS, shards: config.INDEX_SHARDS, replicas: config.INDEX_REPLICAS }
}

/** How long a part that does not answer is waited for: in compose and in a deploy it may still be starting. */
const WAIT_MS = 60_000

type Reporting = {
  log: Logger
  stop: AbortSignal
  /** Of a line of the report. */
  print: (line: string) => void
}

export async function bootstrap(config: Named, reporting: Reporting): Promise<void> {
  // Mistakes in settings come before anything is changed.
  const search = openSearch(searchOptions(config, reporting.log))
  try {
    const database = databaseSettings(config)
    const tableFile = tableFileOf(config)
    if (database) {
      const { host, port } = database.database
      const waited = {
        what: `the source database at ${host}:${port}`,
        hint: 'are SOURCE_DATABASE_HOST and its port right, and do security groups let this task in',
      }
      await bootstrapDatabase(
        {
          ...database,
          tableFile,
          schemas: config.SOURCE_SCHEMAS,
          heartbeatSchema: config.DMS_HEARTBEAT_SCHEMA,
        },
        (options, advice) => untilAnswered(waited, reporting, () => openSourceDatabase(options, advice)),
        reporting.print,
      )
    }
    await bootstrapSearch(search, config, reporting)
  } finally {
    search.close()
  }
}

async function bootstrapSearch(
  search: ReturnType<typeof openSearch>,
  config: Named,
  reporting: Reporting,
): Promise<void> {
  const { print } = reporting
  const template = templateOptions(config)
  await untilAnswered(
    { what: `OpenSearch at ${config.OPENSEARCH_URL}`, hint: 'is OPENSEARCH_URL right' },
    reporting,
    () => search.putTemplate(template),
  )
  await search.mendIndices(template.patterns)
  const faults = await search.faults(template)
  if (faults.length > 0)
    throw new OutsideError(`OpenSearch is not as bootstrapped after all: ${faults.join('; ')}`)
  print(`OpenSearch: index template ${TEMPLATE_NAME} put, for ${template.patterns.join(', ')}`)
  if (config.OPENSEARCH_BACKEND_ROLE !== '')
    await mapRole(search, template.patterns, config.OPENSEARCH_BACKEND_ROLE, print)
}

async function mapRole(
  search: ReturnType<typeof openSearch>,
  patterns: readonly string[],
  backendRole: string,
  print: (line: string) => void,
): Promise<void> {
  const role = securityRole(patterns)
  const stored = await search.securityRole(ROLE_NAME)
  const isAsBefore = stored !== undefined && isSameRole(role, stored)
  if (!isAsBefore) await search.putSecurityRole(ROLE_NAME, role)
  print(`OpenSearch: role ${ROLE_NAME} ${isAsBefore ? 'was there' : 'put'}`)
  const mapping = mappingWith(backendRole, await search.roleMapping(ROLE_NAME))
  if (mapping) await search.putRoleMapping(ROLE_NAME, mapping)
  print(`OpenSearch: ${backendRole} ${mapping ? 'is mapped' : 'was mapped'} to it`)
}

async function untilAnswered<Answer>(
  { what, hint }: { what: string; hint: string },
  { log, stop }: Reporting,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  const startedAtMs = realClock.monotonic()
  for (let attempt = 0; ; attempt++) {
    try {
      return await ask()
    } catch (error) {
      if (error instanceof OutsideError) throw error
      if (stop.aborted || realClock.monotonic() - startedAtMs > WAIT_MS) {
        throw new OutsideError(
          `${what} did not answer within ${WAIT_MS / 1000} s: is it running, and ${hint}? ${(error as Error).message}`,
          { cause: error },
        )
      }
      log.warn({ attempt, err: error }, `${what} does not answer yet, trying again`)
      await realClock.sleep(100 + backoffMs(attempt, Math.random(), { firstMs: 200, maxMs: 5000 }), stop)
    }
  }
}
