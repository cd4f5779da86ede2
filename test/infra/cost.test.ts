/** The cost of each environment: the file is what the code says, and the code what the price lists say. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ASSUMED, type Counted, costOf, totalOf } from '../../infra/cost.ts'
import { costMarkdown, counted } from '../../infra/cost-table.ts'
import { type Environment, environments } from '../../infra/environments.ts'
import { of } from './synthesised.ts'

const NUMBERS: Counted = { endpoints: 18, keys: 6, secrets: 2, alarmMetrics: 47, dashboards: 1 }
const { production, dev } = environments

const partsOf = (environment: Environment, numbers = NUMBERS) =>
  Object.fromEntries(
    costOf(environment, ASSUMED[environment.name], numbers).map(({ part, usd }) => [part, usd]),
  )

test('req 35: COST.md is up to date; else run `npm run infra:cost`', () => {
  const written = readFileSync(new URL('../../infra/COST.md', import.meta.url), 'utf8')
  const now = costMarkdown(({ name }) =>
    counted(Object.values(of(name).templates).flatMap(({ Resources }) => Object.values(Resources))),
  )
  expect(written).toBe(now)
  for (const { name } of Object.values(environments)) expect(written).toContain(`\n## ${name}\n`)
})

test('req 35: production, worked out by hand', () => {
  const parts = partsOf(production)
  expect(parts['Aurora, instances']).toBeCloseTo(2 * 730 * 0.519)
  expect(parts['DMS instance']).toBeCloseTo(2 * 730 * 0.252)
  // 29.20 for the stream, 0.12 a GB in and out, and six days more than the first of what comes in.
  expect(parts.Kinesis).toBeCloseTo(29.2 + 2048 * 0.12 + ((2048 * 144) / 730) * 0.1)
  expect(parts.Fargate).toBeCloseTo(2 * 730 * (0.03238 + 2 * 0.00356))
  expect(parts['OpenSearch, data']).toBeCloseTo(3 * 730 * 0.167)
  expect(parts['OpenSearch, masters']).toBeCloseTo(3 * 730 * 0.128)
  expect(parts['OpenSearch, disks']).toBeCloseTo(1500 * 0.122)
  expect(parts['VPC endpoints']).toBeCloseTo(18 * 7.3 + 4096 * 0.01)
  expect(parts['Keys and secrets']).toBeCloseTo(6.8)
  // Per lease 788,400 renewals and half a checkpoint a second; a look a second of each worker.
  expect(parts['Lease table']).toBeCloseTo((4 * (788_400 + 1_314_000) * 0.625 + 2 * 2_628_000 * 0.125) / 1e6)
  expect(totalOf(costOf(production, ASSUMED.production, NUMBERS))).toBeCloseTo(
    Object.values(parts).reduce((sum, usd) => sum + usd, 0),
  )
})

test('req 35: shards by number are paid by the hour and the record, and longer retention by the shard', () => {
  const stream = { capacity: { mode: 'provisioned' as const, shards: 4 }, retentionHours: 24 }
  expect(partsOf({ ...production, stream }).Kinesis).toBeCloseTo(43.8 + 1074 * 0.014)
  expect(partsOf({ ...production, stream: { ...stream, retentionHours: 25 } }).Kinesis).toBeCloseTo(
    4 * 730 * 0.035 + 1074 * 0.014,
  )
})

test('what is brought along is not paid for twice', () => {
  const search = {
    kind: 'existing',
    domainName: 'd',
    endpoint: 'e',
    securityGroupId: 's',
    masterRoleArn: 'm',
  } as const
  const parts = partsOf({ ...dev, search })
  expect(Object.keys(parts).filter(part => part.startsWith('OpenSearch'))).toEqual([])
  expect(Object.keys(partsOf(dev)).filter(part => part.startsWith('OpenSearch'))).toEqual([
    'OpenSearch, data',
    'OpenSearch, disks',
  ])
})

test('a size without a price is no zero', () => {
  const replication = { ...dev.replication, instanceClass: 'dms.r6i.24xlarge' }
  expect(() => partsOf({ ...dev, replication })).toThrow(
    /no price for dms.r6i.24xlarge: look it up and add it/,
  )
})

test('endpoints count in each zone, alarms by the metrics they look at, gateways not at all', () => {
  const stat = { MetricStat: {} }
  expect(
    counted([
      { Type: 'AWS::EC2::VPCEndpoint', Properties: { VpcEndpointType: 'Interface', SubnetIds: [1, 2, 3] } },
      { Type: 'AWS::EC2::VPCEndpoint', Properties: { VpcEndpointType: 'Gateway' } },
      { Type: 'AWS::CloudWatch::Alarm', Properties: {} },
      { Type: 'AWS::CloudWatch::Alarm', Properties: { Metrics: [stat, stat, {}] } },
      { Type: 'AWS::KMS::Key' },
      { Type: 'AWS::SecretsManager::Secret' },
      { Type: 'AWS::CloudWatch::Dashboard' },
    ]),
  ).toEqual({ endpoints: 3, keys: 1, secrets: 1, alarmMetrics: 3, dashboards: 1 })
})
