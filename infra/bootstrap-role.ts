/**
 * The master of the domain: it alone may say which role may do what inside. Only the one-off task that runs `bootstrap`
 * takes it, so the service itself can neither widen its own rights nor drop an index template.
 */
import { Stack } from 'aws-cdk-lib'
import { type IRole, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Construct } from 'constructs'
import type { Environment } from './environments.ts'
import { namesOf } from './names.ts'
import { domainArn, SEARCH_ACTIONS } from './search-domain.ts'

export class BootstrapRole extends Construct {
  readonly role: IRole

  constructor(scope: Construct, id: string, environment: Environment) {
    super(scope, id)
    const { search } = environment
    this.role =
      search.kind === 'existing'
        ? Role.fromRoleArn(this, 'Role', search.masterRoleArn)
        : new Role(this, 'Role', {
            roleName: namesOf(environment).bootstrapRole,
            description: 'One-off task: index template, roles of OpenSearch, user of DMS',
            assumedBy: new ServicePrincipal('ecs-tasks.amazonaws.com'),
          })
    this.role.addToPrincipalPolicy(
      new PolicyStatement({
        sid: 'PrepareOpenSearch',
        actions: [...SEARCH_ACTIONS.bootstrap],
        resources: [`${domainArn(Stack.of(this), environment)}/*`],
      }),
    )
  }
}
