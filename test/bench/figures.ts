/** What was measured: gathered run by run, judged by the largest value, printed as `name: value unit`. */

/** What no value may exceed, or fall short of. */
export type Bound = number | { min: number }

/** A measure of one name: its values, and their bound (undefined: only told). */
type Figure = { name: string; unit: string; bound: Bound | undefined; values: number[] }

export type Figures = {
  /** Adds a value of one run and shows it. */
  add(name: string, value: number, unit: string, bound?: Bound): void
  /** Names of the figures with a value beyond their bound. */
  beyondBounds(): string[]
  /** The value of each; of several the median and the one that is held against the bound, a line each. */
  lines(): string[]
}

export function createFigures(log: (line: string) => void): Figures {
  const figures = new Map<string, Figure>()

  return {
    add(name, value, unit, bound) {
      const figure = figures.get(name) ?? { name, unit, bound, values: [] }
      figures.set(name, figure)
      figure.values.push(value)
      log(`  ${name}: ${shown(value)} ${unit}`)
    },
    beyondBounds: () =>
      [...figures.values()].filter(figure => faultOf(figure) !== '').map(({ name }) => name),
    lines: () =>
      [...figures.values()].flatMap(figure => {
        const { name, unit, values } = figure
        if (values.length === 1) return [`${name}: ${shown(values[0]!)} ${unit}${faultOf(figure)}`]
        const worst = isLeast(figure) ? 'min' : 'max'
        return [
          `${name}_median: ${shown(medianOf(values))} ${unit}`,
          `${name}_${worst}: ${shown(worstOf(figure))} ${unit}${faultOf(figure)}`,
        ]
      }),
  }
}

function isLeast({ bound }: Figure): boolean {
  return typeof bound === 'object'
}

function worstOf(figure: Figure): number {
  return isLeast(figure) ? Math.min(...figure.values) : Math.max(...figure.values)
}

/** A value that is no number is beyond every bound. */
function faultOf(figure: Figure): string {
  const { bound } = figure
  if (bound === undefined) return ''
  const worst = worstOf(figure)
  if (typeof bound === 'object') return worst >= bound.min ? '' : `   BELOW THE BOUND OF ${bound.min}`
  return worst <= bound ? '' : `   ABOVE THE BOUND OF ${bound}`
}

/** The lower of the two in the middle where their number is even: a value that was really measured. */
export function medianOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!
}

function shown(value: number): string {
  return String(Math.round(value * 1000) / 1000)
}
