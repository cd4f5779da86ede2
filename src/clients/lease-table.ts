/**
 * The lease table: each operation is one conditional write to DynamoDB, attribute by attribute, so that what KCL or
 * others put into an item stays. Items that are not leases (KCL 3.5 keeps some) and items that cannot be read as one
 * are left alone.
 *
 * An answer may be lost after the write landed, and the retry then fails its own condition. So a failed condition is
 * looked at once more: the write was ours if the item carries our fence and what we wrote. Owner and counter alone
 * would not tell two holders of one worker id apart.
 */
import {
  ConditionalCheckFailedException,
  DescribeTableCommand,
  DynamoDBClient,
} from '@aws-sdk/client-dynamodb'
import {
  DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  ScanCommand,
  UpdateCommand,
} from '@aws-sdk/lib-dynamodb'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { type Hold, type Lease, type OwnerWrite, SHARD_END } from '../core/lease.ts'
import { OutsideError } from '../errors.ts'

export type LeaseListing = { leases: Lease[]; corrupt: number }

type Item = Record<string, unknown>

export function leaseTable(options: { tableName: string; requestTimeoutMs: number; now: () => number }) {
  const { tableName, now } = options
  const base = new DynamoDBClient({
    maxAttempts: 3,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: 2000,
      requestTimeout: options.requestTimeoutMs,
      throwOnRequestTimeout: true,
    }),
  })
  const client = DynamoDBDocumentClient.from(base, { marshallOptions: { removeUndefinedValues: true } })
  let offsetMs: number | undefined

  // Fences need one clock for all workers: the table's own, by the Date header of its answers (whole seconds, cut, so
  // half a second is added). Measured against the middle of the call.
  client.middlewareStack.add(
    next => async args => {
      const sentAt = now()
      const result = await next(args)
      const header = (result.response as { headers?: Record<string, string> }).headers?.date
      const at = header ? Date.parse(header) : Number.NaN
      if (!Number.isNaN(at)) offsetMs = at + 500 - (sentAt + now()) / 2
      return result
    },
    { step: 'deserialize', name: 'serverClock', priority: 'low' },
  )

  async function list(): Promise<LeaseListing> {
    const leases: Lease[] = []
    let corrupt = 0
    let from: Item | undefined
    do {
      const answer = await client.send(
        new ScanCommand({
          TableName: tableName,
          ConsistentRead: true,
          ...(from ? { ExclusiveStartKey: from } : {}),
        }),
      )
      for (const item of answer.Items ?? []) {
        if (item.entityType !== undefined && item.entityType !== 'LEASE') continue
        const lease = leaseOf(item)
        if (lease) leases.push(lease)
        else corrupt++
      }
      from = answer.LastEvaluatedKey
    } while (from)
    return { leases, corrupt }
  }

  async function get(leaseKey: string): Promise<Lease | undefined> {
    const answer = await client.send(
      new GetCommand({ TableName: tableName, Key: { leaseKey }, ConsistentRead: true }),
    )
    return answer.Item && leaseOf(answer.Item)
  }

  /** @returns whether this call made the item; false when it was there */
  async function create(lease: Lease): Promise<boolean> {
    const { parentShardId, childShardIds, ...plain } = lease
    const item = {
      ...plain,
      checkpointSubSequenceNumber: 0,
      entityType: 'LEASE',
      // DynamoDB has no empty sets; KCL leaves them out as well.
      ...(parentShardId.length > 0 ? { parentShardId: new Set(parentShardId) } : {}),
      ...(childShardIds.length > 0 ? { childShardIds: new Set(childShardIds) } : {}),
    }
    try {
      await client.send(
        new PutCommand({
          TableName: tableName,
          Item: item,
          ConditionExpression: 'attribute_not_exists(leaseKey)',
        }),
      )
      return true
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return false
      throw error
    }
  }

  /**
   * Begins a tenure: owner and fence in one write. `mode: adopt` is for a lease that carries our id already.
   *
   * @returns the counter to go on with, or undefined when somebody else was quicker
   */
  async function take(
    lease: Lease,
    claim: { owner: string; fence: number; mode: 'take' | 'adopt' },
  ): Promise<number | undefined> {
    const counter = lease.leaseCounter + 1
    const adoptOnly = ' AND leaseOwner = :me AND attribute_not_exists(checkpointOwner)'
    const isSwitch = lease.leaseOwner !== undefined && lease.leaseOwner !== claim.owner
    const landed = await conditionally({
      leaseKey: lease.leaseKey,
      update: `SET leaseOwner = :me, leaseCounter = :next, fence = :fence REMOVE checkpointOwner, leftBy${isSwitch ? ' ADD ownerSwitchesSinceCheckpoint :one' : ''}`,
      condition: `leaseCounter = :seen AND (attribute_not_exists(fence) OR fence < :fence)${claim.mode === 'adopt' ? adoptOnly : ''}`,
      values: {
        ':me': claim.owner,
        ':next': counter,
        ':fence': claim.fence,
        ':seen': lease.leaseCounter,
        ...(isSwitch ? { ':one': 1 } : {}),
      },
      isOurs: item => item.leaseOwner === claim.owner && item.fence === claim.fence,
    })
    return landed ? counter : undefined
  }

  /** Any write of an owner. @returns whether it landed; false when the lease is no longer held as believed */
  async function write(hold: Hold, change: OwnerWrite): Promise<boolean> {
    const set = ['leaseCounter = :next']
    const remove: string[] = []
    const values: Item = {
      ':next': hold.counter + 1,
      ':seen': hold.counter,
      ':fence': hold.fence,
      ':me': hold.owner,
    }
    const checkpoint =
      change.kind === 'shard-end' ? SHARD_END : change.kind === 'renew' ? undefined : change.checkpoint
    if (checkpoint !== undefined) {
      set.push(
        'checkpoint = :checkpoint',
        'checkpointSubSequenceNumber = :zero',
        'ownerSwitchesSinceCheckpoint = :zero',
      )
      remove.push('pendingCheckpoint', 'pendingCheckpointSubSequenceNumber', 'pendingCheckpointState')
      Object.assign(values, { ':checkpoint': checkpoint, ':zero': 0 })
    }
    if (change.kind === 'shard-end' && change.children.length > 0) {
      set.push('childShardIds = :children')
      values[':children'] = new Set(change.children)
    }
    if (change.kind === 'evict') {
      set.push('leftBy = :me')
      remove.push('leaseOwner', 'checkpointOwner')
    }
    return conditionally({
      leaseKey: hold.leaseKey,
      update: `SET ${set.join(', ')}${remove.length > 0 ? ` REMOVE ${remove.join(', ')}` : ''}`,
      condition: 'leaseCounter = :seen AND fence = :fence AND leaseOwner = :me',
      values,
      isOurs: item =>
        item.fence === hold.fence &&
        item.leaseCounter === hold.counter + 1 &&
        (change.kind === 'evict' ? item.leftBy === hold.owner : item.leaseOwner === hold.owner) &&
        (checkpoint === undefined || item.checkpoint === checkpoint),
    })
  }

  async function conditionally(call: {
    leaseKey: string
    update: string
    condition: string
    values: Item
    isOurs: (item: Item) => boolean
  }): Promise<boolean> {
    try {
      await client.send(
        new UpdateCommand({
          TableName: tableName,
          Key: { leaseKey: call.leaseKey },
          UpdateExpression: call.update,
          ConditionExpression: call.condition,
          ExpressionAttributeValues: call.values,
        }),
      )
      return true
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw error
      const answer = await client.send(
        new GetCommand({ TableName: tableName, Key: { leaseKey: call.leaseKey }, ConsistentRead: true }),
      )
      return answer.Item !== undefined && call.isOurs(answer.Item)
    }
  }

  /** @throws OutsideError when the table is missing, refused or of another shape */
  async function check(): Promise<void> {
    try {
      const { Table } = await client.send(new DescribeTableCommand({ TableName: tableName }))
      const keys = (Table?.KeySchema ?? []).map(key => `${key.AttributeName} ${key.KeyType}`).join(', ')
      const type = Table?.AttributeDefinitions?.find(
        attribute => attribute.AttributeName === 'leaseKey',
      )?.AttributeType
      if (keys !== 'leaseKey HASH' || type !== 'S') {
        throw new OutsideError(
          `DynamoDB table ${tableName} has key ${keys} of type ${type ?? 'none'}: expected the hash key leaseKey of type S alone; create another table and set LEASE_TABLE`,
        )
      }
    } catch (cause) {
      const name = cause instanceof Error ? cause.name : ''
      if (name === 'ResourceNotFoundException') {
        throw new OutsideError(
          `DynamoDB has no table ${tableName} in this account and region: create it with hash key leaseKey (S), or mend LEASE_TABLE or AWS_REGION`,
          { cause },
        )
      }
      if (name === 'AccessDeniedException') {
        throw new OutsideError(
          `DynamoDB refuses table ${tableName}: allow dynamodb:DescribeTable, Scan, GetItem, PutItem and UpdateItem on it to this role`,
          { cause },
        )
      }
      throw cause
    }
  }

  return {
    list,
    get,
    create,
    take,
    write,
    check,
    /** The table's own time, ms since 1970-01-01Z; the local clock before the first answer with a Date header. */
    serverNow: () => now() + (offsetMs ?? 0),
    /** undefined while no answer carried a Date header. */
    clockOffsetMs: () => offsetMs,
    close: () => base.destroy(),
  }
}

