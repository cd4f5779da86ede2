/** Mistakes in what watches the pipeline. */
import type { Loose } from '../synthesised.ts'
import { each, type Mutant, without } from './change.ts'

const alarm = (name: string, change: (properties: Loose) => void) =>
  each('AWS::CloudWatch::Alarm', properties => {
    if (String(properties.AlarmName).endsWith(name)) change(properties)
  })

export const watchingMutants: Mutant[] = [
  {
    name: 'alarm: without the second dimension of DMS',
    mutate: alarm('DmsSourceLatency', p => {
      p.Dimensions = p.Dimensions.slice(0, 1)
    }),
  },
  {
    name: 'alarm: nobody is told',
    mutate: alarm('CdcNoWorker', p => {
      delete p.AlarmActions
    }),
  },
  {
    name: 'alarm: the sum of a gauge',
    mutate: alarm('DeadLettersWait', p => {
      p.Statistic = 'Sum'
    }),
  },
  {
    name: 'alarm: no data is well, where it is the outage',
    mutate: alarm('StreamIteratorAge', p => {
      p.TreatMissingData = 'notBreaching'
    }),
  },
  {
    name: 'alarm: a metric nobody writes',
    mutate: alarm('CdcShardHeld', p => {
      p.MetricName = 'ShardHeld'
    }),
  },
  {
    name: 'alarm: one is missing',
    mutate: without(
      r => r.Type === 'AWS::CloudWatch::Alarm' && /SlotDiskCritical/.test(String(r.Properties.AlarmName)),
    ),
  },
  {
    name: 'alarm: a period of 45 s',
    mutate: alarm('CdcShardLags', p => {
      p.Period = 45
    }),
  },
  {
    name: 'event of a failed task: misspelt',
    mutate: each('AWS::Events::Rule', p => {
      const types = p.EventPattern?.detail?.eventType
      if (types?.includes('REPLICATION_TASK_FAILED'))
        p.EventPattern.detail.eventType = ['REPLICATION_TASK_FAILURE']
    }),
  },
  {
    name: 'dashboard: no JSON',
    neither: true,
    mutate: each('AWS::CloudWatch::Dashboard', p => {
      const parts = typeof p.DashboardBody === 'string' ? undefined : p.DashboardBody['Fn::Join'][1]
      if (parts) parts[parts.length - 1] = parts.at(-1).slice(0, -2)
      else p.DashboardBody = p.DashboardBody.slice(0, -2)
    }),
  },
  {
    name: 'alarm: its actions are off',
    mutate: alarm('SearchRed', p => {
      p.ActionsEnabled = false
    }),
  },
  {
    name: 'alarm: a page is a ticket',
    mutate: stacks =>
      alarm('CdcNoWorker', p => {
        const ticket = stacks
          .flatMap(({ Resources }) => Object.entries(Resources ?? {}))
          .find(([, r]) => r.Type === 'AWS::SNS::Topic' && /ticket/.test(r.Properties.TopicName))
        p.AlarmActions = [{ Ref: ticket![0] }]
      })(stacks),
  },
  {
    name: 'alarm: ten times the bound',
    mutate: alarm('StreamHalfRetention', p => {
      p.Threshold *= 10
    }),
  },
  {
    name: 'alarm: CloudWatch may not publish',
    mutate: each('AWS::SNS::TopicPolicy', p => {
      p.PolicyDocument.Statement = p.PolicyDocument.Statement.filter((s: Loose) => s.Effect === 'Deny')
    }),
  },
  {
    name: 'alarm: CloudWatch may not use the key of the topics',
    mutate: each('AWS::KMS::Key', p => {
      p.KeyPolicy.Statement = p.KeyPolicy.Statement.filter(
        (s: Loose) => !JSON.stringify(s.Principal).includes('cloudwatch'),
      )
    }),
  },
  {
    name: 'event of a failed task: off',
    mutate: each('AWS::Events::Rule', p => {
      if (p.EventPattern?.source?.[0] === 'aws.dms') p.State = 'DISABLED'
    }),
  },
  {
    name: 'net after a rollback: only after what went well',
    mutate: each('AWS::Events::Rule', p => {
      if (p.EventPattern?.source?.[0] === 'aws.cloudformation')
        p.EventPattern.detail['status-details'].status = ['UPDATE_COMPLETE']
    }),
  },
  {
    name: 'net after a rollback: events may not call it',
    mutate: without((r, id) => r.Type === 'AWS::Lambda::Permission' && /AtRest/.test(id)),
  },
  {
    name: 'alarm: EventBridge under a condition it cannot meet',
    mutate: each('AWS::SNS::TopicPolicy', p => {
      for (const one of p.PolicyDocument.Statement)
        if (one.Principal.Service === 'events.amazonaws.com')
          one.Condition = { StringEquals: { 'aws:SourceAccount': '111122223333' } }
    }),
  },
]
