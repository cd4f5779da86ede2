/**
 * The figures of one run out of its samples.
 *
 * One rule for both consumers: a sample is taken at each answer of the `_bulk` stub, with the actions answered so far. The
 * steady state begins at the first sample with a quarter of all the actions of that run and ends at the last one. A consumer
 * that coalesces sends fewer actions than there are records, evenly over the run; so the share of the actions is taken as
 * the share of the records.
 */

/** `peakBytes` never falls. */
export type Sample = { atMs: number; actions: number; cpuSeconds: number; peakBytes: number }

export type RunFigures = {
  cpuPerMillion: number
  recordsPerSecond: number
  peakMiB: number
}

const LEFT_OUT = 1 / 4

/** @param samples oldest first */
export function figuresOf(samples: readonly Sample[], records: number): RunFigures {
  const last = samples.at(-1)
  const first = last && samples.find(({ actions }) => actions >= last.actions * LEFT_OUT)
  if (!last || !first || first === last) throw new Error('too few bulk requests to tell the steady state')
  const counted = records * (1 - first.actions / last.actions)
  return {
    cpuPerMillion: (last.cpuSeconds - first.cpuSeconds) / (counted / 1e6),
    recordsPerSecond: counted / ((last.atMs - first.atMs) / 1000),
    peakMiB: last.peakBytes / 2 ** 20,
  }
}