/** @returns undefined for an item that is no readable lease */
function leaseOf(item: Item): Lease | undefined {
  const { leaseKey, leaseOwner, leaseCounter, checkpoint } = item
  if (typeof leaseKey !== 'string' || typeof leaseCounter !== 'number' || typeof checkpoint !== 'string')
    return undefined
  const optional = {
    leaseOwner: typeof leaseOwner === 'string' ? leaseOwner : undefined,
    startingHashKey: typeof item.startingHashKey === 'string' ? item.startingHashKey : undefined,
    endingHashKey: typeof item.endingHashKey === 'string' ? item.endingHashKey : undefined,
    checkpointOwner: typeof item.checkpointOwner === 'string' ? item.checkpointOwner : undefined,
    fence: typeof item.fence === 'number' ? item.fence : undefined,
    leftBy: typeof item.leftBy === 'string' ? item.leftBy : undefined,
  }
  return {
    leaseKey,
    leaseCounter,
    checkpoint,
    ownerSwitchesSinceCheckpoint:
      typeof item.ownerSwitchesSinceCheckpoint === 'number' ? item.ownerSwitchesSinceCheckpoint : 0,
    parentShardId: names(item.parentShardId),
    childShardIds: names(item.childShardIds),
    ...(Object.fromEntries(
      Object.entries(optional).filter(([, value]) => value !== undefined),
    ) as Partial<Lease>),
  }
}

function names(value: unknown): string[] {
  return value instanceof Set ? [...value].filter(name => typeof name === 'string') : []
}
