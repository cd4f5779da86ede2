/** Mistakes in the sources: text that is in a file once, and what somebody could have written in its place. */
export type SourceMutant = { name: string; file: string; from: string; to: string }

const REPLICATION = 'infra/custom-resources/lambda/replication'

export const sourceMutants: SourceMutant[] = [
  {
    name: 'a task that has run is started from now',
    file: `${REPLICATION}/task.mjs`,
    from: "if (!hasFailedFirst) return 'resume-processing'",
    to: "if (!hasFailedFirst) return 'start-replication'",
  },
  {
    name: 'a rollback loads all tables a second time',
    file: `${REPLICATION}/control.mjs`,
    from: "(wanted.Reload ?? '') > (before.Reload ?? '')",
    to: "(wanted.Reload ?? '') !== (before.Reload ?? '')",
  },
  {
    name: 'a stop is complete before the task has stopped',
    file: `${REPLICATION}/control.mjs`,
    from: 'if (!task || isIdle(task)) return DONE\n',
    to: "if (!task || isIdle(task) || task.Status === 'stopping') return DONE\n",
  },
  {
    name: 'a task that fails at once counts as running',
    file: `${REPLICATION}/control.mjs`,
    from: "task.Status === 'running' && sinceMs >= STEADY_MS",
    to: "task.Status === 'running'",
  },
  {
    name: 'the net starts a task that has never run',
    file: `${REPLICATION}/control.mjs`,
    from: "if (task?.Status !== 'stopped') return",
    to: "if (task?.Status !== 'stopped' && task?.Status !== 'ready') return",
  },
  {
    name: 'the endpoint is set and not read back',
    file: `${REPLICATION}/endpoint.mjs`,
    from: 'if (after.KinesisSettings.UseLargeIntegerValue !== true)',
    to: 'if (after.KinesisSettings.UseLargeIntegerValue === null)',
  },
  {
    name: 'the endpoint loses its other settings',
    file: `${REPLICATION}/endpoint.mjs`,
    from: 'ExactSettings: false',
    to: 'ExactSettings: true',
  },
  {
    name: 'a one-off task without an exit code counts as done',
    file: 'infra/custom-resources/lambda/one-off-task/task.mjs',
    from: 'if (container?.exitCode === 0)',
    to: 'if (!container?.exitCode)',
  },
  {
    name: 'a one-off task outlives its deploy',
    file: 'infra/custom-resources/lambda/one-off-task/task.mjs',
    from: "await stop(wanted.Cluster, id ?? '')",
    to: 'void [stop, id]',
  },
  {
    name: 'the stop is not called for a change of the instance',
    file: 'infra/custom-resources/replication-task-stop.ts',
    from: 'for (const resource of guarded) hash.update',
    to: 'for (const resource of guarded.slice(1)) hash.update',
  },
  {
    name: 'an alarm that is not in the table',
    file: 'infra/alarm-table.ts',
    from: '    ...slotAlarms(watched),\n',
    to: '',
  },
  {
    name: 'CloudWatch may not use the key of the topics',
    file: 'infra/alarm-topics.ts',
    from: "new ServicePrincipal('cloudwatch.amazonaws.com')",
    to: "new ServicePrincipal('monitoring.amazonaws.com')",
  },
]
