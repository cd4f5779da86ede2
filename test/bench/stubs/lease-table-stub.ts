/**
 * The lease table and the dead-letter queue: as much of DynamoDB and SQS as a worker asks for. A process of its own.
 *
 * No record of the bench is one for the queue, so a letter is a fault of the run.
 */
import { conditionHolds, updated, type WireItem, type WireValue } from './expressions.ts'
import { type Reply, serveStub } from './stub-server.ts'

type Call = {
  Key?: WireItem
  Item?: WireItem
  ConditionExpression?: string
  UpdateExpression?: string
  ExpressionAttributeValues?: Record<string, WireValue>
}

/** DynamoDB bills a strongly consistent read of 4 KB as one unit; an item here is below 512 bytes. */
const ITEMS_PER_UNIT = 8

const items = new Map<string, WireItem>()

await serveStub((asked, body) => {
  const operation = String(asked.headers['x-amz-target']).split('.').at(-1)!
  const call = JSON.parse(body.toString()) as Call
  if (operation === 'GetQueueAttributes')
    return json(200, { Attributes: { QueueArn: 'arn:aws:sqs:eu-central-1:000000000000:letters' } })
  const key = call.Key?.leaseKey?.S ?? call.Item?.leaseKey?.S ?? ''
  const found = items.get(key)
  const values = call.ExpressionAttributeValues ?? {}
  if (call.ConditionExpression && !conditionHolds(call.ConditionExpression, found, values)) {
    const __type = 'com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException'
    return json(400, { __type, message: 'The conditional request failed' })
  }
  return json(200, answerTo(operation, call, key))
})

function answerTo(operation: string, call: Call, key: string): object {
  switch (operation) {
    case 'DescribeTable':
      return {
        Table: {
          KeySchema: [{ AttributeName: 'leaseKey', KeyType: 'HASH' }],
          AttributeDefinitions: [{ AttributeName: 'leaseKey', AttributeType: 'S' }],
        },
      }
    case 'Scan':
      return {
        Items: [...items.values()],
        ConsumedCapacity: { CapacityUnits: Math.max(1, Math.ceil(items.size / ITEMS_PER_UNIT)) },
      }
    case 'GetItem':
      return items.has(key) ? { Item: items.get(key) } : {}
    case 'PutItem':
      items.set(key, call.Item!)
      return {}
    case 'DeleteItem':
      items.delete(key)
      return {}
    case 'UpdateItem': {
      const item = updated(
        call.UpdateExpression!,
        items.get(key) ?? call.Key!,
        call.ExpressionAttributeValues ?? {},
      )
      items.set(key, item)
      return { Attributes: item }
    }
    case 'SendMessageBatch':
      throw new Error('a letter was sent, but no record of the bench is one for the queue')
    default:
      throw new Error(`the lease table's stub does not answer ${operation}`)
  }
}

function json(status: number, body: object): Reply {
  return { status, body: JSON.stringify(body), headers: { 'content-type': 'application/x-amz-json-1.0' } }
}
