// @ts-check
/**
 * The three custom resources around a DMS task, told apart by their type. README.md beside the constructs says why the order
 * is safe; here every step may be repeated, since CloudFormation repeats requests and rolls back.
 */
import { setLargeIntegers } from './endpoint.mjs'
import { byId, isIdle, lookUntil, start, stop, whyNotRunning } from './task.mjs'

/** @typedef {import('@aws-sdk/client-database-migration-service').DatabaseMigrationServiceClient} Dms */
/** @typedef {{ dms: Dms, now: () => number, sleep: (ms: number) => Promise<unknown> }} Parts */
/**
 * @typedef {object} Request what the provider framework hands over, and in `isComplete` what `onEvent` returned on top of it
 * @property {'Create' | 'Update' | 'Delete'} RequestType
 * @property {string} ResourceType
 * @property {Record<string, string>} ResourceProperties CloudFormation makes text of every value
 * @property {Record<string, string>} [OldResourceProperties]
 * @property {string} [PhysicalResourceId]
 * @property {number} [AskedAtMs]
 */

/** A task that cannot work shows `running` for some seconds before it fails. */
const STEADY_MS = 30_000
/** DMS may still tell of the state before the start. */
const STALE_MS = 60_000

const TASK_STOP = 'Custom::DmsTaskStop'
const ENDPOINT_SETTING = 'Custom::DmsEndpointSetting'
const TASK_RUN = 'Custom::DmsTaskRun'

const DONE = { IsComplete: true }

/** @param {Parts} parts */
export function replicationControl(parts) {
  const { dms, now } = parts

  /** @param {Request} request */
  async function onEvent(request) {
    const { RequestType: kind, ResourceType: type, ResourceProperties: wanted } = request
    if (kind === 'Delete') return { PhysicalResourceId: request.PhysicalResourceId, AskedAtMs: now() }
    if (type === ENDPOINT_SETTING) await setLargeIntegers(dms, text(wanted, 'EndpointArn'))
    else if (type === TASK_RUN) await bring(wanted, request.OldResourceProperties)
    else if (type !== TASK_STOP)
      throw new Error(
        `no custom resource of type ${type}; expected ${TASK_STOP}, ${ENDPOINT_SETTING} or ${TASK_RUN}`,
      )
    // The same id for as long as it is the same task, so that no change looks like a replacement to CloudFormation.
    const subject = type === ENDPOINT_SETTING ? wanted.EndpointArn : wanted.TaskId
    return { PhysicalResourceId: `${type}/${subject}`, AskedAtMs: now() }
  }

  /**
   * @param {Record<string, string>} wanted
   * @param {Record<string, string> | undefined} before the properties as they were, of an update
   */
  async function bring(wanted, before) {
    const id = text(wanted, 'TaskId')
    if (wanted.Run !== 'true') return
    // Later than before: a rollback puts the earlier token back and must not load all tables a second time.
    const reload = before !== undefined && (wanted.Reload ?? '') > (before.Reload ?? '')
    if (reload && wanted.MigrationType === 'cdc')
      throw new Error(
        `task ${id} cannot load its tables anew: its migration type is cdc, expected full-load-and-cdc`,
      )
    await start(parts, id, { reload })
  }

  /** @param {Request} request */
  async function isComplete(request) {
    const { RequestType: kind, ResourceType: type, ResourceProperties: wanted } = request
    const sinceMs = now() - (request.AskedAtMs ?? now())
    // The task is gone before its stop is deleted, for it depends on it.
    if (kind === 'Delete' && type !== TASK_RUN) return DONE
    if (type === ENDPOINT_SETTING) {
      const arn = text(wanted, 'EndpointArn')
      if (await setLargeIntegers(dms, arn)) return DONE
      return beforeDeadline(`endpoint ${arn} is not active with UseLargeIntegerValue`, sinceMs, wanted)
    }
    const id = text(wanted, 'TaskId')
    const task = await byId(dms, id)
    if (type === TASK_STOP || kind === 'Delete' || wanted.Run !== 'true') {
      if (!task || isIdle(task)) return DONE
      await stop(dms, task)
      return beforeDeadline(`DMS task ${id} is ${task.Status}, expected stopped`, sinceMs, wanted)
    }
    if (!task) throw new Error(`there is no DMS task ${id}, although it should run`)
    if (task.Status === 'running' && sinceMs >= STEADY_MS) return DONE
    if (isIdle(task) && sinceMs > STALE_MS) throw new Error(whyNotRunning(task))
    return beforeDeadline(whyNotRunning(task), sinceMs, wanted)
  }

  /**
   * A little before the framework gives up, which could only say "timed out".
   * @param {string} what
   * @param {number} sinceMs
   * @param {Record<string, string>} wanted
   */
  function beforeDeadline(what, sinceMs, wanted) {
    const seconds = Number(text(wanted, 'DeadlineSeconds'))
    if (sinceMs > seconds * 1000) throw new Error(`after ${seconds} s: ${what}`)
    return { IsComplete: false }
  }

  /**
   * Called when the stack that stops the task has come to rest, whichever way: a rollback undoes what was changed and knows
   * nothing of what was stopped. A task that has never run is left alone, its first start belongs to the deploy.
   * @param {{ TaskId: string }} asked
   */
  async function resume({ TaskId: id }) {
    const task = await lookUntil(parts, id, found => found?.Status !== 'stopping')
    if (task?.Status !== 'stopped') return { TaskId: id, found: task?.Status ?? 'none', resumed: false }
    await start(parts, id, { reload: false })
    return { TaskId: id, found: 'stopped', resumed: true }
  }

  return { onEvent, isComplete, resume }
}

/**
 * @param {Record<string, string>} properties
 * @param {string} name
 */
function text(properties, name) {
  const value = properties[name]
  if (value === undefined || value === '') throw new Error(`the custom resource has no property ${name}`)
  return value
}
