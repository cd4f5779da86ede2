/**
 * `npm run infra:mutants`: are mistakes seen? Each of templates.ts and, in a copy of the project, of sources.ts is put in by
 * itself, and the tests of infra run on it, without those that see any change (snapshots, costs). For the first kind, what cfn-lint and CDK's own validation say about it is told as
 * well; a mistake counts as seen if anybody sees it. `-- --only PATTERN` takes those whose name it matches.
 *
 * Ends with 1 where fewer than nine in ten, or fewer than 36, were seen.
 */
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { CloudFormationValidatePlugin } from 'aws-cdk-lib'
import { environments } from '../../../infra/environments.ts'
import { synthesise } from '../synthesised.ts'
import type { Mutant } from './change.ts'
import { type SourceMutant, sourceMutants } from './sources.ts'
import { mutants } from './templates.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const work = join(root, '.local/mutants')
const cfnLint = join(root, '.local/infra-lint/bin/cfn-lint')

/** They see any change there is, and say nothing of whether it is a mistake. */
const SHOWING_EVERYTHING = ['snapshots.test.ts', 'cost.test.ts']

const TESTS = globSync('test/infra/*.test.ts', { cwd: root }).filter(
  path => !SHOWING_EVERYTHING.includes(basename(path)),
)
/** The others do not look at the templates of the environments. */
const TESTS_OF_TEMPLATES = TESTS.filter(path =>
  readFileSync(join(root, path), 'utf8').includes("'./synthesised.ts'"),
)

const SEEN_SHARE = 0.9
const SEEN_MIN = 36

type Verdict = { name: string; byTest: string | undefined; byValidator: string | undefined; neither: boolean }

function main(): void {
  const { values } = parseArgs({ options: { only: { type: 'string' } } })
  const isWanted = ({ name }: { name: string }) => values.only === undefined || RegExp(values.only).test(name)
  rmSync(work, { recursive: true, force: true })
  mkdirSync(work, { recursive: true })

  const unmutated = failingTest(root, TESTS)
  if (unmutated !== undefined) {
    process.stderr.write(`Without any mistake a test fails: ${unmutated}. Mend that first.\n`)
    process.exitCode = 1
    return
  }
  const found = validators(mutants.filter(isWanted))
  const verdicts = [
    ...mutants.filter(isWanted).map((mutant): Verdict => {
      const byTest = failingTest(root, TESTS_OF_TEMPLATES, mutant.name)
      return told({
        name: mutant.name,
        byTest,
        byValidator: found.get(mutant.name),
        neither: mutant.neither ?? false,
      })
    }),
    ...sourceMutants.filter(isWanted).map((mutant): Verdict => {
      const byTest = failingTest(copyWith(mutant), TESTS)
      return told({ name: mutant.name, byTest, byValidator: undefined, neither: false })
    }),
  ]
  report(verdicts, values.only !== undefined)
}

function told(verdict: Verdict): Verdict {
  const by = [verdict.byTest, verdict.byValidator].filter(one => one !== undefined).join('; ')
  process.stdout.write(by === '' ? `MISSED ${verdict.name}\n` : `seen   ${verdict.name}: ${by}\n`)
  return verdict
}

function report(verdicts: readonly Verdict[], isPart: boolean): void {
  const missed = verdicts.filter(
    ({ byTest, byValidator }) => byTest === undefined && byValidator === undefined,
  )
  const seen = verdicts.length - missed.length
  const byTests = verdicts.filter(({ byTest }) => byTest !== undefined).length
  const byValidators = verdicts.filter(({ byValidator }) => byValidator !== undefined).length
  const hard = verdicts.filter(({ neither }) => neither)
  const hardSeen = hard.filter(verdict => !missed.includes(verdict)).length
  process.stdout.write(
    `\n${seen} of ${verdicts.length} mistakes seen: ${byTests} by the tests, ${byValidators} by cfn-lint or CDK's validation; ${hardSeen} of the ${hard.length} that validators are known to miss.\n`,
  )
  for (const { name } of missed) process.stdout.write(`missed: ${name}\n`)
  const isEnough = seen >= SEEN_SHARE * verdicts.length && (isPart || seen >= SEEN_MIN)
  if (!isEnough) process.exitCode = 1
}

