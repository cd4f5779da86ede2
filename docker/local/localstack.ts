/**
 * Kinesis, DynamoDB and SQS, played by LocalStack from PyPI (`localstack-core`, which asks for no account).
 *
 * It listens on all interfaces whatever it is told, and keeps everything in memory. It would fetch its own Java, DynamoDB Local and
 * kinesis-local when first asked for a table or a stream; it finds ours in their places instead, so that it fetches nothing.
 */
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'
import { CREDENTIALS } from './aws-clients.ts'
import { type Download, folderOf } from './downloads.ts'
import { DYNAMODB_MAIN_CLASS, dynamodbLocal, listTables } from './dynamodb.ts'
import { kinesisLocalDir, listStreams } from './kinesis.ts'
import { type Part, QUICK_JAVA } from './part.ts'
import { onPath, type Python } from './requirements.ts'
import { runCommand } from './run-command.ts'
import { listQueues } from './sqs.ts'

/** The last versions that work: from 4.10 on on Python 3.11 services break when first used, and what follows 4.14 wants an account. */
const LOCK_FILES: Record<Python['version'], string> = {
  '3.13': 'localstack-py313.lock.txt',
  '3.11': 'localstack-py311.lock.txt',
}

/** It loads a service when that is first called. */
const FIRST_CALL_MS = 30_000

const server: Download = {
  title: 'LocalStack 4.14.0 or, on Python 3.11, 4.9.2 (110 MB)',
  folder: 'localstack-4.14.0-or-4.9.2',
  needs: 'python',
  async fetch(into, { tools, signal }) {
    const { path, version } = tools.python!
    const lockFile = join(import.meta.dirname, LOCK_FILES[version])
    const uv = onPath('uv')
    if (uv !== undefined) {
      await runCommand([uv, 'venv', '--quiet', '--python', path, into, '--allow-existing'], { signal })
      await runCommand([uv, 'pip', 'install', '--quiet', '--python', pythonIn(into), '-r', lockFile], {
        signal,
      })
      return
    }
    await runCommand([path, '-m', 'venv', into], { signal })
    await runCommand([pythonIn(into), '-m', 'pip', 'install', '--quiet', '-r', lockFile], { signal })
  },
}

export const localstack: Part = {
  name: 'localstack',
  downloads: [server, dynamodbLocal],
  portNames: ['http'],

  async prepare({ dir, ports, tools }) {
    placeFiles(join(dir, 'var', 'lib', 'localstack', 'lib'), tools.java)
    return {
      argv: [pythonIn(folderOf(server)), '-m', 'localstack.runtime.main'],
      env: {
        // In a container it takes itself for its own image and writes to the root folder.
        OVERRIDE_IN_DOCKER: '0',
        FILESYSTEM_ROOT: dir,
        XDG_CACHE_HOME: join(dir, 'cache'),
        GATEWAY_LISTEN: `127.0.0.1:${ports.http}`,
        // Both for the URLs of queues, which would name a host that only resolves with network.
        LOCALSTACK_HOST: `127.0.0.1:${ports.http}`,
        SQS_ENDPOINT_STRATEGY: 'path',
        // Each is a wait for the network.
        DNS_ADDRESS: '0',
        DISABLE_EVENTS: '1',
        SKIP_SSL_CERT_DOWNLOAD: '1',
        DYNAMODB_IN_MEMORY: '1',
        DYNAMODB_SHARE_DB: '1',
        KINESIS_MOCK_VERSION: kinesisLocalVersion(),
        KINESIS_LATENCY: '0',
        KINESIS_PERSISTENCE: '0',
        KINESIS_SHARD_LIMIT: '500',
        AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
        AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
        // kinesis-local runs with the first `node` there is: ours.
        PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
      },
    }
  },

  async callOnce({ ports }) {
    const endpoint = `http://127.0.0.1:${ports.http}`
    // One of each: its health page is green while a service cannot be loaded.
    await Promise.all([
      listQueues(endpoint, FIRST_CALL_MS),
      listTables(endpoint, FIRST_CALL_MS),
      listStreams(endpoint, FIRST_CALL_MS),
    ])
  },

  // It often hangs in ending its own kinesis-local. There is nothing to save: what it leaves is found by its mark and killed.
  stop: { signal: 'SIGTERM', graceMs: 2_000 },
}

/** What LocalStack looks for before it would fetch: a Java 21 (17 does for DynamoDB Local), DynamoDB Local 2 (3 does), kinesis-local. */
function placeFiles(lib: string, java: string): void {
  rmSync(lib, { recursive: true, force: true })
  const javaBin = join(lib, 'java', '21', 'bin')
  const dynamodbDir = join(lib, 'dynamodb-local', '2')
  const modules = join(lib, 'kinesis-local', kinesisLocalVersion(), 'node_modules')
  for (const folder of [javaBin, dynamodbDir, modules]) mkdirSync(folder, { recursive: true })
  symlinkSync(kinesisLocalDir, join(modules, 'kinesis-local'))
  symlinkSync(folderOf(dynamodbLocal), join(dynamodbDir, 'DynamoDBLocal_lib'))
  // It starts `java -javaagent:... -jar DynamoDBLocal.jar`. The jar is only looked for; the agent allows more indexes than we need.
  writeFileSync(join(dynamodbDir, 'DynamoDBLocal.jar'), '')
  writeFileSync(join(javaBin, 'java'), javaWrapper(java))
  chmodSync(join(javaBin, 'java'), 0o755)
}

function javaWrapper(java: string): string {
  return `#!/bin/sh
for argument do
  shift
  case $argument in
    -javaagent:* | -jar) ;;
    */DynamoDBLocal.jar) set -- "$@" ${QUICK_JAVA.join(' ')} -cp '${join(folderOf(dynamodbLocal), '*')}' ${DYNAMODB_MAIN_CLASS} ;;
    *) set -- "$@" "$argument" ;;
  esac
done
exec '${java}' "$@"
`
}

function kinesisLocalVersion(): string {
  return (createRequire(import.meta.url)('kinesis-local/package.json') as { version: string }).version
}

function pythonIn(folder: string): string {
  return join(folder, 'bin', 'python')
}
