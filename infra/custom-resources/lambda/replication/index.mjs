// @ts-check
/** What Lambda calls. The client is made once a process; everything else is in control.mjs, which is tested with a stand-in client. */
import { DatabaseMigrationServiceClient } from '@aws-sdk/client-database-migration-service'
import { replicationControl } from './control.mjs'

// A deploy fails with an error that is thrown here: one refused call in a busy minute must not be enough.
const dms = new DatabaseMigrationServiceClient({ maxAttempts: 8 })
const sleep = (/** @type {number} */ ms) => new Promise(resolve => setTimeout(resolve, ms))

export const { onEvent, isComplete, resume } = replicationControl({ dms, now: Date.now, sleep })
