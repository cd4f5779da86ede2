/** The templates of an environment, as `npm run synth` would write them, and short ways to look into them. */
import { readFileSync } from 'node:fs'
import { App } from 'aws-cdk-lib'
import { type Environment, type EnvironmentName, environments } from '../../infra/environments.ts'
import { addPipeline } from '../../infra/pipeline.ts'
import type { Stacks } from '../../infra/stacks.ts'
import { mutated } from './mutants/put-in.ts'

// biome-ignore lint/suspicious/noExplicitAny: a template is JSON of any shape, and a test that reaches for what is not there fails.
export type Loose = any

export type Resource = {
  Type: string
  Properties: Loose
  DependsOn?: string[]
  DeletionPolicy?: string
  UpdateReplacePolicy?: string
}

export type Templates = Record<keyof Stacks, { Resources: Record<string, Resource> }>

export const NAMES = Object.keys(environments) as EnvironmentName[]

const { context } = JSON.parse(readFileSync(new URL('../../cdk.json', import.meta.url), 'utf8')) as {
  context: Record<string, unknown>
}

export function synthesise(environment: Environment): { templates: Templates; stacks: Stacks } {
  const app = new App({ context, analyticsReporting: false })
  const stacks = addPipeline(app, environment)
  const assembly = app.synth()
  const templates = Object.fromEntries(
    Object.entries(stacks).map(([part, stack]) => [part, assembly.getStackByName(stack.stackName).template]),
  ) as Templates
  return { templates: mutated(templates), stacks }
}

const made = new Map<EnvironmentName, ReturnType<typeof synthesise>>()

/** Of one of the three environments; made once. */
export function of(name: EnvironmentName): ReturnType<typeof synthesise> {
  const known = made.get(name) ?? synthesise(environments[name])
  made.set(name, known)
  return known
}

export function all(templates: Templates, type: string): Resource[] {
  return Object.values(templates)
    .flatMap(({ Resources }) => Object.values(Resources ?? {}))
    .filter(resource => resource.Type === type)
}

/** @throws unless there is exactly one */
export function one(templates: Templates, type: string): Resource {
  const found = all(templates, type)
  if (found.length !== 1) throw new Error(`${found.length} resources of type ${type}; expected one`)
  return found[0]!
}
export type Statement = {
  Sid?: string
  Effect: string
  Action: string[]
  Resource: Loose
  Condition?: Loose
  Principal?: Loose
}

/** The statements of policies, in roles and beside them, each with lists where the template may have single values. */
export function statements(document: { Statement: unknown[] }): Statement[] {
  return document.Statement.map(statement => {
    const { Action, Resource, ...rest } = statement as Statement
    return { ...rest, Action: [Action].flat(), Resource: [Resource].flat() }
  })
}
