/** The stream between DMS and the service. */
import { RecordDistributionStrategy } from '@aws-sdk/client-kinesis'
import { Duration } from 'aws-cdk-lib'
import {
  type CfnStream,
  ShardLevelMetrics,
  Stream,
  StreamEncryption,
  StreamMode,
} from 'aws-cdk-lib/aws-kinesis'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import { Construct } from 'constructs'
import { removalOf } from './encryption-key.ts'
import type { Environment } from './environments.ts'
import { namesOf } from './names.ts'

export class ChangeStream extends Construct {
  readonly stream: Stream

  constructor(scope: Construct, id: string, environment: Environment, key: IKey) {
    super(scope, id)
    const { capacity, retentionHours } = environment.stream
    this.stream = new Stream(this, 'Stream', {
      streamName: namesOf(environment).stream,
      ...(capacity.mode === 'on-demand'
        ? { streamMode: StreamMode.ON_DEMAND }
        : { streamMode: StreamMode.PROVISIONED, shardCount: capacity.shards }),
      retentionPeriod: Duration.hours(retentionHours),
      encryption: StreamEncryption.KMS,
      encryptionKey: key,
      // One slow shard is invisible in the sum over all of them.
      shardLevelMetrics: [ShardLevelMetrics.ALL],
      removalPolicy: removalOf(environment),
    })
    if (capacity.mode === 'on-demand') {
      // The other strategy, AUTO, ignores partition keys: the order of a row's changes would be lost. A provisioned stream knows none.
      const stream = this.stream.node.defaultChild as CfnStream
      stream.recordDistributionStrategy = RecordDistributionStrategy.USER_PARTITION_KEY
    }
  }
}
