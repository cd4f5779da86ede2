/** The two tables of infra/README.md that are promises: the requirements, and what each role may do. */
import { globSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type Loose, of, type Resource, statements } from './synthesised.ts'

const readme = readFileSync('infra/README.md', 'utf8')

/** The rows under a heading, each with its cells. */
function rows(heading: string): string[][] {
  const section = readme.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  return section
    .split('\n')
    .filter(line => line.startsWith('|'))
    .slice(2)
    .map(line =>
      line
        .slice(1, -1)
        .split('|')
        .map(cell => cell.trim()),
    )
}

test('every one of the 35 requirements is done, or refused with its reason, at most three of them', () => {
  const found = rows('Requirements')
  expect(found.map(([number]) => Number(number))).toEqual(Array.from({ length: 35 }, (_, at) => at + 1))
  for (const [number, , reason, verdict] of found) {
    expect(['done', 'refused'], `requirement ${number}`).toContain(verdict)
    expect(reason, `requirement ${number}`).not.toBe('')
  }
  expect(found.filter(([, , , verdict]) => verdict === 'refused').length).toBeLessThanOrEqual(3)
})

test('every requirement has a test with its number', () => {
  const named = globSync('test/infra/*.test.ts')
    .map(path => readFileSync(path, 'utf8'))
    .join('\n')
  for (const [number] of rows('Requirements')) expect(named).toMatch(new RegExp(`'req ${number}: `))
})

test('every file the README names is there', () => {
  const files = globSync('{infra,test,docker}/**/*')
  for (const [, file] of readme.matchAll(/\b([\w.-]+\.(?:ts|ya?ml|md))\b/g))
    expect(
      files.some(path => path.endsWith(`/${file}`)),
      file,
    ).toBe(true)
})

/** A role as the table has it: actions by service, with * where a statement allows them on every resource. */
function rowOf(part: string, id: string, role: Resource, resources: Record<string, Resource>): string[] {
  const inRole = (role.Properties.Policies ?? []).flatMap((policy: Loose) =>
    statements(policy.PolicyDocument),
  )
  const beside = Object.values(resources)
    .filter(
      ({ Type, Properties }) =>
        Type === 'AWS::IAM::Policy' && Properties.Roles.some((of: Loose) => of.Ref === id),
    )
    .flatMap(({ Properties }) => statements(Properties.PolicyDocument))
  const byService = new Map<string, Set<string>>()
  for (const { Action, Resource: about } of [...inRole, ...beside])
    for (const action of Action) {
      const [service, name] = action.split(':') as [string, string]
      byService.set(
        service,
        (byService.get(service) ?? new Set()).add(about.includes('*') ? `${name}*` : name),
      )
    }
  const managed = (role.Properties.ManagedPolicyArns ?? []).map(
    (arn: Loose) => `managed policy ${/service-role\/(\w+)/.exec(JSON.stringify(arn))![1]}`,
  )
  const may = [...byService].sort().map(([service, names]) => `${service}: ${[...names].sort().join(', ')}`)
  const takenBy = role.Properties.AssumeRolePolicyDocument.Statement.map(
    ({ Principal }: Loose) => Principal.Service,
  )
  return [
    `\`${part}/${id.replace(/[0-9A-F]{8}$/, '')}\``,
    takenBy.join(', '),
    [...may, ...managed].join('; '),
  ]
}

test('what each role may do is as the templates of production have it', () => {
  const { templates } = of('production')
  const expected = Object.entries(templates).flatMap(([part, { Resources }]) =>
    Object.entries(Resources)
      .filter(([, { Type }]) => Type === 'AWS::IAM::Role')
      .map(([id, role]) => rowOf(part, id, role, Resources)),
  )
  expect(rows('What each role may do')).toEqual(expected)
})
