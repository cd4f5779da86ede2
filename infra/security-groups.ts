/**
 * Who may open a connection to whom: the whole of it is the table below. Every rule names another group, or one of the two
 * lists of addresses of AWS's gateways; there is no rule for "anywhere", and answers need none.
 */
import { type IPeer, type ISecurityGroup, Peer, Port, SecurityGroup } from 'aws-cdk-lib/aws-ec2'
import { Construct } from 'constructs'
import type { Environment } from './environments.ts'
import type { Network } from './network.ts'

const HTTPS = 443
/** Of /metrics and /health: HTTP_PORT of the service. */
export const METRICS_PORT = 8080

export class SecurityGroups extends Construct {
  readonly database: ISecurityGroup
  readonly replication: ISecurityGroup
  readonly bootstrap: ISecurityGroup
  readonly consumer: ISecurityGroup
  readonly search: ISecurityGroup
  /** For a Prometheus to be put into: it may scrape the tasks. */
  readonly scraper: ISecurityGroup

  constructor(scope: Construct, id: string, environment: Environment, network: Network) {
    super(scope, id)
    const make = (name: string, description: string): ISecurityGroup =>
      new SecurityGroup(this, name, { vpc: network.vpc, description, allowAllOutbound: false })
    const { database, search, network: settings } = environment
    this.database =
      database.kind === 'create'
        ? make('Database', 'Aurora PostgreSQL')
        : SecurityGroup.fromSecurityGroupId(this, 'Database', database.securityGroupId)
    this.replication = make('Replication', 'DMS replication instance')
    this.bootstrap = make('Bootstrap', 'One-off task that prepares the database and OpenSearch')
    this.consumer = make('Consumer', 'Tasks of the service')
    this.search =
      search.kind === 'create'
        ? make('Search', 'OpenSearch domain')
        : SecurityGroup.fromSecurityGroupId(this, 'Search', search.securityGroupId)
    this.scraper = make('Scraper', 'Who may read the metrics of the tasks')

    const s3 = { name: 'S3', list: Peer.prefixList(settings.prefixLists.s3) }
    const dynamoDb = { name: 'DynamoDB', list: Peer.prefixList(settings.prefixLists.dynamodb) }
    const databasePort = database.kind === 'create' ? 5432 : database.port
    const allowed: [from: ISecurityGroup, to: ISecurityGroup | typeof s3, port: number, what: string][] = [
      [this.replication, this.database, databasePort, 'DMS reads changes and rows'],
      [this.replication, network.endpoints, HTTPS, 'DMS writes to Kinesis and reads its secret'],
      [this.bootstrap, this.database, databasePort, 'bootstrap makes the user of DMS'],
      [this.bootstrap, this.search, HTTPS, 'bootstrap puts template and roles'],
      [this.bootstrap, network.endpoints, HTTPS, 'image, log, secrets'],
      [this.bootstrap, s3, HTTPS, 'layers of the image'],
      [this.consumer, this.search, HTTPS, 'tasks write documents'],
      [this.consumer, network.endpoints, HTTPS, 'Kinesis, SQS, image, log'],
      [this.consumer, dynamoDb, HTTPS, 'leases'],
      [this.consumer, s3, HTTPS, 'layers of the image'],
      [this.scraper, this.consumer, METRICS_PORT, 'Prometheus reads metrics'],
    ]
    for (const [from, to, port, what] of allowed) allow(from, to, port, what)
  }
}

function allow(
  from: ISecurityGroup,
  to: ISecurityGroup | { list: IPeer },
  port: number,
  description: string,
): void {
  if ('list' in to) {
    from.addEgressRule(to.list, Port.tcp(port), description)
    return
  }
  from.addEgressRule(to, Port.tcp(port), description)
  to.addIngressRule(from, Port.tcp(port), description)
}
