/** Mistakes in the service, and in who may do what. */
import type { Loose } from '../synthesised.ts'
import { each, type Mutant, statement, without } from './change.ts'

const SERVICE = 'AWS::ECS::Service'

const consumer = (change: (container: Loose, definition: Loose) => void) =>
  each('AWS::ECS::TaskDefinition', properties => {
    const container = properties.ContainerDefinitions.find(({ Name }: Loose) => Name === 'consumer')
    if (container) change(container, properties)
  })

const variable = (name: string, change: (variables: Loose[], at: number) => void) =>
  consumer(({ Environment: variables }) => {
    const at = variables.findIndex(({ Name }: Loose) => Name === name)
    if (at !== -1) change(variables, at)
  })

export const serviceMutants: Mutant[] = [
  {
    name: 'container: StopTimeout 300',
    neither: true,
    mutate: consumer(c => {
      c.StopTimeout = 300
    }),
  },
  {
    name: 'container: a file system it can write to',
    mutate: consumer(c => {
      c.ReadonlyRootFilesystem = false
    }),
  },
  {
    name: 'container: root',
    mutate: consumer(c => {
      c.User = 'root'
    }),
  },
  {
    name: 'container: no health check',
    mutate: consumer(c => {
      delete c.HealthCheck
    }),
  },
  {
    name: 'container: health check asks for readiness of nothing that is there',
    mutate: consumer(c => {
      c.HealthCheck.Command = ['CMD', 'curl', '-f', 'http://localhost:8080/health/ready']
    }),
  },
  {
    name: 'task definition: x86',
    mutate: consumer((_c, d) => {
      d.RuntimePlatform.CpuArchitecture = 'X86_64'
    }),
  },
  {
    name: 'task definition: memory that goes with no such cpu',
    neither: true,
    mutate: consumer((_c, d) => {
      d.Cpu = '1024'
      d.Memory = '16384'
    }),
  },
  {
    name: 'service: minimum healthy 300 %',
    neither: true,
    mutate: each(SERVICE, p => {
      p.DeploymentConfiguration.MinimumHealthyPercent = 300
    }),
  },
  {
    name: 'service: minimum healthy 0 %',
    mutate: each(SERVICE, p => {
      p.DeploymentConfiguration.MinimumHealthyPercent = 0
    }),
  },
  {
    name: 'service: no circuit breaker',
    mutate: each(SERVICE, p => {
      delete p.DeploymentConfiguration.DeploymentCircuitBreaker
    }),
  },
  {
    name: 'service: rolls out without its alarms',
    mutate: each(SERVICE, p => {
      delete p.DeploymentConfiguration.Alarms
    }),
  },
  {
    name: 'service: does not wait for the bootstrap',
    mutate: each(SERVICE, (_p, r) => {
      r.DependsOn = [r.DependsOn ?? []].flat().filter(id => !/Bootstrap/.test(id))
    }),
  },
  {
    name: 'service: with a public address',
    mutate: each(SERVICE, p => {
      p.NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp = 'ENABLED'
    }),
  },
  {
    name: 'setting misspelt',
    mutate: variable('LEASE_TABLE', (all, at) => {
      all[at].Name = 'LEASES_TABLE'
    }),
  },
  {
    name: 'setting left out',
    mutate: variable('EMF_NAMESPACE', (all, at) => {
      all.splice(at, 1)
    }),
  },
  {
    name: 'setting with a value the service refuses',
    mutate: variable('OPENSEARCH_URL', (all, at) => {
      all[at].Value = 'search.example.com'
    }),
  },
  {
    name: 'role: an action misspelt',
    mutate: statement('kinesis:GetRecords', s => {
      s.Action = [s.Action].flat().map((a: string) => a.replace('GetRecords', 'GetRecord'))
    }),
  },
  {
    name: 'role: every action',
    mutate: statement('kinesis:GetRecords', s => {
      s.Action = '*'
    }),
  },
  {
    name: 'role: every stream',
    mutate: statement('kinesis:GetRecords', s => {
      s.Resource = '*'
    }),
  },
  {
    name: 'role: may not decrypt',
    mutate: statement('kms:Decrypt', (s, all) => {
      all.splice(all.indexOf(s), 1)
    }),
  },
  {
    name: 'role: may not write to the lease table',
    mutate: statement('dynamodb:UpdateItem', s => {
      s.Action = [s.Action].flat().filter((a: string) => a !== 'dynamodb:UpdateItem')
    }),
  },
  {
    name: 'role: may empty the dead-letter queue',
    mutate: statement('sqs:SendMessage', s => {
      s.Action = [...[s.Action].flat(), 'sqs:PurgeQueue']
    }),
  },
  {
    name: 'security group: from anywhere',
    mutate: each('AWS::EC2::SecurityGroup', p => {
      p.SecurityGroupIngress = [{ CidrIp: '0.0.0.0/0', IpProtocol: 'tcp', FromPort: 443, ToPort: 443 }]
    }),
  },
  {
    name: 'security group: to anywhere',
    mutate: each('AWS::EC2::SecurityGroup', p => {
      p.SecurityGroupEgress = [{ CidrIp: '0.0.0.0/0', IpProtocol: '-1' }]
    }),
  },
  {
    name: 'an endpoint that Fargate needs is missing',
    mutate: without((r, id) => r.Type === 'AWS::EC2::VPCEndpoint' && /EcrDocker/.test(id)),
  },
  {
    name: 'container: a log that holds up the service',
    mutate: consumer(c => {
      c.LogConfiguration.Options.mode = 'blocking'
    }),
  },
  {
    name: 'container: another command',
    mutate: consumer(c => {
      c.Command = ['node', 'src/main.ts', 'bootstrap']
    }),
  },
  {
    name: 'service: no room for new tasks beside the old',
    mutate: each(SERVICE, p => {
      p.DeploymentConfiguration.MaximumPercent = 100
    }),
  },
  {
    name: 'service: more tasks than the environment allows',
    mutate: each('AWS::ApplicationAutoScaling::ScalableTarget', p => {
      p.MaxCapacity = 100
    }),
  },
  {
    name: 'service: nothing scales it',
    mutate: without(({ Type }) => Type === 'AWS::ApplicationAutoScaling::ScalingPolicy'),
  },
  {
    name: 'service: Prometheus does not find it',
    mutate: each(SERVICE, p => {
      delete p.ServiceRegistries
    }),
  },
  {
    name: 'role: anybody may be the service',
    mutate: each('AWS::IAM::Role', p => {
      const [s] = p.AssumeRolePolicyDocument.Statement
      if (s.Principal.Service === 'ecs-tasks.amazonaws.com') s.Principal = { AWS: '*' }
    }),
  },
  {
    name: 'security group: the service has no way to OpenSearch',
    mutate: without(
      r =>
        r.Type === 'AWS::EC2::SecurityGroupEgress' &&
        /tasks write documents/.test(String(r.Properties.Description)),
    ),
  },
  {
    name: 'no way to DynamoDB',
    mutate: without(
      r =>
        r.Type === 'AWS::EC2::VPCEndpoint' && JSON.stringify(r.Properties.ServiceName).includes('dynamodb'),
    ),
  },
]
