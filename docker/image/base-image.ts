/**
 * The base image where no image registry can be reached: Debian's own packages and the Node this project runs on, under the tag the
 * Dockerfile names. So the Dockerfile is checked unchanged; what the real base does otherwise is not.
 */
import { cpSync, existsSync, mkdirSync, realpathSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { onPath, requirePrograms } from '../local/requirements.ts'
import { runCommand } from '../local/run-command.ts'
import { downloadsDir } from '../local/state.ts'
import type { Engine } from './engine.ts'

const SUITE = 'bookworm'
const CA_BUNDLE = '/etc/ssl/certs/ca-certificates.crt'
const DEBOOTSTRAP = {
  program: 'debootstrap',
  what: 'debootstrap, to make a base image where none can be pulled',
  aptPackage: 'debootstrap',
}

/** @returns whether the image is of our own making */
export async function ensureBaseImage(
  tag: string,
  engine: Engine,
  options: { log: (line: string) => void; signal: AbortSignal },
): Promise<boolean> {
  const origin = await engine
    .docker(['image', 'inspect', '--format', '{{index .Config.Labels "local.base"}}', tag])
    .catch(() => undefined)
  if (origin !== undefined) return origin.trim() === 'true'
  if (process.getuid?.() !== 0)
    throw new Error(`the engine has no image ${tag}: run \`docker pull ${tag}\`, then this again`)
  const root = await debianRoot(options)
  placeNode(root)
  options.log(`making ${tag} of Debian ${SUITE} and Node ${process.versions.node}`)
  const labels = ['--change', 'LABEL local.base=true', '--change', 'CMD ["node"]']
  const trust = ['--change', `ENV NODE_EXTRA_CA_CERTS=${CA_BUNDLE}`]
  await engine.importFolder(root, [...labels, ...trust, '-', tag])
  return true
}

/** A folder with Debian's smallest system; whole or not there. */
async function debianRoot(options: { log: (line: string) => void; signal: AbortSignal }): Promise<string> {
  const root = join(downloadsDir, `debian-${SUITE}-minbase`)
  if (existsSync(root)) return root
  const [debootstrap] = await requirePrograms([DEBOOTSTRAP], options)
  const unfinished = `${root}.unfinished-${process.pid}`
  mkdirSync(downloadsDir, { recursive: true })
  options.log('fetching Debian with debootstrap, about a minute')
  const command = [debootstrap!, '--variant=minbase', '--include=ca-certificates', SUITE, unfinished]
  try {
    await runCommand(command, { signal: options.signal })
    for (const waste of ['var/cache/apt/archives', 'var/lib/apt/lists'])
      rmSync(join(unfinished, waste), { recursive: true, force: true })
    renameSync(unfinished, root)
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true })
    throw error
  }
  return root
}

/** As in the real image: `node` and `npm` in /usr/local, and the certificates this machine trusts. */
function placeNode(root: string): void {
  const npmCli = realpathSync(process.env.npm_execpath ?? onPath('npm')!)
  const npm = dirname(dirname(npmCli))
  const modules = join(root, 'usr/local/lib/node_modules')
  rmSync(modules, { recursive: true, force: true })
  mkdirSync(modules, { recursive: true })
  cpSync(npm, join(modules, 'npm'), { recursive: true })
  cpSync(process.execPath, join(root, 'usr/local/bin/node'))
  const link = join(root, 'usr/local/bin/npm')
  rmSync(link, { force: true })
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', link)
  if (existsSync(CA_BUNDLE)) cpSync(CA_BUNDLE, join(root, CA_BUNDLE), { dereference: true })
}
