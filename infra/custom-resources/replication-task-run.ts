/** Starts the DMS task and fails the deploy where it does not run; stops it before it is deleted. */
import { CustomResource, Duration } from 'aws-cdk-lib'
import { Construct, type IDependable } from 'constructs'
import type { ReplicationControl } from './replication-control.ts'

const DEADLINE = Duration.minutes(20)

export type ReplicationTaskRunProps = {
  control: ReplicationControl
  /** Of `ReplicationTaskStop`: after every change the deploy sees the task run again. */
  settingsHash: string
  migrationType: 'cdc' | 'full-load-and-cdc'
  /** false: the task is stopped and stays so. */
  run: boolean
  /** A date or time, such as 2026-11-24T16:00. A later one than before loads all tables once more. */
  reload?: string
  /** What has to be there first: the task, `EndpointSetting`, the bootstrap of the database. */
  after: IDependable[]
}

export class ReplicationTaskRun extends Construct {
  constructor(scope: Construct, id: string, props: ReplicationTaskRunProps) {
    super(scope, id)
    const { control, settingsHash, migrationType, run, reload, after } = props
    if (reload !== undefined && !/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?)?$/.test(reload))
      throw new Error(
        `reload is ${JSON.stringify(reload)}: expected a date or time such as 2026-11-24T16:00, since a later one means once more`,
      )
    if (reload !== undefined && migrationType === 'cdc')
      throw new Error(
        'reload is set and the migration type is cdc: only full-load-and-cdc can load its tables once more',
      )
    const started = new CustomResource(this, 'Resource', {
      resourceType: 'Custom::DmsTaskRun',
      serviceToken: control.serviceToken,
      properties: {
        TaskId: control.taskId,
        Run: String(run),
        MigrationType: migrationType,
        SettingsHash: settingsHash,
        DeadlineSeconds: DEADLINE.toSeconds(),
        ...(reload === undefined ? {} : { Reload: reload }),
      },
    })
    started.node.addDependency(...after)
  }
}
