/**
 * Every name others go by: alarms, policies, the runbook. Known at synth, each with the environment.
 *
 * A resource with a fixed name cannot be replaced in place. That is wanted here: whatever would replace the stream or the
 * lease table has to be a decision, not a by-product of a deploy.
 */
import type { Environment } from './environments.ts'

/** Namespace of the metrics the service writes itself; their dimension is `Stream`. */
export const METRIC_NAMESPACE = 'cdc'

export type Names = ReturnType<typeof namesOf>

export function namesOf({ name, search, database }: Pick<Environment, 'name' | 'search' | 'database'>) {
  return {
    stack: (part: string) => `cdc-${name}-${part}`,
    stream: `cdc-stream-${name}`,
    leaseTable: `cdc-leases-${name}`,
    deadLetterQueue: `cdc-dlq-${name}`,
    domain: search.kind === 'create' ? `cdc-search-${name}` : search.domainName,
    databaseCluster: database.kind === 'create' ? `cdc-database-${name}` : database.clusterIdentifier,
    dmsSecret: `cdc/dms/aurora-credentials/${name}`,
    adminSecret: `cdc/aurora/admin-credentials/${name}`,
    replicationInstance: `cdc-instance-${name}`,
    replicationLog: `dms-tasks-cdc-instance-${name}`,
    /** Also the end of the task's ARN, and with it the dimension of its metrics: letters, digits and hyphens, at most 31. */
    replicationTask: `cdc-task-${name}`,
    sourceEndpoint: `cdc-source-${name}`,
    databaseAuthorities: `cdc-authorities-${name}`,
    targetEndpoint: `cdc-kinesis-${name}`,
    cluster: `cdc-${name}`,
    service: `cdc-consumer-${name}`,
    /** In the VPC, `consumer.<namespace>` are the addresses of the tasks. */
    dnsNamespace: `cdc-${name}.internal`,
    taskRole: `cdc-consumer-${name}`,
    bootstrapRole: `cdc-bootstrap-${name}`,
    redriveRole: `cdc-redrive-${name}`,
    log: (part: string) => `/cdc/${name}/${part}`,
    alarm: (part: string) => `cdc-${name}-${part}`,
    dashboard: `cdc-${name}`,
  }
}
