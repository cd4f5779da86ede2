/** The questions both lease tables answer: the fake, and DynamoDB through the client. Numbers are behaviours of the KCL list. */
import { expect, test } from 'vitest'
import type { Lease } from '../../src/core/lease.ts'
import type { fakeLeaseTable } from '../fakes/lease-table.ts'

export type TableUnderTest = Omit<ReturnType<typeof fakeLeaseTable>, 'items' | 'writes' | 'once' | 'refusal'>

export function newLease(leaseKey: string, given: Partial<Lease> = {}): Lease {
  return {
    leaseKey,
    leaseCounter: 0,
    checkpoint: 'TRIM_HORIZON',
    ownerSwitchesSinceCheckpoint: 0,
    parentShardId: [],
    childShardIds: [],
    startingHashKey: '0',
    endingHashKey: '170141183460469231731687303715884105727',
    fence: 10,
    ...given,
  }
}

export function leaseTableContract(make: () => Promise<TableUnderTest>): void {
  async function taken(table: TableUnderTest, leaseKey: string, owner = 'w1', fence = 20) {
    await table.create(newLease(leaseKey))
    const lease = await table.take((await table.get(leaseKey))!, { owner, fence, mode: 'take' })
    return { leaseKey, owner, counter: lease!.leaseCounter, fence, isLeaving: false }
  }

  test('an empty table lists nothing, an unknown lease is none (1, 4)', async () => {
    const table = await make()
    expect((await table.list()).leases).toEqual([])
    expect(await table.get('nothing')).toBeUndefined()
  })

  test('what was created is listed as it was (2, 3)', async () => {
    const table = await make()
    const lease = newLease('c', { parentShardId: ['a', 'b'] })
    await table.create(lease)
    expect((await table.list()).leases).toEqual([lease])
    expect(await table.get('c')).toEqual(lease)
  })

  test('creating twice: true, then false, and the first stays (20)', async () => {
    const table = await make()
    expect(await table.create(newLease('a'))).toBe(true)
    expect(await table.create(newLease('a', { checkpoint: '99' }))).toBe(false)
    expect((await table.get('a'))!.checkpoint).toBe('TRIM_HORIZON')
  })

  test('taking an unowned lease sets owner and fence and raises the counter (8)', async () => {
    const table = await make()
    await taken(table, 'a')
    expect(await table.get('a')).toMatchObject({
      leaseOwner: 'w1',
      leaseCounter: 1,
      fence: 20,
      ownerSwitchesSinceCheckpoint: 0,
    })
  })

  test('taking an owned lease counts a switch (9)', async () => {
    const table = await make()
    await taken(table, 'a')
    await table.take((await table.get('a'))!, { owner: 'w2', fence: 30, mode: 'take' })
    expect(await table.get('a')).toMatchObject({
      leaseOwner: 'w2',
      fence: 30,
      ownerSwitchesSinceCheckpoint: 1,
    })
  })

  test('a take with a counter of before changes nothing (10)', async () => {
    const table = await make()
    await table.create(newLease('a'))
    const seen = (await table.get('a'))!
    await table.take(seen, { owner: 'w1', fence: 20, mode: 'take' })
    expect(await table.take(seen, { owner: 'w2', fence: 30, mode: 'take' })).toBeUndefined()
    expect((await table.get('a'))!.leaseOwner).toBe('w1')
  })

  test('a take that would not raise the fence is refused', async () => {
    const table = await make()
    await taken(table, 'a')
    expect(
      await table.take((await table.get('a'))!, { owner: 'w2', fence: 20, mode: 'take' }),
    ).toBeUndefined()
  })

  test('adopting is for a lease that carries our id and no other checkpoint owner', async () => {
    const table = await make()
    await taken(table, 'a')
    const seen = (await table.get('a'))!
    expect(await table.take(seen, { owner: 'w2', fence: 30, mode: 'adopt' })).toBeUndefined()
    expect(await table.take(seen, { owner: 'w1', fence: 30, mode: 'adopt' })).toMatchObject({
      leaseCounter: 2,
    })
    expect(await table.get('a')).toMatchObject({ leaseOwner: 'w1', fence: 30 })
  })

  test('renewing raises the counter; with a counter of before it is refused (5, 6)', async () => {
    const table = await make()
    const hold = await taken(table, 'a')
    expect(await table.write(hold, { kind: 'renew' }, false)).toBe('landed')
    expect(await table.write({ ...hold, counter: hold.counter + 1 }, { kind: 'renew' }, false)).toBe('landed')
    expect((await table.get('a'))!.leaseCounter).toBe(3)
    expect(await table.write({ ...hold, counter: 99 }, { kind: 'renew' }, false)).toBe('lost')
  })

  test('a write under another fence or owner is refused although the counter fits (13, 17, 26, trace T2)', async () => {
    const table = await make()
    const hold = await taken(table, 'a')
    expect(await table.write({ ...hold, fence: 19 }, { kind: 'checkpoint', checkpoint: '5' }, false)).toBe(
      'lost',
    )
    expect(await table.write({ ...hold, owner: 'w2' }, { kind: 'checkpoint', checkpoint: '5' }, false)).toBe(
      'lost',
    )
    expect((await table.get('a'))!.checkpoint).toBe('TRIM_HORIZON')
  })

  test('a checkpoint is written, and the switches are counted anew (16)', async () => {
    const table = await make()
    await taken(table, 'a')
    const lease = await table.take((await table.get('a'))!, { owner: 'w2', fence: 30, mode: 'take' })
    const counter = lease!.leaseCounter
    expect(
      await table.write(
        { leaseKey: 'a', owner: 'w2', counter, fence: 30, isLeaving: false },
        { kind: 'checkpoint', checkpoint: '5' },
        false,
      ),
    ).toBe('landed')
    expect(await table.get('a')).toMatchObject({
      checkpoint: '5',
      ownerSwitchesSinceCheckpoint: 0,
      leaseCounter: counter + 1,
    })
  })

  test('the end of a shard is written with its children', async () => {
    const table = await make()
    const hold = await taken(table, 'a')
    expect(await table.write(hold, { kind: 'shard-end', children: ['b', 'c'] }, false)).toBe('landed')
    const item = (await table.get('a'))!
    expect(item.checkpoint).toBe('SHARD_END')
    expect(item.childShardIds.toSorted()).toEqual(['b', 'c'])
  })

  test('evicting removes the owner, says who left, keeps or moves the checkpoint (12)', async () => {
    const table = await make()
    const hold = await taken(table, 'a')
    expect(await table.write(hold, { kind: 'evict', checkpoint: '7' }, false)).toBe('landed')
    expect(await table.get('a')).toMatchObject({ leftBy: 'w1', checkpoint: '7', leaseCounter: 2 })
    expect((await table.get('a'))!.leaseOwner).toBeUndefined()
    await table.take((await table.get('a'))!, { owner: 'w2', fence: 30, mode: 'take' })
    expect((await table.get('a'))!.leftBy).toBeUndefined()
  })

  test('a write on a lease that is gone is refused and does not make it again (19)', async () => {
    const table = await make()
    expect(
      await table.write(
        { leaseKey: 'gone', owner: 'w1', counter: 1, fence: 1, isLeaving: false },
        { kind: 'renew' },
        false,
      ),
    ).toBe('lost')
    expect(await table.get('gone')).toBeUndefined()
  })

  test('a handoff names the next owner and leaves the counter alone; a second one is refused', async () => {
    const table = await make()
    await taken(table, 'a')
    const seen = (await table.get('a'))!
    expect(await table.startHandoff(seen, 'w2')).toBe(true)
    expect(await table.get('a')).toMatchObject({
      leaseOwner: 'w2',
      checkpointOwner: 'w1',
      leaseCounter: 1,
      fence: 20,
    })
    expect(await table.startHandoff(seen, 'w3')).toBe(false)
    // The next owner died: another takes its place, with the same holder.
    expect(await table.startHandoff((await table.get('a'))!, 'w4')).toBe(true)
    expect(await table.get('a')).toMatchObject({ leaseOwner: 'w4', checkpointOwner: 'w1', leaseCounter: 1 })
  })

  test('the owner hears of a handoff at its next write, goes on as the leaving one, and finishes it (36, 37)', async () => {
    const table = await make()
    const hold = await taken(table, 'a')
    await table.startHandoff((await table.get('a'))!, 'w2')
    expect(await table.write(hold, { kind: 'renew' }, false)).toBe('leaving')
    const leaving = { ...hold, isLeaving: true }
    expect(await table.write(leaving, { kind: 'checkpoint', checkpoint: '5' }, false)).toBe('landed')
    expect(await table.write({ ...leaving, counter: 2 }, { kind: 'evict', checkpoint: '6' }, false)).toBe(
      'landed',
    )
    const item = (await table.get('a'))!
    expect(item).toMatchObject({ leaseOwner: 'w2', checkpoint: '6', leaseCounter: 3 })
    expect([item.checkpointOwner, item.leftBy]).toEqual([undefined, undefined])
  })

  test('a handoff that is not finished is forced by the next owner, whose fence ends the old tenure (136)', async () => {
    const table = await make()
    const hold = await taken(table, 'a')
    await table.startHandoff((await table.get('a'))!, 'w2')
    const seen = (await table.get('a'))!
    // The holder checkpoints on until then: the new tenure begins where it stands now, not where it was listed (G6).
    await table.write({ ...hold, isLeaving: true }, { kind: 'checkpoint', checkpoint: '9' }, false)
    expect(await table.take(seen, { owner: 'w2', fence: 30, mode: 'force' })).toMatchObject({
      leaseCounter: 3,
      checkpoint: '9',
    })
    expect(await table.get('a')).toMatchObject({ leaseOwner: 'w2', fence: 30 })
    expect(await table.write({ ...hold, counter: 2, isLeaving: true }, { kind: 'renew' }, false)).toBe('lost')
  })

  test('a handoff is not forced once its owner has read the shard to its end', async () => {
    const table = await make()
    const hold = await taken(table, 'a')
    await table.startHandoff((await table.get('a'))!, 'w2')
    const seen = (await table.get('a'))!
    await table.write({ ...hold, isLeaving: true }, { kind: 'shard-end', children: [] }, false)
    expect(await table.take(seen, { owner: 'w2', fence: 30, mode: 'force' })).toBeUndefined()
    expect(await table.get('a')).toMatchObject({ checkpoint: 'SHARD_END', fence: 20 })
  })

  test('withdrawing from a handoff leaves the lease to its holder, and free when that has finished', async () => {
    const table = await make()
    const hold = await taken(table, 'a')
    await table.startHandoff((await table.get('a'))!, 'w2')
    await table.cancelHandoff('a', 'w3', hold.fence)
    expect((await table.get('a'))!.leaseOwner).toBe('w2')
    await table.cancelHandoff('a', 'w2', hold.fence)
    expect((await table.get('a'))!.leaseOwner).toBeUndefined()
    expect(
      await table.write({ ...hold, isLeaving: true }, { kind: 'evict', checkpoint: undefined }, false),
    ).toBe('landed')
    expect((await table.get('a'))!.checkpointOwner).toBeUndefined()
  })

  test('withdrawing from a handoff that has just been finished frees the lease at once, unless a tenure has begun', async () => {
    const table = await make()
    const hold = await taken(table, 'a')
    await table.startHandoff((await table.get('a'))!, 'w2')
    await table.write({ ...hold, isLeaving: true }, { kind: 'evict', checkpoint: undefined }, false)
    const handed = (await table.get('a'))!
    expect(handed).toMatchObject({ leaseOwner: 'w2', fence: hold.fence })
    await table.cancelHandoff('a', 'w2', hold.fence - 1)
    expect(await table.get('a')).toEqual(handed)
    await table.cancelHandoff('a', 'w2', hold.fence)
    const { leaseOwner: _, ...free } = handed
    expect(await table.get('a')).toEqual({ ...free, leftBy: 'w2' })
  })

  test('a hold of an earlier tenure writes nothing although the lease is held again by the same worker (27)', async () => {
    const table = await make()
    const before = await taken(table, 'a')
    await table.write(before, { kind: 'evict', checkpoint: undefined }, false)
    const lease = await table.take((await table.get('a'))!, { owner: 'w1', fence: 30, mode: 'take' })
    expect(
      await table.write(
        { ...before, counter: lease!.leaseCounter },
        { kind: 'checkpoint', checkpoint: '9' },
        false,
      ),
    ).toBe('lost')
    expect((await table.get('a'))!.checkpoint).toBe('TRIM_HORIZON')
  })

  test('filling in the hash range changes nothing else and never makes an item (18, 19)', async () => {
    const table = await make()
    const { startingHashKey: _, endingHashKey: __, ...bare } = newLease('a')
    await table.create(bare)
    const range = { startingHashKey: '5', endingHashKey: '9' }
    await table.setRange('a', range)
    await table.setRange('gone', range)
    expect(await table.get('a')).toEqual({ ...bare, ...range })
    expect(await table.get('gone')).toBeUndefined()
  })

  test('a jump raises the fence of the hold; the one before it no longer writes', async () => {
    const table = await make()
    const hold = await taken(table, 'a')
    expect(await table.write(hold, { kind: 'jump', fence: 99 }, false)).toBe('landed')
    expect((await table.get('a'))!.fence).toBe(99)
    expect(await table.write({ ...hold, counter: 2 }, { kind: 'renew' }, false)).toBe('lost')
    expect(await table.write({ ...hold, counter: 2, fence: 99 }, { kind: 'renew' }, false)).toBe('landed')
  })

  test('a write whose answer was lost is known as our own when it is tried again, and only then (7, overruled)', async () => {
    const table = await make()
    const hold = await taken(table, 'a')
    await table.write(hold, { kind: 'checkpoint', checkpoint: '5' }, false)
    expect(await table.write(hold, { kind: 'checkpoint', checkpoint: '5' }, true)).toBe('landed')
    expect(await table.write(hold, { kind: 'checkpoint', checkpoint: '5' }, false)).toBe('lost')
    expect(await table.write(hold, { kind: 'checkpoint', checkpoint: '6' }, true)).toBe('lost')
  })

  test('only an ended lease that did not change since is deleted; deleting one that is gone is no error (14, 15)', async () => {
    const table = await make()
    const hold = await taken(table, 'a')
    const before = (await table.get('a'))!
    await table.remove(before)
    expect(await table.get('a')).toBeDefined()
    await table.write(hold, { kind: 'shard-end', children: [] }, false)
    await table.remove(before)
    expect(await table.get('a')).toBeDefined()
    await table.remove((await table.get('a'))!)
    expect(await table.get('a')).toBeUndefined()
    await table.remove(before)
  })
}
