/**
 * Runs a program to its end: Maven, apt, pip, initdb.
 *
 * Rule: it ends with the signal, together with everything it started, and a failure carries the last lines it printed.
 */
import { spawn } from 'node:child_process'
import { signalGroup } from './process-group.ts'

const LINES_KEPT = 20

/** @returns what it printed on stdout */
export function runCommand(
  argv: string[],
  options: { signal: AbortSignal; env?: Record<string, string | undefined>; cwd?: string },
): Promise<string> {
  options.signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const [program, ...args] = argv
    const child = spawn(program!, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      // A group of its own: Maven and pip start more, and a Ctrl-C in the terminal must reach them through us, in order.
      detached: true,
    })
    let stdout = ''
    let output = ''
    const abort = (): void => {
      if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL')
    }
    options.signal.addEventListener('abort', abort, { once: true })
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk
      output += chunk
    })
    child.stderr.on('data', (chunk: Buffer) => {
      output += chunk
    })
    child.once('error', cause => reject(new Error(`${program} could not be started`, { cause })))
    child.once('close', (code, signal) => {
      options.signal.removeEventListener('abort', abort)
      if (options.signal.aborted) reject(options.signal.reason)
      else if (code === 0) resolve(stdout)
      else
        reject(
          new Error(
            `\`${argv.join(' ')}\` ended with ${signal ?? `exit code ${code}`}:\n${lastLines(output)}`,
          ),
        )
    })
  })
}

function lastLines(output: string): string {
  return output.trimEnd().split('\n').slice(-LINES_KEPT).join('\n')
}
