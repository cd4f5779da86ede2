/** What an environment costs a month: its sizes from environments.ts, its numbers of things from the templates, the rest assumed here. */
import { settings } from '../src/config.ts'
import { EMF_METRICS } from '../src/http/emf.ts'
import type { Environment, EnvironmentName } from './environments.ts'
import { PRICES, type Price } from './prices.ts'

const HOURS = 730
const SECONDS = HOURS * 3600

/** Of a month. What is not known before it runs; production's is the source design's 1 TB of rows of 1 KB. */
export type Assumed = {
  /** A row of 1 KB is about 2 KB as DMS writes it, before-image and metadata included. */
  streamGiB: number
  changes: number
  databaseGiB: number
  databaseRequests: number
  betweenZonesGiB: number
  logGiB: number
  /** Of a stream on demand, which chooses by itself. */
  shards: number
}

const MILLION = 1_000_000

export const ASSUMED: Record<EnvironmentName, Assumed> = {
  dev: {
    streamGiB: 5,
    changes: 2.5 * MILLION,
    databaseGiB: 10,
    databaseRequests: 5 * MILLION,
    betweenZonesGiB: 5,
    logGiB: 3,
    shards: 1,
  },
  staging: {
    streamGiB: 100,
    changes: 50 * MILLION,
    databaseGiB: 50,
    databaseRequests: 50 * MILLION,
    betweenZonesGiB: 50,
    logGiB: 10,
    shards: 4,
  },
  production: {
    streamGiB: 2048,
    changes: 1074 * MILLION,
    databaseGiB: 200,
    databaseRequests: 500 * MILLION,
    betweenZonesGiB: 500,
    logGiB: 30,
    shards: 4,
  },
}

/** Counted in the synthesised templates of the environment. */
export type Counted = {
  /** Interface endpoints, each once for each zone it stands in. */
  endpoints: number
  keys: number
  secrets: number
  alarmMetrics: number
  dashboards: number
}

export type CostLine = { part: string; what: string; usd: number }

/** @throws Error for a size without a price */
export function costOf(environment: Environment, assumed: Assumed, counted: Counted): CostLine[] {
  return [
    ...databaseLines(environment, assumed),
    replicationLine(environment),
    streamLine(environment, assumed),
    serviceLine(environment),
    leaseLine(environment, assumed),
    ...searchLines(environment),
    endpointLine(assumed, counted),
    watchingLine(environment, assumed, counted),
    {
      part: 'Keys and secrets',
      what: `${counted.keys} keys, ${counted.secrets} secrets`,
      usd: counted.keys * PRICES.key.usd + counted.secrets * PRICES.secret.usd,
    },
    {
      part: 'Between zones',
      what: `${assumed.betweenZonesGiB} GB, both directions`,
      usd: 2 * assumed.betweenZonesGiB * PRICES.betweenZones.usd,
    },
  ]
}

export function totalOf(lines: readonly CostLine[]): number {
  return lines.reduce((total, { usd }) => total + usd, 0)
}

function priced(prices: Record<string, Price>, size: string): number {
  const price = prices[size]
  if (!price)
    throw new Error(
      `prices.ts has no price for ${size}: look it up and add it, with its source, beside ${Object.keys(prices).join(', ')}`,
    )
  return price.usd
}

function databaseLines({ database }: Environment, assumed: Assumed): CostLine[] {
  if (database.kind === 'existing') return []
  const instances = 1 + database.readers
  return [
    {
      part: 'Aurora, instances',
      what: `${instances} x ${database.instanceType}`,
      usd: instances * HOURS * priced(PRICES.auroraHour, database.instanceType),
    },
    {
      part: 'Aurora, storage and requests',
      what: `${assumed.databaseGiB} GB, ${assumed.databaseRequests / MILLION} million`,
      usd:
        assumed.databaseGiB * PRICES.auroraStorage.usd +
        (assumed.databaseRequests / MILLION) * PRICES.auroraRequests.usd,
    },
  ]
}

function replicationLine({ replication }: Environment): CostLine {
  const zones = replication.multiAz ? 2 : 1
  return {
    part: 'DMS instance',
    what: `${replication.instanceClass}, ${zones === 2 ? 'two zones' : 'one zone'}`,
    usd: zones * HOURS * priced(PRICES.dmsHour, replication.instanceClass),
  }
}

