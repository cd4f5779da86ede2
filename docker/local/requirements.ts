/**
 * What has to be on the machine before parts can start: Java, PostgreSQL's server programs, Maven for what is still to be fetched.
 *
 * Rule: everything missing is named in one message. Root on Debian is spared the message: apt installs it.
 */
import { execFileSync } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { runCommand } from './run-command.ts'

export type Tools = {
  /** Java between the two versions below. */
  java: string
  /** The folder of `initdb` and `postgres`. */
  postgresBin: string
  /** These two are null where nothing has to be fetched with them. */
  maven: string | null
  python: Python | null
}

export type Python = { path: string; version: (typeof PYTHON_VERSIONS)[number] }

type Missing = { what: string; aptPackage: string }

// DynamoDB Local and OpenSearch 2.19 need 17. OpenSearch 2.19 asks for the security manager, which Java 24 took away.
const JAVA_MIN = 17
const JAVA_MAX = 23

/** Those LocalStack is locked for, the better one first. */
const PYTHON_VERSIONS = ['3.13', '3.11'] as const

export async function requireTools(options: {
  fetchWith: ReadonlySet<'maven' | 'python'>
  log: (line: string) => void
  signal: AbortSignal
}): Promise<Tools> {
  const found = findTools(options.fetchWith)
  if (found.missing.length > 0 && canInstall()) {
    await install(found.missing, options)
    Object.assign(found, findTools(options.fetchWith))
  }
  if (found.missing.length > 0) throw new Error(missingMessage(found.missing))
  return found.tools as Tools
}

/** Programs that only some commands need, each with Debian's package of it. @returns where they are, in the same order */
export async function requirePrograms(
  wanted: { program: string; what: string; aptPackage: string }[],
  options: { log: (line: string) => void; signal: AbortSignal },
): Promise<string[]> {
  const missing = () => wanted.filter(({ program }) => onPath(program) === undefined)
  if (missing().length > 0 && canInstall()) await install(missing(), options)
  if (missing().length > 0) throw new Error(missingMessage(missing()))
  return wanted.map(({ program }) => onPath(program)!)
}

async function install(
  missing: Missing[],
  { log, signal }: { log: (line: string) => void; signal: AbortSignal },
): Promise<void> {
  const packages = [...new Set(missing.map(({ aptPackage }) => aptPackage))]
  log(`installing ${packages.join(', ')} with apt-get`)
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  await runCommand(['apt-get', 'update'], { signal, env })
  await runCommand(['apt-get', 'install', '-y', '--no-install-recommends', ...packages], { signal, env })
}

function findTools(fetchWith: ReadonlySet<'maven' | 'python'>): {
  tools: Partial<Tools>
  missing: Missing[]
} {
  const missing: Missing[] = []
  const java = findJava(JAVA_MIN, JAVA_MAX)
  if (java === undefined)
    missing.push({ what: `Java ${JAVA_MIN} to ${JAVA_MAX}`, aptPackage: 'default-jre-headless' })
  const postgresBin = findPostgres()
  if (postgresBin === undefined)
    missing.push({ what: 'PostgreSQL server (initdb, postgres)', aptPackage: 'postgresql' })
  const maven = fetchWith.has('maven') ? onPath('mvn') : null
  if (maven === undefined) missing.push({ what: 'Maven (mvn)', aptPackage: 'maven' })
  const python = fetchWith.has('python') ? findPython() : null
  if (python === undefined) {
    missing.push({
      what: `Python ${PYTHON_VERSIONS.join(' or ')} with venv, for LocalStack`,
      aptPackage: 'python3-venv',
    })
  }
  if (process.getuid?.() === 0 && onPath('setpriv') === undefined) {
    missing.push({ what: 'setpriv (PostgreSQL and OpenSearch do not run as root)', aptPackage: 'util-linux' })
  }
  return {
    tools: {
      ...(java === undefined ? {} : { java }),
      ...(postgresBin === undefined ? {} : { postgresBin }),
      ...(maven === undefined ? {} : { maven }),
      ...(python === undefined ? {} : { python }),
    },
    missing,
  }
}

function missingMessage(missing: Missing[]): string {
  return [
    'Something on this machine is missing:',
    ...missing.map(({ what }) => `  - ${what}`),
    `On Debian or Ubuntu: apt-get install ${missing.map(({ aptPackage }) => aptPackage).join(' ')} (done by itself when run as root).`,
    'On other systems install them with the system’s own packages, or use docker compose, which needs none of them.',
  ].join('\n')
}

/** For what cannot run on the Java of the other parts. No apt here: Debian 12 has none that is newer. */
export function requireJava(min: number, what: string): string {
  const java = findJava(min, Number.POSITIVE_INFINITY)
  if (java === undefined)
    throw new Error(`${what} needs Java ${min} or newer: on the PATH, in JAVA_HOME or below /usr/lib/jvm`)
  return java
}

function findJava(min: number, max: number): string | undefined {
  const homes = [process.env.JAVA_HOME, ...entriesIn('/usr/lib/jvm')]
  const candidates = [onPath('java'), ...homes.map(home => (home ? join(home, 'bin', 'java') : undefined))]
  return candidates.find(java => {
    const version = java === undefined || !isExecutable(java) ? Number.NaN : javaVersion(java)
    return version >= min && version <= max
  })
}

function javaVersion(java: string): number {
  try {
    // `--version` prints on stdout, as `openjdk 17.0.15 2025-04-15`; Java 8 does not know it and fails.
    const printed = execFileSync(java, ['--version'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return Number(/^\S+ (\d+)/.exec(printed)?.[1])
  } catch {
    return Number.NaN
  }
}

function findPython(): Python | undefined {
  const pyenv = entriesIn(join(process.env.PYENV_ROOT ?? join(homedir(), '.pyenv'), 'versions')).map(dir =>
    join(dir, 'bin', 'python'),
  )
  for (const version of PYTHON_VERSIONS) {
    const candidates = [onPath(`python${version}`), onPath('python3'), ...pyenv]
    const path = candidates.find(python => python !== undefined && isPython(python, version))
    if (path !== undefined) return { path, version }
  }
  return undefined
}

function isPython(path: string, version: string): boolean {
  // pyenv's stand-ins on the PATH answer for versions that are not there by failing; Debian's bare python3 lacks ensurepip.
  const script = 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])'
  try {
    const printed = execFileSync(path, ['-c', script], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return printed.trim() === version
  } catch {
    return false
  }
}

function findPostgres(): string | undefined {
  const onPathDirs = process.env.PATH?.split(delimiter) ?? []
  // Debian keeps the server's programs off the PATH, in a folder for each version: the newest one.
  const debian = entriesIn('/usr/lib/postgresql').sort((a, b) => versionOf(b) - versionOf(a))
  return [...onPathDirs, ...debian.map(dir => join(dir, 'bin'))].find(
    dir => isExecutable(join(dir, 'initdb')) && isExecutable(join(dir, 'postgres')),
  )
}

function versionOf(dir: string): number {
  return Number(dir.slice(dir.lastIndexOf('/') + 1))
}

export function onPath(program: string): string | undefined {
  return process.env.PATH?.split(delimiter)
    .map(dir => join(dir, program))
    .find(isExecutable)
}

export function entriesIn(dir: string): string[] {
  return existsSync(dir) ? readdirSync(dir).map(name => join(dir, name)) : []
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function canInstall(): boolean {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version') && onPath('apt-get') !== undefined
}
