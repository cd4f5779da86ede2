/**
 * OpenSearch with the security plugin, for what nothing else can answer: which permissions a request needs. A node of its own, since
 * the parts' OpenSearch comes without plugins; in the newest version of which Maven has both, whatever OPENSEARCH_VERSION says: of
 * version 3 it has not all that the plugin needs.
 */
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Download, folderOf, unpackFromMaven } from '../../docker/local/downloads.ts'
import { LOG_TO_STDOUT, openSearchCommand } from '../../docker/local/opensearch.ts'
import { type Parts, prepareMachine } from '../../docker/local/parts.ts'
import { freePorts } from '../../docker/local/ports.ts'
import { giveAway, unprivileged } from '../../docker/local/unprivileged.ts'
import { certify, FOR_THIS_MACHINE } from '../certify.ts'

const VERSION = '2.19.4'

const distribution: Download = {
  title: `OpenSearch ${VERSION} with its security plugin (101 MB)`,
  folder: `opensearch-security-${VERSION}`,
  needs: 'maven',
  async fetch(into, context) {
    const core = unpackFromMaven(`org.opensearch.distribution.integ-test-zip:opensearch:${VERSION}:zip`)
    await core(into, context)
    const plugin = join(into, PLUGIN)
    mkdirSync(plugin, { recursive: true })
    await unpackFromMaven(`org.opensearch.plugin:opensearch-security:${VERSION}.0:zip`)(plugin, context)
  },
}
const HOME = `opensearch-${VERSION}`
const PLUGIN = join(HOME, 'plugins', 'opensearch-security')

const READY_MS = 180_000
const POLL_MS = 200

/** The user that the plugin's own demo settings make; the node listens on the loopback address and is thrown away. */
export const ADMIN = { username: 'admin', password: 'admin' }

/** @returns its URL, and how to end it */
export async function startSecuredOpenSearch(
  parts: Parts,
  signal: AbortSignal,
): Promise<{ url: string; stop(): Promise<void> }> {
  const log = (line: string): void => console.error(line)
  const tools = await prepareMachine([{ downloads: [distribution] }], { log, signal })
  const [http, transport] = await freePorts(2)
  const home = join(folderOf(distribution), HOME)
  const dir = join(parts.instanceDir, 'secured-opensearch')
  const [config, temporary] = [join(dir, 'config'), join(dir, 'tmp')]
  rmSync(dir, { recursive: true, force: true })
  for (const folder of [config, temporary, join(dir, 'data')]) mkdirSync(folder, { recursive: true })
  cpSync(join(folderOf(distribution), PLUGIN, 'config'), join(config, 'opensearch-security'), {
    recursive: true,
  })
  await certify(config, 'node', undefined, ...FOR_THIS_MACHINE)
  writeFileSync(join(config, 'log4j2.properties'), LOG_TO_STDOUT)
  writeFileSync(join(config, 'opensearch.yml'), settings(dir, http!, transport!))
  giveAway(dir)
  const child = parts.spawn(
    'secured-opensearch',
    unprivileged(openSearchCommand(VERSION, tools, { home, config, temporary }), dir),
    { HOME: dir, TMPDIR: temporary },
  )
  const stop = async () => {
    child.kill('SIGTERM')
    await child.exited
  }
  const url = `http://127.0.0.1:${http}`
  try {
    await untilReady(url, AbortSignal.any([signal, AbortSignal.timeout(READY_MS)]))
    return { url, stop }
  } catch (cause) {
    await stop()
    throw new Error(`OpenSearch with security is not ready; its log: ${child.logFile}`, { cause })
  }
}

/** It answers everybody with 503 until it has made its index of users and roles. */
async function untilReady(url: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    const status = await fetch(`${url}/_cluster/health`, { headers: basic(ADMIN), signal }).then(
      answer => answer.status,
      () => 0,
    )
    if (status === 200) return
    await sleep(POLL_MS, undefined, { signal })
  }
}

export function basic({ username, password }: typeof ADMIN): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` }
}

function settings(dir: string, http: number, transport: number): string {
  return `cluster.name: secured
node.name: secured
discovery.type: single-node
network.host: 127.0.0.1
http.port: ${http}
transport.port: ${transport}
path.data: ${JSON.stringify(join(dir, 'data'))}
path.logs: ${JSON.stringify(dir)}
cluster.routing.allocation.disk.threshold_enabled: false
plugins.security.ssl.transport.pemcert_filepath: node.pem
plugins.security.ssl.transport.pemkey_filepath: node.key
plugins.security.ssl.transport.pemtrustedcas_filepath: node.pem
plugins.security.ssl.transport.enforce_hostname_verification: false
plugins.security.ssl.http.enabled: false
plugins.security.nodes_dn: ['CN=node']
plugins.security.allow_default_init_securityindex: true
plugins.security.restapi.roles_enabled: [all_access]
plugins.security.audit.type: noop
`
}
