import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** What is polled for comes by itself; on a loaded machine, late. */
const patient = { poll: { timeout: 20_000 } };
/** A hang is ended by then; a slow machine is not taken for one. ms */
const HANGS_MS = 240_000;

/**
 * `unit`: pure code and single adapters. `integration`: real processes against the embedded cloud. `fault`: the
 * fault matrix, by real kills and real faults; `fault-long`: its parts of minutes. `e2e`: booted instances.
 */
export default defineConfig({
  test: {
    globalSetup: ['test/support/bundled-programs.ts', 'test/support/reliability-doc.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 120_000,
          expect: patient,
          // Vitest leaves a core free; these wait often enough. A file leaves nothing behind that the next could meet.
          maxWorkers: 3,
          isolate: false,
        },
      },
      {
        test: {
          name: 'integration',
          expect: patient,
          include: ['test/integration/**/*.test.ts'],
          testTimeout: HANGS_MS,
          hookTimeout: HANGS_MS,
          // Each file starts real agents and a cloud of its own; two cores carry three files side by side.
          maxWorkers: 3,
        },
      },
      {
        test: {
          name: 'fault',
          expect: patient,
          include: ['test/fault/**/*.test.ts'],
          exclude: ['**/*.long.test.ts'],
          testTimeout: HANGS_MS,
          hookTimeout: HANGS_MS,
          maxWorkers: 3,
        },
      },
      {
        test: {
          name: 'fault-long',
          expect: patient,
          include: ['test/fault/**/*.long.test.ts'],
          testTimeout: 600_000,
          hookTimeout: HANGS_MS,
          // Half of them only wait, for minutes; the kill matrix needs what they leave.
          maxWorkers: 8,
        },
      },
      {
        test: {
          name: 'e2e',
          expect: patient,
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/e2e/support/global.ts'],
          // What it drives is what ships.
          env: { TRIGGER_DEPLOY_PROGRAMS: fileURLToPath(new URL('../dist', import.meta.url)) },
          // Instances end with the main thread of the process that booted them.
          pool: 'forks',
          testTimeout: HANGS_MS,
          hookTimeout: HANGS_MS,
          maxWorkers: 4,
        },
      },
    ],
  },
});