/** @returns the name of a test that fails; undefined if all pass */
function failingTest(project: string, tests: readonly string[], mutant?: string): string | undefined {
  const output = join(work, 'tests.json')
  rmSync(output, { force: true })
  const { stderr } = spawnSync(
    process.execPath,
    [
      join(root, 'node_modules/vitest/vitest.mjs'),
      'run',
      '--config',
      'test/vitest.config.ts',
      '--project',
      'infra',
      '--bail',
      '1',
      '--reporter',
      'json',
      '--outputFile',
      output,
      ...tests,
    ],
    {
      cwd: project,
      encoding: 'utf8',
      env: { ...process.env, ...(mutant === undefined ? {} : { INFRA_MUTANT: mutant }) },
    },
  )
  if (!existsSync(output))
    throw new Error(`the tests did not run${mutant ? ` on "${mutant}"` : ''}:\n${stderr}`)
  const { testResults } = JSON.parse(readFileSync(output, 'utf8')) as {
    testResults: {
      status: string
      message: string
      name: string
      assertionResults: { status: string; fullName: string }[]
    }[]
  }
  for (const file of testResults) {
    const failed = file.assertionResults.find(({ status }) => status === 'failed')
    if (failed) return failed.fullName
    // A file that does not load, such as for a template that cannot be read.
    if (file.status === 'failed' && file.assertionResults.length === 0) return file.message.split('\n')[0]
  }
  return undefined
}

const COPIED = [
  'infra',
  'src',
  'test',
  'docker/prometheus',
  'package.json',
  'cdk.json',
  'tsconfig.json',
  'Dockerfile',
  '.dockerignore',
]

/** @returns a project with the mistake in it */
function copyWith({ name, file, from, to }: SourceMutant): string {
  const copy = join(work, 'sources')
  rmSync(copy, { recursive: true, force: true })
  for (const path of COPIED)
    if (existsSync(join(root, path))) cpSync(join(root, path), join(copy, path), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  const text = readFileSync(join(copy, file), 'utf8')
  const parts = text.split(from)
  if (parts.length !== 2)
    throw new Error(`"${name}": its text is ${parts.length - 1} times in ${file}, expected once`)
  writeFileSync(join(copy, file), parts.join(to))
  return copy
}

/** What the validators say of each mistake beyond what they say of none. @returns name of the mutant -> a finding */
function validators(wanted: readonly Mutant[]): Map<string, string> {
  for (const environment of Object.values(environments)) {
    const { templates } = synthesise(environment)
    // One that cannot be put in would fail every test, and count as seen.
    for (const { mutate } of wanted) mutate(structuredClone(Object.values(templates)))
  }
  const { templates } = synthesise(environments.production)
  const sound = write('sound', templates)
  const files = new Map<string, string>(sound.map(path => [path, '']))
  for (const [at, { name, mutate }] of wanted.entries()) {
    const copy = structuredClone(templates)
    if (mutate(Object.values(copy)) === 0) throw new Error(`"${name}" changes nothing in production`)
    const changed = Object.fromEntries(
      Object.entries(copy).filter(
        ([part, template]) =>
          JSON.stringify(template) !== JSON.stringify(templates[part as keyof typeof templates]),
      ),
    )
    for (const path of write(String(at), changed)) files.set(path, name)
  }
  const findings = [...ofCdk([...files.keys()]), ...ofCfnLint([...files.keys()])]
  const known = new Set(findings.filter(({ path }) => files.get(path) === '').map(({ rule }) => rule))
  const first = new Map<string, string>()
  for (const { path, rule, says } of findings) {
    const name = files.get(path)
    if (name && !known.has(rule) && !first.has(name)) first.set(name, says)
  }
  return first
}

function write(folder: string, templates: Record<string, unknown>): string[] {
  mkdirSync(join(work, folder))
  return Object.entries(templates).map(([part, template]) => {
    const path = join(work, folder, `${part}.template.json`)
    writeFileSync(path, JSON.stringify(template))
    return path
  })
}

type Finding = { path: string; rule: string; says: string }

function ofCdk(paths: readonly string[]): Finding[] {
  const plugin = new CloudFormationValidatePlugin()
  return paths.flatMap(path => {
    const { violations } = plugin.validate({ templatePaths: [path], stackTemplates: [] } as never)
    return violations.flatMap(({ ruleName, violatingResources }) =>
      violatingResources.map(({ resourceLogicalId }) => ({
        path,
        rule: `${ruleName} ${resourceLogicalId}`,
        says: `CDK's validation, ${ruleName}`,
      })),
    )
  })
}

function ofCfnLint(paths: readonly string[]): Finding[] {
  if (!existsSync(cfnLint)) {
    process.stderr.write('cfn-lint is not there: `npm run infra:check` installs it. Going on without.\n')
    return []
  }
  const { stdout } = spawnSync(cfnLint, ['--format', 'json', '--template', ...paths], {
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
  })
  type Match = { Filename: string; Rule: { Id: string }; Location: { Path?: (string | number)[] } }
  return (JSON.parse(stdout || '[]') as Match[]).map(({ Filename, Rule, Location }) => ({
    path: Filename,
    rule: `${Rule.Id} ${Location.Path?.[1]}`,
    says: `cfn-lint, ${Rule.Id}`,
  }))
}

main()
