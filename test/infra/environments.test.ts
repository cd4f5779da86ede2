/** Mistakes in an environment are found before anything is made of it. */
import { expect, test } from 'vitest'
import { isGraviton, proveEnvironment } from '../../infra/environment-faults.ts'
import { type Environment, environments } from '../../infra/environments.ts'
import { all, NAMES, one, synthesise } from './synthesised.ts'

const { production, dev } = environments

test.each(NAMES)('%s is without fault', name => {
  expect(() => proveEnvironment(environments[name])).not.toThrow()
})

type Change = (environment: Environment) => Environment

const MISTAKES: [what: string, change: Change, message: string][] = [
  [
    'production that does not keep its data',
    one => ({ ...one, data: 'destroy' }),
    'production keeps its data',
  ],
  [
    'a zone of another region',
    one => ({ ...one, region: 'eu-west-1' }),
    'us-east-1a is not one of region eu-west-1',
  ],
  ['one zone for Aurora', one => ({ ...one, availabilityZones: ['us-east-1a'] }), 'ask for subnets in 2'],
  [
    'four zones',
    one => ({ ...one, availabilityZones: ['a', 'b', 'c', 'd'].map(z => `us-east-1${z}`) }),
    'expected 1 to 3',
  ],
  [
    'endpoints in more zones than there are',
    one => ({ ...one, network: { ...production.network, endpointZones: 4 } as Environment['network'] }),
    'network.endpointZones is 4',
  ],
  [
    'a prefix list that is none',
    one => ({ ...one, network: { ...one.network, prefixLists: { s3: 's3', dynamodb: 'pl-1' } } }),
    'network.prefixLists.s3 is s3',
  ],
  [
    'fewer subnets than zones',
    one => ({
      ...one,
      network: {
        kind: 'existing',
        vpcId: 'vpc-1',
        subnetIds: ['subnet-1'],
        routeTableIds: [],
        prefixLists: one.network.prefixLists,
      },
    }),
    'network.subnetIds has 1; expected 3',
  ],
  [
    'a DMS class there is none of',
    one => ({ ...one, replication: { ...one.replication, instanceClass: 'dms.r6g.large' } }),
    'dms.r6g.large',
  ],
  [
    'half a version of DMS',
    one => ({ ...one, replication: { ...one.replication, engineVersion: '3.6' } }),
    'engineVersion is 3.6',
  ],
  [
    'no schema',
    one => ({ ...one, replication: { ...one.replication, schemas: [] } }),
    'replication.schemas is empty',
  ],
  [
    'columns larger than a record',
    one => ({ ...one, replication: { ...one.replication, lobKiB: 2048 } }),
    'lobKiB is 2048',
  ],
  [
    'a retention of half a day',
    one => ({ ...one, stream: { ...one.stream, retentionHours: 12 } }),
    'retentionHours is 12',
  ],
  [
    'nodes of both kinds of processors',
    one => ({
      ...one,
      search: {
        ...production.search,
        masterNodes: { type: 'm6i.large.search', count: 3 },
      } as Environment['search'],
    }),
    'all of them Graviton, or none',
  ],
  [
    'nodes that do not fill the zones',
    one => ({
      ...one,
      search: {
        ...production.search,
        dataNodes: { type: 'r6g.large.search', count: 4 },
      } as Environment['search'],
    }),
    'expected a multiple of the 3 zones',
  ],
  [
    'a type of node without its ending',
    one => ({
      ...one,
      search: { ...production.search, dataNodes: { type: 'r6g.large', count: 3 } } as Environment['search'],
    }),
    'search node type r6g.large',
  ],
  [
    'more replicas than nodes hold',
    one => ({ ...one, service: { ...one.service, settings: { INDEX_REPLICAS: '3' } } }),
    'INDEX_REPLICAS is 3',
  ],
  [
    'memory Fargate has not',
    one => ({ ...one, service: { ...one.service, memoryMiB: 1024 } }),
    'memoryMiB is 1024',
  ],
  [
    'more tasks than shards',
    one => ({ ...one, service: { ...one.service, maxTasks: 5 } }),
    'maxTasks is 5 with 4 shards',
  ],
  [
    'fewer tasks at most than at least',
    one => ({ ...one, service: { ...one.service, minTasks: 4, maxTasks: 2 } }),
    'minTasks is 4',
  ],
  [
    'an image by a tag',
    one => ({
      ...one,
      service: {
        ...one.service,
        image: { repositoryArn: 'arn:aws:ecr:us-east-1:1:repository/cdc', digest: 'latest' },
      },
    }),
    'expected sha256:',
  ],
  [
    'a setting with a value the service refuses',
    one => ({ ...one, service: { ...one.service, settings: { POLL_MS: '1' } } }),
    'service.settings.POLL_MS is "1"',
  ],
  [
    'a log kept for a time CloudWatch has not',
    one => ({ ...one, observability: { ...one.observability, logRetentionDays: 31 } }),
    'logRetentionDays is 31',
  ],
]

