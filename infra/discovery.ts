/**
 * How a Prometheus finds the tasks: `consumer.<namespace>` has the address of each healthy one.
 *
 *     dns_sd_configs: [{ names: [consumer.cdc-production.internal], type: A, port: 8080 }]
 *
 * It runs in the VPC (or one that is peered), in the security group `Scraper`. Prometheus itself knows no ECS, and Amazon's
 * managed collector scrapes none; alarms do not depend on it, they have the service's own CloudWatch metrics.
 */
import { Duration } from 'aws-cdk-lib'
import type { FargateService } from 'aws-cdk-lib/aws-ecs'
import { DnsRecordType, PrivateDnsNamespace } from 'aws-cdk-lib/aws-servicediscovery'
import { Construct } from 'constructs'
import type { Environment } from './environments.ts'
import { namesOf } from './names.ts'
import type { Network } from './network.ts'

export class Discovery extends Construct {
  constructor(
    scope: Construct,
    id: string,
    environment: Environment,
    { network, service }: { network: Network; service: FargateService },
  ) {
    super(scope, id)
    const namespace = new PrivateDnsNamespace(this, 'Namespace', {
      name: namesOf(environment).dnsNamespace,
      description: 'Tasks of the pipeline',
      vpc: network.vpc,
    })
    service.enableCloudMap({
      name: 'consumer',
      cloudMapNamespace: namespace,
      dnsRecordType: DnsRecordType.A,
      // A task that left is asked no longer than this.
      dnsTtl: Duration.seconds(10),
    })
  }
}
