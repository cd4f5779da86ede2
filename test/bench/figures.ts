/** What was measured: gathered run by run, judged by the largest value, printed as `name: value unit`. */

/** A measure of one name: its values, and the bound that none of them may exceed (undefined: only told). */
export type Figure = { name: string; unit: string; boundMax: number | undefined; values: number[] }

export type Figures = {
  /** Adds a value of one run and shows it. */
  add(name: string, value: number, unit: string, boundMax?: number): void
  /** Whether every value of every figure is within its bound. */
  isWithinBounds(): boolean
  /** Median and maximum of each, a line each. */
  lines(): string[]
}

export function createFigures(log: (line: string) => void): Figures {
  const figures = new Map<string, Figure>()

  const faultOf = ({ boundMax, values }: Figure): string =>
    boundMax !== undefined && Math.max(...values) > boundMax ? `   ABOVE THE BOUND OF ${boundMax}` : ''

  return {
    add(name, value, unit, boundMax) {
      const figure = figures.get(name) ?? { name, unit, boundMax, values: [] }
      figures.set(name, figure)
      figure.values.push(value)
      log(`  ${name}: ${shown(value)} ${unit}`)
    },
    isWithinBounds: () => [...figures.values()].every(figure => faultOf(figure) === ''),
    lines: () =>
      [...figures.values()].flatMap(figure => {
        const { name, unit, values } = figure
        return [
          `${name}_median: ${shown(medianOf(values))} ${unit}`,
          `${name}_max: ${shown(Math.max(...values))} ${unit}${faultOf(figure)}`,
        ]
      }),
  }
}

/** The lower of the two in the middle where their number is even: a value that was really measured. */
export function medianOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!
}

function shown(value: number): string {
  return String(Math.round(value * 1000) / 1000)
}
