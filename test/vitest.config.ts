/**
 * Five projects. `unit` needs no machine and is what `npm run check` runs. `simulation` needs none either, but minutes. `parts` needs the local parts, which are
 * started once for the whole run; its files run one after the other, since they share two cores and one OpenSearch.
 * `infra` synthesises the stacks of every environment, once. `localstack` is the main integration test once more, with LocalStack in the place of the three AWS emulators.
 */
import { defineConfig } from 'vitest/config'

const root = new URL('..', import.meta.url).pathname

const onParts = {
  root,
  globalSetup: ['docker/local/vitest-setup.ts'],
  fileParallelism: false,
  testTimeout: 120_000,
  hookTimeout: 300_000,
}

export default defineConfig({
  root,
  test: {
    retry: 0,
    reporters: ['default', 'test/summary-reporter.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          // Ten thousand cases of a property take seconds, more on a busy machine.
          testTimeout: 60_000,
          root,
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.parts.test.ts', 'test/simulation/**', 'test/infra/**', 'node_modules/**'],
          // No test here leaves anything behind in its process, and a process a file costs more than the tests.
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'simulation',
          root,
          include: ['test/simulation/*.test.ts'],
          testTimeout: 300_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'infra',
          root,
          include: ['test/infra/**/*.test.ts'],
          exclude: ['test/infra/*.localstack.test.ts', 'node_modules/**'],
          // One process and one set of modules for all files: the environments are synthesised once.
          isolate: false,
          fileParallelism: false,
          testTimeout: 120_000,
          // What CDK's own validation finds is `npm run infra:check`'s to say; here it would cost seconds an app.
          env: { CDK_VALIDATION: 'false' },
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...onParts,
          name: 'parts',
          include: ['test/**/*.parts.test.ts'],
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...onParts,
          name: 'localstack',
          include: ['test/e2e/mirror.parts.test.ts', 'test/infra/*.localstack.test.ts'],
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
