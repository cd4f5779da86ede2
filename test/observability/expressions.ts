/** Which metrics a PromQL expression names, and which the service declares. */
import { serviceMetrics } from '../../src/http/metrics.ts'

const WORDS = new Set([
  'and',
  'or',
  'unless',
  'offset',
  'bool',
  'by',
  'without',
  'on',
  'ignoring',
  'inf',
  'nan',
])

/** Names that are neither functions, labels nor words of the language. */
export function metricsIn(expression: string): string[] {
  const bare = expression
    .replace(/"(?:[^"\\]|\\.)*"/g, '')
    .replace(/\{[^}]*\}/g, ' ')
    .replace(/\[[^\]]*\]/g, ' ')
    .replace(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, ' ')
    .replace(/\boffset\s+\S+/g, ' ')
  const names = Array.from(bare.matchAll(/[a-zA-Z_:][\w:]*(?!\w)(?!\s*\()/g), ([name]) => name)
  return [...new Set(names)].filter(name => !WORDS.has(name))
}

const SUFFIXES: Record<string, string[]> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
}

/** Every name a scrape of the service may show. */
export async function declaredMetrics(): Promise<Set<string>> {
  const { registry } = serviceMetrics({ version: '0', workerId: 'w', stream: 's' })
  const metrics = await registry.getMetricsAsJSON()
  return new Set(
    metrics.flatMap(({ name, type }) => (SUFFIXES[String(type)] ?? ['']).map(suffix => name + suffix)),
  )
}
