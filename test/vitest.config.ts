import { defineConfig } from 'vitest/config';

/** `unit`: pure code and single adapters. `integration`: real processes against the embedded cloud. */
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 10_000 } },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // Each file starts real agents and a cloud of its own; two cores carry two files side by side.
          maxWorkers: 2,
        },
      },
    ],
  },
});
