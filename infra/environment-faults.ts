/** What is wrong with an environment, all at once, before anything is made of it: each rule is one that no validator knows. */
import { readConfig, type SettingName } from '../src/config.ts'
import { ConfigError } from '../src/errors.ts'
import type { Environment } from './environments.ts'

/** An on-demand stream begins with so many shards and never has fewer. */
const ON_DEMAND_SHARDS = 4

/** Memory, in MiB, that Fargate has for each size of processor. */
const FARGATE_MEMORY: Record<Environment['service']['cpu'], { min: number; max: number; step: number }> = {
  256: { min: 512, max: 2048, step: 512 },
  512: { min: 1024, max: 4096, step: 1024 },
  1024: { min: 2048, max: 8192, step: 1024 },
  2048: { min: 4096, max: 16_384, step: 1024 },
  4096: { min: 8192, max: 30_720, step: 1024 },
}

const LOG_RETENTION_DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
]

/** DMS's own list; an unknown class is found by AWS only, an hour into the deploy. */
const DMS_CLASS = /^dms\.(t3|c5|c6i|r5|r6i)\.(micro|small|medium|(\d*x)?large)$/

/** Instance types of AWS's own processor: OpenSearch refuses a domain of both kinds. */
export function isGraviton(instanceType: string): boolean {
  return /^[a-z]+\d+g[a-z]*\./.test(instanceType)
}

/** @throws ConfigError that names every mistake */
export function proveEnvironment(environment: Environment): void {
  const faults = [...networkFaults(environment), ...stateFaults(environment), ...searchFaults(environment)]
  faults.push(...serviceFaults(environment), ...keepFaults(environment))
  if (faults.length > 0)
    throw new ConfigError(faults.map(fault => `environment ${environment.name}: ${fault}`).join('\n'))
}

function networkFaults({ network, availabilityZones, region, database }: Environment): string[] {
  const faults: string[] = []
  const zones = availabilityZones.length
  if (zones < 1 || zones > 3) faults.push(`availabilityZones has ${zones}; expected 1 to 3`)
  if (database.kind === 'create' && zones < 2)
    faults.push('availabilityZones has 1; Aurora and DMS ask for subnets in 2')
  for (const zone of availabilityZones)
    if (!zone.startsWith(region) || zone === region)
      faults.push(`availability zone ${zone} is not one of region ${region}`)
  if (network.kind === 'create') {
    if (network.endpointZones < 1 || network.endpointZones > zones)
      faults.push(`network.endpointZones is ${network.endpointZones}; expected 1 to ${zones}`)
  } else if (network.subnetIds.length !== zones) {
    faults.push(`network.subnetIds has ${network.subnetIds.length}; expected ${zones}, one a zone`)
  }
  for (const [name, id] of Object.entries(network.prefixLists))
    if (!/^pl-[0-9a-f]+$/.test(id)) faults.push(`network.prefixLists.${name} is ${id}; expected pl-...`)
  return faults
}

function stateFaults({ replication, stream }: Environment): string[] {
  const faults: string[] = []
  if (!DMS_CLASS.test(replication.instanceClass))
    faults.push(
      `replication.instanceClass is ${replication.instanceClass}; expected such as dms.r6i.large (t3, c5, c6i, r5, r6i)`,
    )
  if (!/^\d+\.\d+\.\d+$/.test(replication.engineVersion))
    faults.push(`replication.engineVersion is ${replication.engineVersion}; expected such as 3.6.1`)
  if (replication.schemas.length === 0) faults.push('replication.schemas is empty; expected such as [public]')
  if (replication.lobKiB < 1 || replication.lobKiB > 1024)
    faults.push(
      `replication.lobKiB is ${replication.lobKiB}; expected 1 to 1024, for a record has to fit 1 MiB`,
    )
  if (stream.retentionHours < 24 || stream.retentionHours > 8760)
    faults.push(`stream.retentionHours is ${stream.retentionHours}; expected 24 to 8760`)
  return faults
}

function searchFaults({ search, availabilityZones, service }: Environment): string[] {
  if (search.kind === 'existing') return []
  const faults: string[] = []
  const { dataNodes, masterNodes } = search
  const types = [dataNodes.type, ...(masterNodes ? [masterNodes.type] : [])]
  for (const type of types)
    if (!type.endsWith('.search')) faults.push(`search node type ${type}; expected such as r6g.large.search`)
  if (new Set(types.map(isGraviton)).size > 1)
    faults.push(
      `search nodes are ${types.join(' and ')}: OpenSearch wants all of them Graviton, or none (a "g" behind the generation)`,
    )
  if (dataNodes.count > 1 && dataNodes.count % availabilityZones.length !== 0)
    faults.push(
      `search.dataNodes.count is ${dataNodes.count}; expected a multiple of the ${availabilityZones.length} zones, so that losing one leaves every shard a copy`,
    )
  if (!/^\d+\.\d+$/.test(search.version))
    faults.push(`search.version is ${search.version}; expected such as 2.19`)
  const replicas = Number(service.settings.INDEX_REPLICAS ?? 1)
  if (replicas >= dataNodes.count)
    faults.push(
      `INDEX_REPLICAS is ${replicas} with ${dataNodes.count} data nodes: the indices would stay yellow`,
    )
  return faults
}

function serviceFaults({ service, stream, observability }: Environment): string[] {
  const faults: string[] = []
  const { min, max, step } = FARGATE_MEMORY[service.cpu]
  if (service.memoryMiB < min || service.memoryMiB > max || service.memoryMiB % step !== 0)
    faults.push(
      `service.memoryMiB is ${service.memoryMiB}; Fargate has ${min} to ${max} in steps of ${step} for cpu ${service.cpu}`,
    )
  const shards = stream.capacity.mode === 'provisioned' ? stream.capacity.shards : ON_DEMAND_SHARDS
  if (service.minTasks < 1 || service.minTasks > service.maxTasks)
    faults.push(`service.minTasks is ${service.minTasks}; expected 1 to maxTasks (${service.maxTasks})`)
  if (service.maxTasks > shards)
    faults.push(
      `service.maxTasks is ${service.maxTasks} with ${shards} shards: a shard has one reader, further tasks stand idle`,
    )
  if (service.image && !/^sha256:[0-9a-f]{64}$/.test(service.image.digest))
    faults.push('service.image.digest; expected sha256: and 64 hex digits, for a tag can be moved')
  if (!LOG_RETENTION_DAYS.includes(observability.logRetentionDays))
    faults.push(
      `observability.logRetentionDays is ${observability.logRetentionDays}; CloudWatch Logs takes ${LOG_RETENTION_DAYS.join(', ')}`,
    )
  try {
    readConfig(service.settings, Object.keys(service.settings) as SettingName[])
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    faults.push(...error.message.split('\n').map(line => `service.settings.${line}`))
  }
  return faults
}

function keepFaults({ name, data }: Environment): string[] {
  return name === 'production' && data !== 'keep' ? ['data is destroy; production keeps its data'] : []
}
