/**
 * What a person sees while it runs.
 *
 * On a terminal a few lines at the bottom are drawn again and again, and what is worth keeping scrolls by above them.
 * Elsewhere (a pipe, a CI log) only whole lines are written, one of the status every two seconds.
 */

export type View = {
  /** A line that stays. */
  say(line: string): void
  /** How things are now. The first line alone must make sense: it is all a log gets. */
  show(lines: string[]): void
  /** Takes the drawn lines away. */
  clear(): void
}

type Output = { write(text: string): unknown; isTTY?: boolean; columns?: number }

/** A log line of the status no more often than this. */
const plainEveryMs = 2000

export function createView(output: Output, now: () => number): View {
  return output.isTTY ? terminalView(output) : plainView(output, now)
}

function plainView(output: Output, now: () => number): View {
  let nextMs = Number.NEGATIVE_INFINITY
  return {
    say: line => output.write(`${line}\n`),
    show([line]) {
      if (line === undefined || now() < nextMs) return
      nextMs = now() + plainEveryMs
      output.write(`${line}\n`)
    },
    clear() {},
  }
}

function terminalView(output: Output): View {
  let drawn: string[] = []

  // A line broken by the terminal would count as two when the cursor goes back up.
  const fitted = (line: string) => [...line].slice(0, (output.columns ?? 80) - 1).join('')
  const erased = () => (drawn.length > 0 ? `\x1b[${drawn.length}A\x1b[J` : '')
  const text = (lines: string[]) => lines.map(line => `${fitted(line)}\n`).join('')

  return {
    say: line => output.write(`${erased()}${line}\n${text(drawn)}`),
    show(lines) {
      // One write a frame, so that nothing flickers in between.
      output.write(erased() + text(lines))
      drawn = lines
    },
    clear() {
      output.write(erased())
      drawn = []
    },
  }
}
