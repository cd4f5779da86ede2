/** Who reads which shard, and how far: the table the workers share, in the form of the Kinesis Client Library. */
import { AttributeType, BillingMode, Table, TableEncryption } from 'aws-cdk-lib/aws-dynamodb'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import { Construct } from 'constructs'
import { removalOf } from './encryption-key.ts'
import type { Environment } from './environments.ts'
import { namesOf } from './names.ts'

export class LeaseTable extends Construct {
  readonly table: Table

  constructor(scope: Construct, id: string, environment: Environment, key: IKey) {
    super(scope, id)
    this.table = new Table(this, 'Table', {
      tableName: namesOf(environment).leaseTable,
      partitionKey: { name: 'leaseKey', type: AttributeType.STRING },
      // Its load follows the number of tasks and shards, not the traffic; throttled renewals would cost leases.
      billingMode: BillingMode.PAY_PER_REQUEST,
      encryption: TableEncryption.CUSTOMER_MANAGED,
      encryptionKey: key,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: environment.data === 'keep',
      removalPolicy: removalOf(environment),
    })
  }
}
