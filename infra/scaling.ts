/**
 * How many tasks. A shard has one reader, so the number of shards is the ceiling; the environment's `maxTasks` is held to it.
 *
 * More tasks help where the tasks are the bottleneck: their processor says so, or the age of the records while OpenSearch
 * takes what it is sent. Where OpenSearch refuses, more tasks would make it worse; then nothing is added, and an alarm says why.
 */
import { Duration } from 'aws-cdk-lib'
import { AdjustmentType } from 'aws-cdk-lib/aws-applicationautoscaling'
import { MathExpression, Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch'
import type { FargateService } from 'aws-cdk-lib/aws-ecs'
import { Construct } from 'constructs'
import type { Environment } from './environments.ts'
import { METRIC_NAMESPACE, namesOf } from './names.ts'

const CPU_PERCENT = 60
const OLD_MS = 30_000

export class Scaling extends Construct {
  constructor(scope: Construct, id: string, environment: Environment, service: FargateService) {
    super(scope, id)
    const { minTasks, maxTasks } = environment.service
    const { stream } = namesOf(environment)
    const tasks = service.autoScaleTaskCount({ minCapacity: minTasks, maxCapacity: maxTasks })
    tasks.scaleOnCpuUtilization('Cpu', {
      targetUtilizationPercent: CPU_PERCENT,
      scaleOutCooldown: Duration.minutes(3),
      // Each step moves leases: down is slow.
      scaleInCooldown: Duration.minutes(15),
    })
    const age = new Metric({
      namespace: 'AWS/Kinesis',
      metricName: 'GetRecords.IteratorAgeMilliseconds',
      dimensionsMap: { StreamName: stream },
      statistic: Stats.MAXIMUM,
      period: Duration.minutes(1),
    })
    const refused = new Metric({
      namespace: METRIC_NAMESPACE,
      metricName: 'BulkFailures',
      dimensionsMap: { Stream: stream },
      statistic: Stats.SUM,
      period: Duration.minutes(1),
    })
    tasks.scaleOnMetric('Age', {
      metric: new MathExpression({
        expression: 'IF(FILL(refused, 0) > 0, 0, age)',
        usingMetrics: { refused, age },
        label: 'age of the records while OpenSearch refuses nothing',
        period: Duration.minutes(1),
      }),
      adjustmentType: AdjustmentType.CHANGE_IN_CAPACITY,
      evaluationPeriods: 3,
      cooldown: Duration.minutes(5),
      // Out alone: an old record says that more are needed, a young one not that fewer would do.
      scalingSteps: [
        { lower: OLD_MS, change: 1 },
        { lower: 10 * OLD_MS, change: 2 },
      ],
    })
  }
}
