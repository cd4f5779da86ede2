/**
 * A Docker engine to check the image with: the one that answers, or else one of our own for as long as it takes.
 *
 * Our own has no bridge and touches no firewall rule: containers share this machine's network, and nothing of it is left behind but its
 * layers below `.local/downloads`, which make the next build quick.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Child, Parts } from '../local/parts.ts'
import { requirePrograms } from '../local/requirements.ts'
import { runCommand } from '../local/run-command.ts'
import { downloadsDir, projectDir } from '../local/state.ts'

export type Engine = {
  /** Runs a command of Docker's client to its end. @returns what it printed on stdout */
  docker(args: string[]): Promise<string>
  /** `docker import` of a folder as an image. */
  importFolder(folder: string, args: string[]): Promise<void>
  /** Ends it where it is our own. */
  close(): Promise<void>
}

const UP_MS = 30_000
const POLL_MS = 100

const CLIENT = { program: 'docker', what: "Docker's client (docker)", aptPackage: 'docker.io' }
const DAEMON = { program: 'dockerd', what: 'a Docker engine that runs, or dockerd', aptPackage: 'docker.io' }

export async function openEngine(
  parts: Parts,
  { log, signal }: { log: (line: string) => void; signal: AbortSignal },
): Promise<Engine> {
  const [client] = await requirePrograms([CLIENT], { log, signal })
  if (await answers(client!, {}, signal)) return engine(client!, {}, signal, async () => {})
  const [daemon] = await requirePrograms([DAEMON], { log, signal })
  const socket = `unix://${parts.instanceDir}/docker.sock`
  const own = { DOCKER_HOST: socket }
  const child = parts.spawn('dockerd', daemonArgv(daemon!, socket, parts.instanceDir), {})
  await untilUp(child, () => answers(client!, own, signal), signal)
  return engine(client!, own, signal, async () => {
    child.kill('SIGTERM')
    await child.exited
    await unmountBelow(parts.instanceDir)
  })
}

/** It leaves the name of the host's network namespace mounted, and a folder with a mount in it cannot be removed. */
async function unmountBelow(dir: string): Promise<void> {
  const targets = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map(line => line.split(' ')[1] ?? '')
    .filter(target => target.startsWith(`${dir}/`))
  if (targets.length > 0)
    await runCommand(['umount', '--lazy', ...targets], { signal: AbortSignal.timeout(UP_MS) })
}

function daemonArgv(program: string, socket: string, dir: string): string[] {
  const layers = join(downloadsDir, 'docker-engine')
  const folders = [
    '--data-root',
    layers,
    '--exec-root',
    join(dir, 'exec'),
    '--pidfile',
    join(dir, 'docker.pid'),
  ]
  return [program, '--host', socket, ...folders, '--bridge=none', '--iptables=false']
}

async function untilUp(child: Child, isUp: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  const giveUpAt = performance.now() + UP_MS
  let ended = false
  void child.exited.then(() => {
    ended = true
  })
  while (!(await isUp())) {
    if (ended || performance.now() > giveUpAt) {
      const what = ended ? 'ended at its start' : `did not answer within ${UP_MS / 1000} s`
      throw new Error(`dockerd ${what}; it needs root and overlayfs or vfs. Its log: ${child.logFile}`)
    }
    await sleep(POLL_MS, undefined, { signal })
  }
}

async function answers(client: string, env: Record<string, string>, signal: AbortSignal): Promise<boolean> {
  return runCommand([client, 'version'], { signal, env }).then(
    () => true,
    () => {
      signal.throwIfAborted()
      return false
    },
  )
}

function engine(
  client: string,
  env: Record<string, string>,
  signal: AbortSignal,
  close: () => Promise<void>,
): Engine {
  return {
    docker: args => runCommand([client, ...args], { signal, env, cwd: projectDir }),
    importFolder: (folder, args) => importFolder(client, env, folder, args),
    close,
  }
}

/** `tar | docker import`: a folder of a few hundred megabytes that need not exist a second time as a file. */
async function importFolder(
  client: string,
  env: Record<string, string>,
  folder: string,
  args: string[],
): Promise<void> {
  const tar = spawn('tar', ['-C', folder, '-c', '.'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const docker = spawn(client, ['import', ...args], {
    stdio: [tar.stdout, 'ignore', 'inherit'],
    env: { ...process.env, ...env },
  })
  const [tarCode, dockerCode] = await Promise.all(
    [tar, docker].map(child => new Promise<number | null>(resolve => child.once('exit', resolve))),
  )
  if (tarCode !== 0 || dockerCode !== 0)
    throw new Error(
      `${folder} could not be made an image: tar ended with ${tarCode}, docker import with ${dockerCode}`,
    )
}
