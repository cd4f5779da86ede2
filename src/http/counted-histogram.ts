/**
 * A histogram that takes many values at once, in the place of prom-client's, which looks up its labels and its bucket by
 * text for each value: two of them were a twentieth of all a record costs. Shown as prom-client shows its own.
 */
import {
  Histogram,
  type HistogramConfiguration,
  type MetricObjectWithValues,
  type MetricValueWithName,
} from 'prom-client'

type Series = { counts: Float64Array; sum: number }

/** With at most one label. */
export class CountedHistogram<Label extends string = never> extends Histogram<Label> {
  readonly #name: string
  readonly #help: string
  readonly #label: Label | undefined
  /** Upper bounds, ascending. */
  readonly #bounds: readonly number[]
  readonly #series = new Map<string, Series>()

  constructor(configuration: HistogramConfiguration<Label> & { buckets: number[] }) {
    super(configuration)
    this.#name = configuration.name
    this.#help = configuration.help
    this.#label = configuration.labelNames?.[0]
    this.#bounds = configuration.buckets
    if (this.#label === undefined) this.#seriesOf('')
  }

  /** @param value of the label, where there is one */
  observeAll(values: readonly number[], value = ''): void {
    const bounds = this.#bounds
    const series = this.#seriesOf(value)
    const { counts } = series
    // Mostly near the one before.
    let at = 0
    for (const seconds of values) {
      while (at > 0 && seconds <= bounds[at - 1]!) at--
      while (at < bounds.length && seconds > bounds[at]!) at++
      counts[at]!++
      series.sum += seconds
    }
  }

  #seriesOf(value: string): Series {
    let found = this.#series.get(value)
    if (!found) {
      // The last one counts what is above all bounds.
      found = { counts: new Float64Array(this.#bounds.length + 1), sum: 0 }
      this.#series.set(value, found)
    }
    return found
  }

  override async get(): Promise<MetricObjectWithValues<MetricValueWithName<Label>>> {
    const values = [...this.#series].flatMap(([value, { counts, sum }]) => {
      const labels = this.#label === undefined ? {} : { [this.#label]: value }
      const shown = (part: string, number: number, more = {}) =>
        ({
          metricName: `${this.#name}_${part}`,
          labels: { ...more, ...labels },
          value: number,
        }) as MetricValueWithName<Label>
      let count = 0
      const buckets = [...this.#bounds, '+Inf'].map((le, at) => {
        count += counts[at]!
        return shown('bucket', count, { le })
      })
      return [...buckets, shown('sum', sum), shown('count', count)]
    })
    return {
      name: this.#name,
      help: this.#help,
      type: 'histogram',
      values,
      aggregator: 'sum',
    } as unknown as MetricObjectWithValues<MetricValueWithName<Label>>
  }

  /** What the registry asks for, where a metric has it. */
  getForPromString() {
    return this.get()
  }
}
