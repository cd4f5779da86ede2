/**
 * The service on Fargate. There is no load balancer, so all that ECS sees of a rollout is the container's health check: the
 * alarms named here, and the time they are watched for, are what rolls a bad one back.
 */
import { fileURLToPath } from 'node:url'
import { ArnFormat, Duration, Stack } from 'aws-cdk-lib'
import type { ISecurityGroup, SubnetSelection } from 'aws-cdk-lib/aws-ec2'
import { Repository } from 'aws-cdk-lib/aws-ecr'
import { Platform } from 'aws-cdk-lib/aws-ecr-assets'
import {
  AlarmBehavior,
  AvailabilityZoneRebalancing,
  AwsLogDriverMode,
  Capability,
  Cluster,
  ContainerImage,
  ContainerInsights,
  CpuArchitecture,
  DeploymentStrategy,
  FargatePlatformVersion,
  FargateService,
  FargateTaskDefinition,
  type ICluster,
  LinuxParameters,
  LogDriver,
  OperatingSystemFamily,
  PropagatedTagSource,
  type Secret,
} from 'aws-cdk-lib/aws-ecs'
import { type IRole, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import { Construct } from 'constructs'
import { removalOf } from './encryption-key.ts'
import type { Environment } from './environments.ts'
import { namesOf } from './names.ts'
import type { Network } from './network.ts'
import { METRICS_PORT } from './security-groups.ts'

const PROJECT = fileURLToPath(new URL('..', import.meta.url))

/** Fargate's longest. The service drains within DRAIN_MS, which is shorter. */
const STOP_TIMEOUT = Duration.seconds(120)

/** CloudFormation's own is three hours, in which the deploy waits. Two evaluations of the alarms fit in ten minutes with room. */
const BAKE_TIME = Duration.minutes(10)

/** Live, not ready: to replace tasks because OpenSearch is away would move every lease and mend nothing. */
const HEALTH_CHECK = {
  command: ['CMD', 'node', 'src/http/probe.ts'],
  interval: Duration.seconds(10),
  timeout: Duration.seconds(5),
  retries: 3,
  startPeriod: Duration.seconds(60),
}

export type Container = {
  family: string
  name: string
  command: string[]
  taskRole: IRole
  environment: Record<string, string>
  secrets: Record<string, Secret>
  key: IKey
  /** Whether it answers at its port until it is stopped, or does one thing and ends. */
  serves: boolean
}

/** A task of this project's image, hardened: the service, and what runs once beside it. */
export class Task extends Construct {
  readonly definition: FargateTaskDefinition
  readonly log: LogGroup

  constructor(scope: Construct, id: string, environment: Environment, container: Container) {
    super(scope, id)
    const { service, observability } = environment
    this.log = new LogGroup(this, 'Log', {
      logGroupName: namesOf(environment).log(container.name),
      retention: observability.logRetentionDays as RetentionDays,
      encryptionKey: container.key,
      removalPolicy: removalOf(environment),
    })
    this.definition = new FargateTaskDefinition(this, 'Definition', {
      family: container.family,
      cpu: service.cpu,
      memoryLimitMiB: service.memoryMiB,
      runtimePlatform: {
        cpuArchitecture: CpuArchitecture.ARM64,
        operatingSystemFamily: OperatingSystemFamily.LINUX,
      },
      taskRole: container.taskRole,
      executionRole: new Role(this, 'ExecutionRole', {
        description: `ECS for ${container.family}: pulls the image, writes the log, reads the secrets of the container`,
        assumedBy: new ServicePrincipal('ecs-tasks.amazonaws.com'),
      }),
    })
    const linuxParameters = new LinuxParameters(this, 'Linux', { initProcessEnabled: true })
    linuxParameters.dropCapabilities(Capability.ALL)
    this.definition.addContainer(container.name, {
      containerName: container.name,
      image: this.#image(service.image),
      command: ['node', 'src/main.ts', ...container.command],
      environment: container.environment,
      secrets: container.secrets,
      user: '1000:1000',
      readonlyRootFilesystem: true,
      linuxParameters,
      stopTimeout: STOP_TIMEOUT,
      ...(container.serves
        ? { portMappings: [{ containerPort: METRICS_PORT }], healthCheck: HEALTH_CHECK }
        : {}),
      // A log that stands still must not hold up the service.
      logging: LogDriver.awsLogs({
        streamPrefix: LOG_STREAM_PREFIX,
        logGroup: this.log,
        mode: AwsLogDriverMode.NON_BLOCKING,
      }),
    })
  }

  #image(image: Environment['service']['image']): ContainerImage {
    if (image === undefined)
      return ContainerImage.fromAsset(PROJECT, {
        target: 'service',
        platform: Platform.LINUX_ARM64,
        // Of the laptop's target alone: a change there makes no new image.
        exclude: ['docker'],
      })
    const { repositoryArn, digest } = image
    const repository = Repository.fromRepositoryAttributes(this, 'Repository', {
      repositoryArn,
      repositoryName: Stack.of(this).splitArn(repositoryArn, ArnFormat.SLASH_RESOURCE_NAME).resourceName!,
    })
    return ContainerImage.fromEcrRepository(repository, digest)
  }
}

export const LOG_STREAM_PREFIX = 'task'

export class Service extends Construct {
  readonly service: FargateService

  constructor(
    scope: Construct,
    id: string,
    environment: Environment,
    parts: {
      cluster: Cluster
      task: Task
      subnets: SubnetSelection
      group: ISecurityGroup
      deploymentAlarms: string[]
    },
  ) {
    super(scope, id)
    this.service = new FargateService(this, 'Service', {
      serviceName: namesOf(environment).service,
      cluster: parts.cluster as ICluster,
      taskDefinition: parts.task.definition,
      // No count: scaling has it, and a deploy must not set it back.
      platformVersion: FargatePlatformVersion.VERSION1_4,
      vpcSubnets: parts.subnets,
      securityGroups: [parts.group],
      assignPublicIp: false,
      // The old tasks read until the new ones are healthy: then each lease is handed over.
      minHealthyPercent: 100,
      maxHealthyPercent: 200,
      deploymentStrategy: DeploymentStrategy.ROLLING,
      circuitBreaker: { enable: true, rollback: true },
      deploymentAlarms: {
        alarmNames: parts.deploymentAlarms,
        behavior: AlarmBehavior.ROLLBACK_ON_ALARM,
      },
      bakeTime: BAKE_TIME,
      availabilityZoneRebalancing: AvailabilityZoneRebalancing.ENABLED,
      propagateTags: PropagatedTagSource.SERVICE,
      enableECSManagedTags: true,
    })
  }
}

export function makeCluster(
  scope: Construct,
  id: string,
  environment: Environment,
  network: Network,
): Cluster {
  return new Cluster(scope, id, {
    clusterName: namesOf(environment).cluster,
    vpc: network.vpc,
    containerInsightsV2:
      environment.observability.containerInsights === 'enhanced'
        ? ContainerInsights.ENHANCED
        : ContainerInsights.ENABLED,
  })
}
