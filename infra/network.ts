/**
 * A VPC without a way to the internet: private subnets only, and an endpoint for each service that something inside uses.
 *
 * Or the VPC that is there, with the endpoints it lacks.
 */
import {
  FlowLogDestination,
  GatewayVpcEndpointAwsService,
  InterfaceVpcEndpointAwsService,
  IpAddresses,
  type ISecurityGroup,
  type IVpc,
  SecurityGroup,
  type SubnetSelection,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2'
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import { Construct } from 'constructs'
import { EncryptionKey, removalOf } from './encryption-key.ts'
import type { CreatedNetwork, Environment, ExistingNetwork } from './environments.ts'
import { namesOf } from './names.ts'

/**
 * Who uses which: DMS Kinesis and Secrets Manager; the tasks Kinesis, SQS, and by way of Fargate ECR (two), logs and secrets.
 * Nothing inside asks CloudWatch (alarm metrics are log lines), STS or KMS (the services ask it for their callers).
 */
const INTERFACE_ENDPOINTS = {
  Kinesis: InterfaceVpcEndpointAwsService.KINESIS_STREAMS,
  Sqs: InterfaceVpcEndpointAwsService.SQS,
  SecretsManager: InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
  Logs: InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
  EcrApi: InterfaceVpcEndpointAwsService.ECR,
  EcrDocker: InterfaceVpcEndpointAwsService.ECR_DOCKER,
}

export class Network extends Construct {
  readonly vpc: IVpc
  readonly subnets: SubnetSelection
  /** Of the interface endpoints: who may reach it, may reach all of them. */
  readonly endpoints: ISecurityGroup

  constructor(scope: Construct, id: string, environment: Environment) {
    super(scope, id)
    const { network } = environment
    this.vpc =
      network.kind === 'create' ? this.#create(environment, network) : this.#adopt(environment, network)
    this.subnets = { subnets: network.kind === 'create' ? this.vpc.isolatedSubnets : this.vpc.privateSubnets }
    this.endpoints = this.#endpoints(environment)
  }

  #create(environment: Environment, network: CreatedNetwork): IVpc {
    const vpc = new Vpc(this, 'Vpc', {
      ipAddresses: IpAddresses.cidr(network.cidr),
      availabilityZones: [...environment.availabilityZones],
      natGateways: 0,
      subnetConfiguration: [{ name: 'private', subnetType: SubnetType.PRIVATE_ISOLATED }],
      // Emptying it takes a Lambda of CDK's own; nothing is ever put into that group.
      restrictDefaultSecurityGroup: false,
    })
    const prefix = namesOf(environment).log('')
    const flowLog = new LogGroup(this, 'FlowLog', {
      logGroupName: `${prefix}flow`,
      retention: environment.observability.logRetentionDays as RetentionDays,
      encryptionKey: new EncryptionKey(this, 'Key', environment, 'flow log').allowLogGroups(prefix),
      removalPolicy: removalOf(environment),
    })
    vpc.addFlowLog('Flow', { destination: FlowLogDestination.toCloudWatchLogs(flowLog) })
    vpc.addGatewayEndpoint('S3', { service: GatewayVpcEndpointAwsService.S3 })
    vpc.addGatewayEndpoint('DynamoDb', { service: GatewayVpcEndpointAwsService.DYNAMODB })
    return vpc as IVpc
  }

  #adopt({ availabilityZones }: Environment, network: ExistingNetwork): IVpc {
    return Vpc.fromVpcAttributes(this, 'Vpc', {
      vpcId: network.vpcId,
      availabilityZones: [...availabilityZones],
      privateSubnetIds: [...network.subnetIds],
      privateSubnetRouteTableIds: [...network.routeTableIds],
    })
  }

  #endpoints({ network, availabilityZones }: Environment): ISecurityGroup {
    if (network.kind === 'existing' && network.endpointSecurityGroupId !== undefined)
      return SecurityGroup.fromSecurityGroupId(this, 'Endpoints', network.endpointSecurityGroupId)
    const group = new SecurityGroup(this, 'Endpoints', {
      vpc: this.vpc,
      description: 'Interface endpoints of the pipeline',
      allowAllOutbound: false,
    })
    const zones = network.kind === 'create' ? network.endpointZones : availabilityZones.length
    // Not more than one a zone, as AWS has it; the subnets stand in the order of the zones.
    const subnets = { subnets: this.vpc.selectSubnets(this.subnets).subnets.slice(0, zones) }
    for (const [name, service] of Object.entries(INTERFACE_ENDPOINTS))
      this.vpc.addInterfaceEndpoint(name, {
        service,
        privateDnsEnabled: true,
        // Who may reach it is written in security-groups.ts, not the whole VPC.
        open: false,
        securityGroups: [group],
        subnets,
      })
    return group
  }
}
