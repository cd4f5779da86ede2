/**
 * PostgreSQL and OpenSearch refuse to run as root. Started by root they run as `nobody`; started by anyone else, as that user.
 */
import { chownSync, lchownSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

const NOBODY = 65534

/** Without it access(2), which Java asks, judges by the user alone and finds every file below a closed folder missing. */
const KEPT_IN_ACCESS = '--securebits=+no_setuid_fixup'

const isRoot = process.getuid?.() === 0

/** The same command for the user it may run as; `dir` is the folder it works in. */
export function unprivileged(argv: string[], dir: string): string[] {
  if (!isRoot) return argv
  // A checkout below a folder closed to others (/root) would be out of reach for nobody: the right to pass closed folders goes with it,
  // and nothing else of root's rights does.
  const reach = isReachableByAll(dirname(dir))
    ? []
    : ['--inh-caps=+dac_override', '--ambient-caps=+dac_override', KEPT_IN_ACCESS]
  return ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', ...reach, ...argv]
}

/** Hands a folder and all in it to the user such a command runs as. */
export function giveAway(dir: string): void {
  if (!isRoot) return
  chownSync(dir, NOBODY, NOBODY)
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name)
    if (entry.isDirectory()) giveAway(path)
    else lchownSync(path, NOBODY, NOBODY)
  }
}

function isReachableByAll(dir: string): boolean {
  const parent = dirname(dir)
  return (statSync(dir).mode & 0o001) !== 0 && (parent === dir || isReachableByAll(parent))
}
