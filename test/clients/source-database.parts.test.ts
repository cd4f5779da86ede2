/** How the source database is reached, and what it says when it is not: before the real one, with TLS ended in front of it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'
import { openSourceDatabase, type SourceDatabaseOptions } from '../../src/clients/source-database.ts'
import { type Certified, certify, FOR_THIS_MACHINE } from '../certify.ts'

const { postgresUrl } = inject('parts').endpoints
const { hostname: host, port } = new URL(postgresUrl)
const real = { host, port: Number(port), database: 'postgres', user: 'postgres', password: 'any' }
const ADVICE = { refused: 'ask the owner', forbidden: 'not allowed' }

let directory: string
let server: Certified
let elsewhere: Certified
let authority: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'source-database-'))
  authority = (await certify(directory, 'authority', undefined)).certificate
  server = await certify(directory, 'server', 'authority', ...FOR_THIS_MACHINE)
  elsewhere = await certify(directory, 'elsewhere', 'authority', '-addext', 'subjectAltName=IP:127.0.0.2')
})
afterAll(() => rm(directory, { recursive: true }))

/** Answers the request for TLS with yes, as PostgreSQL does, and passes what comes through it on to the real one. */
async function withTls({ certificate, key }: Certified): Promise<{ port: number }> {
  const front: Server = createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write('S')
      const secure = new TLSSocket(socket, { isServer: true, cert: certificate, key })
      const onward = connect({ host, port: Number(port) })
      for (const end of [secure, onward]) end.on('error', () => onward.destroy())
      secure.pipe(onward).pipe(secure)
    })
  })
  await new Promise<void>(resolve => front.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void front.close())
  return { port: (front.address() as AddressInfo).port }
}

async function open(options: Partial<SourceDatabaseOptions>) {
  const session = await openSourceDatabase({ ...real, tls: undefined, ...options }, ADVICE)
  onTestFinished(() => session.close())
  return session
}

describe('TLS', () => {
  test('a certificate for this host by an authority that is trusted: the session goes through it', async () => {
    const session = await open({ ...(await withTls(server)), tls: { pem: authority } })
    expect(await session.server()).toMatchObject({ walLevel: 'logical', isReplica: false })
  })

  test.each<[string, () => Certified, () => string | undefined, RegExp]>([
    [
      'by an authority nobody named',
      () => server,
      () => undefined,
      /not trusted.*SOURCE_DATABASE_CA.*Aurora/,
    ],
    ['by another authority', () => server, () => elsewhere.certificate, /not trusted.*SOURCE_DATABASE_CA/],
    ['for another host', () => elsewhere, () => authority, /does not fit.*expected one for 127\.0\.0\.1/],
  ])('a certificate %s is refused, with what to do', async (_, certificate, pem, message) => {
    const trusted = pem()
    const options = { ...(await withTls(certificate())), tls: trusted === undefined ? {} : { pem: trusted } }
    await expect(open(options)).rejects.toMatchObject({
      name: 'OutsideError',
      message: expect.stringMatching(message),
    })
  })

  test('a server that offers none is not spoken to without it', async () => {
    await expect(open({ tls: {} })).rejects.toMatchObject({
      name: 'OutsideError',
      message: expect.stringMatching(/offers no TLS.*ssl = on/),
    })
  })
})

test('a database that is not there is named', async () => {
  await expect(open({ database: 'nowhere' })).rejects.toMatchObject({
    name: 'OutsideError',
    message: expect.stringMatching(/has no database nowhere: check SOURCE_DATABASE_NAME/),
  })
})

test('a server that is not there may come back: no refusal for good', async () => {
  await expect(open({ port: 1 })).rejects.toMatchObject({
    name: 'Error',
    message: expect.stringContaining('127.0.0.1:1 does not answer'),
  })
})

test('what is refused says what was to be done, and what to look at', async () => {
  const session = await open({})
  await session.ask('x', 'BEGIN')
  await session.ask('x', 'SET LOCAL ROLE pg_monitor')
  await expect(session.ask('make a role', 'CREATE ROLE nobody_at_all')).rejects.toMatchObject({
    name: 'OutsideError',
    message: expect.stringMatching(/does not let postgres make a role: .*\(42501\): not allowed/),
  })
})

test('a slot is tried in vain while a transaction from before is open, and not after', async () => {
  const other = new Client({ connectionString: postgresUrl })
  await other.connect()
  onTestFinished(() => other.end())
  await other.query('BEGIN')
  await other.query('SELECT pg_current_xact_id()')
  const session = await open({})
  expect(await session.trySlot(300)).toBe(false)
  await other.query('ROLLBACK')
  expect(await session.trySlot(10_000)).toBe(true)
})