function streamLine({ stream }: Environment, assumed: Assumed): CostLine {
  const { capacity, retentionHours } = stream
  const beyondDay = Math.max(0, retentionHours - 24)
  if (capacity.mode === 'on-demand') {
    const keptGiB = (assumed.streamGiB * beyondDay) / HOURS
    return {
      part: 'Kinesis',
      what: `on demand, ${assumed.streamGiB} GB in and out, kept ${retentionHours} h`,
      usd:
        HOURS * PRICES.streamHour.usd +
        assumed.streamGiB * (PRICES.streamIn.usd + PRICES.streamOut.usd) +
        keptGiB * PRICES.streamKept.usd,
    }
  }
  const shardHour = PRICES.shardHour.usd + (beyondDay > 0 ? PRICES.shardKept.usd : 0)
  return {
    part: 'Kinesis',
    what: `${capacity.shards} shards, kept ${retentionHours} h`,
    usd: capacity.shards * HOURS * shardHour + (assumed.changes / MILLION) * PRICES.shardPuts.usd,
  }
}

function serviceLine({ service }: Environment): CostLine {
  const cpus = service.cpu / 1024
  const gib = service.memoryMiB / 1024
  return {
    part: 'Fargate',
    what: `${service.minTasks} x ${cpus} vCPU, ${gib} GB, ARM`,
    usd: service.minTasks * HOURS * (cpus * PRICES.fargateCpu.usd + gib * PRICES.fargateMemory.usd),
  }
}

/** Leases are renewed at a third of their time, checkpoints written at most every `CHECKPOINT_MS`, here half of the time; a look a second and worker. */
function leaseLine({ service }: Environment, { shards }: Assumed): CostLine {
  const renewals = SECONDS / (settings.LEASE_MS.default! / 1000 / 3)
  const checkpoints = (0.5 * SECONDS) / (settings.CHECKPOINT_MS.default! / 1000)
  const writes = shards * (renewals + checkpoints)
  const reads = service.minTasks * SECONDS
  return {
    part: 'Lease table',
    what: `${shards} leases, ${service.minTasks} ${service.minTasks === 1 ? 'worker' : 'workers'}`,
    usd: (writes / MILLION) * PRICES.tableWrites.usd + (reads / MILLION) * PRICES.tableReads.usd,
  }
}

function searchLines({ search }: Environment): CostLine[] {
  if (search.kind === 'existing') return []
  const { dataNodes, masterNodes, volumeGiB } = search
  const line = (part: string, { type, count }: { type: string; count: number }): CostLine => ({
    part,
    what: `${count} x ${type}`,
    usd: count * HOURS * priced(PRICES.searchHour, type),
  })
  return [
    line('OpenSearch, data', dataNodes),
    ...(masterNodes ? [line('OpenSearch, masters', masterNodes)] : []),
    {
      part: 'OpenSearch, disks',
      what: `${dataNodes.count} x ${volumeGiB} GB`,
      usd: dataNodes.count * volumeGiB * PRICES.searchStorage.usd,
    },
  ]
}

function endpointLine(assumed: Assumed, { endpoints }: Counted): CostLine {
  return {
    part: 'VPC endpoints',
    what: `${endpoints} endpoints in zones, ${2 * assumed.streamGiB} GB`,
    // What goes into the stream and what comes out of it.
    usd: endpoints * HOURS * PRICES.endpointHour.usd + 2 * assumed.streamGiB * PRICES.endpointData.usd,
  }
}

/** Of Kinesis, for each shard. */
const SHARD_METRICS = 7

function watchingLine({ service, stream }: Environment, assumed: Assumed, counted: Counted): CostLine {
  const shards = stream.capacity.mode === 'provisioned' ? stream.capacity.shards : assumed.shards
  // Each of the service's once for the stream and once for each worker.
  const metrics = EMF_METRICS.length * (1 + service.minTasks) + SHARD_METRICS * shards
  return {
    part: 'CloudWatch',
    what: `${metrics} metrics, ${counted.alarmMetrics} in alarms, ${counted.dashboards} dashboard, ${assumed.logGiB} GB logs`,
    usd:
      metrics * PRICES.customMetric.usd +
      counted.alarmMetrics * PRICES.alarmMetric.usd +
      counted.dashboards * PRICES.dashboard.usd +
      assumed.logGiB * PRICES.logs.usd,
  }
}
