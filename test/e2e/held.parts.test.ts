/** A shard that waits for an operator: it stops before the record, the others go on, and nothing is lost. */
import { expect, test } from 'vitest'
import { total } from '../../docker/demo/scrape.ts'
import { openScene, type Scene } from './harness.ts'
import { dmsRecord, type Operation } from './records.ts'
import type { PutRecord } from './stream.ts'
import type { Worker } from './workers.ts'

type Row = {
  operation: Operation
  table: string
  row: string
  partitionKeyType?: 'schema-table' | 'primary-key'
}

async function put(scene: Scene, rows: Row[]): Promise<PutRecord[]> {
  return scene.stream.put(
    rows.map(row => ({
      partitionKey: `${scene.schema}.${row.table}`,
      data: dmsRecord({ schema: scene.schema, ...row }),
    })),
  )
}

/** The first table shares its shard with `unnamed`, whose rows have no column `id`. */
async function rowsAround(scene: Scene, middle: Row): Promise<PutRecord> {
  const [first, ...others] = scene.tables
  const [, held] = await put(scene, [
    { operation: 'insert', table: first!, row: '{"id":1,"name":"before"}' },
    middle,
    { operation: 'insert', table: first!, row: '{"id":2,"name":"behind"}' },
  ])
  await put(
    scene,
    others.map(table => ({ operation: 'insert', table, row: '{"id":1,"name":"elsewhere"}' })),
  )
  return held!
}

/** The shard of `record` is held, visibly so, its lease renewed; what came before is there, what comes after is not. */
async function expectHeld(scene: Scene, worker: Worker, record: PutRecord, reason: string): Promise<void> {
  const { shardId } = record
  const [first, ...others] = scene.tables
  await scene.until(
    `shard ${shardId} to be held`,
    async () => total(await worker.samples(), 'cdc_shard_held', { shard: shardId, reason }) === 1,
  )
  expect(await worker.ready()).toEqual({ status: 503, wrong: [`shard ${shardId} is held: ${reason}`] })
  expect(await worker.liveStatus()).toBe(200)
  for (const table of others) {
    await scene.until(`the row of ${table}, in another shard`, async () =>
      (await scene.documents(table)).has('1'),
    )
  }
  await scene.expectDocuments(first!, { 1: '{"id":1,"name":"before"}' })

  const leaseOf = async () => (await scene.leases.all()).get(shardId)!
  const lease = await leaseOf()
  expect(BigInt(lease.checkpoint)).toBeLessThan(BigInt(record.sequenceNumber))
  await scene.until('the lease of the held shard to be renewed', async () => {
    const later = await leaseOf()
    expect(later.checkpoint).toBe(lease.checkpoint)
    expect(later.fence).toBe(lease.fence)
    return later.leaseCounter > lease.leaseCounter + 1
  })
  await scene.expectDocuments(first!, { 1: '{"id":1,"name":"before"}' })
  await scene.expectNoLetters()
}

async function expectGoesOn(scene: Scene, worker: Worker): Promise<void> {
  const [first] = scene.tables
  await scene.quiet()
  await scene.expectDocuments(first!, { 1: '{"id":1,"name":"before"}', 2: '{"id":2,"name":"behind"}' })
  await scene.expectNoLetters()
  await scene.expectDataInShards()
  await scene.expectSettled([worker])
}

test('a table without the default key that no table file names holds its shard until a table file names it', async () => {
  const scene = await openScene('unknown')
  const unnamed = scene.tableIn(0, 'unnamed')
  const record = await rowsAround(scene, { operation: 'insert', table: unnamed, row: '{"code":"x","n":1}' })
  const worker = await scene.startWorker('worker')
  await expectHeld(scene, worker, record, 'unknown-table')
  expect(await worker.said('shard held')).toMatchObject({
    shardId: record.shardId,
    sequenceNumber: record.sequenceNumber,
    reason: 'unknown-table',
    table: `${scene.schema}.${unnamed}`,
    found: expect.stringContaining('id'),
    expected: expect.stringContaining('table file'),
    remedy: expect.stringContaining('TABLE_FILE'),
  })

  worker.child.kill('SIGTERM')
  expect(await worker.child.exited).toEqual({ code: 0, signal: null })
  const next = await scene.startWorker('next', {
    TABLE_FILE: scene.tableFile('named', `  ${scene.schema}.${unnamed}: { key: [code] }\n`),
  })
  await expectGoesOn(scene, next)
  await scene.expectDocuments(unnamed, { x: '{"code":"x","n":1}' })
})

test('a change partitioned otherwise than the table file says holds its shard; the file mended, it goes on', async () => {
  const scene = await openScene('partition')
  const byKey = scene.tableIn(0, 'bykey')
  const record = await rowsAround(scene, { operation: 'insert', table: byKey, row: '{"id":7,"n":1}' })
  const partition = (name: string, mode: string): string =>
    scene.tableFile(name, `  ${scene.schema}.${byKey}: { partition: ${mode} }\n`)
  const worker = await scene.startWorker('worker', { TABLE_FILE: partition('wrong', 'key') })
  await expectHeld(scene, worker, record, 'partition-contradiction')
  expect(await worker.said('shard held')).toMatchObject({
    table: `${scene.schema}.${byKey}`,
    found: expect.stringContaining('schema-table'),
    expected: expect.stringContaining('primary-key'),
    remedy: expect.stringContaining('partition'),
  })

  await worker.kill()
  const next = await scene.startWorker('next', { TABLE_FILE: partition('right', 'table') })
  await expectGoesOn(scene, next)
  await scene.expectDocuments(byKey, { 7: '{"id":7,"n":1}' })
})
