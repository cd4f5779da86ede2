/** `npm run infra:cost`: writes COST.md, from the environments as they are and the prices as they were read. A test holds the file to it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { App } from 'aws-cdk-lib'
import { ASSUMED, type Assumed, type CostLine, type Counted, costOf, totalOf } from './cost.ts'
import { type Environment, environments } from './environments.ts'
import { addPipeline } from './pipeline.ts'
import { PRICES, type Price, SOURCES } from './prices.ts'

type Resource = {
  Type: string
  Properties?: { VpcEndpointType?: string; SubnetIds?: unknown[]; Metrics?: { MetricStat?: unknown }[] }
}

export function counted(resources: readonly Resource[]): Counted {
  const of = (type: string) => resources.filter(({ Type }) => Type === type)
  const total = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0)
  return {
    endpoints: total(
      of('AWS::EC2::VPCEndpoint').map(({ Properties: made }) =>
        made?.VpcEndpointType === 'Interface' ? (made.SubnetIds?.length ?? 1) : 0,
      ),
    ),
    keys: of('AWS::KMS::Key').length,
    secrets: of('AWS::SecretsManager::Secret').length,
    alarmMetrics: total(
      of('AWS::CloudWatch::Alarm').map(
        ({ Properties: made }) =>
          made?.Metrics?.filter(({ MetricStat }) => MetricStat !== undefined).length ?? 1,
      ),
    ),
    dashboards: of('AWS::CloudWatch::Dashboard').length,
  }
}

/** Synthesises one environment into a folder that is removed again, without validation: that is for `npm run synth`. */
function countedIn(environment: Environment): Counted {
  const outdir = mkdtempSync(join(tmpdir(), 'cdc-cost-'))
  try {
    const app = new App({ outdir, analyticsReporting: false, builtinCloudFormationValidation: false })
    addPipeline(app, environment)
    app.synth()
    const templates = readdirSync(outdir).filter(name => name.endsWith('.template.json'))
    return counted(
      templates.flatMap(name => {
        const { Resources } = JSON.parse(readFileSync(join(outdir, name), 'utf8')) as {
          Resources?: Record<string, Resource>
        }
        return Object.values(Resources ?? {})
      }),
    )
  } finally {
    rmSync(outdir, { recursive: true })
  }
}

type Costed = { environment: Environment; assumed: Assumed; numbers: Counted; lines: CostLine[] }

const whole = (usd: number) => usd.toFixed(0)

/** @param count of an environment's templates */
export function costMarkdown(count: (environment: Environment) => Counted): string {
  const all = Object.values(environments).map((environment): Costed => {
    const assumed = ASSUMED[environment.name]
    const numbers = count(environment)
    return { environment, assumed, numbers, lines: costOf(environment, assumed, numbers) }
  })
  return `# What it costs

US dollars a month at list prices in us-east-1, 730 hours, without discounts, taxes, support and free tiers. Written by \`npm run infra:cost\` from
\`infra/environments.ts\`, the templates and \`infra/prices.ts\`; a test fails when it is not up to date.

${table(['', ...all.map(({ environment }) => environment.name)], totals(all))}

${all.map(detail).join('\n\n')}

Not counted, because each is under a dollar or depends on what you do: SQS, SNS, EventBridge, the functions of a deploy, Cloud Map, backups beyond the
size of the database, snapshots, Container Insights (enhanced in production), the image in ECR, a Prometheus of your own.

## Levers

Of production as it stands, a month:

${table(['what', 'from', 'to', 'saves'], levers(all.find(({ environment }) => environment.name === 'production')!))}

Beyond these: reserved instances or a savings plan for a year, for Aurora, OpenSearch and Fargate, save about a third of these lines and are the first thing to do once the
sizes have held for a month. \`dev\` can be destroyed and deployed again; nothing in it is kept. In a VPC that has the endpoints (\`endpointSecurityGroupId\`) their line is
gone.

## Prices

${table(['for', 'USD', 'per', 'source'], prices())}

Sources: ${Object.entries(SOURCES)
    .map(([name, source]) => `\`${name}\`: ${source}`)
    .join('; ')}.
