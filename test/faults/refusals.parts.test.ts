/** OpenSearch answers, and refuses: some items, whole requests, or who we are. */
import { expect, test } from 'vitest'
import { total } from '../../docker/demo/scrape.ts'
import { seededChance } from '../simulation/chance.ts'
import { faultMs, openFaultScene } from './fault-scene.ts'

const ITEM_STORM_MS = faultMs(8)
const STORM_MS = faultMs(3)

test('30 % of items refused with 429 for a while: only those are sent again, in order, and none is dead-lettered', async () => {
  const faults = await openFaultScene('items-429')
  const { proxy } = faults
  const chance = seededChance(429)
  let refused = 0
  proxy.inject(() => ({
    kind: 'items',
    refuse: () => {
      if (!chance.isHit(0.3)) return undefined
      refused++
      return { status: 429, type: 'rejected_execution_exception' }
    },
  }))
  const looks = await faults.lookFor(ITEM_STORM_MS)
  proxy.heal()
  await faults.expectWhole()

  const actions = proxy.seen().flatMap(request => request.actions)
  const { last } = await faults.look(() => true)
  console.log(
    JSON.stringify({
      ...looks,
      last: undefined,
      refused,
      actions: actions.length,
      put: faults.load.recordsPut(),
    }),
  )
  expect(total(last, 'cdc_bulk_retries_total', { reason: 'status-429' }), 'actions sent again').toBe(refused)
  expect(
    actions.filter(({ status }) => status === 409),
    'actions sent again although OpenSearch had taken them',
  ).toEqual([])
})
