// @ts-check
/** What Lambda calls. The clients are made once a process; everything else is in task.mjs, which is tested with stand-in clients. */
import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs'
import { ECSClient } from '@aws-sdk/client-ecs'
import { oneOffTask } from './task.mjs'

// A deploy fails with an error that is thrown here: one refused call in a busy minute must not be enough.
const options = { maxAttempts: 8 }

export const { onEvent, isComplete } = oneOffTask({
  ecs: new ECSClient(options),
  logs: new CloudWatchLogsClient(options),
  now: Date.now,
})
