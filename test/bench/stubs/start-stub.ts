/** The outside of a stub's process: started with its settings, stopped with its owner. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export type Stub = {
  url: string
  stop(): void
}

/** Prebuilding the answers of 64 shards takes the longest. */
const START_MS = 60_000

/**
 * @param file beside this one
 * @param settings read by the stub from its first argument, as JSON
 * @param onMessage everything the stub tells but its port; a `fault` is a request it could not answer
 */
export async function startStub(
  file: string,
  settings: object,
  onMessage: (message: Record<string, unknown>) => void,
): Promise<Stub> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [JSON.stringify(settings)], {
    env: {},
    execArgv: [],
  })
  const port = await portOf(child, file)
  child.on('message', message => onMessage(message as Record<string, unknown>))
  return { url: `http://127.0.0.1:${port}`, stop: () => void child.kill('SIGKILL') }
}

function portOf(child: ChildProcess, file: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`${file} was not ready within ${START_MS / 1000} s`))
    }, START_MS)
    child.once('exit', code => {
      clearTimeout(timer)
      reject(new Error(`${file} ended with exit code ${code} before it was ready`))
    })
    child.once('message', message => {
      clearTimeout(timer)
      resolve((message as { port: number }).port)
    })
  })
}
