/**
 * Numbers out of Prometheus text: what a scrape of /metrics says, without a Prometheus.
 *
 * Only the text format's samples are read; HELP and TYPE lines are passed over. Histograms are kept as cumulative
 * buckets, the way they are exposed, so that two scrapes can be subtracted and several workers added.
 */

export type Sample = { name: string; labels: Record<string, string>; value: number }

/** Cumulative: `counts[i]` is how many observations were at most `bounds[i]`; the last bound is Infinity. */
export type Histogram = { bounds: number[]; counts: number[] }

const sampleLine = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/
const labelPair = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g

export function parseMetrics(text: string): Sample[] {
  const samples: Sample[] = []
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const [, name, labels = '', value] = sampleLine.exec(line) ?? []
    if (name === undefined || value === undefined) throw new Error(`not a line of Prometheus text: ${line}`)
    samples.push({ name, labels: labelsOf(labels), value: numberOf(value) })
  }
  return samples
}

function labelsOf(text: string): Record<string, string> {
  return Object.fromEntries(
    Array.from(text.matchAll(labelPair), ([, name, value]) => [name!, unescaped(value!)]),
  )
}

function unescaped(value: string): string {
  return value.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character))
}

/** Prometheus writes infinities as +Inf and -Inf. */
function numberOf(text: string): number {
  return Number(text.replace('Inf', 'Infinity'))
}

/** The sum of one metric's samples, or of those with these labels. A metric that is not there counts as 0. */
export function total(samples: Sample[], name: string, labels: Record<string, string> = {}): number {
  return samples
    .filter(
      sample =>
        sample.name === name &&
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    )
    .reduce((sum, sample) => sum + sample.value, 0)
}

/** One metric's samples summed by the values of one label. */
export function totalsBy(samples: Sample[], name: string, label: string): Map<string, number> {
  const totals = new Map<string, number>()
  for (const sample of samples) {
    const key = sample.labels[label]
    if (sample.name === name && key !== undefined) totals.set(key, (totals.get(key) ?? 0) + sample.value)
  }
  return totals
}

/**
 * How much each series of a counter grew between two scrapes of one worker. A smaller number than before is a counter that
 * began anew (here: a shard left and taken again), and all of it is growth.
 */
export function growth(later: Sample[], earlier: Sample[], name: string): Sample[] {
  const keyOf = (sample: Sample) => JSON.stringify(sample.labels)
  const before = new Map(
    earlier.filter(sample => sample.name === name).map(sample => [keyOf(sample), sample.value]),
  )
  return later
    .filter(sample => sample.name === name)
    .map(sample => {
      const known = before.get(keyOf(sample)) ?? 0
      return { ...sample, value: sample.value < known ? sample.value : sample.value - known }
    })
}

/** A histogram with all its labels but `le` added up; empty where the metric is not there. */
export function histogram(samples: Sample[], name: string): Histogram {
  const counts = [...totalsBy(samples, `${name}_bucket`, 'le')]
    .map(([bound, count]) => ({ bound: numberOf(bound), count }))
    .sort((a, b) => a.bound - b.bound)
  return { bounds: counts.map(({ bound }) => bound), counts: counts.map(({ count }) => count) }
}

/** What came between two scrapes of one worker. An empty `earlier` stands for a worker that had seen nothing yet. */
export function difference(later: Histogram, earlier: Histogram): Histogram {
  return combine(later, earlier, (a, b) => a - b)
}

export function sum(a: Histogram, b: Histogram): Histogram {
  return combine(a, b, (x, y) => x + y)
}

function combine(a: Histogram, b: Histogram, operation: (x: number, y: number) => number): Histogram {
  const bounds = a.bounds.length > 0 ? a.bounds : b.bounds
  if (b.bounds.length > 0 && b.bounds.join() !== bounds.join()) {
    throw new Error(
      `histograms with different buckets cannot be combined: ${bounds.join()} and ${b.bounds.join()}`,
    )
  }
  return { bounds, counts: bounds.map((_, i) => operation(a.counts[i] ?? 0, b.counts[i] ?? 0)) }
}

export function observations(histogram: Histogram): number {
  return histogram.counts.at(-1) ?? 0
}

/** How many observations were at most `bound`, which must be one of the buckets: no guessing inside a bucket. */
export function observationsUpTo(histogram: Histogram, bound: number): number {
  const i = histogram.bounds.indexOf(bound)
  if (i < 0) throw new Error(`no bucket ends at ${bound}: there are ${histogram.bounds.join(', ')}`)
  return histogram.counts[i]!
}

/**
 * The value below which a share `q` of the observations lies, straight-line inside its bucket (as Prometheus'
 * `histogram_quantile`). In the open bucket it is the last bound; NaN without observations.
 */
export function quantile(histogram: Histogram, q: number): number {
  const { bounds, counts } = histogram
  const rank = q * observations(histogram)
  if (!(observations(histogram) > 0)) return Number.NaN
  const i = counts.findIndex(count => count >= rank)
  const upper = bounds[i]!
  const lower = i === 0 ? 0 : bounds[i - 1]!
  if (upper === Number.POSITIVE_INFINITY) return lower
  const below = i === 0 ? 0 : counts[i - 1]!
  const inside = counts[i]! - below
  return inside === 0 ? upper : lower + ((upper - lower) * (rank - below)) / inside
}
