/**
 * The lease table: each operation is one conditional write to DynamoDB, attribute by attribute, so that what KCL or
 * others put into an item stays. Items that are not leases of this stream (KCL 3.5 keeps some) and items that cannot be
 * read as one are left alone.
 *
 * An answer may be lost after the write landed, and the retry then fails its own condition. So the client tells whether a
 * write was sent more than once, and what stands there now; core decides whether it was ours.
 */
import {
  ConditionalCheckFailedException,
  DescribeTableCommand,
  DynamoDBClient,
} from '@aws-sdk/client-dynamodb'
import {
  DeleteCommand,
  DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  ScanCommand,
  UpdateCommand,
} from '@aws-sdk/lib-dynamodb'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import {
  checkpointOf,
  type Hold,
  type Lease,
  type OwnerWrite,
  refusalOf,
  SHARD_END,
  type TakeMode,
  type WriteResult,
} from '../core/lease.ts'
import { type Item, isForeign, itemOf, leaseOf } from '../core/lease-item.ts'
import { OutsideError } from '../errors.ts'

/** `units`: read capacity the listing consumed. */
export type LeaseListing = { leases: Lease[]; corrupt: number; units: number }

export function leaseTable(options: { tableName: string; requestTimeoutMs: number; now: () => number }) {
  const { tableName, now } = options
  const base = new DynamoDBClient({
    maxAttempts: 3,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: 2000,
      requestTimeout: options.requestTimeoutMs,
      throwOnRequestTimeout: true,
      // The one above ends with the first byte of an answer; without this a body that stalls would hang for ever.
      socketTimeout: options.requestTimeoutMs,
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
    let units = 0
    let from: Item | undefined
    do {
      const answer = await client.send(
        new ScanCommand({
          TableName: tableName,
          ConsistentRead: true,
          ReturnConsumedCapacity: 'TOTAL',
          ...(from ? { ExclusiveStartKey: from } : {}),
        }),
      )
      for (const item of answer.Items ?? []) {
        if (isForeign(item)) continue
        const lease = leaseOf(item)
        if (lease) leases.push(lease)
        else corrupt++
      }
      units += answer.ConsumedCapacity?.CapacityUnits ?? 0
      from = answer.LastEvaluatedKey
    } while (from)
    return { leases, corrupt, units }
  }

  async function get(leaseKey: string): Promise<Lease | undefined> {
    const answer = await client.send(
      new GetCommand({ TableName: tableName, Key: { leaseKey }, ConsistentRead: true }),
    )
    return answer.Item && leaseOf(answer.Item)
  }

  /** @returns whether this call made the item; false when it was there */
  async function create(lease: Lease): Promise<boolean> {
    try {
      await client.send(
        new PutCommand({
          TableName: tableName,
          Item: itemOf(lease),
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
   * Begins a tenure: owner and fence in one write.
   *
   * A take whose answer was lost counts as refused: the lease then carries our id without a tenure, and the next look begins
   * one anew with a higher fence. To believe an item that looks like our write would let two processes of one worker id
   * share a fence.
   *
   * @returns the lease as it is now (a holder may have checkpointed since it was listed), or undefined
   */
  async function take(
    lease: Lease,
    claim: { owner: string; fence: number; mode: TakeMode },
  ): Promise<Lease | undefined> {
    const isSwitch = lease.leaseOwner !== undefined && lease.leaseOwner !== claim.owner
    const seen = {
      take: 'leaseCounter = :seen',
      adopt: 'leaseCounter = :seen AND leaseOwner = :me AND attribute_not_exists(checkpointOwner)',
      // Not the counter: the owner that does not finish the handoff still renews, and may; it may end the shard as well.
      force: 'leaseOwner = :me AND checkpointOwner = :holder AND checkpoint <> :end',
    }[claim.mode]
    const item = await conditionally({
      leaseKey: lease.leaseKey,
      update: `SET leaseOwner = :me, fence = :fence REMOVE checkpointOwner, leftBy ADD leaseCounter :one${isSwitch ? ', ownerSwitchesSinceCheckpoint :one' : ''}`,
      condition: `${seen} AND (attribute_not_exists(fence) OR fence < :fence)`,
      values: {
        ':me': claim.owner,
        ':fence': claim.fence,
        ':one': 1,
        ...(claim.mode === 'force'
          ? { ':holder': lease.checkpointOwner, ':end': SHARD_END }
          : { ':seen': lease.leaseCounter }),
      },
    })
    return item.landed && item.now ? leaseOf(item.now) : undefined
  }

  /** Any write of an owner. */
  async function write(hold: Hold, change: OwnerWrite, mayHaveLanded: boolean): Promise<WriteResult> {
    const { update, values } = ownerUpdate(hold, change)
    const item = await conditionally({
      leaseKey: hold.leaseKey,
      update,
      condition: `leaseCounter = :seen AND fence = :held AND ${hold.isLeaving ? 'checkpointOwner' : 'leaseOwner'} = :me`,
      values: { ...values, ':seen': hold.counter, ':held': hold.fence, ':me': hold.owner },
    })
    if (item.landed) return 'landed'
    return refusalOf(hold, change, item.now && leaseOf(item.now), mayHaveLanded || item.isRetried)
  }

  function ownerUpdate(hold: Hold, change: OwnerWrite): { update: string; values: Item } {
    const set = ['leaseCounter = :next']
    const remove: string[] = []
    const values: Item = { ':next': hold.counter + 1 }
    const checkpoint = checkpointOf(change)
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
    if (change.kind === 'jump') {
      set.push('fence = :fence')
      values[':fence'] = change.fence
    }
    if (change.kind === 'evict') {
      remove.push('checkpointOwner')
      if (!hold.isLeaving) {
        set.push('leftBy = :me')
        remove.push('leaseOwner')
      }
    }
    const removal = remove.length > 0 ? ` REMOVE ${remove.join(', ')}` : ''
    return { update: `SET ${set.join(', ')}${removal}`, values }
  }

  /**
   * Names us the next owner of a lease that is alive, or in the place of a next owner that never came. The counter stays,
   * so that the present owner's renewals go on.
   *
   * @returns whether it landed; false when the owner changed or another handoff is under way
   */
  async function startHandoff(lease: Lease, next: string): Promise<boolean> {
    const holder = lease.checkpointOwner ?? lease.leaseOwner
    const isOwned =
      lease.leaseOwner === undefined ? 'attribute_not_exists(leaseOwner)' : 'leaseOwner = :owner'
    const isHeld =
      lease.checkpointOwner === undefined
        ? 'attribute_not_exists(checkpointOwner)'
        : 'checkpointOwner = :holder'
    const item = await conditionally({
      leaseKey: lease.leaseKey,
      update: 'SET leaseOwner = :me, checkpointOwner = :holder',
      condition: `attribute_exists(leaseKey) AND ${isOwned} AND ${isHeld}`,
      values: {
        ':me': next,
        ':holder': holder,
        ...(lease.leaseOwner === undefined ? {} : { ':owner': lease.leaseOwner }),
      },
    })
    return (
      item.landed || (item.isRetried && item.now?.leaseOwner === next && item.now.checkpointOwner === holder)
    )
  }

  /**
   * Withdraws as next owner. While the present one drains as it has begun to, the lease is free when it has finished; if
   * it has finished, the lease is free now.
   *
   * @param fence of the lease as it was handed over: a tenure that began since has raised it, and keeps the lease
   */
  async function cancelHandoff(leaseKey: string, next: string, fence: number | undefined): Promise<void> {
    const isNotBegun = fence === undefined ? 'attribute_not_exists(fence)' : 'fence = :fence'
    await conditionally({
      leaseKey,
      update: 'SET leftBy = :me REMOVE leaseOwner',
      condition: `leaseOwner = :me AND (attribute_exists(checkpointOwner) OR ${isNotBegun})`,
      values: { ':me': next, ...(fence === undefined ? {} : { ':fence': fence }) },
    })
  }

  /** Fills in the hash range of a lease that has none (KCL 1.x wrote such); never makes an item that is gone. */
  async function setRange(
    leaseKey: string,
    range: { startingHashKey: string; endingHashKey: string },
  ): Promise<void> {
    await conditionally({
      leaseKey,
      update: 'SET startingHashKey = :start, endingHashKey = :end',
      condition: 'attribute_exists(leaseKey)',
      values: { ':start': range.startingHashKey, ':end': range.endingHashKey },
    })
  }

  /** Deletes an ended lease; one that has changed since it was looked at stays. */
  async function remove(lease: Lease): Promise<void> {
    try {
      await client.send(
        new DeleteCommand({
          TableName: tableName,
          Key: { leaseKey: lease.leaseKey },
          ConditionExpression: 'leaseCounter = :seen AND checkpoint = :end',
          ExpressionAttributeValues: { ':seen': lease.leaseCounter, ':end': SHARD_END },
        }),
      )
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw error
    }
  }

  /**
   * @returns whether it landed; the item as it is then, undefined when there is none; and whether the SDK sent it more
   * than once, so that a failed condition may be the work of an earlier copy of our own
   */
  async function conditionally(call: {
    leaseKey: string
    update: string
    condition: string
    values: Item
  }): Promise<{ landed: boolean; now: Item | undefined; isRetried: boolean }> {
    const Key = { leaseKey: call.leaseKey }
    try {
      const answer = await client.send(
        new UpdateCommand({
          TableName: tableName,
          Key,
          UpdateExpression: call.update,
          ConditionExpression: call.condition,
          ExpressionAttributeValues: call.values,
          ReturnValues: 'ALL_NEW',
        }),
      )
      return { landed: true, now: answer.Attributes, isRetried: false }
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw error
      const answer = await client.send(new GetCommand({ TableName: tableName, Key, ConsistentRead: true }))
      return { landed: false, now: answer.Item, isRetried: (error.$metadata.attempts ?? 1) > 1 }
    }
  }

  /** @throws OutsideError when the table is missing, refused or of another shape */
  async function check(): Promise<void> {
    try {
      const { Table } = await client.send(new DescribeTableCommand({ TableName: tableName }))
      // A role that may describe the table but not read it would find out only by trying for ever.
      await client.send(new ScanCommand({ TableName: tableName, Limit: 1 }))
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
          `DynamoDB refuses table ${tableName}: allow dynamodb:DescribeTable, Scan, GetItem, PutItem, UpdateItem and DeleteItem on it to this role`,
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
    startHandoff,
    cancelHandoff,
    setRange,
    remove,
    check,
    /** The table's own time, ms since 1970-01-01Z; the local clock before the first answer with a Date header. */
    serverNow: () => now() + (offsetMs ?? 0),
    /** undefined while no answer carried a Date header. */
    clockOffsetMs: () => offsetMs,
    close: () => base.destroy(),
  }
}
