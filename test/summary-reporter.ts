/** The closing line: how many passed and failed, alone on a line, for people and for CI. A skipped test counts as failed. */
import type { Reporter, TestModule } from 'vitest/node'

export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    let passed = 0
    let failed = errors.length
    for (const module of modules) {
      if (module.state() === 'failed' && module.children.size === 0) failed++
      for (const test of module.children.allTests()) {
        if (test.result().state === 'passed') passed++
        else failed++
      }
    }
    if (failed > 0) process.exitCode = 1
    // Behind the default reporter's own lines, which are written before this one is asked.
    process.stdout.write(`\n${passed} passed, ${failed} failed\n`)
  }
}
