/**
 * DynamoDB, played by Amazon's own DynamoDB Local.
 *
 * It listens on all interfaces and cannot be told otherwise. Its tables are files in the part's folder: they outlive a stop.
 */
import { join } from 'node:path'
import { ListTablesCommand } from '@aws-sdk/client-dynamodb'
import { dynamodbClient } from './aws-clients.ts'
import { type Download, folderOf, jarsFromMaven } from './downloads.ts'
import { CALL_MS, GRACE_MS, type Part, QUICK_JAVA } from './part.ts'

const VERSION = '3.3.1'

export const DYNAMODB_MAIN_CLASS = 'software.amazon.dynamodb.services.local.main.ServerRunner'

export const dynamodbLocal: Download = {
  title: `DynamoDB Local ${VERSION} (50 MB)`,
  folder: `dynamodb-local-${VERSION}`,
  needs: 'maven',
  fetch: jarsFromMaven({ group: 'software.amazon.dynamodb', name: 'DynamoDBLocal', version: VERSION }),
}

export const dynamodb: Part = {
  name: 'dynamodb',
  downloads: [dynamodbLocal],
  portNames: ['http'],

  async prepare({ dir, ports, tools }) {
    const jars = folderOf(dynamodbLocal)
    const java = [
      tools.java,
      '-Xmx256m',
      ...QUICK_JAVA,
      `-Djava.library.path=${jars}`,
      '-cp',
      join(jars, '*'),
    ]
    // One set of tables for everyone, whatever their access key and region.
    const server = ['-sharedDb', '-dbPath', dir, '-port', String(ports.http), '-disableTelemetry']
    return { argv: [...java, DYNAMODB_MAIN_CLASS, ...server] }
  },

  async callOnce({ ports }) {
    await listTables(`http://127.0.0.1:${ports.http}`, CALL_MS)
  },

  stop: { signal: 'SIGTERM', graceMs: GRACE_MS },
}

export async function listTables(endpoint: string, timeoutMs: number): Promise<void> {
  const client = dynamodbClient(endpoint, timeoutMs)
  try {
    await client.send(new ListTablesCommand({}))
  } finally {
    client.destroy()
  }
}
