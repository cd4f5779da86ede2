/** What both kinds of custom resources stand on: two functions, one role, and the CDK's provider framework that waits up to an hour. */
import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib'
import * as iam from 'aws-cdk-lib/aws-iam'
import type { IKey } from 'aws-cdk-lib/aws-kms'
import * as lambda from 'aws-cdk-lib/aws-lambda'
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs'
import { Provider } from 'aws-cdk-lib/custom-resources'
import { Construct } from 'constructs'

/** Of Lambda's own runtimes the newest; it brings the AWS SDK, so there is nothing to bundle. */
const RUNTIME = lambda.Runtime.NODEJS_24_X

/** The functions wait for AWS up to ten minutes by themselves (a task to stop before it loads anew). */
const FUNCTION_TIMEOUT = Duration.minutes(14)

/** Longer than any deadline a resource gives itself, which ends with a reason; the framework's only with "timed out". */
const TOTAL_TIMEOUT = Duration.minutes(55)

/** In seconds: the longest a custom resource may ask to be waited for. */
export const DEADLINE_SECONDS_MAX = 50 * 60

export type WaitingProviderProps = {
  /** Folder of the code, with `index.mjs` that exports `onEvent` and `isComplete`. */
  code: string
  /** All the functions may do beyond writing their log. */
  statements: iam.PolicyStatement[]
  /** Of the log group. Its policy must let CloudWatch Logs use it. */
  logKey?: IKey
}

export class WaitingProvider extends Construct {
  readonly serviceToken: string
  readonly logGroup: LogGroup
  readonly role: iam.Role
  private readonly code: lambda.Code

  constructor(scope: Construct, id: string, { code, statements, logKey }: WaitingProviderProps) {
    super(scope, id)
    this.logGroup = new LogGroup(this, 'Log', {
      retention: RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
      ...(logKey ? { encryptionKey: logKey } : {}),
    })
    this.code = lambda.Code.fromAsset(code)
    this.role = this.functionRole('Role')
    for (const statement of statements) this.role.addToPrincipalPolicy(statement)
    this.serviceToken = new Provider(this, 'Framework', {
      onEventHandler: this.addFunction('OnEvent', 'onEvent'),
      isCompleteHandler: this.addFunction('IsComplete', 'isComplete'),
      queryInterval: Duration.seconds(10),
      totalTimeout: TOTAL_TIMEOUT,
      logGroup: this.logGroup,
      frameworkOnEventRole: this.functionRole('FrameworkOnEventRole'),
      frameworkCompleteAndTimeoutRole: this.functionRole('FrameworkIsCompleteRole'),
    }).serviceToken
  }

  addFunction(id: string, exported: string): lambda.Function {
    return new lambda.Function(this, id, {
      description: `${Stack.of(this).stackName}: ${this.node.path}, ${exported}`,
      code: this.code,
      handler: `index.${exported}`,
      runtime: RUNTIME,
      architecture: lambda.Architecture.ARM_64,
      memorySize: 256,
      timeout: FUNCTION_TIMEOUT,
      role: this.role,
      logGroup: this.logGroup,
    })
  }

  /** In the place of the managed policy, which may write to every log group of the account. */
  private functionRole(id: string): iam.Role {
    const role = new iam.Role(this, id, { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') })
    role.addToPrincipalPolicy(
      new iam.PolicyStatement({
        sid: 'WriteItsLog',
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [this.logGroup.logGroupArn],
      }),
    )
    return role
  }
}
