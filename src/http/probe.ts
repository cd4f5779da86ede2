/**
 * A container's health check: exit code 0 while /health/live answers 200. There is no curl in a slim image.
 *
 * Live, not ready: an orchestrator replaces what fails here, and replacing workers because OpenSearch is away mends nothing.
 */

const ANSWER_MS = 4_000

const port = process.env.HTTP_PORT || '8080'
try {
  const answer = await fetch(`http://127.0.0.1:${port}/health/live`, {
    signal: AbortSignal.timeout(ANSWER_MS),
  })
  process.stdout.write(await answer.text())
  process.exitCode = answer.ok ? 0 : 1
} catch (error) {
  process.stderr.write(`nothing answers at 127.0.0.1:${port}/health/live: ${(error as Error).message}\n`)
  process.exitCode = 1
}
