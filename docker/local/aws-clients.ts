/**
 * SDK clients for the local endpoints.
 *
 * Rule: dummy credentials, one attempt, a time limit, so that a call to a part that is not there fails at once.
 */
import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { KinesisClient } from '@aws-sdk/client-kinesis'
import { SQSClient } from '@aws-sdk/client-sqs'
import { NodeHttpHandler } from '@smithy/node-http-handler'

export const REGION = 'us-east-1'
export const CREDENTIALS = { accessKeyId: 'local', secretAccessKey: 'local' }

export function kinesisClient(endpoint: string, requestTimeout: number): KinesisClient {
  return new KinesisClient(settings(endpoint, requestTimeout))
}

export function dynamodbClient(endpoint: string, requestTimeout: number): DynamoDBClient {
  return new DynamoDBClient(settings(endpoint, requestTimeout))
}

export function sqsClient(endpoint: string, requestTimeout: number): SQSClient {
  return new SQSClient(settings(endpoint, requestTimeout))
}

function settings(endpoint: string, requestTimeout: number) {
  return {
    endpoint,
    region: REGION,
    credentials: CREDENTIALS,
    maxAttempts: 1,
    // HTTP/1.1: the Kinesis client's own HTTP/2 handler can end the process when an emulator goes away.
    requestHandler: new NodeHttpHandler({ requestTimeout, throwOnRequestTimeout: true }),
  }
}
