/**
 * OpenSearch, one node on the loopback address, without plugins: no security, no index state management.
 *
 * Java is started directly, as the distribution's own script would in the end; the script starts three Javas before that.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Download, folderOf, unpackFromMaven } from './downloads.ts'
import { CALL_MS, GRACE_MS, type Part } from './part.ts'
import { requireJava, type Tools } from './requirements.ts'
import { giveAway, unprivileged } from './unprivileged.ts'

/** What the parts run; another one is for finding out what it answers otherwise. */
const VERSION = process.env.OPENSEARCH_VERSION || '2.19.6'

/** Version 3 runs on Java 21 and newer, also where version 2 and the other parts cannot. */
const JAVA_MIN_OF_3 = 21

const distribution: Download = {
  title: `OpenSearch ${VERSION} (${isVersion3(VERSION) ? 161 : 56} MB)`,
  folder: `opensearch-${VERSION}`,
  needs: 'maven',
  fetch: unpackFromMaven(`org.opensearch.distribution.integ-test-zip:opensearch:${VERSION}:zip`),
}

/** The options of the distribution's launcher (SystemJvmOptions) that matter to a throw-away node. */
const JAVA_OPTIONS = [
  '-Xms512m',
  '-Xmx512m',
  '-Xss1m',
  '-XX:+UseG1GC',
  '-Xshare:auto',
  '-XX:-OmitStackTraceInFastThrow',
  '-Djava.awt.headless=true',
  '-Dfile.encoding=UTF-8',
  '-Djna.nosys=true',
  '-Dio.netty.noUnsafe=true',
  '-Dio.netty.noKeySetOptimization=true',
  '-Dio.netty.recycler.maxCapacityPerThread=0',
  '-Dlog4j.shutdownHookEnabled=false',
  '-Dlog4j2.disable.jmx=true',
  '-Dlog4j2.formatMsgNoLookups=true',
]

const JAVA_OPTIONS_OF_2 = [
  '-Djava.locale.providers=SPI,COMPAT',
  '-Djava.security.manager=allow',
  '-Djava.util.concurrent.ForkJoinPool.common.threadFactory=org.opensearch.secure_sm.SecuredForkJoinWorkerThreadFactory',
]

/** An agent does here what the security manager did. */
const javaOptionsOf3 = (home: string): string[] => [
  '-Djava.locale.providers=SPI,CLDR',
  '--add-modules=jdk.incubator.vector',
  `-javaagent:${join(home, 'agent', 'opensearch-agent.jar')}`,
  '--add-opens=java.base/java.nio=ALL-UNNAMED',
  '-Dorg.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits=1',
]

const home = join(folderOf(distribution), `opensearch-${VERSION}`)

export const opensearch: Part = {
  name: 'opensearch',
  downloads: [distribution],
  portNames: ['http', 'transport'],

  async prepare({ dir, ports, tools }) {
    const [config, data, temporary] = [join(dir, 'config'), join(dir, 'data'), join(dir, 'tmp')]
    for (const folder of [config, data, temporary]) mkdirSync(folder, { recursive: true })
    writeFileSync(join(config, 'opensearch.yml'), settings(dir, data, ports))
    writeFileSync(join(config, 'log4j2.properties'), LOG_TO_STDOUT)
    giveAway(dir)
    const command = openSearchCommand(VERSION, tools, { home, config, temporary })
    return { argv: unprivileged(command, dir), env: { HOME: dir, TMPDIR: temporary } }
  },

  async callOnce({ ports }) {
    const response = await fetch(`http://127.0.0.1:${ports.http}/_cluster/health`, {
      signal: AbortSignal.timeout(CALL_MS),
    })
    const { status } = (await response.json()) as { status?: string }
    if (status !== 'green' && status !== 'yellow')
      throw new Error(`the cluster's health is ${status ?? response.status}`)
  },

  stop: { signal: 'SIGTERM', graceMs: GRACE_MS },
}

/** Whether the fetched distribution reads JSON with Jackson 3, as 3.8.0 does and 3.4.0 does not: faults in JSON are named after its classes. */
export function readsWithJackson3(): boolean {
  return readdirSync(join(home, 'lib')).some(jar => jar.startsWith('jackson-core-3.'))
}

/** @param folders of the distribution, of its settings, and for temporary files */
export function openSearchCommand(
  version: string,
  tools: Tools,
  folders: { home: string; config: string; temporary: string },
): string[] {
  const [java, options] = isVersion3(version)
    ? [requireJava(JAVA_MIN_OF_3, `OpenSearch ${version}`), javaOptionsOf3(folders.home)]
    : [tools.java, JAVA_OPTIONS_OF_2]
  return [
    java,
    ...JAVA_OPTIONS,
    ...options,
    `-Djava.io.tmpdir=${folders.temporary}`,
    `-Dopensearch.path.home=${folders.home}`,
    `-Dopensearch.path.conf=${folders.config}`,
    '-Dopensearch.distribution.type=zip',
    '-Dopensearch.bundled_jdk=false',
    '-cp',
    join(folders.home, 'lib', '*'),
    'org.opensearch.bootstrap.OpenSearch',
  ]
}

function isVersion3(version: string): boolean {
  return Number.parseInt(version, 10) >= 3
}

function settings(dir: string, data: string, ports: Record<string, number>): string {
  return `cluster.name: local
node.name: local
discovery.type: single-node
network.host: 127.0.0.1
http.port: ${ports.http}
transport.port: ${ports.transport}
path.data: ${JSON.stringify(data)}
path.logs: ${JSON.stringify(dir)}
# A disk that is nearly full would turn every index read-only.
cluster.routing.allocation.disk.threshold_enabled: false
`
}

export const LOG_TO_STDOUT = `status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %marker%m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
`
