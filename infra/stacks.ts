/**
 * The stacks of one environment. Four hold state and are protected in production; the other two can be deleted and deployed
 * again without loss.
 *
 * Deploy order follows from what they use of each other: network, stream, search, source, observability,
 * consumer. The alarms come before the service, whose rollouts they watch.
 */
import { type App, Stack, type StackProps, Tags } from 'aws-cdk-lib'
import type { Environment } from './environments.ts'
import { namesOf } from './names.ts'

export type Stacks = Record<'network' | 'stream' | 'search' | 'source' | 'consumer' | 'observability', Stack>

const STATEFUL = ['network', 'stream', 'search', 'source'] as const
const STATELESS = ['consumer', 'observability'] as const

/** Knows its zones by name: CDK would otherwise ask the account, and synth works without one. */
class OfflineStack extends Stack {
  readonly #zones: readonly string[]

  constructor(app: App, id: string, props: StackProps & { zones: readonly string[] }) {
    super(app, id, props)
    this.#zones = props.zones
  }

  override get availabilityZones(): string[] {
    return [...this.#zones]
  }
}

export function makeStacks(app: App, environment: Environment): Stacks {
  const { account, region, availabilityZones: zones } = environment
  const names = namesOf(environment)
  const make = (part: string, terminationProtection: boolean): Stack =>
    new OfflineStack(app, names.stack(part), {
      description: `Aurora to OpenSearch, ${environment.name}: ${part}`,
      env: { region, ...(account === undefined ? {} : { account }) },
      terminationProtection,
      zones,
      tags: { Environment: environment.name, Purpose: 'CDC Pipeline' },
    })
  const stacks = Object.fromEntries([
    ...STATEFUL.map(part => [part, make(part, environment.data === 'keep')]),
    ...STATELESS.map(part => [part, make(part, false)]),
  ]) as Stacks
  for (const stack of Object.values(stacks)) {
    Tags.of(stack).add('Environment', environment.name)
    Tags.of(stack).add('Purpose', 'CDC Pipeline')
  }
  return stacks
}
