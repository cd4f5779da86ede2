/** The settings of the DMS task. Every one that could lose a change, or reorder two, is written out, also where it is DMS's default. */
import type { Config } from '../src/config.ts'
import type { Replication } from './environments.ts'

const LOG_COMPONENTS = [
  'TASK_MANAGER',
  'SOURCE_UNLOAD',
  'SOURCE_CAPTURE',
  'SORTER',
  'TARGET_LOAD',
  'TARGET_APPLY',
]

export function replicationSettings(
  { lobKiB }: Pick<Replication, 'lobKiB'>,
  { BEFORE_IMAGE }: Pick<Config, 'BEFORE_IMAGE'>,
) {
  return {
    TargetMetadata: {
      // Batches may lose changes on their way to Kinesis, says the guide of DMS.
      BatchApplyEnabled: false,
      // Threads change the partition key to the primary key, whatever the mapping says: no order within a table.
      ParallelApplyThreads: 0,
      // Of the full load alone.
      ParallelLoadThreads: 4,
      ParallelLoadBufferSize: 500,
      SupportLobs: true,
      FullLobMode: false,
      LimitedSizeLobMode: true,
      LobMaxSize: lobKiB,
    },
    FullLoadSettings: {
      TargetTablePrepMode: 'DO_NOTHING',
      // Rows committed during the load are sent behind it, in order.
      StopTaskCachedChangesApplied: false,
      StopTaskCachedChangesNotApplied: false,
    },
    // Only with it is a changed key to be seen: the old document has to go.
    BeforeImageSettings: { EnableBeforeImage: true, FieldName: BEFORE_IMAGE, ColumnFilter: 'pk-only' },
    ChangeProcessingTuning: {
      CommitTimeout: 1,
      MinTransactionSize: 1000,
      MemoryLimitTotal: 1024,
      MemoryKeepTime: 60,
      StatementCacheSize: 50,
    },
    StreamBufferSettings: { StreamBufferCount: 3, StreamBufferSizeInMB: 8 },
    // A task that stops keeps its slot, raises an alarm and loses nothing; a row that is logged and passed over is lost unseen.
    ErrorBehavior: {
      DataErrorPolicy: 'STOP_TASK',
      // A cut text or json becomes a dead letter of the service, with the table's name on it.
      DataTruncationErrorPolicy: 'LOG_ERROR',
      TableErrorPolicy: 'STOP_TASK',
      ApplyErrorInsertPolicy: 'STOP_TASK',
      ApplyErrorUpdatePolicy: 'STOP_TASK',
      ApplyErrorDeletePolicy: 'STOP_TASK',
      // Without end: a failover of the database must not need somebody to come.
      RecoverableErrorCount: -1,
      RecoverableErrorInterval: 5,
      RecoverableErrorThrottling: true,
      RecoverableErrorThrottlingMax: 1800,
      // A database without a table yet is no fault: the first deploy makes one.
      FailOnNoTablesCaptured: false,
    },
    Logging: {
      EnableLogging: true,
      LogComponents: LOG_COMPONENTS.map(id => ({ Id: id, Severity: 'LOGGER_SEVERITY_DEFAULT' })),
    },
  }
}
