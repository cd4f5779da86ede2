/** The lease table, read as another KCL worker would read it. */
import { DeleteTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient, ScanCommand } from '@aws-sdk/lib-dynamodb'
import { CREDENTIALS, REGION } from '../../docker/local/aws-clients.ts'

export type LeaseItem = {
  leaseKey: string
  leaseOwner?: string
  leaseCounter: number
  checkpoint: string
  fence: number
  leftBy?: string
  /** Who may still checkpoint while `leaseOwner` is the next owner already. */
  checkpointOwner?: string
  parentShardId?: Set<string>
  childShardIds?: Set<string>
}

export type Leases = {
  /** Shard id -> item. */
  all(): Promise<Map<string, LeaseItem>>
  remove(): Promise<void>
}

export function openLeases(endpoint: string, tableName: string): Leases {
  const base = new DynamoDBClient({ endpoint, region: REGION, credentials: CREDENTIALS, maxAttempts: 1 })
  const client = DynamoDBDocumentClient.from(base)
  return {
    async all() {
      const { Items = [] } = await client.send(
        new ScanCommand({ TableName: tableName, ConsistentRead: true }),
      )
      return new Map((Items as LeaseItem[]).map(item => [item.leaseKey, item]))
    },
    async remove() {
      await base.send(new DeleteTableCommand({ TableName: tableName }))
      base.destroy()
    },
  }
}

/** Whether a checkpoint covers a record. The words before all numbers cover none, SHARD_END covers all. */
export function covers(checkpoint: string, sequenceNumber: string): boolean {
  if (checkpoint === 'SHARD_END') return true
  return /^\d+$/.test(checkpoint) && BigInt(checkpoint) >= BigInt(sequenceNumber)
}

/** How many leases each of these workers owns, most first; undefined while one is being handed over or has another owner. */
export function sharesOf(
  leases: ReadonlyMap<string, LeaseItem>,
  owners: readonly string[],
): number[] | undefined {
  const running = [...leases.values()].filter(({ checkpoint }) => checkpoint !== 'SHARD_END')
  const isSettled = running.every(
    ({ leaseOwner, checkpointOwner }) =>
      leaseOwner !== undefined && owners.includes(leaseOwner) && checkpointOwner === undefined,
  )
  if (!isSettled) return undefined
  return owners
    .map(owner => running.filter(({ leaseOwner }) => leaseOwner === owner).length)
    .sort((a, b) => b - a)
}
