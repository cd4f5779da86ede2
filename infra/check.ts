/**
 * Everything that can be known of the stacks without an account: synth (CDK's own validation and cdk-nag), cfn-lint, checkov.
 *
 * The two Python tools are installed under `.local/`, as `lint-requirements.txt` pins them, at the first run and after a change of it.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const assembly = join(root, '.local/cdk-out')
const venv = join(root, '.local/infra-lint')
const requirements = join(root, 'infra/lint-requirements.txt')

/** Findings of cfn-lint that stay. */
const CFN_LINT_IGNORED = {
  W3005: 'CDK writes some dependencies twice; that is harmless.',
}

/** Findings of checkov that stay. All are about the functions of the custom resources, which run in a deploy. */
const CHECKOV_IGNORED = {
  CKV_AWS_115: 'Called by CloudFormation, a few times in a deploy: there is nothing to hold back.',
  CKV_AWS_116: 'A call that fails fails the deploy, which is where it has to be seen.',
  CKV_AWS_117: 'They speak to APIs of AWS alone; in the VPC each of these would need an endpoint more.',
  CKV_AWS_173: 'Their variables are names of functions, put there by CDK.',
}

function run(title: string, command: string, args: string[], env: Record<string, string> = {}): boolean {
  const startedAt = performance.now()
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
  if (error) process.stderr.write(`${title}: ${command} does not start: ${error.message}\n`)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  process.stderr.write(`${title}: ${status === 0 ? 'clean' : 'FAILED'}, ${seconds} s\n`)
  return status === 0
}

function installTools(): boolean {
  const stamp = join(venv, 'installed')
  const wanted = createHash('sha256').update(readFileSync(requirements)).digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return true
  process.stderr.write('Installing cfn-lint and checkov into .local/infra-lint; this takes about a minute.\n')
  rmSync(venv, { recursive: true, force: true })
  const isInstalled =
    run('python', 'python3', ['-m', 'venv', venv]) &&
    run('pip', join(venv, 'bin/pip'), ['install', '--quiet', '--requirement', requirements])
  if (isInstalled) writeFileSync(stamp, wanted)
  else
    process.stderr.write(
      'Needs Python 3.10 or newer with venv (Debian: python3-venv), and a package index.\n',
    )
  return isInstalled
}

function check(): boolean {
  rmSync(assembly, { recursive: true, force: true })
  // Each says what it finds, so that one run shows all.
  const isSound = run('synth', 'npm', ['run', '--silent', 'synth'])
  const templates = globSync('*.template.json', { cwd: assembly }).map(name => join(assembly, name))
  if (templates.length === 0 || !installTools()) return false
  const isLinted = run('cfn-lint', join(venv, 'bin/cfn-lint'), [
    '--ignore-checks',
    ...Object.keys(CFN_LINT_IGNORED),
    '--template',
    ...templates,
  ])
  const isChecked = run(
    'checkov',
    join(venv, 'bin/checkov'),
    [
      '--framework',
      'cloudformation',
      '--compact',
      '--quiet',
      '--skip-download',
      '--skip-check',
      Object.keys(CHECKOV_IGNORED).join(','),
      '--directory',
      assembly,
    ],
    { LOG_LEVEL: 'ERROR' },
  )
  return isSound && isLinted && isChecked
}

if (!check()) process.exitCode = 1
