/** The alarms of one environment: each row of the table becomes an alarm that tells its topic, and tells it again when it is over. */
import { Alarm, ComparisonOperator } from 'aws-cdk-lib/aws-cloudwatch'
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions'
import type { ITopic } from 'aws-cdk-lib/aws-sns'
import { Construct } from 'constructs'
import type { AlarmRow, Severity } from './alarm-table.ts'

export type AlarmsProps = {
  rows: readonly AlarmRow[]
  topics: Record<Severity, ITopic>
  /** Name of an alarm, with the environment in it. */
  name: (alarm: string) => string
  /** Where the runbook is read, such as a URL; its heading is put behind. */
  runbook: string
}

export class Alarms extends Construct {
  readonly alarms: Alarm[]

  constructor(scope: Construct, id: string, { rows, topics, name, runbook }: AlarmsProps) {
    super(scope, id)
    this.alarms = rows.map(row => {
      const [datapointsToAlarm, evaluationPeriods] = row.periods
      const alarm = new Alarm(this, row.name, {
        alarmName: name(row.name),
        alarmDescription: `${row.severity}: ${row.summary}. ${runbook}#${row.name.toLowerCase()}`,
        metric: row.metric,
        ...boundOf(row),
        datapointsToAlarm,
        evaluationPeriods,
        treatMissingData: row.missing,
      })
      const action = new SnsAction(topics[row.severity])
      alarm.addAlarmAction(action)
      // What is over by itself needs nobody up; what nobody hears of is taken for still there.
      alarm.addOkAction(action)
      return alarm
    })
  }
}

function boundOf({ name, above, below }: AlarmRow) {
  if (above !== undefined && below === undefined)
    return { threshold: above, comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD }
  if (below !== undefined && above === undefined)
    return { threshold: below, comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD }
  throw new Error(`alarm ${name} has to have one bound, above or below`)
}
