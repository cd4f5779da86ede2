/** What watches the pipeline: topics, alarms, events, dashboard. */
import { ArnFormat, type Stack } from 'aws-cdk-lib'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import { readConfig } from '../src/config.ts'
import { AlarmEvents, eventTable } from './alarm-events.ts'
import { alarmTable, type Watched } from './alarm-table.ts'
import { AlarmTopics } from './alarm-topics.ts'
import { Alarms } from './alarms.ts'
import { PipelineDashboard } from './dashboard.ts'
import { DEAD_LETTER_DAYS } from './dead-letter-queue.ts'
import { EncryptionKey } from './encryption-key.ts'
import type { Environment } from './environments.ts'
import { METRIC_NAMESPACE, namesOf } from './names.ts'

/** Those that tell of a bad version within its bake time, and are quiet while there is nothing to tell. */
export const DEPLOYMENT_ALARMS = ['CdcShardLags', 'CdcShardHeld', 'CdcCheckpointStuck', 'CdcBulkRequestsFail']

/** By names alone, so that it stands before what it watches. */
export function observe(stack: Stack, environment: Environment, keys: IKey[]): void {
  const names = namesOf(environment)
  const { replication, stream, search, service, observability } = environment
  const arn = (service: string, resource: string, resourceName: string, arnFormat: ArnFormat) =>
    stack.formatArn({ service, resource, resourceName, arnFormat })
  const key = new EncryptionKey(stack, 'Key', environment, 'alarm topics')
  const { topics } = new AlarmTopics(stack, 'Topics', {
    name: names.alarm,
    key,
    emails: { page: observability.pageEmails, ticket: observability.ticketEmails },
  })
  const watched: Watched = {
    replication: {
      instance: names.replicationInstance,
      task: names.replicationTask,
      storageGiB: replication.storageGiB,
      runs: replication.run,
    },
    database: { cluster: names.databaseCluster },
    stream: { name: names.stream, retentionHours: stream.retentionHours },
    service: {
      namespace: METRIC_NAMESPACE,
      cluster: names.cluster,
      service: names.service,
      bulkTimeoutMs: readConfig(service.settings, ['BULK_TIMEOUT_MS']).BULK_TIMEOUT_MS,
    },
    leaseTable: names.leaseTable,
    deadLetterQueue: { name: names.deadLetterQueue, retentionDays: DEAD_LETTER_DAYS },
    search: {
      domain: names.domain,
      account: stack.account,
      volumeGiB: search.kind === 'create' ? search.volumeGiB : undefined,
      hasMasters: search.kind === 'create' && search.masterNodes !== undefined,
    },
  }
  const told = { topics, name: names.alarm, runbook: observability.runbook }
  const { alarms } = new Alarms(stack, 'Alarms', { rows: alarmTable(watched), ...told })
  new AlarmEvents(stack, 'Events', {
    rows: eventTable({
      task: arn('dms', 'task', names.replicationTask, ArnFormat.COLON_RESOURCE_NAME),
      instance: arn('dms', 'rep', names.replicationInstance, ArnFormat.COLON_RESOURCE_NAME),
      service: arn('ecs', 'service', `${names.cluster}/${names.service}`, ArnFormat.SLASH_RESOURCE_NAME),
      keys: keys.map(({ keyArn }) => keyArn),
    }),
    ...told,
  })
  new PipelineDashboard(stack, 'Dashboard', { name: names.dashboard, watched, alarms })
}
