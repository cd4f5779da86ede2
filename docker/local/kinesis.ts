/**
 * Kinesis, played by the npm package `kinesis-local`.
 *
 * It listens on all interfaces and cannot be told otherwise. It keeps streams in memory: stopped, it forgets them, unless data is kept.
 */
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { ListStreamsCommand } from '@aws-sdk/client-kinesis'
import { kinesisClient, REGION } from './aws-clients.ts'
import { CALL_MS, GRACE_MS, type Part } from './part.ts'

/** Each would otherwise take 500 ms before it shows. */
const AT_ONCE = [
  'CREATE_STREAM_DURATION',
  'DELETE_STREAM_DURATION',
  'REGISTER_STREAM_CONSUMER_DURATION',
  'DEREGISTER_STREAM_CONSUMER_DURATION',
  'START_STREAM_ENCRYPTION_DURATION',
  'STOP_STREAM_ENCRYPTION_DURATION',
  'MERGE_SHARDS_DURATION',
  'SPLIT_SHARD_DURATION',
  'UPDATE_SHARD_COUNT_DURATION',
  'UPDATE_STREAM_MODE_DURATION',
]

export const kinesisLocalDir = dirname(createRequire(import.meta.url).resolve('kinesis-local/package.json'))

export const kinesis: Part = {
  name: 'kinesis',
  downloads: [],
  portNames: ['http', 'tls'],

  async prepare({ dir, ports, keepData }) {
    return {
      argv: [process.execPath, join(kinesisLocalDir, 'main.js')],
      env: {
        ...Object.fromEntries(AT_ONCE.map(name => [name, '0ms'])),
        KINESIS_MOCK_PLAIN_PORT: String(ports.http),
        KINESIS_MOCK_TLS_PORT: String(ports.tls),
        KINESIS_MOCK_CERT_PATH: join(kinesisLocalDir, 'server.json'),
        AWS_ACCOUNT_ID: '000000000000',
        AWS_REGION: REGION,
        SHARD_LIMIT: '500',
        LOG_LEVEL: 'WARN',
        SHOULD_PERSIST_DATA: String(keepData),
        PERSIST_PATH: dir,
        PERSIST_INTERVAL: '1s',
      },
    }
  },

  async callOnce({ ports }) {
    await listStreams(`http://127.0.0.1:${ports.http}`, CALL_MS)
  },

  stop: { signal: 'SIGTERM', graceMs: GRACE_MS },
}

export async function listStreams(endpoint: string, timeoutMs: number): Promise<void> {
  const client = kinesisClient(endpoint, timeoutMs)
  try {
    await client.send(new ListStreamsCommand({}))
  } finally {
    client.destroy()
  }
}
