/** Completes the Kinesis endpoint by the one setting CloudFormation does not know, and fails the deploy where it does not stick. */
import { type CfnResource, CustomResource, Duration } from 'aws-cdk-lib'
import { Construct } from 'constructs'
import type { ReplicationControl } from './replication-control.ts'

const DEADLINE = Duration.minutes(10)

export type EndpointSettingProps = {
  control: ReplicationControl
  endpoint: CfnResource
  /** Of `ReplicationTaskStop`: CloudFormation's own update of the endpoint may clear what it does not know. */
  settingsHash: string
}

export class EndpointSetting extends Construct {
  constructor(scope: Construct, id: string, { control, endpoint, settingsHash }: EndpointSettingProps) {
    super(scope, id)
    const setting = new CustomResource(this, 'Resource', {
      resourceType: 'Custom::DmsEndpointSetting',
      serviceToken: control.serviceToken,
      properties: {
        EndpointArn: control.endpointArn,
        SettingsHash: settingsHash,
        DeadlineSeconds: DEADLINE.toSeconds(),
      },
    })
    setting.node.addDependency(endpoint)
  }
}
