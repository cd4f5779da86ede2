/**
 * The way in for a machine with nothing but Node 20 and npm: `node docker/launch.mjs docker/demo/main.ts --keep`.
 *
 * Makes sure that node_modules is what package-lock.json says, then runs the script with Node 24 and ends as the script ends. It is plain
 * JavaScript and imports no package, for it runs before there are any.
 *
 * Rule: the program it starts is never left alone. Ctrl-C reaches that program from the terminal, and this process waits for it; SIGTERM
 * and SIGHUP are passed on, the end of the `npm run` around us counts as one; and if this process is killed outright, the program sees its
 * IPC channel close.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const USAGE = `Usage: node docker/launch.mjs SCRIPT [ARGUMENT...]        runs a script of this project with Node 24
       node docker/launch.mjs --bin PACKAGE [ARGUMENT...] runs the command of an installed package with Node 24`

const NODE_MAJOR = 24
const PARENT_CHECK_MS = 500

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const modules = join(root, 'node_modules')
const stamp = join(modules, '.installed-lock-sha256')

process.exitCode = await main(process.argv.slice(2))

async function main(argv) {
  const isBin = argv[0] === '--bin'
  const [target, ...args] = isBin ? argv.slice(1) : argv
  if (target === undefined || target.startsWith('-')) {
    console.error(USAGE)
    return 2
  }
  if (!isInstalled()) {
    console.error(
      'Installing the packages of package-lock.json (npm ci); the first time this takes about a minute.',
    )
    const code = await install()
    if (code !== 0) {
      console.error(`npm ci ended with exit code ${code}. Its message is above; once mended, run this again.`)
      return code
    }
  }
  if (!isStamped()) writeFileSync(stamp, lockHash())
  const node = nodePath()
  if (node === undefined) {
    console.error(
      `The package \`node\` has no program in it: its install script did not run. Run \`npm rebuild node\`, or use Node ${NODE_MAJOR} or newer.`,
    )
    return 1
  }
  const script = isBin ? binOf(target) : target
  if (script === undefined) {
    console.error(
      `The package \`${target}\` has no command of its name, or is not one of this project's packages.`,
    )
    return 2
  }
  return await run(node, [script, ...args], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: {
      ...process.env,
      CDC_LAUNCHED: '1',
      PATH: `${join(modules, '.bin')}${delimiter}${process.env.PATH}`,
    },
  })
}

function isStamped() {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === lockHash()
}

/** The stamp is of an earlier run of ours; without one that fits, what npm wrote down of its last installation decides. */
function isInstalled() {
  if (isStamped()) return true
  try {
    const wanted = packagesIn(join(root, 'package-lock.json'))
    const found = packagesIn(join(modules, '.package-lock.json'))
    // Optional packages are those of other systems, and left out here.
    return Object.entries(wanted).every(
      ([path, { version, optional }]) => path === '' || optional || found[path]?.version === version,
    )
  } catch {
    return false
  }
}

function packagesIn(lockFile) {
  return JSON.parse(readFileSync(lockFile, 'utf8')).packages
}

function lockHash() {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
}

function install() {
  // Node 24 itself is a development dependency: NODE_ENV=production must not leave it out.
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']
  // What npm prints belongs on stderr: stdout is the script's.
  const options = { cwd: root, stdio: ['ignore', 2, 2], env: process.env }
  const npm = process.env.npm_execpath
  return npm?.endsWith('.js') ? run(process.execPath, [npm, ...args], options) : run('npm', args, options)
}

function nodePath() {
  if (Number.parseInt(process.versions.node, 10) >= NODE_MAJOR) return process.execPath
  const installed = join(modules, 'node', 'bin', 'node')
  return existsSync(installed) ? installed : undefined
}

function binOf(name) {
  try {
    const { bin } = JSON.parse(readFileSync(join(modules, name, 'package.json'), 'utf8'))
    const path = typeof bin === 'string' ? bin : bin?.[name]
    return path === undefined ? undefined : join(modules, name, path)
  } catch {
    return undefined
  }
}

/** The exit code as a shell would tell it. */
function run(program, args, options) {
  return new Promise(resolve => {
    const child = spawn(program, args, options)
    const passOn = signal => child.kill(signal)
    // A Ctrl-C has gone to the child as well; passing it on would make it two.
    const wait = () => {}
    process.on('SIGINT', wait).on('SIGTERM', passOn).on('SIGHUP', passOn)
    // A SIGTERM to `npm run` ends npm and its shell, and neither tells us: that our parent has changed is all there is to see.
    const parent = process.ppid
    const isOfNpm = process.env.npm_lifecycle_event !== undefined
    const watch = setInterval(() => {
      if (!isOfNpm || process.ppid === parent) return
      clearInterval(watch)
      child.kill('SIGTERM')
    }, PARENT_CHECK_MS)
    const end = code => {
      clearInterval(watch)
      process.off('SIGINT', wait).off('SIGTERM', passOn).off('SIGHUP', passOn)
      resolve(code)
    }
    child.once('error', error => {
      console.error(`${program} could not be started: ${error.message}`)
      end(1)
    })
    child.once('exit', (code, signal) => end(code ?? 128 + constants.signals[signal]))
  })
}
