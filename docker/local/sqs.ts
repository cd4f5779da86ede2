/** SQS, played by ElasticMQ on the loopback address. Queues and letters are files in the part's folder: they outlive a stop. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ListQueuesCommand } from '@aws-sdk/client-sqs'
import { REGION, sqsClient } from './aws-clients.ts'
import { type Download, folderOf, jarsFromMaven } from './downloads.ts'
import { CALL_MS, GRACE_MS, type Part, QUICK_JAVA } from './part.ts'

const VERSION = '1.6.16'

const elasticmq: Download = {
  title: `ElasticMQ ${VERSION} (37 MB)`,
  folder: `elasticmq-${VERSION}`,
  needs: 'maven',
  fetch: jarsFromMaven({ group: 'org.elasticmq', name: 'elasticmq-server_2.13', version: VERSION }),
}

export const sqs: Part = {
  name: 'sqs',
  downloads: [elasticmq],
  portNames: ['http'],

  async prepare({ dir, ports, tools }) {
    const config = join(dir, 'elasticmq.conf')
    writeFileSync(config, configuration(dir, ports.http!))
    const java = [
      tools.java,
      '-Xmx128m',
      ...QUICK_JAVA,
      `-Dconfig.file=${config}`,
      '-cp',
      join(folderOf(elasticmq), '*'),
    ]
    return { argv: [...java, 'org.elasticmq.server.Main'] }
  },

  async callOnce({ ports }) {
    await listQueues(`http://127.0.0.1:${ports.http}`, CALL_MS)
  },

  stop: { signal: 'SIGTERM', graceMs: GRACE_MS },
}

export async function listQueues(endpoint: string, timeoutMs: number): Promise<void> {
  const client = sqsClient(endpoint, timeoutMs)
  try {
    await client.send(new ListQueuesCommand({}))
  } finally {
    client.destroy()
  }
}

function configuration(dir: string, port: number): string {
  return `include classpath("application.conf")
generate-node-address = false
node-address { protocol = http, host = "127.0.0.1", port = ${port}, context-path = "" }
rest-sqs { enabled = true, bind-hostname = "127.0.0.1", bind-port = ${port}, sqs-limits = strict }
rest-stats { enabled = false }
aws { region = ${REGION}, accountId = 000000000000 }
queues-storage { enabled = true, path = ${JSON.stringify(join(dir, 'queues.conf'))} }
messages-storage { enabled = true, uri = ${JSON.stringify(`jdbc:h2:${join(dir, 'messages')}`)} }
`
}