`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, at) => (at === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

function totals(all: readonly Costed[]): string[][] {
  // In the order of the one that has most of them.
  const byLength = all.toSorted((one, other) => other.lines.length - one.lines.length)
  const parts = [...new Set(byLength.flatMap(({ lines }) => lines.map(({ part }) => part)))]
  const cell = ({ lines }: Costed, part: string) => {
    const line = lines.find(one => one.part === part)
    return line ? whole(line.usd) : ''
  }
  return [
    ...parts.map(part => [part, ...all.map(one => cell(one, part))]),
    ['**together**', ...all.map(({ lines }) => `**${whole(totalOf(lines))}**`)],
  ]
}

function detail({ environment, assumed, lines }: Costed): string {
  const rows = lines.map(({ part, what, usd }) => [part, what, usd.toFixed(2)])
  return `## ${environment.name}

Assumed a month: ${assumed.streamGiB} GB through the stream, ${(assumed.changes / 1e6).toFixed(1)} million changes, ${assumed.databaseGiB} GB in the database and ${(assumed.databaseRequests / 1e6).toFixed(0)} million of its requests to the disk.

${table(['part', 'what', 'USD'], rows)}`
}

/** Each is worked out by the same code, with the one thing changed. */
function levers({ environment, assumed, numbers }: Costed): string[][] {
  const before = totalOf(costOf(environment, assumed, numbers))
  const { network, search, replication, stream, database } = environment
  const saving = (changed: Partial<Environment>, counts = numbers) =>
    whole(before - totalOf(costOf({ ...environment, ...changed }, assumed, counts)))
  const rows: string[][] = []
  if (stream.capacity.mode === 'on-demand') {
    const capacity = { mode: 'provisioned' as const, shards: assumed.shards }
    rows.push([
      'Kinesis with a fixed number of shards, where the load is known (`stream.capacity`)',
      'on demand',
      `${assumed.shards} shards`,
      saving({ stream: { ...stream, capacity } }),
    ])
  }
  rows.push([
    'The stream kept for a day (`stream.retentionHours`): an outage over a weekend loses changes',
    `${stream.retentionHours} h`,
    '24 h',
    saving({ stream: { ...stream, retentionHours: 24 } }),
  ])
  if (network.kind === 'create' && network.endpointZones > 1)
    rows.push([
      'Endpoints in one zone (`network.endpointZones`): while that zone is away everything waits',
      `${network.endpointZones} zones`,
      '1 zone',
      saving({}, { ...numbers, endpoints: numbers.endpoints / network.endpointZones }),
    ])
  if (replication.multiAz)
    rows.push([
      'DMS in one zone (`replication.multiAz`): while it is away the index falls behind',
      'two zones',
      'one zone',
      saving({ replication: { ...replication, multiAz: false } }),
    ])
  if (search.kind === 'create' && search.volumeGiB > 200)
    rows.push([
      'Smaller disks of OpenSearch (`search.volumeGiB`), where the indices are small',
      `${search.volumeGiB} GB`,
      '200 GB',
      saving({ search: { ...search, volumeGiB: 200 } }),
    ])
  if (database.kind === 'create' && database.readers > 0)
    rows.push([
      'No reader in the database (`database.readers`): a failover takes minutes, not seconds',
      String(database.readers),
      '0',
      saving({ database: { ...database, readers: 0 } }),
    ])
  return rows
}

function prices(): string[][] {
  const row = (name: string, { usd, per, source }: Price) => [name, String(usd), per, `\`${source}\``]
  return Object.entries(PRICES as Record<string, Price | Record<string, Price>>).flatMap(([name, price]) =>
    isPrice(price) ? [row(name, price)] : Object.entries(price).map(([size, one]) => row(size, one)),
  )
}

function isPrice(price: Price | Record<string, Price>): price is Price {
  return typeof price.usd === 'number'
}

if (import.meta.main) writeFileSync(new URL('COST.md', import.meta.url), costMarkdown(countedIn))
