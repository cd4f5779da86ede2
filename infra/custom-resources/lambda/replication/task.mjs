// @ts-check
/** A DMS replication task: found by its identifier, stopped, and started the way its state allows. */
import {
  DescribeReplicationTasksCommand,
  StartReplicationTaskCommand,
  StopReplicationTaskCommand,
} from '@aws-sdk/client-database-migration-service'

/** @typedef {import('@aws-sdk/client-database-migration-service').ReplicationTask} Task */
/** @typedef {import('./control.mjs').Dms} Dms */
/** @typedef {import('./control.mjs').Parts} Parts */

const IDLE = ['ready', 'stopped', 'failed']

const LOOK_MS = 10_000
/** Lambda ends after 15 minutes; what takes longer has to be said before. */
const LOOKS_MAX = 60

/**
 * In this state the task and its endpoints may be changed or deleted.
 * @param {Task} task
 */
export function isIdle({ Status: status = '' }) {
  return IDLE.includes(status)
}

/**
 * @param {Dms} dms
 * @param {string} id ReplicationTaskIdentifier
 * @returns {Promise<Task | undefined>} undefined: there is none
 */
export async function byId(dms, id) {
  try {
    const { ReplicationTasks: tasks = [] } = await dms.send(
      new DescribeReplicationTasksCommand({
        Filters: [{ Name: 'replication-task-id', Values: [id] }],
        WithoutSettings: true,
      }),
    )
    return tasks[0]
  } catch (error) {
    // What DMS answers for an empty list.
    if (isNamed(error, 'ResourceNotFoundFault')) return undefined
    throw error
  }
}

/**
 * @param {Dms} dms
 * @param {Task} task
 */
export async function stop(dms, task) {
  // A task that starts cannot be stopped before it runs, one that stops does not have to be told again.
  if (task.Status !== 'running') return
  try {
    await dms.send(new StopReplicationTaskCommand({ ReplicationTaskArn: task.ReplicationTaskArn }))
  } catch (error) {
    // It has gone on in the meantime: the next look tells where to.
    if (!isNamed(error, 'InvalidResourceStateFault') && !isNamed(error, 'ResourceNotFoundFault')) throw error
  }
}

/**
 * Sees to it that the task runs; returns once it was told to, not when it does.
 * @param {Parts} parts
 * @param {string} id
 * @param {{ reload: boolean }} how reload: load all tables once more, then go on from there
 */
export async function start(parts, id, { reload }) {
  const { dms } = parts
  let task = await lookUntil(parts, id, found => !found || isAnswering(found))
  if (!task) throw new Error(`there is no DMS task ${id} to start`)
  if (!reload && (task.Status === 'running' || task.Status === 'starting')) return
  if (reload && !isIdle(task)) {
    task = await lookUntil(parts, id, async found => {
      if (!found || isIdle(found)) return true
      await stop(dms, found)
      return false
    })
    if (!task) throw new Error(`DMS task ${id} has vanished while it was stopped to load its tables anew`)
  }
  try {
    await dms.send(
      new StartReplicationTaskCommand({
        ReplicationTaskArn: task.ReplicationTaskArn,
        StartReplicationTaskType: startType(task, reload),
      }),
    )
  } catch (error) {
    const now = await byId(dms, id)
    // An attempt before this one got through and its answer was lost.
    if (now?.Status === 'starting' || now?.Status === 'running') return
    throw new Error(`DMS task ${id} (${task.Status}) did not start: ${message(error)}`, { cause: error })
  }
}

/**
 * The first start of a task is `start-replication`, anything else "will result in data errors"; every later one
 * `resume-processing`, for `start-replication` would begin at now and skip what was written meanwhile.
 * @param {Task} task
 * @param {boolean} reload
 */
function startType(task, reload) {
  if (task.Status === 'ready') return 'start-replication'
  if (reload) return 'reload-target'
  const hasFailedFirst = task.Status === 'failed' && !task.RecoveryCheckpoint
  if (!hasFailedFirst) return 'resume-processing'
  // It loads every table again, so nothing can be skipped.
  if (task.MigrationType === 'full-load-and-cdc') return 'start-replication'
  throw new Error(
    `DMS task ${task.ReplicationTaskIdentifier} has failed before its first checkpoint (${task.LastFailureMessage ?? 'no message'}) and is cdc only: whether changes were missed cannot be told from here. If it has never captured any, start it by hand with \`aws dms start-replication-task --start-replication-task-type start-replication\`, then deploy again`,
  )
}

/**
 * @param {Parts} parts
 * @param {string} id
 * @param {(task: Task | undefined) => boolean | Promise<boolean>} isEnough
 */
export async function lookUntil({ dms, sleep }, id, isEnough) {
  for (let look = 0; ; look++) {
    const task = await byId(dms, id)
    if (await isEnough(task)) return task
    if (look >= LOOKS_MAX)
      throw new Error(`DMS task ${id} is still ${task?.Status} after ${(LOOKS_MAX * LOOK_MS) / 1000} s`)
    await sleep(LOOK_MS)
  }
}

/** @param {Task} task */
function isAnswering(task) {
  return isIdle(task) || task.Status === 'running' || task.Status === 'starting'
}

/** @param {Task} task */
export function whyNotRunning(task) {
  const reasons = [
    task.StopReason ? `stop reason: ${task.StopReason}` : '',
    task.LastFailureMessage ? `last failure: ${task.LastFailureMessage}` : '',
  ].filter(reason => reason !== '')
  const why = reasons.length > 0 ? reasons.join('; ') : 'DMS gives no reason, see its log group'
  return `DMS task ${task.ReplicationTaskIdentifier} is ${task.Status}, expected running (${why})`
}

/**
 * @param {unknown} error
 * @param {string} name
 */
function isNamed(error, name) {
  return error instanceof Error && error.name === name
}

/** @param {unknown} error */
function message(error) {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}
