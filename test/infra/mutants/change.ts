/** Ways to put a mistake into templates, and to tell in how many places it got in. */
import type { Loose, Resource } from '../synthesised.ts'

export type Stack = { Resources: Record<string, Resource> }

export type Mutant = {
  name: string
  /** cfn-lint and CDK's validation have both been shown to miss it. */
  neither?: true
  /** @returns how many resources it has changed; 0 where there is none of the kind */
  mutate: (stacks: Stack[]) => number
}

type Change = (properties: Loose, resource: Resource, id: string) => void

export function each(type: string, change: Change): Mutant['mutate'] {
  return stacks => {
    let changed = 0
    for (const { Resources } of stacks)
      for (const [id, resource] of Object.entries(Resources ?? {})) {
        if (resource.Type !== type) continue
        const before = JSON.stringify(resource)
        change(resource.Properties, resource, id)
        if (JSON.stringify(resource) !== before) changed++
      }
    return changed
  }
}

export function without(isMeant: (resource: Resource, id: string) => boolean): Mutant['mutate'] {
  return stacks => {
    let changed = 0
    for (const { Resources } of stacks)
      for (const [id, resource] of Object.entries(Resources ?? {}))
        if (isMeant(resource, id)) {
          delete Resources[id]
          changed++
        }
    return changed
  }
}

/** A property that is JSON in a string. */
export function json(type: string, property: string, change: (value: Loose) => void): Mutant['mutate'] {
  return each(type, properties => {
    const value = JSON.parse(properties[property])
    change(value)
    properties[property] = JSON.stringify(value)
  })
}

/** In policies, beside roles and in them: the first statement of each with the action. */
export function statement(
  action: string,
  change: (statement: Loose, all: Loose[]) => void,
): Mutant['mutate'] {
  const inDocument = ({ Statement: all }: Loose) => {
    const found = all.find(({ Action }: Loose) => [Action].flat().includes(action))
    if (found) change(found, all)
  }
  const beside = each('AWS::IAM::Policy', ({ PolicyDocument: document }) => inDocument(document))
  const within = each('AWS::IAM::Role', ({ Policies: policies = [] }) => {
    for (const { PolicyDocument: document } of policies) inDocument(document)
  })
  return stacks => beside(stacks) + within(stacks)
}
