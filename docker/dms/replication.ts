/**
 * The replication connection: slots with an exported snapshot, the change stream, and confirmed positions.
 *
 * The library's own acknowledging is off in every form: it confirms what was received, and we confirm only what Kinesis has.
 * Messages are handed over one at a time; while one is waited for, the socket is paused, so memory stays bounded.
 */
import { Client, type ClientConfig } from 'pg'
import { LogicalReplicationService, type Pgoutput, PgoutputPlugin } from 'pg-logical-replication'
import { boxText } from './changes.ts'
import { formatLsn, parseLsn } from './lsn.ts'
import { quoteName, SourceRefusedError } from './source.ts'

export type Snapshot = { name: string; close: () => Promise<void> }

/**
 * Creates the slot and exports the snapshot it starts from: what the snapshot shows and what the slot sends fit together without
 * gap or overlap. The snapshot lives until another command runs on this connection or it closes.
 *
 * @param isTemporary the slot goes with the connection (a full load without changes)
 */
export async function createSlot(
  config: ClientConfig,
  slot: string,
  isTemporary: boolean,
): Promise<Snapshot> {
  const client = new Client({ ...config, replication: 'database' } as ClientConfig)
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query<{ snapshot_name: string }>(
      `CREATE_REPLICATION_SLOT ${quoteName(slot)}${isTemporary ? ' TEMPORARY' : ''} LOGICAL pgoutput EXPORT_SNAPSHOT`,
    )
    const name = rows[0]?.snapshot_name
    if (name === undefined) throw new Error('no snapshot name in the answer')
    return { name, close: () => client.end() }
  } catch (error) {
    await client.end().catch(() => {})
    throw new SourceRefusedError(
      `replication slot ${slot} could not be created: ${(error as Error).message}`,
      {
        cause: error,
      },
    )
  }
}

/** Often enough for wal_sender_timeout (60 s), and what an idle slot advances by. */
const statusMs = 1_000

export type ChangeStreamEnds = {
  onStart: () => void
  onMessage: (message: Pgoutput.Message) => Promise<void>
  /** The server has sent everything up to here, and everything it sent has passed `onMessage`. */
  onCaughtUp: (lsn: bigint) => void
  /** The position to confirm now. Asked each second and when the server wants an answer. */
  position: () => bigint
}

export function createChangeStream(config: ClientConfig, slot: string, publications: string[]) {
  const service = new LogicalReplicationService(config, {
    acknowledge: { auto: false, timeoutSeconds: 0 },
    flowControl: { enabled: true },
  })
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: publications })
  let received = 0
  let handled = 0

  const parse = plugin.parse.bind(plugin)
  plugin.parse = buffer => {
    received += 1
    const message = parse(buffer)
    // The library reads values with the parsers of `pg`, kept on each column of a relation; these keep the text.
    if (message.tag === 'relation') for (const column of message.columns) column.parser = boxText
    return message
  }

  const confirm = (lsn: bigint): void => {
    // The library confirms one byte more than it is given. That byte matters: a transaction whose commit record starts right behind
    // the confirmed one would be taken as seen, and after a restart never be sent.
    service.acknowledge(formatLsn(lsn - 1n)).catch(() => {})
  }

  return {
    confirm,

    /** Runs until `stop`; rejects when the connection or `onMessage` fails. */
    async run(ends: ChangeStreamEnds): Promise<void> {
      const status = setInterval(() => confirm(ends.position()), statusMs)
      try {
        await new Promise<void>((resolve, reject) => {
          let hasFailed = false
          const fail = (error: unknown): void => {
            hasFailed = true
            reject(error)
          }
          const refuse = (error: Error): void =>
            fail(
              new SourceRefusedError(`change stream of slot ${slot} ended: ${error.message}`, {
                cause: error,
              }),
            )
          service.on('start', ends.onStart)
          service.on('error', refuse)
          // biome-ignore lint/nursery/noMisusedPromises: the library, with flow control on, waits for this promise before the next message
          service.on('data', async (_lsn: string, message: Pgoutput.Message) => {
            // After a failure nothing more may pass: a later commit would confirm the change that failed.
            if (hasFailed) return
            await ends.onMessage(message).then(() => {
              handled += 1
            }, fail)
          })
          service.on('heartbeat', (lsn: string, _time: number, mustAnswer: boolean) => {
            if (received === handled) ends.onCaughtUp(parseLsn(lsn))
            if (mustAnswer) confirm(ends.position())
          })
          service.subscribe(plugin, slot).then(() => resolve(), refuse)
        })
      } finally {
        clearInterval(status)
      }
    },

    async stop(): Promise<void> {
      await service.stop()
    },
  }
}
