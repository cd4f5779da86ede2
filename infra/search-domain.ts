/**
 * The OpenSearch domain, with fine-grained access: the domain's policy says which roles may come, its own roles (put by
 * `bootstrap`) what they may do inside.
 *
 * CloudFormation's own resource rather than CDK's `Domain`: that one sets the access policy and the log policy by Lambdas.
 */
import { Stack } from 'aws-cdk-lib'
import {
  ArnPrincipal,
  CfnServiceLinkedRole,
  Effect,
  PolicyDocument,
  PolicyStatement,
  ServicePrincipal,
} from 'aws-cdk-lib/aws-iam'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import { LogGroup, ResourcePolicy, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import { CfnDomain } from 'aws-cdk-lib/aws-opensearchservice'
import { Construct } from 'constructs'
import { removalOf } from './encryption-key.ts'
import type { CreatedSearch, Environment } from './environments.ts'
import { namesOf } from './names.ts'
import type { Network } from './network.ts'
import type { SecurityGroups } from './security-groups.ts'

export type SearchAccess = { consumerRoleArn: string; bootstrapRoleArn: string }

/** What each role may ask of the domain; the rest is for the domain's own roles to say. */
export const SEARCH_ACTIONS = {
  /** `_bulk` and `_mget` are POST; whether the indices are as bootstrapped is GET. Nothing of it may PUT or DELETE an index. */
  consumer: ['es:ESHttpGet', 'es:ESHttpPost'],
  bootstrap: ['es:ESHttpGet', 'es:ESHttpPut'],
} as const

/** The ARN of a domain by its name: its own policy and the policies of the roles need it before it is there. */
export function domainArn(stack: Stack, environment: Environment): string {
  return stack.formatArn({ service: 'es', resource: 'domain', resourceName: namesOf(environment).domain })
}

const LOGS = {
  ES_APPLICATION_LOGS: 'application',
  SEARCH_SLOW_LOGS: 'search-slow',
  INDEX_SLOW_LOGS: 'index-slow',
  AUDIT_LOGS: 'audit',
} as const

export class SearchDomain extends Construct {
  /** Host name, without scheme. */
  readonly endpoint: string

  constructor(
    scope: Construct,
    id: string,
    environment: Environment,
    parts: { network: Network; groups: SecurityGroups; key: IKey; access: SearchAccess },
  ) {
    super(scope, id)
    const { search } = environment
    this.endpoint =
      search.kind === 'existing'
        ? search.endpoint
        : this.#create(environment, search, parts).attrDomainEndpoint
  }

  #create(
    environment: Environment,
    search: CreatedSearch,
    {
      network,
      groups,
      key,
      access,
    }: { network: Network; groups: SecurityGroups; key: IKey; access: SearchAccess },
  ): CfnDomain {
    const zones = search.dataNodes.count === 1 ? 1 : environment.availabilityZones.length
    const { masterNodes } = search
    const logs = this.#logs(environment, key)
    const domain = new CfnDomain(this, 'Domain', {
      domainName: namesOf(environment).domain,
      engineVersion: `OpenSearch_${search.version}`,
      clusterConfig: {
        instanceType: search.dataNodes.type,
        instanceCount: search.dataNodes.count,
        zoneAwarenessEnabled: zones > 1,
        ...(zones > 1 ? { zoneAwarenessConfig: { availabilityZoneCount: zones } } : {}),
        dedicatedMasterEnabled: masterNodes !== undefined,
        ...(masterNodes
          ? { dedicatedMasterType: masterNodes.type, dedicatedMasterCount: masterNodes.count }
          : {}),
        // A standby zone would ask two replicas of every index, and a third of the nodes would serve nothing.
        multiAzWithStandbyEnabled: false,
      },
      ebsOptions: {
        ebsEnabled: true,
        volumeType: 'gp3',
        volumeSize: search.volumeGiB,
        iops: 3000,
        throughput: 125,
      },
      encryptionAtRestOptions: { enabled: true, kmsKeyId: key.keyId },
      nodeToNodeEncryptionOptions: { enabled: true },
      domainEndpointOptions: { enforceHttps: true, tlsSecurityPolicy: 'Policy-Min-TLS-1-2-PFS-2023-10' },
      vpcOptions: {
        subnetIds: network.vpc.selectSubnets(network.subnets).subnetIds.slice(0, zones),
        securityGroupIds: [groups.search.securityGroupId],
      },
      advancedSecurityOptions: {
        enabled: true,
        internalUserDatabaseEnabled: false,
        masterUserOptions: { masterUserArn: access.bootstrapRoleArn },
      },
      accessPolicies: accessPolicy(this, environment, access),
      logPublishingOptions: Object.fromEntries(
        Object.entries(logs.groups).map(([name, group]) => [
          name,
          { enabled: true, cloudWatchLogsLogGroupArn: group.logGroupArn },
        ]),
      ),
      offPeakWindowOptions: { enabled: true },
      softwareUpdateOptions: { autoSoftwareUpdateEnabled: true },
    })
    domain.applyRemovalPolicy(removalOf(environment))
    domain.cfnOptions.updatePolicy = { enableVersionUpgrade: true }
    domain.node.addDependency(logs.policy)
    if (environment.accountRoles.openSearch === 'create')
      domain.addResourceDependency(
        new CfnServiceLinkedRole(this, 'ServiceRole', {
          awsServiceName: 'opensearchservice.amazonaws.com',
          description: 'Lets OpenSearch put its nodes into the VPC',
        }),
      )
    return domain
  }

  #logs(environment: Environment, key: IKey) {
    const { account } = Stack.of(this)
    const groups = Object.fromEntries(
      Object.entries(LOGS).map(([name, part]) => [
        name,
        new LogGroup(this, `Log${part}`, {
          logGroupName: namesOf(environment).log(`search/${part}`),
          retention: environment.observability.logRetentionDays as RetentionDays,
          encryptionKey: key,
          removalPolicy: removalOf(environment),
        }),
      ]),
    )
    const policy = new ResourcePolicy(this, 'LogPolicy', {
      resourcePolicyName: `${namesOf(environment).domain}-logs`,
      policyStatements: [
        new PolicyStatement({
          principals: [new ServicePrincipal('es.amazonaws.com')],
          actions: ['logs:CreateLogStream', 'logs:PutLogEvents', 'logs:PutLogEventsBatch'],
          resources: Object.values(groups).map(group => group.logGroupArn),
          conditions: {
            StringEquals: { 'aws:SourceAccount': account },
            ArnLike: { 'aws:SourceArn': domainArn(Stack.of(this), environment) },
          },
        }),
      ],
    })
    return { groups, policy }
  }
}

function accessPolicy(scope: Construct, environment: Environment, access: SearchAccess): PolicyDocument {
  const anywhereIn = `${domainArn(Stack.of(scope), environment)}/*`
  const allow = (arns: string[], actions: readonly string[]) =>
    new PolicyStatement({
      effect: Effect.ALLOW,
      principals: arns.map(arn => new ArnPrincipal(arn)),
      actions: [...actions],
      resources: [anywhereIn],
    })
  return new PolicyDocument({
    statements: [
      allow([access.consumerRoleArn], SEARCH_ACTIONS.consumer),
      allow([access.bootstrapRoleArn], SEARCH_ACTIONS.bootstrap),
    ],
  })
}
