/** OpenSearch takes what it is sent, but its answer comes too late, spoiled, slowly or never. */
import { expect, test } from 'vitest'
import { total } from '../../docker/demo/scrape.ts'
import { LEASE_MS } from '../e2e/harness.ts'
import { seededChance } from '../simulation/chance.ts'
import type { Fault } from './bulk-proxy.ts'
import { faultMs, type Looks, openFaultScene } from './fault-scene.ts'

const FAULT_MS = faultMs(1.5)
const TIMEOUT_MS = 300
/** From the moment a socket is to be destroyed to that at which the other end sees it, on a busy machine. */
const SLACK_MS = 700
/** The same for every request, whatever is under way: so more at once are worth it, and the limit rises. */
const FAST_MS = 60
/** The limit as it is shown never falls below it. */
const LIMIT_LEAST = 4
const CLIMB_MS = 5000
const SLOW_MS = LEASE_MS + 200

test('answers after the time to wait for them, then none at all: sockets are destroyed in time, what was applied is known again, nothing is lost', async () => {
  const faults = await openFaultScene('late', { BULK_TIMEOUT_MS: String(TIMEOUT_MS) })
  const { proxy } = faults
  const chance = seededChance(35)
  const timeouts = (looks: Looks) => total(looks.last, 'cdc_bulk_requests_total', { outcome: 'timeout' })

  proxy.inject(() => (chance.isHit(0.5) ? { kind: 'late', ms: 2 * TIMEOUT_MS } : undefined))
  const late = await faults.lookFor(FAULT_MS, looks => timeouts(looks) > 2)

  proxy.inject(() => ({ kind: 'hang' }))
  await faults.lookFor(FAULT_MS, looks => timeouts(looks) > timeouts(late) + 2)
  proxy.heal()
  await faults.expectWhole()

  const inVain = proxy.seen().filter(({ fault }) => fault === 'late' || fault === 'hang')
  expect(inVain.every(({ isAbandoned }) => isAbandoned)).toBe(true)
  const longest = Math.max(...inVain.map(({ atMs, endedAtMs }) => endedAtMs! - atMs))
  expect(longest, 'ms until the worker let go of a socket').toBeLessThan(TIMEOUT_MS + SLACK_MS)
  expect(
    proxy.seen().flatMap(({ actions }) => actions.filter(({ status }) => status === 409)).length,
    'actions sent again that OpenSearch had taken',
  ).toBeGreaterThan(0)
})

test('answers broken off, cut in half, not JSON, with an item more or fewer: none is believed, all is sent again, nothing is lost', async () => {
  const faults = await openFaultScene('spoiled', { OPENSEARCH_COMPRESSION: 'gzip' })
  const { proxy } = faults
  const chance = seededChance(37)
  const kinds: Fault[] = [
    { kind: 'broken-off' },
    { kind: 'truncated' },
    { kind: 'not-json' },
    { kind: 'other-count', by: 1 },
    { kind: 'other-count', by: -1 },
  ]
  let turn = 0
  proxy.inject(() => (chance.isHit(0.5) ? kinds[turn++ % kinds.length] : undefined))
  await faults.lookFor(FAULT_MS, () => turn > 2 * kinds.length)
  proxy.heal()
  await faults.expectWhole()
  const samples = await faults.worker.samples()
  const outcome = (name: string) => total(samples, 'cdc_bulk_requests_total', { outcome: name })
  expect(outcome('malformed-answer') + outcome('connection'), 'answers the worker did not believe').toBe(turn)
  expect(outcome('connection'), 'answers broken off').toBe(Math.ceil(turn / kinds.length))
})

test('answers slower than a lease lasts: the limit of requests falls, the leases are kept, nothing is lost', async () => {
  const faults = await openFaultScene('slow', { BULK_ACTIONS_MAX: '1', BULK_IN_FLIGHT_MAX: '32' })
  const { proxy } = faults
  proxy.inject(() => ({ kind: 'late', ms: FAST_MS }))
  const climbUntilMs = performance.now() + CLIMB_MS
  await faults.lookUntil(({ limitNow }) => limitNow > LIMIT_LEAST + 1 || performance.now() > climbUntilMs)
  proxy.inject(() => ({ kind: 'slow', ms: SLOW_MS }))
  // What is under way may raise it still: it falls from where it stands once all that is answered.
  await faults.lookUntil(() =>
    proxy.seen().every(({ fault, endedAtMs }) => fault !== 'late' || endedAtMs !== undefined),
  )
  const { limitNow: highest } = await faults.lookUntil(() => true)
  const slow = await faults.lookFor(SLOW_MS + 500)
  // On a machine too busy for even answers it may not have risen; then it must not rise now.
  expect(slow.limitNow, 'limit of requests under way').toBeLessThanOrEqual(Math.max(LIMIT_LEAST, highest - 1))
  expect(total(slow.last, 'cdc_bulk_requests_total', { outcome: 'timeout' })).toBe(0)
  proxy.heal()
  await faults.expectWhole()
})
