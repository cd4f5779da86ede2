/**
 * Two projects. `unit` needs no machine and is what `npm run check` runs. `parts` needs the local parts, which are
 * started once for the whole run; its files run one after the other, since they share two cores and one OpenSearch.
 */
import { defineConfig } from 'vitest/config'

const root = new URL('..', import.meta.url).pathname

export default defineConfig({
  root,
  test: {
    retry: 0,
    projects: [
      {
        test: {
          name: 'unit',
          root,
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.parts.test.ts', 'node_modules/**'],
        },
      },
      {
        test: {
          name: 'parts',
          root,
          include: ['test/**/*.parts.test.ts'],
          globalSetup: ['docker/local/vitest-setup.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
})
