// @ts-check
/**
 * `UseLargeIntegerValue` of a Kinesis endpoint: without it DMS writes integers of more than 16 digits in scientific notation, and
 * BIGINT keys become other keys. The API has it, CloudFormation's resource does not, and an update of that resource may clear it.
 */
import { DescribeEndpointsCommand, ModifyEndpointCommand } from '@aws-sdk/client-database-migration-service'

/** @typedef {import('./control.mjs').Dms} Dms */

/**
 * Asks for the setting where it is missing, and looks.
 * @param {Dms} dms
 * @param {string} arn
 * @returns {Promise<boolean>} whether it is set and the endpoint is at rest; false: look again
 */
export async function setLargeIntegers(dms, arn) {
  const before = await read(dms, arn)
  if (before.Status !== 'active') return false
  if (before.KinesisSettings.UseLargeIntegerValue === true) return true
  try {
    await dms.send(
      new ModifyEndpointCommand({
        EndpointArn: arn,
        // Only what is named here changes.
        ExactSettings: false,
        KinesisSettings: { UseLargeIntegerValue: true },
      }),
    )
  } catch (error) {
    if (error instanceof Error && error.name === 'InvalidResourceStateFault')
      throw new Error(
        `endpoint ${arn} cannot be changed while a task uses it: stop the task, then deploy again (${error.message})`,
        { cause: error },
      )
    throw error
  }
  const after = await read(dms, arn)
  if (after.Status !== 'active') return false
  if (after.KinesisSettings.UseLargeIntegerValue !== true)
    throw new Error(
      `endpoint ${arn} took UseLargeIntegerValue=true and reads back ${after.KinesisSettings.UseLargeIntegerValue}: ids of more than 16 digits would be damaged. Does the engine version of the replication instance know the setting?`,
    )
  const moved = Object.keys(before.KinesisSettings).filter(name => !isSame(name, before, after))
  if (moved.length > 0)
    throw new Error(`endpoint ${arn}: setting UseLargeIntegerValue has changed ${moved.join(', ')} as well`)
  return true
}

/** @typedef {{ Status: string | undefined, KinesisSettings: import('@aws-sdk/client-database-migration-service').KinesisSettings }} Found */

/**
 * @param {Dms} dms
 * @param {string} arn
 * @returns {Promise<Found>}
 */
async function read(dms, arn) {
  const { Endpoints: endpoints = [] } = await dms.send(
    new DescribeEndpointsCommand({ Filters: [{ Name: 'endpoint-arn', Values: [arn] }] }),
  )
  const [endpoint] = endpoints
  if (!endpoint?.KinesisSettings)
    throw new Error(`${arn} is no Kinesis endpoint of DMS, expected one with KinesisSettings`)
  return { Status: endpoint.Status, KinesisSettings: endpoint.KinesisSettings }
}

/**
 * @param {string} name
 * @param {Found} before
 * @param {Found} after
 */
function isSame(name, before, after) {
  const key = /** @type {keyof Found['KinesisSettings']} */ (name)
  return key === 'UseLargeIntegerValue' || before.KinesisSettings[key] === after.KinesisSettings[key]
}