test.each(MISTAKES)('%s is refused', (_, change, message) => {
  expect(() => proveEnvironment(change(production))).toThrow(message)
})

test('all mistakes are named at once', () => {
  const wrong = {
    ...production,
    data: 'destroy' as const,
    stream: { ...production.stream, retentionHours: 1 },
  }
  expect(() => proveEnvironment(wrong)).toThrow(/production keeps its data|retentionHours/)
  expect(() => proveEnvironment(wrong)).toThrow(/retentionHours is 1;[\s\S]*production keeps its data/)
})

test.each([
  ['r6g.large.search', true],
  ['im4gn.large.search', true],
  ['c7gd.xlarge.search', true],
  ['m6i.large.search', false],
  ['t3.small.search', false],
])('%s is Graviton: %s', (type, expected) => {
  expect(isGraviton(type)).toBe(expected)
})

const adopted: Environment = {
  ...dev,
  network: {
    kind: 'existing',
    vpcId: 'vpc-0123',
    subnetIds: ['subnet-1', 'subnet-2'],
    routeTableIds: ['rtb-1', 'rtb-2'],
    endpointSecurityGroupId: 'sg-endpoints',
    prefixLists: dev.network.prefixLists,
  },
  database: {
    kind: 'existing',
    name: 'shop',
    host: 'writer.example.com',
    port: 5433,
    securityGroupId: 'sg-database',
    dmsSecretArn: 'arn:aws:secretsmanager:us-east-1:111122223333:secret:dms-AbCdEf',
    adminSecretArn: 'arn:aws:secretsmanager:us-east-1:111122223333:secret:admin-AbCdEf',
    secretKeyArns: [],
    clusterIdentifier: 'shop-cluster',
  },
  search: {
    kind: 'existing',
    domainName: 'shop-search',
    endpoint: 'vpc-shop-search.us-east-1.es.amazonaws.com',
    securityGroupId: 'sg-search',
    masterRoleArn: 'arn:aws:iam::111122223333:role/search-master',
  },
  accountRoles: { dms: 'exist', openSearch: 'exist' },
}

test('req 14: a VPC, a database and a domain that are there are taken, and none is made', () => {
  const { templates } = synthesise(adopted)
  for (const type of [
    'AWS::EC2::VPC',
    'AWS::EC2::VPCEndpoint',
    'AWS::RDS::DBCluster',
    'AWS::OpenSearchService::Domain',
  ])
    expect(all(templates, type)).toEqual([])
  expect(one(templates, 'AWS::DMS::ReplicationSubnetGroup').Properties.SubnetIds).toEqual([
    'subnet-1',
    'subnet-2',
  ])
  const ingress = all(templates, 'AWS::EC2::SecurityGroupIngress').map(rule => [
    rule.Properties.GroupId,
    rule.Properties.ToPort,
  ])
  expect(ingress).toContainEqual(['sg-database', 5433])
  expect(ingress).toContainEqual(['sg-search', 443])
  expect(ingress).toContainEqual(['sg-endpoints', 443])
  const source = all(templates, 'AWS::DMS::Endpoint').find(
    ({ Properties }) => Properties.EndpointType === 'source',
  )!
  expect(source.Properties.PostgreSqlSettings.SecretsManagerSecretId).toContain('secret:dms-AbCdEf')
  const definitions = JSON.stringify(all(templates, 'AWS::ECS::TaskDefinition'))
  expect(definitions).toContain('https://vpc-shop-search.us-east-1.es.amazonaws.com')
  expect(definitions).toContain('writer.example.com')
})

test('req 14: endpoints a VPC lacks are made in it, in its own subnets', () => {
  const { endpointSecurityGroupId: _, ...network } = adopted.network as Extract<
    Environment['network'],
    { kind: 'existing' }
  >
  const { templates } = synthesise({ ...adopted, network })
  const made = all(templates, 'AWS::EC2::VPCEndpoint').map(({ Properties }) => Properties)
  expect(made).toHaveLength(6)
  for (const { SubnetIds, VpcId } of made) {
    expect(SubnetIds).toEqual(['subnet-1', 'subnet-2'])
    expect(VpcId).toBe('vpc-0123')
  }
})

test('an account that has the roles of DMS and OpenSearch gets no second ones', () => {
  const { templates } = synthesise(adopted)
  expect(all(templates, 'AWS::IAM::ServiceLinkedRole')).toEqual([])
  const names = all(templates, 'AWS::IAM::Role').map(({ Properties }) => Properties.RoleName)
  expect(names).not.toContain('dms-vpc-role')
})
