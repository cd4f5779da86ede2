/**
 * List prices in us-east-1, US dollars, each with where it was read and when. They are here to compare sizes and to find what is dear, not to
 * foretell a bill: look them up again before you decide by one.
 */
export type Price = { usd: number; per: string; source: keyof typeof SOURCES }

/** How far each is to be trusted: `list` as AWS publishes it, `copies` where several public tables agree, `copy` one public table. */
export const SOURCES = {
  list: 'AWS Price List for OpenSearch Service, read 2026-10-05',
  infracost: "Infracost's price data, read July to October 2024",
  vantage: 'Fargate prices collected by Vantage and Cloudburn, read March 2026',
  copies: 'several public copies of the price pages that agree, dated 2025 and 2026, read 2026-11-24',
  copy: 'one public copy of the price page, undated, read 2026-11-24',
  dynamodb: 'on-demand prices since November 2024 as written up in July 2025, read 2026-11-24',
} as const

const list = (usd: number, per: string): Price => ({ usd, per, source: 'list' })
const infracost = (usd: number, per: string): Price => ({ usd, per, source: 'infracost' })
const copies = (usd: number, per: string): Price => ({ usd, per, source: 'copies' })
const copy = (usd: number, per: string): Price => ({ usd, per, source: 'copy' })

export const PRICES = {
  auroraHour: {
    't4g.medium': copies(0.073, 'instance-hour'),
    'r6g.large': copies(0.26, 'instance-hour'),
    'r6g.xlarge': copies(0.519, 'instance-hour'),
  } as Record<string, Price>,
  auroraStorage: infracost(0.1, 'GB-month'),
  auroraRequests: infracost(0.2, 'million requests'),
  /** One zone; the second costs the same again. Storage that comes with the instance is in it. */
  dmsHour: {
    'dms.t3.medium': copy(0.072, 'instance-hour'),
    'dms.c6i.large': copy(0.17, 'instance-hour'),
    'dms.r6i.large': copy(0.252, 'instance-hour'),
  } as Record<string, Price>,
  streamHour: infracost(0.04, 'stream-hour, on demand'),
  streamIn: infracost(0.08, 'GB in, on demand'),
  streamOut: infracost(0.04, 'GB out, on demand'),
  streamKept: infracost(0.1, 'GB-month beyond 24 hours, on demand'),
  shardHour: infracost(0.015, 'shard-hour'),
  shardPuts: infracost(0.014, 'million units of 25 KB in'),
  shardKept: infracost(0.02, 'shard-hour beyond 24 hours'),
  fargateCpu: { usd: 0.03238, per: 'vCPU-hour, ARM', source: 'vantage' },
  fargateMemory: { usd: 0.00356, per: 'GB-hour, ARM', source: 'vantage' },
  searchHour: {
    't3.small.search': copies(0.036, 'node-hour'),
    'm6g.large.search': list(0.128, 'node-hour'),
    'r6g.large.search': list(0.167, 'node-hour'),
  } as Record<string, Price>,
  searchStorage: list(0.122, 'GB-month, gp3'),
  endpointHour: infracost(0.01, 'endpoint-hour and zone'),
  endpointData: infracost(0.01, 'GB'),
  betweenZones: infracost(0.01, 'GB and direction'),
  tableWrites: { usd: 0.625, per: 'million writes', source: 'dynamodb' },
  tableReads: { usd: 0.125, per: 'million reads', source: 'dynamodb' },
  key: infracost(1, 'key-month'),
  secret: infracost(0.4, 'secret-month'),
  alarmMetric: infracost(0.1, 'metric of an alarm and month'),
  dashboard: infracost(3, 'dashboard-month'),
  customMetric: infracost(0.3, 'metric-month'),
  logs: infracost(0.5, 'GB'),
} as const satisfies Record<string, Price | Record<string, Price>>
